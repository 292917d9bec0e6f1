// Inside of range functions: one kernel each, by family in range_*.c; the table is in
// range_function.c.
#ifndef ENGINE_PROMQL_RANGE_KERNELS_H
#define ENGINE_PROMQL_RANGE_KERNELS_H

#include "engine/promql/range_function.h"

// A bit for each step: from has one where a result is.
void range_copy_presence(uint64_t *to, const uint64_t *from, size_t steps);

// Numbers of values that differ from, or are below, the one before.
double range_changes_of(const double *v, size_t n);
double range_resets_of(const double *v, size_t n);

range_kernel range_anchored_changes, range_anchored_delta, range_anchored_increase,
    range_anchored_rate, range_anchored_resets, range_smoothed_at, range_smoothed_delta,
    range_smoothed_increase, range_smoothed_rate, range_smoothing;
range_kernel range_avg_over_time, range_changes, range_count_over_time, range_delta, range_deriv,
    range_first_over_time, range_idelta, range_increase, range_irate, range_last_over_time,
    range_mad_over_time, range_max_over_time, range_min_over_time, range_predict_linear,
    range_present_over_time, range_quantile_over_time, range_rate, range_resets,
    range_stddev_over_time, range_stdvar_over_time, range_sum_over_time, range_ts_of_first,
    range_ts_of_last, range_ts_of_max, range_ts_of_min;

#endif
