// test promql: scripts in Prometheus's PromQL test language over the product's own database, in
// memory.
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/bits.h"
#include "engine/base/mem.h"
#include "engine/model/labels.h"
#include "engine/tsdb/tsdb.h"
#include "tools/promql_scripts.h"
#include "tools/promtool/promtool.h"

struct memory {
    struct tsdb *db;
    struct storage part; // of db
};

static void close_memory(struct memory *m)
{
    struct errmsg e;
    if (tsdb_close(m->db, &e)) {
        fprintf(stderr, "ferula-promtool: %s\n", e.text);
        exit(EXIT_FAILURE);
    }
    m->db = NULL;
}

static void clear(void *self)
{
    struct memory *m = self;
    const struct tsdb_options in_memory = {0};
    struct errmsg e;
    close_memory(m);
    if (tsdb_open(&in_memory, &m->db, &e)) {
        fprintf(stderr, "ferula-promtool: %s\n", e.text);
        exit(EXIT_FAILURE);
    }
    m->part = tsdb_storage(m->db);
}

static err commit(struct memory *m, const struct tsdb_sample *samples, size_t n, struct errmsg *e)
{
    struct tsdb_commit c = {
        .samples = samples,
        .n = n,
        .late_ms = INT64_MAX,
        .max_t_ms = INT64_MAX,
    };
    TRY(tsdb_commit(m->db, &c, e));
    const uint64_t kept = c.counts[TSDB_APPENDED] + c.counts[TSDB_SAME] + c.counts[TSDB_LATE_KEPT];
    return kept == n ? ERR_OK
                     : err_set(e, ERR_EXISTS, "loaded again with other values: %zu of %zu samples",
                               n - (size_t)kept, n);
}

static err append(void *self, struct str labels, const struct column *samples, struct errmsg *e)
{
    struct memory *m = self;
    const struct hash128 hash = labels_hash(labels, tsdb_hash_seed(m->db));
    const uint64_t ref = tsdb_series(m->db, labels, hash, 0);
    if (!ref)
        return err_set(e, ERR_LIMIT, "too many series");
    struct tsdb_sample *all = mem_alloc_array(samples->n, sizeof *all);
    for (size_t i = 0; i < samples->n; i++)
        all[i] = (struct tsdb_sample){ref, samples->t[i], bits_from_double(samples->v[i])};
    const err result = commit(m, all, samples->n, e);
    mem_free(all);
    return result;
}

int test_promql(const struct promtool *p)
{
    struct memory m = {0};
    const struct test_script_storage storage = {
        .source = {.parts = &m.part, .parts_count = 1},
        .self = &m,
        .clear = clear,
        .append = append,
    };
    char **const paths = mem_alloc_array(p->args.n, sizeof *paths);
    for (size_t i = 0; i < p->args.n; i++)
        paths[i] =
            (char *)(uintptr_t)p->args.items[i].p; // words of the command line: they end in NUL
    const int code = promql_scripts(&storage, paths, p->args.n);
    mem_free(paths);
    close_memory(&m);
    return code;
}
