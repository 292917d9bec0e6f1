#include "engine/tsdb/head.h"

#include <assert.h>

#include "engine/base/mem.h"
#include "engine/model/labels.h"
#include "engine/tsdb/head_cohorts.h"
#include "engine/tsdb/head_stage.h"
#include "io/fiber.h"

enum { BREATH = 128 };

void head_init(struct head *h, const struct placement *placement, int64_t retention_ms)
{
    *h = (struct head){.placement = placement,
                       .seed = placement->seed,
                       .retention_ms = retention_ms,
                       .complete_t = INT64_MIN,
                       .pieces_from = HEAD_NO_PIECES,
                       .newest = INT64_MIN};
    label_store_init(&h->labels, h->seed);
    list_init(&h->snapshots);
    h->stage = stage_create();
    h->rows = head_rows_create();
    for (size_t i = 0; i < TSDB_PARTITIONS; i++)
        h->newest_t[i] = INT64_MIN;
}

static void breathe(const struct head *h, size_t i)
{
    if (h->may_yield && i % BREATH == BREATH - 1)
        fiber_yield_if_due();
}

void head_deinit(struct head *h)
{
    assert(list_is_empty(&h->snapshots));
    for (size_t i = 0; i < h->series_n; i++) {
        breathe(h, i);
        struct head_series *s = head_series_at(h, (uint32_t)i);
        if (s->generation & 1) {
            series_values_release(&s->values, UINT32_MAX);
            late_destroy(s->late);
        }
    }
    for (size_t i = 0; i < h->chunks_n; i++) {
        mem_free(h->chunks[i]);
        breathe(h, BREATH * (i + 1) - 1);
    }
    for (size_t i = 0; i < h->cohorts_n; i++) {
        breathe(h, i);
        if (h->cohorts[i])
            cohort_deinit(h->cohorts[i]);
        mem_free(h->cohorts[i]);
    }
    stage_destroy(h->stage);
    head_rows_destroy(h->rows);
    label_store_deinit(&h->labels);
    factoring_deinit(&h->factoring);
    id_table_deinit(&h->series_ids);
    id_table_deinit(&h->family_ids);
    mem_free(h->chunks);
    id_list_deinit(&h->free_series);
    mem_free(h->cohorts);
    id_list_deinit(&h->free_cohorts);
    for (size_t i = 0; i * HEAD_CHUNK < h->families_n; i++)
        mem_free(h->families[i]);
    mem_free(h->families);
    id_list_deinit(&h->free_families);
    mem_free(h->slots);
    mem_free(h->bits);
    buf_deinit(&h->text);
    buf_deinit(&h->packed);
}

static uint32_t new_series_id(struct head *h)
{
    if (h->free_series.n)
        return id_list_pop(&h->free_series);
    assert(h->series_n < SERIES_NONE);
    const uint32_t id = (uint32_t)h->series_n++;
    if (id / HEAD_CHUNK == h->chunks_n) {
        h->chunks = mem_grow(h->chunks, &h->chunks_capacity, h->chunks_n + 1, sizeof *h->chunks);
        h->chunks[h->chunks_n++] = mem_zalloc(HEAD_CHUNK * sizeof **h->chunks);
    }
    return id;
}

// Name and value, as they stand one behind the other.
static struct str whole_label(struct str name, struct str value)
{
    return str_make(name.p, (size_t)(value.p + value.n - name.p));
}

// The pairs of labels, found or made; what the last series had, too, is known from there.
static size_t intern_pairs(struct head *h, struct stage_labels *l, struct str labels)
{
    struct label label;
    size_t n = 0, at = 0;
    const size_t last_n = l->pairs_removed == h->labels.pairs_removed ? l->last_n : 0;
    for (struct labels_iter i = labels_iter(labels); labels_next(&i, &label); n++) {
        const struct stage_label *next = at < last_n ? &l->last_labels[at] : NULL;
        if (next && next->name.n == label.name.n &&
            str_eq(whole_label(next->name, next->value), whole_label(label.name, label.value))) {
            l->is_key[n] = next->is_key;
            l->pairs[n] = next->pair;
            at++;
            continue;
        }
        while (at < last_n && str_cmp(l->last_labels[at].name, label.name) < 0)
            at++;
        const struct stage_label *last = at < last_n ? &l->last_labels[at] : NULL;
        if (last && str_eq(last->name, label.name)) {
            l->is_key[n] = last->is_key;
            l->pairs[n] =
                str_eq(last->value, label.value)
                    ? last->pair
                    : label_store_pair(&h->labels, label_pair_at(&h->labels, last->pair)->name,
                                       label.value);
            at++;
        } else {
            const uint32_t name = label_store_name(&h->labels, label.name);
            l->pairs[n] = label_store_pair(&h->labels, name, label.value);
            l->is_key[n] = placement_is_key(h->placement, label.name);
        }
    }
    return n;
}

