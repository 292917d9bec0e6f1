// Quantiles of a window.
#include <math.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/promql/gently.h"
#include "engine/promql/range_kernels.h"
#include "io/fiber_memory.h"

// ---- quantiles

// Moves the NaNs to the front; how many.
static size_t nans_first(double *values, size_t n)
{
    size_t nans = 0;
    for (size_t i = 0; i < n; i++, gently_step(i))
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
                gently_step(++i);
            while (values[j] > pivot)
                gently_step(--j);
            if (i > j)
                break;
            gently_step(swaps++);
            const double swap = values[i];
            values[i++] = values[j];
            values[j] = swap;
            if (j == 0)
                break;
            j--;
        }
        fiber_work(to - from);
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
    for (size_t i = from + 1; i < n; i++, gently_step(i)) {
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

void range_quantile_over_time(const struct windows *w, const double *v, const double *param,
                              double *out, uint64_t *present)
{
    struct arena scratch;
    arena_init(&scratch, 0);
    double *values = arena_alloc(&scratch, (w->n + 1) * sizeof *values, _Alignof(double));
    for (size_t k = 0; k < w->times->at.n; k++) {
        fiber_work(1 + 2 * (size_t)w->count[k]);
        if (!w->count[k])
            continue;
        fiber_copy(values, v + w->first[k], w->count[k] * sizeof *values);
        out[k] = quantile_of(param[k], values, w->count[k]);
    }
    range_copy_presence(present, w->any, w->times->at.n);
    arena_deinit(&scratch);
}

// The median of distances from the median; NaN among the values gives NaN.
void range_mad_over_time(const struct windows *w, const double *v, const double *param, double *out,
                         uint64_t *present)
{
    (void)param;
    struct arena scratch;
    arena_init(&scratch, 0);
    double *values = arena_alloc(&scratch, (w->n + 1) * sizeof *values, _Alignof(double));
    for (size_t k = 0; k < w->times->at.n; k++) {
        if (!w->count[k])
            continue;
        const size_t n = w->count[k];
        fiber_work(4 * n);
        fiber_copy(values, v + w->first[k], n * sizeof *values);
        const double median = quantile_of(0.5, values, n);
        bool has_nan = false;
        for (size_t i = 0; i < n; i++, gently_step(i)) {
            has_nan |= isnan(values[i]);
            values[i] = fabs(values[i] - median);
        }
        out[k] = has_nan ? NAN : quantile_of(0.5, values, n);
    }
    range_copy_presence(present, w->any, w->times->at.n);
    arena_deinit(&scratch);
}
