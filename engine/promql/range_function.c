#include "engine/promql/range_function.h"

#include <assert.h>
#include <math.h>

#include "engine/base/util.h"
#include "engine/promql/gently.h"
#include "engine/promql/kahan.h"

static err windows_alloc(size_t steps, enum window_extrapolation extrapolation, struct arena *a,
                         struct windows *w)
{
    w->first = arena_array(a, steps, uint32_t);
    w->last = arena_array(a, steps, uint32_t);
    w->count = arena_array(a, steps, uint32_t);
    w->any = arena_array(a, steps_words(steps), uint64_t);
    w->two = arena_array(a, steps_words(steps), uint64_t);
    bool ok = w->first && w->last && w->count && w->any && w->two;
    if (extrapolation) {
        w->factor = arena_array(a, steps, double);
        w->sampled = arena_array(a, steps, double);
        w->to_start = arena_array(a, steps, double);
        w->to_end = arena_array(a, steps, double);
        ok = ok && w->factor && w->sampled && w->to_start && w->to_end;
    }
    return ok ? ERR_OK : ERR_LIMIT;
}

static void extrapolation_of(struct windows *w, size_t k, int64_t start, int64_t end,
                             bool per_second)
{
    const int64_t first_t = w->t[w->first[k]], last_t = w->t[w->last[k]];
    double to_start = (double)(first_t - start) / 1000;
    double to_end = (double)(end - last_t) / 1000;
    const double sampled = (double)(last_t - first_t) / 1000;
    const double gap = sampled / (double)(w->count[k] - 1);
    const double threshold = gap * 1.1;
    if (to_start >= threshold)
        to_start = gap / 2;
    if (to_end >= threshold)
        to_end = gap / 2;
    w->sampled[k] = sampled;
    w->to_start[k] = to_start;
    w->to_end[k] = to_end;
    w->factor[k] = (sampled + to_start + to_end) / sampled;
    if (per_second)
        w->factor[k] /= (double)w->times->range_ms / 1000;
}

err windows_make(const struct window_times *times, const int64_t *t, size_t n,
                 enum window_extrapolation extrapolation, struct arena *a, struct windows *out)
{
    assert(n < UINT32_MAX);
    struct windows w = {.times = times, .t = t, .n = n};
    TRY(windows_alloc(times->at.n, extrapolation, a, &w));
    size_t from = 0, to = 0;
    for (size_t k = 0; k < times->at.n; k++) {
        const size_t to_before = to;
        const int64_t end = steps_time(&times->at, k) - times->offset_ms;
        const int64_t start = end - times->range_ms;
        while (to < n && t[to] <= end)
            to++;
        while (from < to && t[from] <= start)
            from++;
        if (from == to)
            continue;
        w.first[k] = (uint32_t)from;
        w.last[k] = (uint32_t)(to - 1);
        w.count[k] = (uint32_t)(to - from);
        w.samples += to - from;
        w.samples_new += to - (from > to_before ? from : to_before);
        w.most = w.count[k] > w.most ? w.count[k] : w.most;
        steps_set(w.any, k);
        if (to - from < 2)
            continue;
        steps_set(w.two, k);
        if (extrapolation)
            extrapolation_of(&w, k, start, end, extrapolation == WINDOW_PER_SECOND);
    }
    *out = w;
    return ERR_OK;
}

static void copy_presence(uint64_t *to, const uint64_t *from, size_t steps)
{
    memcpy(to, from, steps_words(steps) * sizeof *to);
}

// ---- rate, increase, delta

static bool has_fall(const double *v, size_t n)
{
    for (size_t at = 1; at < n;) {
        const size_t end = n - at < 64 ? n : at + 64;
        int falls = 0;
        for (; at < end; at++)
            falls |= v[at] < v[at - 1];
        if (falls)
            return true;
    }
    return false;
}

// Indices of values below the one before, in falls; how many.
static size_t list_falls(const double *v, size_t n, uint32_t *falls)
{
    size_t count = 0;
    for (size_t at = 1; at < n; at++)
        if (v[at] < v[at - 1])
            falls[count++] = (uint32_t)at;
    return count;
}

