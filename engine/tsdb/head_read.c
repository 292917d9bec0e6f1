#include <assert.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/model/value.h"
#include "engine/tsdb/head_cohorts.h"
#include "engine/tsdb/head_query.h"

static err no_memory(struct errmsg *e)
{
    return err_set(e, ERR_LIMIT, "the query needs more memory than it may use");
}

err head_reader_init(struct head_reader *r, struct head *h, uint64_t seq, int64_t mint,
                     int64_t maxt, size_t n, struct arena *a, struct errmsg *e)
{
    size_t capacity = 16;
    while (capacity < n * 2 && capacity < h->cohorts_n * 2)
        capacity *= 2;
    *r = (struct head_reader){
        .head = h, .seq = seq, .mint = mint, .maxt = maxt, .arena = a, .times_mask = capacity - 1};
    r->times = arena_array(a, capacity, struct head_times);
    return r->times ? ERR_OK : no_memory(e);
}

// The cohort's times in slots [from, from + n), one copy for all its series.
static const int64_t *shared_times(struct head_reader *r, const struct cohort *c, uint32_t from,
                                   uint32_t n)
{
    size_t at = (c->id * 0x9e3779b1u) & r->times_mask;
    while (r->times[at].t && r->times[at].cohort != c->id)
        at = (at + 1) & r->times_mask;
    struct head_times *times = &r->times[at];
    if (!times->t || times->from != from || times->n != n) { // old slots may go while we read
        int64_t *t = arena_try(r->arena, n, sizeof *t, _Alignof(int64_t));
        if (!t)
            return NULL;
        memcpy(t, c->times + (from - c->base), n * sizeof *t);
        *times = (struct head_times){c->id, from, n, t};
    }
    return times->t;
}

// Drops values that a commit later than the snapshot filled into older slots.
static size_t drop_unseen(const struct head_reader *r, const struct cohort *c, uint32_t member,
                          uint32_t *slots, uint64_t *bits, size_t n)
{
    if (!c->fills_n || c->fills[c->fills_n - 1].seq <= r->seq)
        return n;
    for (size_t k = c->fills_n; k-- > 0 && c->fills[k].seq > r->seq;) {
        if (c->fills[k].member != member)
            continue;
        size_t at = 0;
        while (at < n && slots[at] != c->fills[k].slot)
            at++;
        if (at == n)
            continue;
        n--;
        memmove(slots + at, slots + at + 1, (n - at) * sizeof *slots);
        memmove(bits + at, bits + at + 1, (n - at) * sizeof *bits);
    }
    return n;
}

static err read_histogram(const struct head_reader *r, const struct held *held, struct str *out,
                          struct errmsg *e)
{
    struct buf *packed = &r->head->packed;
    buf_reset(packed);
    held_pack(held, packed);
    char *copy = arena_try(r->arena, packed->n, 1, 1);
    if (!copy)
        return no_memory(e);
    memcpy(copy, packed->p, packed->n);
    *out = str_make(copy, packed->n);
    return ERR_OK;
}

static bool has_histograms(const struct late *l, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        if (l->items[i].is_histogram)
            return true;
    }
    return false;
}

