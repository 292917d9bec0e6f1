// Windows that reach beyond their range, for anchored and smoothed: the values at the edges of the
// range come from the samples around them, and nothing is extrapolated.
#include <math.h>

#include "engine/base/util.h"
#include "engine/promql/gently.h"
#include "engine/promql/range_kernels.h"
#include "io/fiber_memory.h"

// The samples of one window, and the edges of the range within.
struct reach {
    const int64_t *t;
    const double *v;
    size_t n; // > 0
    int64_t start_ms, end_ms;
};

static struct reach reach_at(const struct windows *w, const double *v, size_t k)
{
    const int64_t end_ms = steps_time(&w->times->at, k) - w->times->offset_ms;
    return (struct reach){w->t + w->first[k], v + w->first[k], w->count[k],
                          end_ms - w->times->range_ms, end_ms};
}

// Between sample i and the next, at t. A counter that fell began anew at 0.
static double between(const struct reach *r, size_t i, int64_t t, bool is_counter)
{
    const double from = is_counter && r->v[i + 1] < r->v[i] ? 0 : r->v[i];
    return from + (r->v[i + 1] - from) * (double)(t - r->t[i]) / (double)(r->t[i + 1] - r->t[i]);
}

// What a counter lost by falling, from left over the samples [first, end) to right.
static double falls(const struct reach *r, double left, double right, size_t first, size_t end)
{
    double sum = 0, before = left;
    for (size_t i = first; i < end; i++, gently_step(i)) {
        if (r->v[i] < before)
            sum += before;
        before = r->v[i];
    }
    return right < before ? sum + before : sum;
}

// False: nothing is to be said.
static bool change_of(const struct reach *r, bool smoothed, bool is_counter, double *out)
{
    size_t last = r->n - 1;
    size_t first = times_above(r->t, last, r->start_ms);
    first = first ? first - 1 : 0;
    if (smoothed)
        last = times_above(r->t, last, r->end_ms - 1);
    if (r->t[last] <= r->start_ms || (smoothed && r->t[first] > r->end_ms))
        return false;
    double left = r->v[first], right = r->v[last];
    if (smoothed && r->t[first] < r->start_ms)
        left = between(r, first, r->start_ms, is_counter);
    if (smoothed && last > 0 && r->t[last] > r->end_ms)
        right = between(r, last - 1, r->end_ms, is_counter);
    *out = right - left;
    if (!is_counter)
        return true;
    // The edges have their own falls in them.
    const size_t from = r->t[first] <= r->start_ms ? first + 1 : first;
    const size_t end = r->t[last] >= r->end_ms ? last : last + 1;
    *out += falls(r, left, right, from, end);
    return true;
}

static void changes_by_window(const struct windows *w, const double *v, bool smoothed,
                              bool is_counter, double seconds, double *out, uint64_t *present)
{
    for (size_t k = 0; k < w->times->at.n; k++) {
        fiber_work(1 + w->count[k]);
        if (!w->count[k])
            continue;
        const struct reach r = reach_at(w, v, k);
        if (!change_of(&r, smoothed, is_counter, &out[k]))
            continue;
        if (seconds != 0)
            out[k] /= seconds;
        steps_set(present, k);
    }
}

void range_anchored_rate(const struct windows *w, const double *v, const double *param, double *out,
                         uint64_t *present)
{
    (void)param;
    changes_by_window(w, v, false, true, window_seconds(w->times), out, present);
}

void range_anchored_increase(const struct windows *w, const double *v, const double *param,
                             double *out, uint64_t *present)
{
    (void)param;
    changes_by_window(w, v, false, true, 0, out, present);
}

void range_anchored_delta(const struct windows *w, const double *v, const double *param,
                          double *out, uint64_t *present)
{
    (void)param;
    changes_by_window(w, v, false, false, 0, out, present);
}