// Each fall of a counter adds the value before it, in the order of the samples.
static void add_falls(const struct windows *w, const double *v, double *out)
{
    struct arena scratch;
    arena_init(&scratch, 0);
    uint32_t *falls = arena_alloc(&scratch, w->n * sizeof *falls, _Alignof(uint32_t));
    const size_t count = list_falls(v, w->n, falls);
    for (size_t k = 0, from = 0; k < w->times->at.n; k++) {
        if (!steps_has(w->two, k))
            continue;
        while (from < count && falls[from] <= w->first[k])
            from++;
        for (size_t i = from; i < count && falls[i] <= w->last[k]; i++)
            out[k] += v[falls[i] - 1];
    }
    arena_deinit(&scratch);
}

// out: last minus first of each window. Says whether the zero point of a counter might cut the
// extrapolation of any: a test without division that errs on the side of yes.
static bool differences(const struct windows *w, const double *v, double *restrict out)
{
    int may_cut = 0;
    for (size_t k = 0; k < w->times->at.n; k++) {
        const double first = v[w->first[k]], change = v[w->last[k]] - first;
        const int far =
            (change > 1e-280) & (first * w->sampled[k] > w->to_start[k] * change * 1.000001);
        may_cut |= (change > 0) & (first >= 0) & !far;
        out[k] = change;
    }
    return may_cut;
}

// With the zero point: a counter was not below 0 before its first sample.
static void cut_at_zero(const struct windows *w, const double *v, double seconds, double *out)
{
    for (size_t k = 0; k < w->times->at.n; k++) {
        const double first = v[w->first[k]], sampled = w->sampled[k];
        double to_start = w->to_start[k];
        const double to_zero = sampled * (first / out[k]);
        const bool cut = out[k] > 0 && first >= 0 && to_zero < to_start;
        to_start = cut ? to_zero : to_start;
        const double factor = (sampled + to_start + w->to_end[k]) / sampled / seconds;
        out[k] *= factor;
    }
}

static void multiply(double *restrict out, const double *restrict factor, size_t n)
{
    for (size_t k = 0; k < n; k++)
        out[k] *= factor[k];
}

static void counter_change(const struct windows *w, const double *v, double seconds, double *out,
                           uint64_t *present)
{
    if (!w->n)
        return;
    bool may_cut = differences(w, v, out);
    if (has_fall(v, w->n)) {
        add_falls(w, v, out);
        may_cut = true;
    }
    if (may_cut)
        cut_at_zero(w, v, seconds, out);
    else
        multiply(out, w->factor, w->times->at.n);
    copy_presence(present, w->two, w->times->at.n);
}

static void rate(const struct windows *w, const double *v, const double *param, double *out,
                 uint64_t *present)
{
    (void)param;
    counter_change(w, v, (double)w->times->range_ms / 1000, out, present);
}

static void increase(const struct windows *w, const double *v, const double *param, double *out,
                     uint64_t *present)
{
    (void)param;
    counter_change(w, v, 1, out, present);
}

static void delta(const struct windows *w, const double *v, const double *param, double *out,
                  uint64_t *present)
{
    (void)param;
    if (!w->n)
        return;
    for (size_t k = 0; k < w->times->at.n; k++)
        out[k] = v[w->last[k]] - v[w->first[k]];
    multiply(out, w->factor, w->times->at.n);
    copy_presence(present, w->two, w->times->at.n);
}

static void last_two(const struct windows *w, const double *v, bool is_rate, double *out,
                     uint64_t *present)
{
    for (size_t k = 0; k < w->times->at.n; k++) {
        if (!steps_has(w->two, k))
            continue;
        const size_t last = w->last[k];
        const int64_t interval = w->t[last] - w->t[last - 1];
        if (interval == 0)
            continue;
        const bool reset = is_rate && v[last] < v[last - 1];
        out[k] = reset ? v[last] : v[last] - v[last - 1];
        if (is_rate)
            out[k] /= (double)interval / 1000;
        steps_set(present, k);
    }
}

static void irate(const struct windows *w, const double *v, const double *param, double *out,
                  uint64_t *present)
{
    (void)param;
    last_two(w, v, true, out, present);
}

static void idelta(const struct windows *w, const double *v, const double *param, double *out,
                   uint64_t *present)
{
    (void)param;
    last_two(w, v, false, out, present);
}

// ---- one number from the values of a window

typedef double window_value(const double *v, size_t n); // n > 0

