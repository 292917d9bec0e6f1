#include "engine/promql/range_function.h"

#include <assert.h>
#include <math.h>

#include "engine/base/util.h"
#include "engine/promql/gently.h"
#include "engine/promql/range_kernels.h"

static err windows_alloc(size_t steps, enum window_extrapolation extrapolation, struct arena *a,
                         struct windows *w)
{
    w->first = gently_array(a, steps, uint32_t);
    w->last = gently_array(a, steps, uint32_t);
    w->count = gently_array(a, steps, uint32_t);
    w->any = gently_array(a, steps_words(steps), uint64_t);
    w->two = gently_array(a, steps_words(steps), uint64_t);
    bool ok = w->first && w->last && w->count && w->any && w->two;
    if (extrapolation) {
        double *all = arena_try(a, 4 * steps, sizeof *all, _Alignof(double)); // all will be set
        if (!all)
            return ERR_LIMIT;
        w->factor = all;
        w->sampled = all + steps;
        w->to_start = all + 2 * steps;
        w->to_end = all + 3 * steps;
    }
    return ok ? ERR_OK : ERR_LIMIT;
}

struct reach { // of a window: in milliseconds what decides it, in seconds what it is
    int64_t sampled_ms, start_ms, end_ms;
    size_t count; // of samples; 0: less than two
    double sampled, to_start, to_end, factor;
};

static struct reach reach_of(int64_t sampled_ms, int64_t start_ms, int64_t end_ms, size_t count,
                             double seconds)
{
    const double sampled = (double)sampled_ms / 1000;
    const double gap = sampled / (double)(count - 1);
    const double threshold = gap * 1.1;
    double to_start = (double)start_ms / 1000, to_end = (double)end_ms / 1000;
    if (to_start >= threshold)
        to_start = gap / 2;
    if (to_end >= threshold)
        to_end = gap / 2;
    return (struct reach){
        sampled_ms, start_ms, end_ms, count,
        sampled,    to_start, to_end, (sampled + to_start + to_end) / sampled / seconds};
}

err windows_make(const struct window_times *times, const int64_t *t, size_t n,
                 enum window_extrapolation extrapolation, struct arena *a, struct windows *out)
{
    assert(n < UINT32_MAX);
    struct windows w = {.times = times, .t = t, .n = n};
    struct reach last = {.count = 0};
    fiber_work(2 * times->at.n);
    TRY(windows_alloc(times->at.n, extrapolation, a, &w));
    const double seconds = extrapolation == WINDOW_PER_SECOND ? window_seconds(times) : 1;
    size_t from = 0, to = 0, most = 0;
    for (size_t k = 0; k < times->at.n; k++) {
        gently_step(k);
        const size_t to_before = to;
        const int64_t to_ms = steps_time(&times->at, k) - times->offset_ms;
        const int64_t end = to_ms + times->behind_ms;
        const int64_t start = to_ms - times->range_ms - times->before_ms;
        while (to < n && t[to] <= end)
            to++;
        while (from < to && t[from] <= start)
            from++;
        const size_t count = to - from;
        if (extrapolation && count < 2) {
            last = (struct reach){0};
        } else if (extrapolation) {
            // As regular as clocks it is that of the step before: divisions are most of what
            // windows cost.
            const int64_t first_t = t[from], last_t = t[to - 1];
            if ((last_t - first_t != last.sampled_ms) | (first_t - start != last.start_ms) |
                (end - last_t != last.end_ms) | (count != last.count))
                last = reach_of(last_t - first_t, first_t - start, end - last_t, count, seconds);
        }
        if (extrapolation) {
            w.sampled[k] = last.sampled;
            w.to_start[k] = last.to_start;
            w.to_end[k] = last.to_end;
            w.factor[k] = last.factor;
        }
        if (!count)
            continue;
        w.first[k] = (uint32_t)from;
        w.last[k] = (uint32_t)(to - 1);
        w.count[k] = (uint32_t)count;
        w.samples += count;
        w.samples_new += to - (from > to_before ? from : to_before);
        most = count > most ? count : most;
        steps_set(w.any, k);
        if (count > 1)
            steps_set(w.two, k);
    }
    w.most = (uint32_t)most;
    *out = w;
    return ERR_OK;
}

void range_copy_presence(uint64_t *to, const uint64_t *from, size_t steps)
{
    memcpy(to, from, steps_words(steps) * sizeof *to);
}

// ---- what the windows alone say, and single samples

