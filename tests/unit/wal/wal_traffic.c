#include "tests/unit/wal/wal_traffic.h"

#include <stdio.h>

#include "engine/base/bits.h"
#include "engine/base/mem.h"
#include "engine/model/histogram.h"
#include "engine/model/labels.h"
#include "engine/model/value.h"
#include "tests/lib/forms.h"

static void push(struct traffic_list *l, struct traffic_sample s)
{
    l->items = mem_grow(l->items, &l->capacity, l->n + 1, sizeof *l->items);
    l->items[l->n++] = s;
}

void traffic_list_deinit(struct traffic_list *l)
{
    mem_free(l->items);
    *l = (struct traffic_list){0};
}

static void renew(struct traffic *t, struct traffic_cohort *c)
{
    c->first_series = t->series_count;
    t->series_count += TRAFFIC_MEMBERS;
    c->members = rng_below(&t->rng, 3) ? 1 + (uint32_t)rng_below(&t->rng, 40) : 200;
    c->t_ms = (int64_t)rng_below(&t->rng, 1 << 20);
    memset(c->values, 0, sizeof c->values);
}

void traffic_init(struct traffic *t, uint64_t seed)
{
    *t = (struct traffic){0};
    rng_init(&t->rng, seed);
    arena_init(&t->forms, 0);
    for (size_t i = 0; i < TRAFFIC_COHORTS; i++)
        renew(t, &t->cohorts[i]);
}

void traffic_deinit(struct traffic *t)
{
    traffic_list_deinit(&t->sent);
    buf_deinit(&t->labels);
    arena_deinit(&t->forms);
}

static void describe_cohort(void *arg, uint32_t cohort, struct wal_cohort_info *out)
{
    (void)arg;
    *out = (struct wal_cohort_info){.partition = cohort * 3, .source = cohort + 1000000007ull};
}

static struct str describe_member(void *arg, uint32_t cohort, uint32_t member)
{
    struct traffic *t = arg;
    const uint64_t id = t->cohorts[cohort].first_series + member;
    char name[64], text[64];
    struct labels_builder b = {0};
    buf_reset(&t->labels);
    if (id % 41 == 7) // gone: only its index is left
        return (struct str){0};
    snprintf(name, sizeof name, "node_metric_%llu_total", (unsigned long long)(id % 13));
    snprintf(text, sizeof text, "%llu", (unsigned long long)id);
    labels_builder_set(&b, LABEL_NAME, str_from_c(name));
    labels_builder_set(&b, STR("instance"), STR("a.example:9100"));
    labels_builder_set(&b, STR("id"), str_from_c(text));
    labels_builder_set(&b, STR("job"), STR("node"));
    labels_builder_encode(&b, &t->labels);
    labels_builder_deinit(&b);
    return buf_str(&t->labels);
}

struct wal_source traffic_source(struct traffic *t)
{
    return (struct wal_source){describe_cohort, describe_member, t};
}

static const uint64_t specials[] = {
    0,
    0x8000000000000000u, // -0.0
    VALUE_STALE_BITS,
    VALUE_NORMAL_NAN_BITS,
    0x7ff0000000000000u, // infinities
    0xfff0000000000000u,
    0x7ff0000000000001u, // NaNs: the smallest and the largest payload, both signs
    0xffffffffffffffffu,
    0x7fffffffffffffffu,
    0xfff8dead0000beefu,
    0x0000000000000001u, // the smallest and the largest subnormal
    0x000fffffffffffffu,
    0x7fefffffffffffffu, // the largest number
    0x4340000000000000u, // 2^53 and neighbours
    0x433fffffffffffffu,
    0x4340000000000001u,
    0x4320000000000000u, // 2^51 and neighbours: the bound of mantissas
    0x431fffffffffffffu,
    0x4320000000000001u,
};

