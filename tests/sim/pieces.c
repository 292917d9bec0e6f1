#include "tests/sim/pieces.h"

static int64_t shortest(const struct pieces *p)
{
    return p->n < PIECES_MAX ? 0 : p->longest[PIECES_MAX - 1].ns;
}

// The last one has come, or has become shorter or longer: back in order.
static void sort_in(struct pieces *p, size_t at)
{
    for (; at > 0 && p->longest[at - 1].ns < p->longest[at].ns; at--) {
        const struct piece swap = p->longest[at - 1];
        p->longest[at - 1] = p->longest[at];
        p->longest[at] = swap;
    }
}

bool pieces_note(void *arg, int64_t ns, const struct turn_piece *piece)
{
    struct pieces *p = arg;
    const uint64_t index = p->count++;
    if (ns <= shortest(p))
        return false;
    if (p->n < PIECES_MAX)
        p->n++;
    struct piece *last = &p->longest[p->n - 1];
    *last = (struct piece){.index = index, .ns = ns};
    turn_piece_text(piece, last->text);
    sort_in(p, p->n - 1);
    return true;
}

void pieces_meet(struct pieces *p, const struct pieces *again)
{
    for (size_t i = 0; i < p->n; i++) {
        int64_t ns = shortest(again); // at most, of one that is not among the longest
        for (size_t k = 0; k < again->n; k++)
            ns = again->longest[k].index == p->longest[i].index ? again->longest[k].ns : ns;
        if (ns < p->longest[i].ns)
            p->longest[i].ns = ns;
    }
    for (size_t i = 1; i < p->n; i++)
        sort_in(p, i);
}

int64_t pieces_ns_max(const struct pieces *p)
{
    return p->n ? p->longest[0].ns : 0;
}
