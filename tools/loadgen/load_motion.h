// How the values of series move. A value is a function of the step alone, so any step can be made
// at any time.
#ifndef TOOLS_LOADGEN_LOAD_MOTION_H
#define TOOLS_LOADGEN_LOAD_MOTION_H

#include <math.h>
#include <stdint.h>

#include "engine/base/bits.h"
#include "engine/model/value.h"

// Counters grow, in every step or in bursts; gauges stray in every step, levels every few.
enum load_motion_kind {
    LOAD_CONSTANT,
    LOAD_COUNTER,
    LOAD_BURSTS,
    LOAD_GAUGE,
    LOAD_LEVELS,
    LOAD_CAPTURED
};
enum { LOAD_HOLD_STEPS = 16 }; // from one burst or level to the next

struct load_column { // of a capture
    // The stale marker where the series is not there, as a sender tells it.
    const double *values;
    uint32_t n;
    uint32_t reset; // of a counter: the first value after a reset; n: it was not reset
    bool is_counter, is_constant, has_gaps;
    // Of a counter from one time through the capture to the next, until it is reset: what comes on
    // top, each time (it was not reset) or whatever the time.
    double rise;
    double scale; // values times this are whole
};

struct load_motion {
    double base, step; // of a counter the growth a step; of a gauge how far it strays from base
    double divisor;    // values are whole numbers divided by this
    uint32_t seed;
    uint32_t period, phase; // a counter begins anew at 0 where step + phase is a multiple of period
    enum load_motion_kind kind;
    const struct load_column *column; // of LOAD_CAPTURED, where step is the pace of the target
};

// 0 to 1, of a step of a series.
static inline double load_noise(const struct load_motion *m, uint64_t step)
{
    uint64_t h = (step + 1) * 0x9e3779b97f4a7c15U ^ (uint64_t)m->seed * 0xd6e8feb86659fd93U;
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93U;
    return (double)(uint32_t)(h >> 32) * 0x1p-32;
}

static inline double load_counter(const struct load_motion *m, uint64_t step)
{
    double base = m->base;
    uint64_t since = step;
    if (m->period && (uint32_t)step + m->phase >= m->period) {
        since = ((uint32_t)step + m->phase) % m->period;
        base = 0;
    }
    if (m->kind == LOAD_COUNTER)
        return base + m->step * ((double)since + load_noise(m, step));
    const uint64_t burst = since / LOAD_HOLD_STEPS;
    return base + m->step * LOAD_HOLD_STEPS * ((double)burst + load_noise(m, burst));
}

// A captured series comes and goes as it did.
static inline bool load_is_there(const struct load_motion *m, uint64_t step)
{
    return m->kind != LOAD_CAPTURED || !m->column->has_gaps ||
           bits_from_double(m->column->values[(step + m->phase) % m->column->n]) !=
               VALUE_STALE_BITS;
}

static inline double load_captured(const struct load_motion *m, uint64_t step)
{
    const struct load_column *const c = m->column;
    const uint64_t at = step + m->phase, time = at / c->n;
    double value = c->values[at % c->n];
    if (isnan(value))
        return value; // with its bits
    if (c->is_counter && at % c->n < c->reset && time)
        value += c->rise * (c->reset < c->n ? 1 : (double)time);
    return floor(m->step * value * c->scale + 0.5) / c->scale;
}

static inline double load_value(const struct load_motion *m, uint64_t step)
{
    if (m->kind == LOAD_CONSTANT)
        return m->base / m->divisor;
    if (m->kind == LOAD_COUNTER || m->kind == LOAD_BURSTS)
        return floor(load_counter(m, step)) / m->divisor;
    if (m->kind == LOAD_CAPTURED)
        return load_captured(m, step);
    if (m->kind == LOAD_LEVELS)
        step = (step + m->seed % LOAD_HOLD_STEPS) / LOAD_HOLD_STEPS;
    return floor(m->base + m->step * (load_noise(m, step) - 0.5)) / m->divisor;
}

#endif
