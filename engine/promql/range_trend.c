// Where a window tends to: least squares and smoothing.
#include <math.h>

#include "engine/promql/gently.h"
#include "engine/promql/kahan.h"
#include "engine/promql/range_kernels.h"

// ---- least squares

// Of the samples [first, last], in seconds from origin_ms.
static void regression(const int64_t *t, const double *v, size_t first, size_t last,
                       int64_t origin_ms, double *out_slope, double *out_intercept)
{
    double x_sum = 0, x_c = 0, y_sum = 0, y_c = 0, xy_sum = 0, xy_c = 0, xx_sum = 0, xx_c = 0;
    bool constant = true;
    for (size_t i = first; i <= last; i++, gently_step(i)) {
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

void range_deriv(const struct windows *w, const double *v, const double *param, double *out,
                 uint64_t *present)
{
    (void)param;
    for (size_t k = 0; k < w->times->at.n; k++) {
        double intercept;
        fiber_work(1 + 2 * (size_t)w->count[k]);
        if (steps_has(w->two, k))
            regression(w->t, v, w->first[k], w->last[k], w->t[w->first[k]], &out[k], &intercept);
    }
    range_copy_presence(present, w->two, w->times->at.n);
}

void range_predict_linear(const struct windows *w, const double *v, const double *param,
                          double *out, uint64_t *present)
{
    for (size_t k = 0; k < w->times->at.n; k++) {
        fiber_work(1 + 2 * (size_t)w->count[k]);
        if (!steps_has(w->two, k))
            continue;
        double slope, intercept;
        regression(w->t, v, w->first[k], w->last[k], steps_time(&w->times->asked, k), &slope,
                   &intercept);
        out[k] = slope * param[k] + intercept;
    }
    range_copy_presence(present, w->two, w->times->at.n);
}

// ---- Holt's linear method

static bool is_factor(double f) // NaN is one
{
    return !(f <= 0 || f >= 1);
}

static double smooth(const double *v, size_t n, double smoothing, double trending)
{
    double before = 0, level = v[0], trend = v[1] - v[0];
    for (size_t i = 1; i < n; i++, gently_step(i)) {
        if (i > 1)
            trend = trending * (level - before) + (1 - trending) * trend;
        const double next = smoothing * v[i] + (1 - smoothing) * (level + trend);
        before = level;
        level = next;
    }
    return level;
}

// Where a factor is out of bounds any window counts as a result: the caller makes it an error.
void range_smoothing(const struct windows *w, const double *v, const double *param, double *out,
                     uint64_t *present)
{
    for (size_t k = 0; k < w->times->at.n; k++) {
        const double smoothing = param[2 * k], trending = param[2 * k + 1];
        fiber_work(1 + 2 * (size_t)w->count[k]);
        const bool good = is_factor(smoothing) && is_factor(trending);
        if (w->count[k] < (good ? 2 : 1))
            continue;
        if (good)
            out[k] = smooth(v + w->first[k], w->count[k], smoothing, trending);
        steps_set(present, k);
    }
}