static uint64_t next_value(struct traffic *t, uint64_t series, uint64_t last)
{
    static const double powers[] = {1, 10, 100, 1000, 1e6, 1e9, 1e15, 1e17, 1e18};
    struct rng *r = &t->rng;
    if (rng_below(r, 50) == 0)
        return specials[rng_below(r, sizeof specials / sizeof *specials)];
    const double v = double_from_bits(last);
    switch (series % 8) {
    case 0:
    case 1:
        return rng_below(r, 40) ? last : rng_below(r, 1000);
    case 2: // a counter
        return bits_from_double(v + (double)rng_below(r, 100000));
    case 3: // ticks, as node_exporter computes them
        return bits_from_double((double)rng_below(r, 1 << 30) * 0.001);
    case 4:
    case 5: // decimals
        return bits_from_double((double)(int64_t)(rng_u64(r) >> rng_below(r, 64)) /
                                powers[rng_below(r, sizeof powers / sizeof *powers)]);
    case 6:
        return bits_from_double(v * 1.0000001 + rng_double(r));
    default:
        return rng_u64(r);
    }
}

static uint32_t choose_members(struct traffic *t, const struct traffic_cohort *c, uint32_t index)
{
    uint32_t n = 0;
    const uint64_t kind = rng_below(&t->rng, 6);
    const uint32_t share = (uint32_t)rng_below(&t->rng, 3); // of one sender among three
    const bool scattered = index % 3 == 1, whole = index % 3 == 0 && kind > 0;
    for (uint32_t i = 0; i < c->members; i++) {
        if (whole || (scattered ? (i * 2654435761u) >> 8 & 3 : rng_below(&t->rng, 3)) == share ||
            (kind == 1 && i / 20 % 2))
            t->members[n++] = i;
    }
    return n;
}

// Start timestamps that change now and then, and some rows are histograms.
static void add_forms(struct traffic *t, struct wal_row *row)
{
    struct rng *r = &t->rng;
    struct buf packed = {0};
    arena_reset(&t->forms);
    for (uint32_t i = 0; i < row->n; i++)
        t->starts[i] = rng_below(r, 200) ? row->cohort * 1000 + i / 7 * 5 : (int64_t)rng_u64(r);
    if (rng_below(r, 20))
        row->starts = t->starts;
    if (row->n > 100 || rng_below(r, 4))
        return;
    for (uint32_t i = 0; i < row->n; i++) {
        buf_reset(&packed);
        form_histogram(row->bits[i], &packed);
        t->histograms[i] = arena_str(&t->forms, buf_str(&packed));
    }
    row->histograms = t->histograms;
    buf_deinit(&packed);
}

bool traffic_row(struct traffic *t, struct wal_row *out)
{
    struct rng *r = &t->rng;
    const uint32_t index = (uint32_t)rng_below(r, TRAFFIC_COHORTS);
    struct traffic_cohort *c = &t->cohorts[index];
    const bool forget = rng_below(r, 300) == 0;
    if (forget)
        renew(t, c);
    if (rng_below(r, 50) == 0 && c->members < TRAFFIC_MEMBERS)
        c->members++;
    const bool late = rng_below(r, 20) == 0;
    if (!late)
        c->t_ms += rng_below(r, 30) ? 15000 : (int64_t)rng_below(r, 4000000);
    *out = (struct wal_row){
        .cohort = index * 37,
        .flags = late ? WAL_ROW_LATE : 0,
        .t_ms = late ? c->t_ms - (int64_t)rng_below(r, 1 << 24) : c->t_ms,
        .members = t->members,
        .bits = t->bits,
        .n = choose_members(t, c, index),
    };
    out->cohort = index;
    if (out->n == c->members && rng_below(r, 2))
        out->members = NULL;
    for (uint32_t i = 0; i < out->n; i++) {
        const uint32_t m = out->members ? out->members[i] : i;
        t->bits[i] = next_value(t, c->first_series + m, c->values[m]);
        if (!late)
            c->values[m] = t->bits[i];
    }
    if (index % 4 == 2) // the others' rows never have any
        add_forms(t, out);
    return forget;
}

