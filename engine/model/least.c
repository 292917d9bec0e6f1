#include "engine/model/least.h"

#include "engine/base/mem.h"
#include "engine/model/labels.h"
#include "io/fiber.h"
#include "io/fiber_sort.h"

enum { ROOM = 4096, ROOM_WITHOUT_MAX = 65536, BREATH = 1024 };

void least_init(struct least *l, const struct arena *beside, size_t max, bool is_of_labels)
{
    *l = (struct least){.max = max, .is_of_labels = is_of_labels};
    arena_init_beside(&l->arenas[0], beside);
    arena_init_beside(&l->arenas[1], beside);
    arena_init_beside(&l->list, beside);
}

void least_deinit(struct least *l)
{
    arena_mem_free(&l->list, l->items, l->capacity, sizeof *l->items);
    arena_deinit(&l->arenas[0]);
    arena_deinit(&l->arenas[1]);
}

static int compare_bytes(const void *a, const void *b, const void *arg)
{
    (void)arg;
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

int least_compare(const struct least *l, struct str a, struct str b)
{
    return l->is_of_labels ? labels_cmp(a, b) : str_cmp(a, b);
}

static err no_memory(struct errmsg *e)
{
    return err_set(e, ERR_LIMIT, "the query needs more memory than it may use");
}

static bool copy_text(struct arena *a, struct str text, struct str *out)
{
    char *own = arena_try(a, text.n + 1, 1, 1); // never NULL, also of what is empty
    if (!own)
        return false;
    if (text.n)
        memcpy(own, text.p, text.n);
    *out = str_make(own, text.n);
    return true;
}

// A copy in pieces: that of a long list takes long.
static err grow(struct least *l, struct errmsg *e)
{
    size_t capacity = 0;
    struct str *items = arena_mem_grow(&l->list, NULL, &capacity, 2 * l->n, sizeof *items);
    if (!items)
        return no_memory(e);
    for (size_t i = 0; i < l->n; i++) {
        items[i] = l->items[i];
        if (i % BREATH == BREATH - 1 && fiber_self())
            fiber_yield_if_due();
    }
    arena_mem_free(&l->list, l->items, l->capacity, sizeof *items);
    l->items = items;
    l->capacity = capacity;
    return ERR_OK;
}

// The texts that stay into the other arena, so that those that go give their memory back.
static err move(struct least *l, struct errmsg *e)
{
    struct arena *to = &l->arenas[!l->arena_at];
    for (size_t i = 0; i < l->n; i++) {
        if (!copy_text(to, l->items[i], &l->items[i]))
            return no_memory(e);
        if (i % BREATH == BREATH - 1 && fiber_self())
            fiber_yield_if_due();
    }
    arena_reset(&l->arenas[l->arena_at]);
    l->arena_at = !l->arena_at;
    return ERR_OK;
}

static err settle(struct least *l, struct errmsg *e)
{
    struct arena scratch;
    const size_t before = l->n;
    size_t n = 0;
    arena_init_beside(&scratch, &l->list);
    const err sorted = fiber_sort_within(&scratch, l->items, l->n, sizeof *l->items, NULL,
                                         l->is_of_labels ? labels_compare : compare_bytes);
    arena_deinit(&scratch);
    if (sorted != ERR_OK)
        return sorted == ERR_LIMIT ? no_memory(e)
                                   : err_set(e, sorted, "ended while what was found was sorted");
    for (size_t i = 0; i < before && (!l->max || n < l->max); i++) {
        if (!n || !str_eq(l->items[n - 1], l->items[i]))
            l->items[n++] = l->items[i];
        if (i % BREATH == BREATH - 1 && fiber_self())
            fiber_yield_if_due();
    }
    l->n = l->kept = n;
    if (n < before - before / 4)
        TRY(move(l, e));
    if (l->max && n == l->max)
        l->greatest = l->items[n - 1];
    return ERR_OK;
}

bool least_wants(const struct least *l, struct str text)
{
    return (!l->after.p || least_compare(l, text, l->after) > 0) &&
           (!l->greatest.p || least_compare(l, text, l->greatest) < 0);
}

err least_add(struct least *l, struct str text, struct errmsg *e)
{
    if (!least_wants(l, text))
        return ERR_OK;
    if (l->n >= (l->max ? 2 * l->kept + ROOM : 4 * l->kept + ROOM_WITHOUT_MAX))
        TRY(settle(l, e));
    if (l->n == l->capacity)
        TRY(grow(l, e));
    if (!copy_text(&l->arenas[l->arena_at], text, &l->items[l->n]))
        return no_memory(e);
    l->n++;
    return ERR_OK;
}

err least_finish(struct least *l, struct errmsg *e)
{
    return l->n ? settle(l, e) : ERR_OK;
}
