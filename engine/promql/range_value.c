// One number from the values of a window: sums, means, extremes, spreads, counts of changes. A
// window may have a million values: all give way in between.
#include <math.h>

#include "engine/promql/gently.h"
#include "engine/promql/kahan.h"
#include "engine/promql/range_kernels.h"

typedef double window_value(const double *v, size_t n); // n > 0

static void by_window(const struct windows *w, const double *v, window_value *f, double *out,
                      uint64_t *present)
{
    for (size_t k = 0; k < w->times->at.n; k++) {
        fiber_work(1 + w->count[k]);
        if (w->count[k])
            out[k] = f(v + w->first[k], w->count[k]);
    }
    range_copy_presence(present, w->any, w->times->at.n);
}

static double sum_of(const double *v, size_t n)
{
    double sum = 0, c = 0;
    for (size_t i = 0; i < n; i++, gently_step(i))
        kahan_add(v[i], &sum, &c);
    return isinf(sum) ? sum : sum + c;
}

// The mean of a sum, until the sum overflows; from there on the incremental mean.
static double mean_of(const double *v, size_t n)
{
    double sum = v[0], c = 0;
    size_t i = 1;
    for (; i < n; i++, gently_step(i)) {
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
    for (; i < n; i++, gently_step(i)) {
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
    for (size_t i = 1; i < n; i++, gently_step(i))
        if (v[i] < min || isnan(min))
            min = v[i];
    return min;
}

static double max_of(const double *v, size_t n)
{
    double max = v[0];
    for (size_t i = 1; i < n; i++, gently_step(i))
        if (v[i] > max || isnan(max))
            max = v[i];
    return max;
}

static double variance_of(const double *v, size_t n)
{
    double mean = 0, mean_c = 0, aux = 0, aux_c = 0;
    for (size_t i = 0; i < n; i++, gently_step(i)) {
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

double range_changes_of(const double *v, size_t n)
{
    size_t changes = 0;
    for (size_t i = 1; i < n; i++, gently_step(i))
        changes += v[i] != v[i - 1] && !(isnan(v[i]) && isnan(v[i - 1]));
    return (double)changes;
}

double range_resets_of(const double *v, size_t n)
{
    size_t resets = 0;
    for (size_t i = 1; i < n; i++, gently_step(i))
        resets += v[i] < v[i - 1];
    return (double)resets;
}

void range_sum_over_time(const struct windows *w, const double *v, const double *param, double *out,
                         uint64_t *present)
{
    (void)param;
    by_window(w, v, sum_of, out, present);
}

void range_avg_over_time(const struct windows *w, const double *v, const double *param, double *out,
                         uint64_t *present)
{
    (void)param;
    by_window(w, v, mean_of, out, present);
}

void range_min_over_time(const struct windows *w, const double *v, const double *param, double *out,
                         uint64_t *present)
{
    (void)param;
    by_window(w, v, min_of, out, present);
}

void range_max_over_time(const struct windows *w, const double *v, const double *param, double *out,
                         uint64_t *present)
{
    (void)param;
    by_window(w, v, max_of, out, present);
}

void range_stdvar_over_time(const struct windows *w, const double *v, const double *param,
                            double *out, uint64_t *present)
{
    (void)param;
    by_window(w, v, variance_of, out, present);
}

void range_stddev_over_time(const struct windows *w, const double *v, const double *param,
                            double *out, uint64_t *present)
{
    (void)param;
    by_window(w, v, deviation_of, out, present);
}

void range_changes(const struct windows *w, const double *v, const double *param, double *out,
                   uint64_t *present)
{
    (void)param;
    by_window(w, v, range_changes_of, out, present);
}

void range_resets(const struct windows *w, const double *v, const double *param, double *out,
                  uint64_t *present)
{
    (void)param;
    by_window(w, v, range_resets_of, out, present);
}