void traffic_keep(struct traffic *t, const struct wal_row *row, uint64_t seq)
{
    const struct traffic_cohort *c = &t->cohorts[row->cohort];
    for (uint32_t i = 0; i < row->n; i++) {
        const uint64_t series = c->first_series + (row->members ? row->members[i] : i);
        push(&t->sent, (struct traffic_sample){.series = series % 41 == 7 ? 0 : series + 1,
                                               .t_ms = row->t_ms,
                                               .bits = row->bits[i],
                                               .seq = seq,
                                               .start_ms = row->starts ? row->starts[i] : 0,
                                               .late = row->flags & WAL_ROW_LATE,
                                               .histogram = row->histograms});
    }
}

static err on_define(void *arg, const struct wal_cohort_info *info, uint32_t cohort,
                     struct str labels, uint64_t *out_handle, struct errmsg *e)
{
    struct traffic_receiver *r = arg;
    struct str id;
    if (info->partition != cohort * 3 || info->source != cohort + 1000000007ull)
        return err_set(e, ERR_INVALID, "cohort %u came back with other numbers", cohort);
    if (!labels_get(labels, STR("id"), &id))
        return err_set(e, ERR_INVALID, "no id");
    uint64_t v = 0;
    for (size_t i = 0; i < id.n; i++)
        v = v * 10 + (uint64_t)(id.p[i] - '0');
    *out_handle = v + 1;
    r->defined++;
    return ERR_OK;
}

static err on_row(void *arg, const struct wal_replay_row *row, struct errmsg *e)
{
    struct traffic_receiver *r = arg;
    struct buf packed = {0};
    for (uint32_t i = 0; i < row->n; i++) {
        struct traffic_sample x = {.series = row->handles[i],
                                   .t_ms = row->t_ms,
                                   .bits = row->bits[i],
                                   .seq = row->seq,
                                   .start_ms = row->starts ? row->starts[i] : 0,
                                   .late = row->flags & WAL_ROW_LATE,
                                   .histogram = row->histograms};
        if (row->histograms) {
            x.bits = histogram_sum_bits(row->histograms[i]);
            buf_reset(&packed);
            form_histogram(x.bits, &packed);
            r->is_malformed |= !str_eq(buf_str(&packed), row->histograms[i]);
        }
        push(&r->list, x);
    }
    buf_deinit(&packed);
    return r->is_malformed ? err_set(e, ERR_CORRUPT, "another histogram") : ERR_OK;
}

static void on_corrupt(void *arg, const struct wal_corruption *c)
{
    struct traffic_receiver *r = arg;
    r->corruptions++;
    r->records_lost += c->records_lost;
}

static err on_progress(void *arg, const struct wal_replay_progress *p, struct errmsg *e)
{
    struct traffic_receiver *r = arg;
    (void)e;
    r->progress = *p;
    return ERR_OK;
}

const struct wal_replay_ops traffic_ops = {
    .define = on_define, .row = on_row, .corrupt = on_corrupt, .progress = on_progress};

static bool is_same(const struct traffic_sample *a, const struct traffic_sample *b)
{
    return a->series == b->series && a->t_ms == b->t_ms && a->bits == b->bits &&
           a->late == b->late && a->start_ms == b->start_ms && a->histogram == b->histogram;
}

bool traffic_equal(const struct traffic_list *sent, size_t from, const struct traffic_list *got)
{
    for (size_t i = 0; i < got->n; i++) {
        if (from + i < sent->n && is_same(&sent->items[from + i], &got->items[i]))
            continue;
        const struct traffic_sample *g = &got->items[i];
        fprintf(stderr, "sample %zu of %zu: got series %llu t %lld bits %016llx seq %llu\n", i,
                got->n, (unsigned long long)g->series, (long long)g->t_ms,
                (unsigned long long)g->bits, (unsigned long long)g->seq);
        return false;
    }
    return true;
}

bool traffic_is_subsequence(const struct traffic_list *sent, const struct traffic_list *got)
{
    size_t at = 0;
    for (size_t i = 0; i < got->n; i++) {
        while (at < sent->n && !is_same(&sent->items[at], &got->items[i]))
            at++;
        if (at++ == sent->n) {
            fprintf(stderr, "sample %zu was never sent, or not in this order\n", i);
            return false;
        }
    }
    return true;
}
