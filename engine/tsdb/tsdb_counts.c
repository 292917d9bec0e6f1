#include "engine/tsdb/tsdb_counts.h"

#include "engine/tsdb/tsdb_part.h"
#include "io/fiber.h"

static void breathe_at(size_t i)
{
    if (i % 256 == 255 && fiber_self())
        fiber_yield_if_due();
}

err tsdb_active_names(struct tsdb *db, struct least *out, struct errmsg *e)
{
    const struct head *h = &tsdb_part(db)->head;
    for (size_t i = 0; i < h->labels.names_n; i++) { // none goes, at most some come
        if (h->labels.names[i].pairs.n)
            TRY(least_add(out, h->labels.names[i].text, e));
        breathe_at(i);
    }
    return least_finish(out, e);
}

// A series has its sets' pairs once. sets is empty, before and after. Suspends.
static uint64_t series_of(const struct head *h, uint32_t pair, roaring_bitmap_t *sets)
{
    uint64_t series = 0;
    size_t at = 0;
    roaring_uint32_iterator_t i;
    posting_union(&label_pair_at(&h->labels, pair)->in, sets); // some may come meanwhile
    for (roaring_init_iterator(sets, &i); i.has_value; roaring_advance_uint32_iterator(&i)) {
        series += label_store_set_at(&h->labels, i.current_value)->series;
        breathe_at(at++);
    }
    roaring_bitmap_clear(sets);
    return series;
}

static err count_values(struct head *h, const struct tsdb_growth *growth, uint32_t name,
                        struct str after, size_t max, struct arena *a, struct tsdb_value_count *out,
                        size_t *out_n, struct errmsg *e)
{
    struct pair_walk walk;
    roaring_bitmap_t *sets = roaring_bitmap_create();
    size_t n = 0, at = 0;
    err code = ERR_OK;
    pair_walk_begin(&walk, &h->labels, name, STR(""), after);
    for (uint32_t pair;
         n < max && code == ERR_OK && (pair = pair_walk_next(&walk)) != LABEL_NONE;) {
        const struct str value = label_pair_value(label_pair_at(&h->labels, pair));
        breathe_at(at++);
        const uint64_t series = after.p && str_eq(value, after) ? 0 : series_of(h, pair, sets);
        char *own = series ? arena_try(a, value.n + 1, 1, 1) : NULL;
        if (series && !own) {
            code = err_set(e, ERR_LIMIT, "the query needs more memory than it may use");
        } else if (series) {
            memcpy(own, value.p, value.n);
            out[n++] = (struct tsdb_value_count){str_make(own, value.n), series,
                                                 growth ? tally_of(&growth->pairs, pair) : 0};
        }
    }
    roaring_bitmap_free(sets);
    *out_n = n;
    return code;
}

err tsdb_count_values(struct tsdb *db, const struct tsdb_growth *growth, struct str name,
                      struct str after, size_t max, struct arena *a, struct tsdb_value_count *out,
                      size_t *out_n, struct errmsg *e)
{
    struct head *h = &tsdb_part(db)->head;
    const uint32_t id = label_store_find_name(&h->labels, name);
    *out_n = 0;
    if (id == LABEL_NONE)
        return ERR_OK;
    h->selects++; // the values that were walked over stay
    const err code = count_values(h, growth, id, after, max, a, out, out_n, e);
    h->selects--;
    return code;
}