static void by_window(const struct windows *w, const double *v, window_value *f, double *out,
                      uint64_t *present)
{
    for (size_t k = 0; k < w->times->at.n; k++)
        if (w->count[k])
            out[k] = f(v + w->first[k], w->count[k]);
    copy_presence(present, w->any, w->times->at.n);
}

static double sum_of(const double *v, size_t n)
{
    double sum = 0, c = 0;
    for (size_t i = 0; i < n; i++)
        kahan_add(v[i], &sum, &c);
    return isinf(sum) ? sum : sum + c;
}

// The mean of a sum, until the sum overflows; from there on the incremental mean.
static double mean_of(const double *v, size_t n)
{
    double sum = v[0], c = 0;
    size_t i = 1;
    for (; i < n; i++) {
        double next = sum, next_c = c;
        kahan_add(v[i], &next, &next_c);
        if (isinf(next))
            break;
        sum = next;
        c = next_c;
    }
    if (i == n)
        return sum / (double)n + c / (double)n;
    double mean = sum / (double)i;
    c /= (double)i;
    for (; i < n; i++) {
        const double count = (double)(i + 1), q = (count - 1) / count;
        mean *= q;
        c *= q;
        kahan_add(v[i] / count, &mean, &c);
    }
    return mean + c;
}

static double min_of(const double *v, size_t n)
{
    double min = v[0];
    for (size_t i = 1; i < n; i++)
        if (v[i] < min || isnan(min))
            min = v[i];
    return min;
}

static double max_of(const double *v, size_t n)
{
    double max = v[0];
    for (size_t i = 1; i < n; i++)
        if (v[i] > max || isnan(max))
            max = v[i];
    return max;
}

static double variance_of(const double *v, size_t n)
{
    double mean = 0, mean_c = 0, aux = 0, aux_c = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = v[i] - (mean + mean_c);
        kahan_add(d / (double)(i + 1), &mean, &mean_c);
        kahan_add(d * (v[i] - (mean + mean_c)), &aux, &aux_c);
    }
    return (aux + aux_c) / (double)n;
}

static double deviation_of(const double *v, size_t n)
{
    return sqrt(variance_of(v, n));
}

static double changes_of(const double *v, size_t n)
{
    size_t changes = 0;
    for (size_t i = 1; i < n; i++)
        changes += v[i] != v[i - 1] && !(isnan(v[i]) && isnan(v[i - 1]));
    return (double)changes;
}

static double resets_of(const double *v, size_t n)
{
    size_t resets = 0;
    for (size_t i = 1; i < n; i++)
        resets += v[i] < v[i - 1];
    return (double)resets;
}

static void sum_over_time(const struct windows *w, const double *v, const double *param,
                          double *out, uint64_t *present)
{
    (void)param;
    by_window(w, v, sum_of, out, present);
}

static void avg_over_time(const struct windows *w, const double *v, const double *param,
                          double *out, uint64_t *present)
{
    (void)param;
    by_window(w, v, mean_of, out, present);
}

static void min_over_time(const struct windows *w, const double *v, const double *param,
                          double *out, uint64_t *present)
{
    (void)param;
    by_window(w, v, min_of, out, present);
}

static void max_over_time(const struct windows *w, const double *v, const double *param,
                          double *out, uint64_t *present)
{
    (void)param;
    by_window(w, v, max_of, out, present);
}

static void stdvar_over_time(const struct windows *w, const double *v, const double *param,
                             double *out, uint64_t *present)
{
    (void)param;
    by_window(w, v, variance_of, out, present);
}

static void stddev_over_time(const struct windows *w, const double *v, const double *param,
                             double *out, uint64_t *present)
{
    (void)param;
    by_window(w, v, deviation_of, out, present);
}

static void changes(const struct windows *w, const double *v, const double *param, double *out,
                    uint64_t *present)
{
    (void)param;
    by_window(w, v, changes_of, out, present);
}

static void resets(const struct windows *w, const double *v, const double *param, double *out,
                   uint64_t *present)
{
    (void)param;
    by_window(w, v, resets_of, out, present);
}

// ---- what the windows alone say, and single samples

static void count_over_time(const struct windows *w, const double *v, const double *param,
                            double *out, uint64_t *present)
{
    (void)v;
    (void)param;
    for (size_t k = 0; k < w->times->at.n; k++)
        out[k] = (double)w->count[k];
    copy_presence(present, w->any, w->times->at.n);
}

