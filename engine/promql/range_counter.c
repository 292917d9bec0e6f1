// rate, increase, delta and the two of the last two samples.
#include <math.h>

#include "engine/base/util.h"
#include "engine/promql/gently.h"
#include "engine/promql/range_kernels.h"

// ---- rate, increase, delta

// The samples that windows of these steps hold, of which the first has none before it.
static void held_samples(const struct windows *w, size_t *out_first, size_t *out_end)
{
    const size_t steps = w->times->at.n, first = steps_next(w->two, steps, 0);
    size_t last = steps;
    while (last > first && !steps_has(w->two, last - 1))
        last--;
    *out_first = last > first ? w->first[first] : 0;
    *out_end = last > first ? (size_t)w->last[last - 1] + 1 : 0;
}

static bool has_fall(const double *v, size_t first, size_t n)
{
    for (size_t at = first + 1; at < n;) {
        const size_t end = n - at < 64 ? n : at + 64;
        int falls = 0;
        for (; at < end; at++)
            falls |= v[at] < v[at - 1];
        if (falls)
            return true;
        fiber_work(16);
    }
    return false;
}

// Indices of values below the one before, in falls; how many.
static size_t list_falls(const double *v, size_t first, size_t n, uint32_t *falls)
{
    size_t count = 0;
    for (size_t at = first + 1; at < n; at++, gently_step(at))
        if (v[at] < v[at - 1])
            falls[count++] = (uint32_t)at;
    return count;
}

// Each fall of a counter adds the value before it, in the order of the samples.
static void add_falls(const struct windows *w, const double *v, size_t first, size_t end,
                      double *out)
{
    struct arena scratch;
    arena_init(&scratch, 0);
    uint32_t *falls = arena_alloc(&scratch, (end - first) * sizeof *falls, _Alignof(uint32_t));
    const size_t count = list_falls(v, first, end, falls);
    for (size_t k = 0, from = 0, added = 0; k < w->times->at.n; k++) {
        if (!steps_has(w->two, k))
            continue;
        while (from < count && falls[from] <= w->first[k])
            from++;
        for (size_t i = from; i < count && falls[i] <= w->last[k]; i++, added++) {
            gently_step(added);
            out[k] += v[falls[i] - 1];
        }
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
    size_t first, end;
    held_samples(w, &first, &end);
    gently();
    if (has_fall(v, first, end)) {
        add_falls(w, v, first, end, out);
        may_cut = true;
    }
    gently();
    if (may_cut)
        cut_at_zero(w, v, seconds, out);
    else
        multiply(out, w->factor, w->times->at.n);
    range_copy_presence(present, w->two, w->times->at.n);
}

void range_rate(const struct windows *w, const double *v, const double *param, double *out,
                uint64_t *present)
{
    (void)param;
    counter_change(w, v, window_seconds(w->times), out, present);
}

void range_increase(const struct windows *w, const double *v, const double *param, double *out,
                    uint64_t *present)
{
    (void)param;
    counter_change(w, v, 1, out, present);
}

void range_delta(const struct windows *w, const double *v, const double *param, double *out,
                 uint64_t *present)
{
    (void)param;
    if (!w->n)
        return;
    for (size_t k = 0; k < w->times->at.n; k++)
        out[k] = v[w->last[k]] - v[w->first[k]];
    multiply(out, w->factor, w->times->at.n);
    range_copy_presence(present, w->two, w->times->at.n);
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

void range_irate(const struct windows *w, const double *v, const double *param, double *out,
                 uint64_t *present)
{
    (void)param;
    last_two(w, v, true, out, present);
}

void range_idelta(const struct windows *w, const double *v, const double *param, double *out,
                  uint64_t *present)
{
    (void)param;
    last_two(w, v, false, out, present);
}