void range_count_over_time(const struct windows *w, const double *v, const double *param,
                           double *out, uint64_t *present)
{
    (void)v;
    (void)param;
    for (size_t k = 0; k < w->times->at.n; k++)
        out[k] = (double)w->count[k];
    range_copy_presence(present, w->any, w->times->at.n);
}

void range_present_over_time(const struct windows *w, const double *v, const double *param,
                             double *out, uint64_t *present)
{
    (void)v;
    (void)param;
    for (size_t k = 0; k < w->times->at.n; k++)
        out[k] = 1;
    range_copy_presence(present, w->any, w->times->at.n);
}

void range_first_over_time(const struct windows *w, const double *v, const double *param,
                           double *out, uint64_t *present)
{
    (void)param;
    for (size_t k = 0; k < w->times->at.n && w->n; k++)
        out[k] = v[w->first[k]];
    range_copy_presence(present, w->any, w->times->at.n);
}

void range_last_over_time(const struct windows *w, const double *v, const double *param,
                          double *out, uint64_t *present)
{
    (void)param;
    for (size_t k = 0; k < w->times->at.n && w->n; k++)
        out[k] = v[w->last[k]];
    range_copy_presence(present, w->any, w->times->at.n);
}

// ---- times of samples

void range_ts_of_first(const struct windows *w, const double *v, const double *param, double *out,
                       uint64_t *present)
{
    (void)v;
    (void)param;
    for (size_t k = 0; k < w->times->at.n && w->n; k++)
        out[k] = (double)w->t[w->first[k]] / 1000;
    range_copy_presence(present, w->any, w->times->at.n);
}

void range_ts_of_last(const struct windows *w, const double *v, const double *param, double *out,
                      uint64_t *present)
{
    (void)v;
    (void)param;
    for (size_t k = 0; k < w->times->at.n && w->n; k++)
        out[k] = (double)w->t[w->last[k]] / 1000;
    range_copy_presence(present, w->any, w->times->at.n);
}

// The last sample that holds the extreme.
static void ts_of_extreme(const struct windows *w, const double *v, bool greatest, double *out,
                          uint64_t *present)
{
    for (size_t k = 0; k < w->times->at.n && w->n; k++) {
        size_t best = w->first[k];
        fiber_work(1 + w->count[k]);
        for (size_t i = best; i <= w->last[k]; i++, gently_step(i))
            if (isnan(v[best]) || (greatest ? v[i] >= v[best] : v[i] <= v[best]))
                best = i;
        out[k] = (double)w->t[best] / 1000;
    }
    range_copy_presence(present, w->any, w->times->at.n);
}

void range_ts_of_max(const struct windows *w, const double *v, const double *param, double *out,
                     uint64_t *present)
{
    (void)param;
    ts_of_extreme(w, v, true, out, present);
}

void range_ts_of_min(const struct windows *w, const double *v, const double *param, double *out,
                     uint64_t *present)
{
    (void)param;
    ts_of_extreme(w, v, false, out, present);
}