static err merge_late(const struct head_reader *r, const struct head_series *s,
                      const struct cohort *c, size_t n, struct column *out, struct errmsg *e)
{
    const struct head *h = r->head;
    const uint32_t from = late_after(s->late, r->mint), to = late_after(s->late, r->maxt);
    const size_t most = n + (to - from);
    const bool histograms = has_histograms(s->late, from, to);
    int64_t *t = arena_try(r->arena, most, sizeof *t, _Alignof(int64_t));
    uint64_t *v = arena_try(r->arena, most, sizeof *v, _Alignof(double));
    struct str *packed = histograms ? arena_array(r->arena, most, struct str) : NULL;
    if (!t || !v || (histograms && !packed))
        return no_memory(e);
    size_t at = 0, i = 0;
    for (uint32_t k = from; i < n || k < to;) {
        const struct late_sample *late = k < to ? &s->late->items[k] : NULL;
        if (late && late->seq > r->seq) {
            k++;
        } else if (i < n && (!late || cohort_time(c, h->slots[i]) < late->t_ms)) {
            t[at] = cohort_time(c, h->slots[i]);
            v[at++] = h->bits[i++];
        } else {
            assert(late && (i == n || cohort_time(c, h->slots[i]) != late->t_ms));
            t[at] = late->t_ms;
            v[at] = late->is_histogram ? VALUE_STALE_BITS : late->bits;
            if (late->is_histogram)
                TRY(read_histogram(r, late->histogram, &packed[at], e));
            at++;
            k++;
        }
    }
    *out = (struct column){.t = t, .v = (const double *)v, .n = at, .histograms = packed};
    return ERR_OK;
}

static err add_starts(const struct head_reader *r, const struct late *l, struct column *c,
                      struct errmsg *e)
{
    int64_t *starts = arena_try(r->arena, c->n, sizeof *starts, _Alignof(int64_t));
    if (!starts)
        return no_memory(e);
    for (size_t i = 0; i < c->n; i++)
        starts[i] = late_start_at(l, c->t[i]);
    c->starts = starts;
    return ERR_OK;
}

// The values of n slots, times shared where no slot between is missing.
static err plain_column(struct head_reader *r, const struct cohort *c, uint32_t from, uint32_t end,
                        size_t n, struct column *out, struct errmsg *e)
{
    const struct head *h = r->head;
    uint64_t *v = arena_try(r->arena, n, sizeof *v, _Alignof(double));
    if (!v)
        return no_memory(e);
    memcpy(v, h->bits, n * sizeof *v);
    const uint32_t first = h->slots[0];
    if (h->slots[n - 1] - first + 1 == n) {
        const int64_t *t = shared_times(r, c, from, end - from);
        if (!t)
            return no_memory(e);
        *out = (struct column){.t = t + (first - from), .v = (const double *)v, .n = n};
        return ERR_OK;
    }
    int64_t *t = arena_try(r->arena, n, sizeof *t, _Alignof(int64_t));
    if (!t)
        return no_memory(e);
    for (size_t i = 0; i < n; i++)
        t[i] = cohort_time(c, h->slots[i]);
    *out = (struct column){.t = t, .v = (const double *)v, .n = n};
    return ERR_OK;
}

err head_reader_read(struct head_reader *r, uint64_t ref, struct column *out, struct errmsg *e)
{
    struct head *h = r->head;
    const struct head_series *s = head_resolve(h, ref);
    *out = (struct column){0};
    if (!s || s->last_t == INT64_MIN || r->mint >= r->maxt)
        return ERR_OK;
    const struct cohort *c = s->cohort == COHORT_NONE ? NULL : h->cohorts[s->cohort];
    size_t n = 0;
    uint32_t from = 0, end = 0;
    if (c) {
        const uint32_t visible = cohort_visible_end(c, r->seq);
        from = cohort_after(c, r->mint);
        end = cohort_after(c, r->maxt);
        end = end < visible ? end : visible;
    }
    if (from < end) {
        h->slots = mem_grow(h->slots, &h->slots_capacity, end - from, sizeof *h->slots);
        h->bits = mem_grow(h->bits, &h->bits_capacity, end - from, sizeof *h->bits);
        n = series_values_decode(&s->values, from, end, h->slots, h->bits);
        n = drop_unseen(r, c, s->member, h->slots, h->bits, n);
    }
    if (s->late && s->late->n)
        TRY(merge_late(r, s, c, n, out, e));
    else if (n)
        TRY(plain_column(r, c, from, end, n, out, e));
    return late_has_starts(s->late) && out->n ? add_starts(r, s->late, out, e) : ERR_OK;
}