static void remember_pairs(const struct head *h, struct stage_labels *l, struct str labels,
                           size_t n)
{
    struct label label;
    buf_reset(&l->last);
    buf_put_str(&l->last, labels);
    l->last_labels = mem_grow(l->last_labels, &l->last_capacity, n, sizeof *l->last_labels);
    l->last_n = n;
    l->pairs_removed = h->labels.pairs_removed;
    struct labels_iter i = labels_iter(buf_str(&l->last));
    for (size_t k = 0; labels_next(&i, &label); k++)
        l->last_labels[k] =
            (struct stage_label){label.name, label.value, l->pairs[k], l->is_key[k]};
}

// Splits the labels into tuple and local set, finds or makes both.
static void intern_labels(struct head *h, struct str labels, uint64_t job, uint64_t key,
                          uint32_t *out_tuple, uint32_t *out_local)
{
    struct stage_labels *l = stage_labels(h->stage, labels_count(labels));
    const size_t n = intern_pairs(h, l, labels);
    remember_pairs(h, l, labels, n);
    factoring_split(&h->factoring, &h->labels, job, key, l->pairs, l->is_key, n, l->in_tuple);
    size_t tuple_n = 0, local_n = 0;
    for (size_t i = 0; i < n; i++) {
        if (l->in_tuple[i])
            l->tuple[tuple_n++] = l->pairs[i];
        else
            l->local[local_n++] = l->pairs[i];
    }
    *out_tuple = label_store_set(&h->labels, true, l->tuple, tuple_n);
    *out_local = label_store_set(&h->labels, false, l->local, local_n);
}

static void link_series(struct head *h, struct head_series *s, uint32_t id)
{
    struct label_set *tuple = label_store_set_at(&h->labels, s->tuple);
    struct label_set *local = label_store_set_at(&h->labels, s->local);
    s->next_in_tuple = tuple->first;
    s->next_in_local = local->first;
    tuple->first = local->first = id;
    tuple->series++;
    local->series++;
}

uint64_t head_find(const struct head *h, struct hash128 hash)
{
    struct id_probe probe = id_table_probe(&h->series_ids, hash.lo);
    uint32_t id;
    while ((id = id_table_next(&h->series_ids, &probe)) != ID_TABLE_NONE) {
        const struct head_series *s = head_series_at(h, id);
        if (hash128_eq(s->hash, hash))
            return head_ref(s, id);
    }
    return 0;
}

uint64_t head_make(struct head *h, struct str labels, struct hash128 hash, uint64_t source)
{
    uint64_t job;
    const uint64_t key = placement_key(h->placement, labels, &job);
    const uint32_t id = new_series_id(h);
    struct head_series *s = head_series_at(h, id);
    *s = (struct head_series){.hash = hash,
                              .last_t = INT64_MIN,
                              .cohort = COHORT_NONE,
                              .generation = s->generation + 1,
                              .in_doubt = true,
                              .partition = (uint16_t)(key % TSDB_PARTITIONS)};
    assert(s->generation & 1);
    s->member = head_family(h, key, source, s->partition);
    intern_labels(h, labels, job, key, &s->tuple, &s->local);
    link_series(h, s, id);
    id_table_insert(&h->series_ids, hash.lo, id);
    h->stats.series_created++;
    return head_ref(s, id);
}

void head_labels(const struct head *h, const struct head_series *s, struct buf *out)
{
    label_store_encode(&h->labels, s->tuple, s->local, out);
}

void head_publish(struct head *h, uint64_t seq)
{
    assert(seq <= h->seq);
    if (seq > h->visible)
        h->visible = seq;
}

void head_snapshot_begin(struct head *h, struct head_snapshot *snapshot)
{
    snapshot->seq = h->visible;
    snapshot->epoch = h->epoch;
    list_push(&h->snapshots, &snapshot->link);
}

void head_snapshot_end(struct head_snapshot *snapshot)
{
    list_remove(&snapshot->link);
}

uint64_t head_floor(const struct head *h)
{
    if (list_is_empty(&h->snapshots))
        return h->visible;
    return container_of(h->snapshots.next, struct head_snapshot, link)->seq;
}
