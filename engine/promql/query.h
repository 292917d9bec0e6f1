// Evaluation of PromQL: a tree, a time range and a storage in; values and annotations out.
//
// The plan is made once; selectors, range functions and the first aggregation above them run on
// the shards, where the data is; the rest runs where promql_exec() was called. On a fiber it gives
// way to others in its loops and ends early at the fiber's deadline or cancellation.
#ifndef ENGINE_PROMQL_QUERY_H
#define ENGINE_PROMQL_QUERY_H

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/err.h"
#include "engine/model/storage.h"
#include "engine/promql/ast.h"
#include "engine/promql/steps.h"

struct query_options {
    int64_t start_ms, end_ms; // equal for an instant query; an end before the start: no step
    int64_t step_ms;          // 0: an instant query
    int64_t lookback_ms;      // Prometheus's default is 5 minutes; 0: below a millisecond
    bool has_zero_step;       // of a range query, whose step is below a millisecond: an error
    int64_t subquery_step_ms; // > 0; of subqueries without a step: global.evaluation_interval
    uint64_t samples_max;     // held at a time, as Prometheus counts; 0: no limit
    bool delayed_name_removal;
};

// Where the samples are. on_shards: parts[0] is asked on every shard of the program; otherwise each
// part is asked in turn by the caller's flow. No partition is in two parts.
struct query_source {
    const struct storage *parts;
    size_t parts_count;
    bool on_shards;
};

enum query_kind { QUERY_SCALAR, QUERY_STRING, QUERY_VECTOR, QUERY_MATRIX };

struct query_series {
    struct str labels;
    struct step_column column; // of the result's steps; of a range vector: raw
    const struct column *raw;  // samples of a range vector, which has no steps; else NULL
};

// Infos and warnings, each once, in Prometheus's words with the position in the query.
struct query_note {
    bool is_warning;
    struct str text;
};

struct query_result {
    enum query_kind kind;
    bool is_range;      // a range query: kind is QUERY_MATRIX
    struct steps steps; // one for an instant query
    struct str string;
    double scalar;               // of an instant query
    struct str error;            // of a failure: a message that the errmsg cuts; ends in NUL
    struct query_series *series; // sorted by labels, but for sort() and topk() of instant queries
    size_t series_count;
    struct query_note *notes;
    size_t notes_count;
    struct query_stats {       // as Prometheus counts
        uint64_t samples;      // in the windows of all steps
        uint64_t samples_read; // the same without what the step before had already
        uint64_t samples_peak; // held at a time
    } stats;
    struct query_part *parts; // what query_done() gives back: of each fragment, from each part
    size_t fragments_count, parts_count;
};

// What can be wrong with a query before it is evaluated: computed durations, and a type that has no
// steps in a range query. promql_exec() says the same.
err promql_check(const struct query_options *options, const struct promql_expr *expr,
                 struct arena *a, struct errmsg *e);

// Evaluates query.expr, whose text is text. The result is in the arena and, until query_done(), in
// memory of the shards, all of it within the arena's budget, if it has one. Errors in Prometheus's
// words: ERR_TIMEOUT, ERR_CANCELED; ERR_LIMIT (too many samples) and ERR_INVALID are its execution
// errors. Suspends, when it runs on a fiber.
err promql_exec(const struct query_source *source, const struct query_options *options,
                const struct promql_expr *expr, struct str text, struct arena *a,
                struct query_result *out, struct errmsg *e);
void query_done(const struct query_source *source, struct query_result *result); // Suspends.

// Walks the samples of one series of a result: for (struct query_points p = {0};
// query_points_next(result, series, &p, &t, &v);)
struct query_points {
    size_t at;
};
bool query_points_next(const struct query_result *r, const struct query_series *s,
                       struct query_points *p, int64_t *out_t_ms, double *out_v);

#endif