static void present_over_time(const struct windows *w, const double *v, const double *param,
                              double *out, uint64_t *present)
{
    (void)v;
    (void)param;
    for (size_t k = 0; k < w->times->at.n; k++)
        out[k] = 1;
    copy_presence(present, w->any, w->times->at.n);
}

static void first_over_time(const struct windows *w, const double *v, const double *param,
                            double *out, uint64_t *present)
{
    (void)param;
    for (size_t k = 0; k < w->times->at.n && w->n; k++)
        out[k] = v[w->first[k]];
    copy_presence(present, w->any, w->times->at.n);
}

static void last_over_time(const struct windows *w, const double *v, const double *param,
                           double *out, uint64_t *present)
{
    (void)param;
    for (size_t k = 0; k < w->times->at.n && w->n; k++)
        out[k] = v[w->last[k]];
    copy_presence(present, w->any, w->times->at.n);
}

// ---- times of samples

static void ts_of_first(const struct windows *w, const double *v, const double *param, double *out,
                        uint64_t *present)
{
    (void)v;
    (void)param;
    for (size_t k = 0; k < w->times->at.n && w->n; k++)
        out[k] = (double)w->t[w->first[k]] / 1000;
    copy_presence(present, w->any, w->times->at.n);
}

static void ts_of_last(const struct windows *w, const double *v, const double *param, double *out,
                       uint64_t *present)
{
    (void)v;
    (void)param;
    for (size_t k = 0; k < w->times->at.n && w->n; k++)
        out[k] = (double)w->t[w->last[k]] / 1000;
    copy_presence(present, w->any, w->times->at.n);
}

// The last sample that holds the extreme.
static void ts_of_extreme(const struct windows *w, const double *v, bool greatest, double *out,
                          uint64_t *present)
{
    for (size_t k = 0; k < w->times->at.n && w->n; k++) {
        size_t best = w->first[k];
        for (size_t i = best; i <= w->last[k]; i++)
            if (isnan(v[best]) || (greatest ? v[i] >= v[best] : v[i] <= v[best]))
                best = i;
        out[k] = (double)w->t[best] / 1000;
    }
    copy_presence(present, w->any, w->times->at.n);
}

static void ts_of_max(const struct windows *w, const double *v, const double *param, double *out,
                      uint64_t *present)
{
    (void)param;
    ts_of_extreme(w, v, true, out, present);
}

static void ts_of_min(const struct windows *w, const double *v, const double *param, double *out,
                      uint64_t *present)
{
    (void)param;
    ts_of_extreme(w, v, false, out, present);
}

// ---- least squares

// Of the samples [first, last], in seconds from origin_ms.
static void regression(const int64_t *t, const double *v, size_t first, size_t last,
                       int64_t origin_ms, double *out_slope, double *out_intercept)
{
    double x_sum = 0, x_c = 0, y_sum = 0, y_c = 0, xy_sum = 0, xy_c = 0, xx_sum = 0, xx_c = 0;
    bool constant = true;
    for (size_t i = first; i <= last; i++) {
        const double x = (double)(t[i] - origin_ms) / 1e3;
        constant = constant && v[i] == v[first];
        kahan_add(x, &x_sum, &x_c);
        kahan_add(v[i], &y_sum, &y_c);
        kahan_add(x * v[i], &xy_sum, &xy_c);
        kahan_add(x * x, &xx_sum, &xx_c);
    }
    if (constant) {
        *out_slope = isinf(v[first]) ? NAN : 0;
        *out_intercept = isinf(v[first]) ? NAN : v[first];
        return;
    }
    const double n = (double)(last - first + 1);
    x_sum += x_c;
    y_sum += y_c;
    xy_sum += xy_c;
    xx_sum += xx_c;
    const double covariance = xy_sum - x_sum * y_sum / n, variance = xx_sum - x_sum * x_sum / n;
    *out_slope = covariance / variance;
    *out_intercept = y_sum / n - *out_slope * x_sum / n;
}

