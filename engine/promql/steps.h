// The steps of an evaluation, and columns over them: the values of one series at all steps.
//
// A column is an array of values and a bitmap that says at which steps there is one. Bits above the
// last step are 0. Memory is an arena's.
#ifndef ENGINE_PROMQL_STEPS_H
#define ENGINE_PROMQL_STEPS_H

#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/err.h"

struct steps {
    int64_t start_ms, step_ms; // step_ms > 0
    size_t n;                  // > 0
};

// Columns have no more. A range query may have 11,000 points a series at the API; subqueries make
// finer steps, which are evaluated in parts where they are many.
enum { STEPS_MAX = 1 << 26 };

static inline int64_t steps_time(const struct steps *s, size_t at)
{
    return s->start_ms + (int64_t)at * s->step_ms;
}

static inline int64_t steps_end(const struct steps *s)
{
    return steps_time(s, s->n - 1);
}

struct step_column {
    double *v;         // n; meaningful where present
    uint64_t *present; // steps_words(n)
};

static inline size_t steps_words(size_t n)
{
    return (n + 63) / 64;
}

static inline bool steps_has(const uint64_t *present, size_t at)
{
    return present[at / 64] >> (at % 64) & 1;
}

static inline void steps_set(uint64_t *present, size_t at)
{
    present[at / 64] |= (uint64_t)1 << (at % 64);
}

static inline void steps_clear(uint64_t *present, size_t at)
{
    present[at / 64] &= ~((uint64_t)1 << (at % 64));
}

// Bits of the word at index word that stand for steps.
static inline uint64_t steps_mask(size_t n, size_t word)
{
    return n >= word * 64 + 64 ? UINT64_MAX : ((uint64_t)1 << (n - word * 64)) - 1;
}

void steps_set_all(uint64_t *present, size_t n);
bool steps_any(const uint64_t *present, size_t n);
size_t steps_count(const uint64_t *present, size_t n);
// The first step at or after at that is present; n: none.
size_t steps_next(const uint64_t *present, size_t n, size_t at);

// All absent, values 0. ERR_LIMIT: the arena's limit. Both suspend.
err step_column_make(struct arena *a, size_t n, struct step_column *out);
// One value at all n steps.
void step_column_fill(struct step_column *c, size_t n, double v);

#endif
