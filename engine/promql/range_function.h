// Functions over the samples of a window: rate, sum_over_time and their like, for all steps at
// once.
//
// Which samples a window holds depends on times alone, so windows are computed once per time column
// and serve every series that has it. Stale markers are not in the columns given here.
#ifndef ENGINE_PROMQL_RANGE_FUNCTION_H
#define ENGINE_PROMQL_RANGE_FUNCTION_H

#include "engine/model/storage.h"
#include "engine/promql/function_table.h"
#include "engine/promql/steps.h"

struct window_times {   // when a query looks
    struct steps asked; // the steps of the evaluation
    struct steps at;    // the same, but where @ was given: step_ms is 0, each window is the same
    int64_t offset_ms, range_ms;
    int64_t range_ns; // exactly, where it was not whole milliseconds; else 0
    // anchored, smoothed: how much further the windows reach than the range does.
    int64_t before_ms, behind_ms;
};

// The range in seconds, as Go's Duration.Seconds() has it.
static inline double window_seconds(const struct window_times *t)
{
    const int64_t second = 1000000000;
    const int64_t ns = t->range_ns;
    if (!ns)
        return (double)(t->range_ms / 1000) + (double)(t->range_ms % 1000 * 1000000) / 1e9;
    return (double)(ns / second) + (double)(ns % second) / 1e9;
}

// The samples in (t - offset - range, t - offset] for each step's t, as indices into a time column.
struct windows {
    const struct window_times *times;
    const int64_t *t; // the column's, n
    size_t n;
    uint32_t *first, *last; // inclusive; both 0 where count is 0
    uint32_t *count;
    uint64_t samples;     // the sum of counts
    uint64_t samples_new; // the same without those that the window before had
    uint32_t most;        // of counts
    uint64_t *any, *two;  // windows with one sample or more, with two or more
    // For extrapolation, of windows with two or more, in seconds: from the window's start to the
    // first sample and from the last to its end, cut where that is longer than 1.1 mean gaps.
    double *sampled, *to_start, *to_end;
    double *factor; // what extrapolation multiplies with, unless a counter's zero point cuts it
};

enum window_extrapolation {
    WINDOW_AS_IT_IS,
    WINDOW_EXTRAPOLATED,
    WINDOW_PER_SECOND, // factor is divided by the range's seconds
};

// Fills *out for the column (t, n), n < UINT32_MAX. ERR_LIMIT: the arena's.
err windows_make(const struct window_times *times, const int64_t *t, size_t n,
                 enum window_extrapolation extrapolation, struct arena *a, struct windows *out);

// How many samples are held at most while a function goes over the windows, one after the other,
// and makes values of made of them (they are held together at the end).
static inline uint64_t windows_load(const struct windows *w, size_t made)
{
    const uint64_t at_end = w->n ? w->count[w->times->at.n - 1] + (uint64_t)made : 0;
    return at_end > w->most ? at_end : w->most;
}

// Values v (of w's column) to a value for each step where there is one. param: the function's
// scalars for each step, one behind the other, or NULL.
typedef void range_kernel(const struct windows *w, const double *v, const double *param,
                          double *out, uint64_t *present);

struct range_function {
    enum promql_function_id id;
    range_kernel *run;
    enum window_extrapolation extrapolation;
    bool keeps_name;   // first_over_time, last_over_time
    bool counts;       // of counters: metric names that do not look like one are reported
    int8_t matrix_arg; // which argument is the range vector
    int8_t param_arg;  // which is the scalar, or the first of two; -1: none
    int8_t params;     // how many scalars: param has as many values for each step
};

const struct range_function *range_function_find(enum promql_function_id id); // NULL: not one
// The same over windows that reach before their range (anchored) and also behind it (smoothed);
// NULL: the function has no such form.
const struct range_function *range_function_extended(enum promql_function_id id, bool smoothed);
extern const struct range_function range_smoothed_value; // of a selector alone
// The samples of c, which reach beyond [start_ms, end_ms], within it, with one at each of its ends;
// none if c has nothing behind the start. ERR_LIMIT: the arena's limit.
err range_extended_samples(const struct column *c, int64_t start_ms, int64_t end_ms, bool smoothed,
                           struct arena *a, struct column *out);

// The quantile q of values[0..n), NaN being the least; reorders them.
double quantile_of(double q, double *values, size_t n); // Suspends.

#endif