static void deriv(const struct windows *w, const double *v, const double *param, double *out,
                  uint64_t *present)
{
    (void)param;
    for (size_t k = 0; k < w->times->at.n; k++) {
        double intercept;
        if (steps_has(w->two, k))
            regression(w->t, v, w->first[k], w->last[k], w->t[w->first[k]], &out[k], &intercept);
    }
    copy_presence(present, w->two, w->times->at.n);
}

static void predict_linear(const struct windows *w, const double *v, const double *param,
                           double *out, uint64_t *present)
{
    for (size_t k = 0; k < w->times->at.n; k++) {
        if (!steps_has(w->two, k))
            continue;
        double slope, intercept;
        regression(w->t, v, w->first[k], w->last[k], steps_time(&w->times->asked, k), &slope,
                   &intercept);
        out[k] = slope * param[k] + intercept;
    }
    copy_presence(present, w->two, w->times->at.n);
}

// ---- quantiles

// Moves the NaNs to the front; how many.
static size_t nans_first(double *values, size_t n)
{
    size_t nans = 0;
    for (size_t i = 0; i < n; i++)
        if (isnan(values[i])) {
            const double swap = values[nans];
            values[nans++] = values[i];
            values[i] = swap;
        }
    return nans;
}

static void order_two(double *a, double *b)
{
    if (*b < *a) {
        const double swap = *a;
        *a = *b;
        *b = swap;
    }
}

// Hoare's selection: then values[rank] stands where sorting would put it, the smaller before it.
static void select_rank(double *values, size_t n, size_t rank)
{
    size_t from = 0, to = n - 1, swaps = 0;
    while (from < to) {
        const size_t middle = from + (to - from) / 2;
        order_two(&values[from], &values[middle]);
        order_two(&values[middle], &values[to]);
        order_two(&values[from], &values[middle]);
        const double pivot = values[middle];
        size_t i = from, j = to;
        while (i <= j) {
            while (values[i] < pivot)
                i++;
            while (values[j] > pivot)
                j--;
            if (i > j)
                break;
            gently_at(swaps++);
            const double swap = values[i];
            values[i++] = values[j];
            values[j] = swap;
            if (j == 0)
                break;
            j--;
        }
        if (rank <= j)
            to = j;
        else if (rank >= i)
            from = i;
        else
            return;
    }
}

// The value at rank, NaN first, and the one after it.
static void two_at(double *values, size_t n, size_t rank, double *out, double *out_next)
{
    const size_t nans = nans_first(values, n);
    if (rank >= nans)
        select_rank(values + nans, n - nans, rank - nans);
    *out = *out_next = values[rank];
    if (rank + 1 == n)
        return;
    const size_t from = rank + 1 > nans ? rank + 1 : nans;
    if (rank + 1 < nans) {
        *out_next = values[rank + 1];
        return;
    }
    *out_next = values[from];
    for (size_t i = from + 1; i < n; i++) {
        gently_at(i);
        *out_next = values[i] < *out_next ? values[i] : *out_next;
    }
}

double quantile_of(double q, double *values, size_t n)
{
    if (n == 0 || isnan(q))
        return NAN;
    if (q < 0)
        return -INFINITY;
    if (q > 1)
        return INFINITY;
    const double rank = q * (double)(n - 1);
    const double weight = rank - floor(rank);
    double lower, upper;
    two_at(values, n, (size_t)floor(rank), &lower, &upper);
    return lower * (1 - weight) + upper * weight;
}

static void quantile_over_time(const struct windows *w, const double *v, const double *param,
                               double *out, uint64_t *present)
{
    struct arena scratch;
    arena_init(&scratch, 0);
    double *values = arena_alloc(&scratch, (w->n + 1) * sizeof *values, _Alignof(double));
    for (size_t k = 0; k < w->times->at.n; k++) {
        if (!w->count[k])
            continue;
        memcpy(values, v + w->first[k], w->count[k] * sizeof *values);
        out[k] = quantile_of(param[k], values, w->count[k]);
    }
    copy_presence(present, w->any, w->times->at.n);
    arena_deinit(&scratch);
}

