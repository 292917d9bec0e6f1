// The bytes, as the catalogue keeps them with a file's number; numbers are varints unless a size is
// said:
//
//     classes; then of each
//         hidden ranges, 1 at least; of each its first and last time, 8 bytes each, ascending,
//             with a millisecond between two of them at least
//         runs of series, 1 at least; of each the gap (to the end of the run before, or to 0), and
//             the number of series in it, less one
//
// Series are numbered as in the file. No two classes have the same series, or the same ranges.
#include "engine/tsdb/tombstones.h"

#include <assert.h>
#include <string.h>

#include "engine/base/bits.h"
#include "engine/base/mem.h"
#include "engine/tsdb/samples.h"
#include "io/fiber.h"

enum { RANGE_BYTES = 16, BREATH = 1024 };

struct group {
    roaring_bitmap_t *ids;
    struct hidden *ranges;
    size_t n;
};

struct tombstones {
    unsigned refs;
    roaring_bitmap_t *all; // of all classes
    struct group *classes;
    size_t n, capacity;
};

static void breathe_at(size_t i)
{
    if (i % BREATH == BREATH - 1 && fiber_self())
        fiber_yield_if_due();
}

static struct tombstones *create(void)
{
    struct tombstones *t = mem_alloc(sizeof *t);
    *t = (struct tombstones){.refs = 1, .all = roaring_bitmap_create()};
    return t;
}

struct tombstones *tombstones_ref(struct tombstones *t)
{
    if (t)
        t->refs++;
    return t;
}

void tombstones_unref(struct tombstones *t)
{
    if (!t || --t->refs > 0)
        return;
    for (size_t i = 0; i < t->n; i++) {
        roaring_bitmap_free(t->classes[i].ids);
        mem_free(t->classes[i].ranges);
    }
    mem_free(t->classes);
    roaring_bitmap_free(t->all);
    mem_free(t);
}

// ---- making

