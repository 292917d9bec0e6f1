// Compensated addition as Prometheus has it: Neumaier's form of Kahan's sum, whose compensation is
// dropped when the sum overflows. The order of operations decides the bits: keep it.
#ifndef ENGINE_PROMQL_KAHAN_H
#define ENGINE_PROMQL_KAHAN_H

#include <math.h>
#include <stdbool.h>

static inline void kahan_add(double x, double *sum, double *c)
{
    const double t = *sum + x;
    const bool sum_is_larger = fabs(*sum) >= fabs(x);
    const double high = sum_is_larger ? *sum : x;
    const double low = sum_is_larger ? x : *sum;
    const double next = *c + ((high - t) + low);
    *c = isinf(t) ? 0 : next;
    *sum = t;
}

#endif