// The median of distances from the median; NaN among the values gives NaN.
static void mad_over_time(const struct windows *w, const double *v, const double *param,
                          double *out, uint64_t *present)
{
    (void)param;
    struct arena scratch;
    arena_init(&scratch, 0);
    double *values = arena_alloc(&scratch, (w->n + 1) * sizeof *values, _Alignof(double));
    for (size_t k = 0; k < w->times->at.n; k++) {
        if (!w->count[k])
            continue;
        const size_t n = w->count[k];
        memcpy(values, v + w->first[k], n * sizeof *values);
        const double median = quantile_of(0.5, values, n);
        bool has_nan = false;
        for (size_t i = 0; i < n; i++) {
            has_nan |= isnan(values[i]);
            values[i] = fabs(values[i] - median);
        }
        out[k] = has_nan ? NAN : quantile_of(0.5, values, n);
    }
    copy_presence(present, w->any, w->times->at.n);
    arena_deinit(&scratch);
}

static const struct range_function functions[] = {
    {PROMQL_FN_AVG_OVER_TIME, avg_over_time, WINDOW_AS_IT_IS, false, false, 0, -1},
    {PROMQL_FN_CHANGES, changes, WINDOW_AS_IT_IS, false, false, 0, -1},
    {PROMQL_FN_COUNT_OVER_TIME, count_over_time, WINDOW_AS_IT_IS, false, false, 0, -1},
    {PROMQL_FN_DELTA, delta, WINDOW_EXTRAPOLATED, false, false, 0, -1},
    {PROMQL_FN_DERIV, deriv, WINDOW_AS_IT_IS, false, false, 0, -1},
    {PROMQL_FN_MAD_OVER_TIME, mad_over_time, WINDOW_AS_IT_IS, false, false, 0, -1},
    {PROMQL_FN_PREDICT_LINEAR, predict_linear, WINDOW_AS_IT_IS, false, false, 0, 1},
    {PROMQL_FN_TS_OF_FIRST_OVER_TIME, ts_of_first, WINDOW_AS_IT_IS, false, false, 0, -1},
    {PROMQL_FN_TS_OF_LAST_OVER_TIME, ts_of_last, WINDOW_AS_IT_IS, false, false, 0, -1},
    {PROMQL_FN_TS_OF_MAX_OVER_TIME, ts_of_max, WINDOW_AS_IT_IS, false, false, 0, -1},
    {PROMQL_FN_TS_OF_MIN_OVER_TIME, ts_of_min, WINDOW_AS_IT_IS, false, false, 0, -1},
    {PROMQL_FN_FIRST_OVER_TIME, first_over_time, WINDOW_AS_IT_IS, true, false, 0, -1},
    {PROMQL_FN_IDELTA, idelta, WINDOW_AS_IT_IS, false, false, 0, -1},
    {PROMQL_FN_INCREASE, increase, WINDOW_EXTRAPOLATED, false, true, 0, -1},
    {PROMQL_FN_IRATE, irate, WINDOW_AS_IT_IS, false, false, 0, -1},
    {PROMQL_FN_LAST_OVER_TIME, last_over_time, WINDOW_AS_IT_IS, true, false, 0, -1},
    {PROMQL_FN_MAX_OVER_TIME, max_over_time, WINDOW_AS_IT_IS, false, false, 0, -1},
    {PROMQL_FN_MIN_OVER_TIME, min_over_time, WINDOW_AS_IT_IS, false, false, 0, -1},
    {PROMQL_FN_PRESENT_OVER_TIME, present_over_time, WINDOW_AS_IT_IS, false, false, 0, -1},
    {PROMQL_FN_QUANTILE_OVER_TIME, quantile_over_time, WINDOW_AS_IT_IS, false, false, 1, 0},
    {PROMQL_FN_RATE, rate, WINDOW_PER_SECOND, false, true, 0, -1},
    {PROMQL_FN_RESETS, resets, WINDOW_AS_IT_IS, false, false, 0, -1},
    {PROMQL_FN_STDDEV_OVER_TIME, stddev_over_time, WINDOW_AS_IT_IS, false, false, 0, -1},
    {PROMQL_FN_STDVAR_OVER_TIME, stdvar_over_time, WINDOW_AS_IT_IS, false, false, 0, -1},
    {PROMQL_FN_SUM_OVER_TIME, sum_over_time, WINDOW_AS_IT_IS, false, false, 0, -1},
};

const struct range_function *range_function_find(enum promql_function_id id)
{
    for (size_t i = 0; i < countof(functions); i++)
        if (functions[i].id == id)
            return &functions[i];
    return NULL;
}
