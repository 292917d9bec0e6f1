// Matches neither begin nor reach into a hole, so that no fixed text is taken from bytes that
// change.
#include "tools/loadgen/holey_match.h"

#include <assert.h>

#include "engine/base/bits.h"
#include "engine/base/mem.h"

enum { TABLE_BITS = 15, MATCH_MIN = 4 };

struct matcher {
    const uint8_t *text;
    const uint32_t *fixed_until; // for each byte the end of its fixed run; 0 within a hole
    uint32_t from;               // of the literal that is not in an op yet
    uint32_t *table;             // of 4 bytes to position + 1
    struct holey_ops *ops;
};

// The literal up to end, and a copy behind it.
static void put_op(struct matcher *m, uint32_t end, uint32_t offset, uint32_t n)
{
    struct holey_ops *const ops = m->ops;
    if (end + n == m->from)
        return;
    ops->items = mem_grow(ops->items, &ops->capacity, ops->n + 1, sizeof *ops->items);
    ops->items[ops->n++] = (struct holey_op){end - m->from, offset, n};
    m->from = end + n;
}

static uint32_t slot_of(const uint8_t *p)
{
    return load_le32(p) * 0x9e3779b1U >> (32 - TABLE_BITS);
}

// Takes the hole at at; where it ends. last: where those of its group were last.
static uint32_t pass_hole(struct matcher *m, struct hole *h, uint32_t *last, bool is_first)
{
    assert(h->n && h->n <= HOLE_MAX);
    const bool copies = !is_first && h->n >= MATCH_MIN && h->at - *last <= HOLEY_OFFSET_MAX;
    if (copies)
        put_op(m, h->at, h->at - *last, h->n);
    else if (h->at + h->n - m->from > HOLEY_LITERAL_MAX)
        put_op(m, h->at, 0, 0);
    h->out_at = copies ? HOLE_NONE : 0;
    *last = h->at;
    return h->at + h->n;
}

// A match of the bytes at at, taken; how many, 0: none.
static uint32_t take_match(struct matcher *m, uint32_t at)
{
    const uint32_t end = m->fixed_until[at];
    if (at + MATCH_MIN > end)
        return 0;
    uint32_t *const slot = &m->table[slot_of(m->text + at)];
    const uint32_t found = *slot;
    *slot = at + 1;
    if (!found || at - (found - 1) > HOLEY_OFFSET_MAX ||
        load_le32(m->text + found - 1) != load_le32(m->text + at))
        return 0;
    const uint32_t other = found - 1, other_end = m->fixed_until[other];
    uint32_t n = MATCH_MIN;
    while (n < HOLEY_COPY_MAX && at + n < end && other + n < other_end &&
           m->text[at + n] == m->text[other + n])
        n++;
    put_op(m, at, at - other, n);
    return n;
}

void holey_match(struct str text, struct hole *holes, size_t holes_n, struct holey_ops *out)
{
    assert(text.n < UINT32_MAX);
    uint32_t *const fixed_until = mem_alloc_array(text.n + 1, sizeof *fixed_until);
    uint32_t *const last = mem_alloc_array(holes_n + 1, sizeof *last);
    size_t at = 0, hole = 0;
    for (size_t h = 0; h <= holes_n; h++) {
        const uint32_t end = h < holes_n ? holes[h].at : (uint32_t)text.n;
        assert(at <= end);
        while (at < end)
            fixed_until[at++] = end;
        for (size_t i = 0; h < holes_n && i < holes[h].n; i++)
            fixed_until[at++] = 0;
    }
    struct matcher m = {.text = (const uint8_t *)text.p,
                        .fixed_until = fixed_until,
                        .table = mem_zalloc(sizeof(uint32_t) << TABLE_BITS),
                        .ops = out};
    *out = (struct holey_ops){0};
    for (uint32_t i = 0; i < text.n;) {
        if (!fixed_until[i]) {
            struct hole *const h = &holes[hole];
            const bool is_first = h->same_as == HOLE_NONE;
            i = pass_hole(&m, h, &last[is_first ? hole : h->same_as], is_first);
            hole++;
            continue;
        }
        const uint32_t n = take_match(&m, i);
        i += n ? n : 1;
        if (i - m.from >= HOLEY_LITERAL_MAX)
            put_op(&m, m.from + HOLEY_LITERAL_MAX, 0, 0);
    }
    put_op(&m, (uint32_t)text.n, 0, 0);
    mem_free(m.table);
    mem_free(last);
    mem_free(fixed_until);
}
