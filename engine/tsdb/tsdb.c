#include "engine/tsdb/tsdb.h"

#include <assert.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/model/labels.h"
#include "engine/tsdb/head_query.h"

enum { MEMORY_SEED = 0x5eed };

struct tsdb {
    struct placement placement;
    struct head head;
};

struct pin { // of a storage_set
    struct head_snapshot snapshot;
};

err tsdb_open(const struct tsdb_options *options, struct tsdb **out, struct errmsg *e)
{
    struct tsdb *db = mem_zalloc(sizeof *db);
    const struct str labels =
        options->placement_labels.n ? options->placement_labels : PLACEMENT_DEFAULT;
    const err result = placement_init(&db->placement, labels, MEMORY_SEED, e);
    if (result != ERR_OK) {
        mem_free(db);
        return result;
    }
    head_init(&db->head, &db->placement, options->series_max, options->retention_ms);
    *out = db;
    return ERR_OK;
}

err tsdb_close(struct tsdb *db, struct errmsg *e)
{
    (void)e;
    if (!db)
        return ERR_OK;
    head_deinit(&db->head);
    mem_free(db);
    return ERR_OK;
}

bool tsdb_is_ready(const struct tsdb *db)
{
    return db != NULL;
}

void tsdb_replay_progress(const struct tsdb *db, struct tsdb_progress *out)
{
    (void)db;
    *out = (struct tsdb_progress){0};
}

uint64_t tsdb_hash_seed(const struct tsdb *db)
{
    return db->placement.seed;
}

uint32_t tsdb_partition(const struct tsdb *db, struct str labels)
{
    uint64_t job;
    return (uint32_t)(placement_key(&db->placement, labels, &job) % TSDB_PARTITIONS);
}

unsigned tsdb_owner(const struct tsdb *db, uint32_t partition)
{
    (void)db;
    assert(partition < TSDB_PARTITIONS);
    return 0;
}

uint64_t tsdb_series(struct tsdb *db, struct str labels, struct hash128 hash, uint64_t source)
{
    return head_find_or_make(&db->head, labels, hash, source);
}

struct str tsdb_series_labels(struct tsdb *db, uint64_t ref)
{
    const struct head_series *s = head_resolve(&db->head, ref);
    if (!s)
        return (struct str){0};
    buf_reset(&db->head.text);
    head_labels(&db->head, s, &db->head.text);
    return buf_str(&db->head.text);
}

err tsdb_commit(struct tsdb *db, struct tsdb_commit *c, struct errmsg *e)
{
    uint64_t seq;
    TRY(head_commit(&db->head, c, NULL, NULL, &seq, e));
    head_publish(&db->head, seq);
    return ERR_OK;
}

struct sort_item {
    struct str metric;
    struct head_found found;
};

static int compare_found(const void *a, const void *b)
{
    const struct sort_item *x = a, *y = b;
    if (x->found.partition != y->found.partition)
        return x->found.partition < y->found.partition ? -1 : 1;
    const int order = str_cmp(x->metric, y->metric);
    return order ? order : labels_cmp(x->found.labels, y->found.labels);
}

static err db_select(void *self, const struct matcher *ms, size_t ms_count, int64_t mint,
                     int64_t maxt, size_t max, struct arena *a, struct storage_set *out,
                     struct errmsg *e)
{
    struct tsdb *db = self;
    struct head_found *found;
    size_t n;
    TRY(head_select(&db->head, ms, ms_count, mint, maxt, max, a, &found, &n, e));
    struct storage_series *series =
        arena_try(a, n, sizeof *series, _Alignof(struct storage_series));
    if (!series)
        return err_set(e, ERR_LIMIT, "the query needs more memory than it may use");
    struct sort_item *items = mem_alloc_array(n, sizeof *items);
    for (size_t i = 0; i < n; i++)
        items[i] = (struct sort_item){labels_value(found[i].labels, LABEL_NAME), found[i]};
    if (n)
        qsort(items, n, sizeof *items, compare_found);
    for (size_t i = 0; i < n; i++) {
        const struct head_found *f = &items[i].found;
        series[i] = (struct storage_series){
            .labels = f->labels, .partition = f->partition, .handle = f->ref};
    }
    mem_free(items);
    struct pin *pin = mem_alloc(sizeof *pin);
    head_snapshot_begin(&db->head, &pin->snapshot);
    *out = (struct storage_set){series, n, pin};
    return ERR_OK;
}

static err db_read(void *self, const struct storage_set *set, const struct storage_series *series,
                   size_t n, int64_t mint, int64_t maxt, struct arena *a, struct column *out,
                   struct errmsg *e)
{
    struct tsdb *db = self;
    const struct pin *pin = set->pin;
    struct head_reader reader;
    TRY(head_reader_init(&reader, &db->head, pin->snapshot.seq, mint, maxt, n, a, e));
    for (size_t i = 0; i < n; i++)
        TRY(head_reader_read(&reader, series[i].handle, &out[i], e));
    return ERR_OK;
}

static void db_release(void *self, struct storage_set *set)
{
    (void)self;
    struct pin *pin = set->pin;
    if (!pin)
        return;
    head_snapshot_end(&pin->snapshot);
    mem_free(pin);
    *set = (struct storage_set){0};
}

static int compare_texts(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static err db_label_names(void *self, const struct matcher *ms, size_t ms_count, int64_t mint,
                          int64_t maxt, struct arena *a, struct str **out, size_t *out_n,
                          struct errmsg *e)
{
    struct tsdb *db = self;
    TRY(head_label_texts(&db->head, NULL, ms, ms_count, mint, maxt, a, out, out_n, e));
    qsort(*out, *out_n, sizeof **out, compare_texts);
    return ERR_OK;
}

static err db_label_values(void *self, struct str name, const struct matcher *ms, size_t ms_count,
                           int64_t mint, int64_t maxt, struct arena *a, struct str **out,
                           size_t *out_n, struct errmsg *e)
{
    struct tsdb *db = self;
    TRY(head_label_texts(&db->head, &name, ms, ms_count, mint, maxt, a, out, out_n, e));
    qsort(*out, *out_n, sizeof **out, compare_texts);
    return ERR_OK;
}

struct storage tsdb_storage(struct tsdb *db)
{
    static const struct storage_ops ops = {
        .select = db_select,
        .read = db_read,
        .release = db_release,
        .label_names = db_label_names,
        .label_values = db_label_values,
    };
    return (struct storage){&ops, db};
}

void tsdb_stats(struct tsdb *db, struct tsdb_stats *out)
{
    const struct head *h = &db->head;
    *out = h->stats;
    out->series = h->series_ids.n;
    out->label_pairs = h->labels.pair_ids.n;
    out->min_time_ms = out->lowest_time_ms = INT64_MAX;
    out->max_time_ms = INT64_MIN;
    for (size_t i = 0; i < TSDB_PARTITIONS; i++) {
        if (h->newest_t[i] > out->max_time_ms)
            out->max_time_ms = h->newest_t[i];
    }
    for (size_t i = 0; i < h->cohorts_n; i++) {
        if (h->cohorts[i] && h->cohorts[i]->n && h->cohorts[i]->times[0] < out->min_time_ms)
            out->min_time_ms = h->cohorts[i]->times[0];
    }
    out->lowest_time_ms = out->min_time_ms;
}
