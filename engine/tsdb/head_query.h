// Queries over the head: which series match, and their samples.
#ifndef ENGINE_TSDB_HEAD_QUERY_H
#define ENGINE_TSDB_HEAD_QUERY_H

#include "engine/tsdb/head.h"

struct head_found {
    uint64_t ref;
    uint32_t partition;
    uint32_t metric; // the pair of the metric name, or LABEL_NONE
};
struct head_found_list { // the caller frees the items with arena_mem_free()
    struct head_found *items;
    size_t n, capacity;
};

// Series that match and may have samples in memory within (mint, maxt], in no order. max as in
// storage_want. Room for the list is taken beside a's other memory. Suspends if head.may_yield.
err head_select(struct head *h, const struct matcher *ms, size_t ms_count, int64_t mint,
                int64_t maxt, size_t max, struct arena *a, struct head_found_list *out,
                struct errmsg *e);

// Visits them in no order until visit() says false; none leaves meanwhile. limits: of memory.
// visit() may suspend. Suspends likewise.
typedef bool head_visit_fn(struct head *h, const struct head_series *s, uint32_t id, void *arg);
err head_each(struct head *h, const struct matcher *ms, size_t ms_count, int64_t mint, int64_t maxt,
              const struct arena *limits, struct errmsg *e, head_visit_fn *visit, void *arg);

// Names (name NULL) or values of a name of the series that match. Suspends likewise.
err head_label_texts(struct head *h, const struct str *name, const struct matcher *ms,
                     size_t ms_count, int64_t mint, int64_t maxt, struct least *out,
                     struct errmsg *e);

// Times that several columns of one read share.
struct head_times {
    uint32_t cohort, from, n;
    const int64_t *t;
};
struct head_reader {
    struct head *head;
    uint64_t seq; // of the snapshot
    int64_t mint, maxt;
    struct arena *arena;
    struct head_times *times; // by cohort, open addressing
    size_t times_mask;
};
// For one call to storage_ops.read of about n series.
err head_reader_init(struct head_reader *r, struct head *h, uint64_t seq, int64_t mint,
                     int64_t maxt, size_t n, struct arena *a, struct errmsg *e);
// The column of a series; empty when the reference is gone.
err head_reader_read(struct head_reader *r, uint64_t ref, struct column *out, struct errmsg *e);

#endif