void range_smoothed_rate(const struct windows *w, const double *v, const double *param, double *out,
                         uint64_t *present)
{
    (void)param;
    changes_by_window(w, v, true, true, window_seconds(w->times), out, present);
}

void range_smoothed_increase(const struct windows *w, const double *v, const double *param,
                             double *out, uint64_t *present)
{
    (void)param;
    changes_by_window(w, v, true, true, 0, out, present);
}

void range_smoothed_delta(const struct windows *w, const double *v, const double *param,
                          double *out, uint64_t *present)
{
    (void)param;
    changes_by_window(w, v, true, false, 0, out, present);
}

// ---- the samples themselves

err range_extended_samples(const struct column *c, int64_t start_ms, int64_t end_ms, bool smoothed,
                           struct arena *a, struct column *out)
{
    const struct reach r = {c->t, c->v, c->n, start_ms, end_ms};
    *out = (struct column){0};
    if (c->n == 0 || c->t[c->n - 1] <= start_ms)
        return ERR_OK;
    const size_t above = times_above(r.t, r.n - 1, start_ms), first = above ? above - 1 : 0;
    const size_t last = smoothed ? times_above(r.t, r.n - 1, end_ms - 1) : r.n - 1;
    const size_t from = r.t[first] <= start_ms ? first + 1 : first;
    const size_t end = r.t[last] >= end_ms ? last : last + 1;
    const size_t n = end > from ? end - from : 0;
    int64_t *t = gently_array(a, n + 2, int64_t);
    double *v = gently_array(a, n + 2, double);
    if (!t || !v)
        return ERR_LIMIT;
    if (n) {
        fiber_copy(t + 1, r.t + from, n * sizeof *t);
        fiber_copy(v + 1, r.v + from, n * sizeof *v);
    }
    const bool cuts_left = smoothed && r.t[first] < start_ms;
    const bool cuts_right = smoothed && last > 0 && r.t[last] > end_ms;
    t[0] = start_ms;
    v[0] = cuts_left ? between(&r, first, start_ms, false) : r.v[first];
    t[n + 1] = end_ms;
    v[n + 1] = cuts_right ? between(&r, last - 1, end_ms, false) : r.v[last];
    *out = (struct column){.t = t, .v = v, .n = n + 2};
    return ERR_OK;
}

// ---- counts, from the last sample that is not behind the range's start

static void counts_by_window(const struct windows *w, const double *v,
                             double (*count)(const double *v, size_t n), double *out,
                             uint64_t *present)
{
    for (size_t k = 0; k < w->times->at.n; k++) {
        fiber_work(1 + w->count[k]);
        if (!w->count[k])
            continue;
        const struct reach r = reach_at(w, v, k);
        const size_t above = times_above(r.t, r.n, r.start_ms);
        if (above == r.n)
            continue;
        const size_t first = above ? above - 1 : 0;
        out[k] = count(r.v + first, r.n - first);
        steps_set(present, k);
    }
}

void range_anchored_changes(const struct windows *w, const double *v, const double *param,
                            double *out, uint64_t *present)
{
    (void)param;
    counts_by_window(w, v, range_changes_of, out, present);
}

void range_anchored_resets(const struct windows *w, const double *v, const double *param,
                           double *out, uint64_t *present)
{
    (void)param;
    counts_by_window(w, v, range_resets_of, out, present);
}

// ---- the value at a time: between the samples around it, or that of the one before

void range_smoothed_at(const struct windows *w, const double *v, const double *param, double *out,
                       uint64_t *present)
{
    (void)param;
    for (size_t k = 0; k < w->times->at.n; k++) {
        if (!w->count[k])
            continue;
        const struct reach r = reach_at(w, v, k);
        const size_t above = times_above(r.t, r.n, r.end_ms);
        if (above == 0)
            continue;
        const bool is_between = r.t[above - 1] < r.end_ms && above < r.n;
        out[k] = is_between ? between(&r, above - 1, r.end_ms, false) : r.v[above - 1];
        steps_set(present, k);
    }
}