static bool is_same(const struct group *group, const struct hidden *ranges, size_t n)
{
    if (group->n != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (group->ranges[i].mint != ranges[i].mint || group->ranges[i].maxt != ranges[i].maxt)
            return false;
    return true;
}

// Series that are in no group yet; takes ids, and copies the ranges. Few classes are the rule.
static void put_class(struct tombstones *t, roaring_bitmap_t *ids, const struct hidden *ranges,
                      size_t n)
{
    if (roaring_bitmap_is_empty(ids)) {
        roaring_bitmap_free(ids);
        return;
    }
    roaring_bitmap_or_inplace(t->all, ids);
    for (size_t i = 0; i < t->n; i++) {
        if (!is_same(&t->classes[i], ranges, n))
            continue;
        roaring_bitmap_or_inplace(t->classes[i].ids, ids);
        roaring_bitmap_free(ids);
        return;
    }
    struct group group = {.ids = ids, .ranges = mem_alloc_array(n, sizeof *ranges), .n = n};
    memcpy(group.ranges, ranges, n * sizeof *ranges);
    (void)roaring_bitmap_run_optimize(ids);
    t->classes = mem_grow(t->classes, &t->capacity, t->n + 1, sizeof *t->classes);
    t->classes[t->n++] = group;
}

static bool touches(const struct hidden *a, const struct hidden *b) // or overlaps
{
    return (a->maxt == INT64_MAX || b->mint <= a->maxt + 1) &&
           (b->maxt == INT64_MAX || a->mint <= b->maxt + 1);
}

// The ranges and one more, into out, which has room for it; how many.
static size_t unite(const struct hidden *ranges, size_t n, struct hidden more, struct hidden *out)
{
    size_t at = 0, i = 0;
    while (i < n && ranges[i].mint < more.mint && !touches(&ranges[i], &more))
        out[at++] = ranges[i++];
    for (; i < n && touches(&ranges[i], &more); i++) {
        more.mint = ranges[i].mint < more.mint ? ranges[i].mint : more.mint;
        more.maxt = ranges[i].maxt > more.maxt ? ranges[i].maxt : more.maxt;
    }
    out[at++] = more;
    while (i < n)
        out[at++] = ranges[i++];
    return at;
}

struct tombstones *tombstones_add(const struct tombstones *t, const roaring_bitmap_t *ids,
                                  struct hidden range)
{
    struct tombstones *out = create();
    struct hidden *ranges = NULL;
    size_t capacity = 0;
    assert(range.mint <= range.maxt);
    for (size_t i = 0; t && i < t->n; i++) {
        const struct group *group = &t->classes[i];
        ranges = mem_grow(ranges, &capacity, group->n + 1, sizeof *ranges);
        const size_t n = unite(group->ranges, group->n, range, ranges);
        put_class(out, roaring_bitmap_andnot(group->ids, ids), group->ranges, group->n);
        put_class(out, roaring_bitmap_and(group->ids, ids), ranges, n);
        breathe_at(i | (BREATH - 1));
    }
    mem_free(ranges);
    put_class(out, t ? roaring_bitmap_andnot(ids, t->all) : roaring_bitmap_copy(ids), &range, 1);
    return out;
}

// ---- bytes

static void put_number(struct buf *out, uint64_t number)
{
    uint8_t bytes[VARINT_MAX];
    buf_put(out, bytes, varint_store(bytes, number));
}

struct run {
    uint32_t first, end;
};

// The run of ids from where the iterator stands; false: there is none.
static bool next_run(roaring_uint32_iterator_t *i, struct run *out)
{
    if (!i->has_value)
        return false;
    *out = (struct run){i->current_value, i->current_value};
    for (size_t steps = 0; i->has_value && i->current_value == out->end; steps++) {
        out->end++;
        roaring_advance_uint32_iterator(i);
        breathe_at(steps);
    }
    return true;
}

static void put_ids(const roaring_bitmap_t *ids, struct buf *out)
{
    struct buf runs = {0};
    roaring_uint32_iterator_t i;
    struct run run;
    uint32_t before = 0;
    size_t n = 0;
    roaring_init_iterator(ids, &i);
    for (; next_run(&i, &run); before = run.end) {
        put_number(&runs, run.first - before);
        put_number(&runs, run.end - run.first - 1);
        breathe_at(n++);
    }
    put_number(out, n);
    buf_put_str(out, buf_str(&runs));
    buf_deinit(&runs);
}

void tombstones_put(const struct tombstones *t, struct buf *out)
{
    put_number(out, t ? t->n : 0);
    for (size_t i = 0; t && i < t->n; i++) {
        const struct group *group = &t->classes[i];
        put_number(out, group->n);
        for (size_t k = 0; k < group->n; k++) {
            buf_put_le64(out, (uint64_t)group->ranges[k].mint);
            buf_put_le64(out, (uint64_t)group->ranges[k].maxt);
        }
        put_ids(group->ids, out);
    }
}

struct reading {
    const uint8_t *at, *end;
};

static bool take_number(struct reading *r, uint64_t *out)
{
    const size_t n = varint_load(r->at, r->end, out);
    r->at += n;
    return n > 0;
}

static bool take_ranges(struct reading *r, struct hidden **out, size_t *out_n)
{
    uint64_t n;
    if (!take_number(r, &n) || n == 0 || n > (size_t)(r->end - r->at) / RANGE_BYTES)
        return false;
    struct hidden *ranges = *out = mem_alloc_array((size_t)n, sizeof *ranges);
    *out_n = (size_t)n;
    for (size_t i = 0; i < n; i++, r->at += RANGE_BYTES) {
        ranges[i] = (struct hidden){(int64_t)load_le64(r->at), (int64_t)load_le64(r->at + 8)};
        if (ranges[i].mint > ranges[i].maxt ||
            (i > 0 && (ranges[i].mint < ranges[i - 1].maxt || touches(&ranges[i - 1], &ranges[i]))))
            return false;
    }
    return true;
}

static bool take_ids(struct reading *r, uint64_t series, roaring_bitmap_t *out)
{
    uint64_t n, gap, more, at = 0;
    if (!take_number(r, &n) || n == 0 || n > (size_t)(r->end - r->at))
        return false;
    for (uint64_t i = 0; i < n; i++) {
        if (!take_number(r, &gap) || !take_number(r, &more) || gap > series - at ||
            more >= series - at - gap || (i > 0 && gap == 0))
            return false;
        roaring_bitmap_add_range(out, at + gap, at + gap + more + 1);
        at += gap + more + 1;
        breathe_at((size_t)i);
    }
    return true;
}

static bool take_class(struct reading *r, uint64_t series, struct tombstones *t)
{
    struct hidden *ranges = NULL;
    size_t n = 0;
    roaring_bitmap_t *ids = roaring_bitmap_create();
    const size_t classes = t->n;
    bool is_good = take_ranges(r, &ranges, &n) && take_ids(r, series, ids) &&
                   !roaring_bitmap_intersect(t->all, ids);
    if (is_good) {
        put_class(t, ids, ranges, n);
        is_good = t->n == classes + 1;
    } else {
        roaring_bitmap_free(ids);
    }
    mem_free(ranges);
    return is_good;
}

struct tombstones *tombstones_parse(struct str bytes, uint64_t series)
{
    const uint8_t *p = (const uint8_t *)bytes.p;
    if (!bytes.n)
        return NULL;
    struct reading r = {p, p + bytes.n};
    struct tombstones *t = create();
    uint64_t n = 0;
    bool is_good = series <= UINT32_MAX && take_number(&r, &n);
    for (uint64_t i = 0; i < n && is_good; i++)
        is_good = take_class(&r, series, t);
    if (is_good && r.at == r.end)
        return t;
    tombstones_unref(t);
    return NULL;
}

// ---- asking

size_t tombstones_of(const struct tombstones *t, uint32_t id, const struct hidden **out)
{
    if (!roaring_bitmap_contains(t->all, id))
        return 0;
    size_t i = 0;
    while (!roaring_bitmap_contains(t->classes[i].ids, id))
        i++;
    *out = t->classes[i].ranges;
    return t->classes[i].n;
}

bool tombstones_hide(const struct tombstones *t, uint32_t id, struct hidden all)
{
    const struct hidden *ranges;
    const size_t n = tombstones_of(t, id, &ranges);
    return n == 1 && ranges[0].mint <= all.mint && ranges[0].maxt >= all.maxt;
}

uint64_t tombstones_series(const struct tombstones *t)
{
    return roaring_bitmap_get_cardinality(t->all);
}

// Of times [from, n), ascending, the first at or above t_ms.
static size_t first_from(const int64_t *t, size_t from, size_t n, int64_t t_ms)
{
    while (from < n) {
        const size_t middle = from + (n - from) / 2;
        if (t[middle] < t_ms)
            from = middle + 1;
        else
            n = middle;
    }
    return from;
}

bool tombstones_apply(const struct tombstones *t, uint32_t id, struct arena *a, struct column *c)
{
    const struct hidden *ranges;
    const size_t n = tombstones_of(t, id, &ranges);
    size_t at = 0, i = 0;
    struct samples s;
    bool is_copied = false;
    while (i < n && c->n && ranges[i].maxt < c->t[0])
        i++;
    for (; i < n && at < c->n; i++) {
        const size_t from = first_from(c->t, at, c->n, ranges[i].mint);
        const size_t to =
            ranges[i].maxt == INT64_MAX ? c->n : first_from(c->t, from, c->n, ranges[i].maxt + 1);
        if (from == c->n)
            break;
        if (from == to)
            continue;
        if (!is_copied && !samples_init(&s, a, c, 1, true))
            return false;
        is_copied = true;
        samples_put(&s, c, at, from - at);
        at = to;
    }
    if (is_copied) {
        samples_put(&s, c, at, c->n - at);
        *c = samples_column(&s);
    }
    return true;
}