static const struct range_function functions[] = {
    {PROMQL_FN_AVG_OVER_TIME, range_avg_over_time, WINDOW_AS_IT_IS, false, false, 0, -1, 0},
    {PROMQL_FN_CHANGES, range_changes, WINDOW_AS_IT_IS, false, false, 0, -1, 0},
    {PROMQL_FN_COUNT_OVER_TIME, range_count_over_time, WINDOW_AS_IT_IS, false, false, 0, -1, 0},
    {PROMQL_FN_DELTA, range_delta, WINDOW_EXTRAPOLATED, false, false, 0, -1, 0},
    {PROMQL_FN_DERIV, range_deriv, WINDOW_AS_IT_IS, false, false, 0, -1, 0},
    {PROMQL_FN_DOUBLE_EXPONENTIAL_SMOOTHING, range_smoothing, WINDOW_AS_IT_IS, false, false, 0, 1,
     2},
    {PROMQL_FN_MAD_OVER_TIME, range_mad_over_time, WINDOW_AS_IT_IS, false, false, 0, -1, 0},
    {PROMQL_FN_PREDICT_LINEAR, range_predict_linear, WINDOW_AS_IT_IS, false, false, 0, 1, 1},
    {PROMQL_FN_TS_OF_FIRST_OVER_TIME, range_ts_of_first, WINDOW_AS_IT_IS, false, false, 0, -1, 0},
    {PROMQL_FN_TS_OF_LAST_OVER_TIME, range_ts_of_last, WINDOW_AS_IT_IS, false, false, 0, -1, 0},
    {PROMQL_FN_TS_OF_MAX_OVER_TIME, range_ts_of_max, WINDOW_AS_IT_IS, false, false, 0, -1, 0},
    {PROMQL_FN_TS_OF_MIN_OVER_TIME, range_ts_of_min, WINDOW_AS_IT_IS, false, false, 0, -1, 0},
    {PROMQL_FN_FIRST_OVER_TIME, range_first_over_time, WINDOW_AS_IT_IS, true, false, 0, -1, 0},
    {PROMQL_FN_IDELTA, range_idelta, WINDOW_AS_IT_IS, false, false, 0, -1, 0},
    {PROMQL_FN_INCREASE, range_increase, WINDOW_EXTRAPOLATED, false, true, 0, -1, 0},
    {PROMQL_FN_IRATE, range_irate, WINDOW_AS_IT_IS, false, false, 0, -1, 0},
    {PROMQL_FN_LAST_OVER_TIME, range_last_over_time, WINDOW_AS_IT_IS, true, false, 0, -1, 0},
    {PROMQL_FN_MAX_OVER_TIME, range_max_over_time, WINDOW_AS_IT_IS, false, false, 0, -1, 0},
    {PROMQL_FN_MIN_OVER_TIME, range_min_over_time, WINDOW_AS_IT_IS, false, false, 0, -1, 0},
    {PROMQL_FN_PRESENT_OVER_TIME, range_present_over_time, WINDOW_AS_IT_IS, false, false, 0, -1, 0},
    {PROMQL_FN_QUANTILE_OVER_TIME, range_quantile_over_time, WINDOW_AS_IT_IS, false, false, 1, 0,
     1},
    {PROMQL_FN_RATE, range_rate, WINDOW_PER_SECOND, false, true, 0, -1, 0},
    {PROMQL_FN_RESETS, range_resets, WINDOW_AS_IT_IS, false, false, 0, -1, 0},
    {PROMQL_FN_STDDEV_OVER_TIME, range_stddev_over_time, WINDOW_AS_IT_IS, false, false, 0, -1, 0},
    {PROMQL_FN_STDVAR_OVER_TIME, range_stdvar_over_time, WINDOW_AS_IT_IS, false, false, 0, -1, 0},
    {PROMQL_FN_SUM_OVER_TIME, range_sum_over_time, WINDOW_AS_IT_IS, false, false, 0, -1, 0},
};

static const struct range_function anchored[] = {
    {PROMQL_FN_CHANGES, range_anchored_changes, WINDOW_AS_IT_IS, false, false, 0, -1, 0},
    {PROMQL_FN_DELTA, range_anchored_delta, WINDOW_AS_IT_IS, false, false, 0, -1, 0},
    {PROMQL_FN_INCREASE, range_anchored_increase, WINDOW_AS_IT_IS, false, true, 0, -1, 0},
    {PROMQL_FN_RATE, range_anchored_rate, WINDOW_AS_IT_IS, false, true, 0, -1, 0},
    {PROMQL_FN_RESETS, range_anchored_resets, WINDOW_AS_IT_IS, false, false, 0, -1, 0},
};

static const struct range_function smoothed[] = {
    {PROMQL_FN_DELTA, range_smoothed_delta, WINDOW_AS_IT_IS, false, false, 0, -1, 0},
    {PROMQL_FN_INCREASE, range_smoothed_increase, WINDOW_AS_IT_IS, false, true, 0, -1, 0},
    {PROMQL_FN_RATE, range_smoothed_rate, WINDOW_AS_IT_IS, false, true, 0, -1, 0},
};

const struct range_function range_smoothed_value = {
    PROMQL_FN_COUNT, range_smoothed_at, WINDOW_AS_IT_IS, true, false, 0, -1, 0};

static const struct range_function *find(const struct range_function *all, size_t n,
                                         enum promql_function_id id)
{
    for (size_t i = 0; i < n; i++)
        if (all[i].id == id)
            return &all[i];
    return NULL;
}

const struct range_function *range_function_find(enum promql_function_id id)
{
    return find(functions, countof(functions), id);
}

const struct range_function *range_function_extended(enum promql_function_id id, bool is_smoothed)
{
    if (is_smoothed)
        return find(smoothed, countof(smoothed), id);
    return find(anchored, countof(anchored), id);
}
