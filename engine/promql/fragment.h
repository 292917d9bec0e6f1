// The part of a plan that runs where the data is: a selector, what is made of each of its series at
// all steps, and perhaps an aggregation of those.
//
// fragment_run() works on the calling shard's storage alone and puts everything it returns in the
// result's own arena, which that shard frees with fragment_result_done().
#ifndef ENGINE_PROMQL_FRAGMENT_H
#define ENGINE_PROMQL_FRAGMENT_H

#include "engine/model/storage.h"
#include "engine/promql/aggregate.h"
#include "engine/promql/label_set.h"
#include "engine/promql/range_function.h"
#include "io/fiber.h"

enum fragment_kind {
    FRAGMENT_NEWEST,    // the newest sample of the window, none if that is a stale marker
    FRAGMENT_TIMESTAMP, // its time in seconds
    FRAGMENT_FUNCTION,  // function over the window
    FRAGMENT_RAW,       // the samples themselves, of the first step's window
};

struct fragment {
    enum fragment_kind kind;
    const struct matcher *matchers;
    size_t matchers_count;
    struct window_times times; // the window of FRAGMENT_NEWEST is the lookback
    const struct range_function *function;
    const double *param; // of function, for each step; or NULL
    bool skips_first;    // there is nothing at the first step
    bool drops_name;     // from the labels, or, delayed, by a mark on the series
    bool delayed_name_removal;
    bool asks_until; // absent(): whether there is any sample at all until until_ms
    int64_t until_ms;
    bool wants_counters; // rate, increase: metric names that do not look like one are reported
    bool aggregates;
    enum promql_aggregate op;
    bool without;
    struct label_names grouping; // of without: __name__ is among them
    uint64_t samples_max;        // held at a time; 0: no limit
    struct arena_budget *budget; // of the query; or NULL
};

// Or, when the fragment aggregates, a group within one partition, or within a whole subtree of the
// tree over partitions, of which it then names any.
struct fragment_series {
    struct str labels;
    uint32_t partition;
    bool drop_name;
    struct step_column column;
    struct aggregate_state state;
    struct column raw;
    size_t before;  // while the fragment runs: the group's part before, index + 1
    bool is_merged; // into the one before
};

// What Prometheus would hold while it goes over the series of a partition.
struct fragment_load {
    uint32_t partition;
    uint64_t made; // points, of all series
    uint64_t peak; // points of the series so far and samples of a window
};

struct fragment_result {
    struct arena arena;
    struct fragment_series *series; // by partition, ascending; without those that are empty
    size_t n, capacity;
    struct label_map odd_counters;  // metric names
    bool has_any;                   // as the fragment asks
    bool has_histograms;            // among what was read; they count as if they were not there
    uint64_t samples, samples_read; // as struct query_stats has them
    struct fragment_load *loads;    // by partition, ascending
    size_t loads_count, loads_capacity;
    err code;
    struct errmsg e;
};

void fragment_run(const struct fragment *f, const struct storage *storage,
                  struct fragment_result *out);       // Suspends.
void fragment_result_done(struct fragment_result *r); // Suspends.

// A metric name that does not end as counters' names do.
bool name_is_odd_counter(struct str name);

// "query processing would load too many samples into memory in query execution"
err query_too_many_samples(struct errmsg *e);
err query_zero_step(
    struct errmsg *e); // of less than a millisecond: Go's panic, which is the answer
// Gives way when the turn is used up; ERR_TIMEOUT, ERR_CANCELED with Prometheus's text. ERR_LIMIT
// when a, or its budget, is used up: what takes memory for each series calls this for each, too, so
// that arena_alloc() may be used for labels and the like. Suspends.
err query_breathe(const struct arena *a, struct errmsg *e);
// The same in a loop over i whose rounds are short.
static inline err query_breathe_at(size_t i, const struct arena *a, struct errmsg *e)
{
    return i && !fiber_worked(16) && !arena_is_over(a) ? ERR_OK : query_breathe(a, e);
}
// f for all steps of w, giving way between some; a is asked whether there is room. Suspends.
err range_run(const struct range_function *f, const struct windows *w, const double *v,
              const double *param, const struct arena *a, struct step_column *out,
              struct errmsg *e);

#endif
