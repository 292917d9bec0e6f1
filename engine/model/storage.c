#include "engine/model/storage.h"

#include "engine/base/bits.h"

struct column column_floats(const struct column *c, struct arena *a)
{
    if (!c->histograms)
        return *c;
    int64_t *t = arena_try(a, c->n, sizeof *t, _Alignof(int64_t));
    double *v = arena_try(a, c->n, sizeof *v, _Alignof(double));
    int64_t *starts = c->starts ? arena_try(a, c->n, sizeof *starts, _Alignof(int64_t)) : NULL;
    if (!t || !v || (c->starts && !starts))
        return (struct column){.n = c->n};
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (c->histograms[i].p)
            continue;
        t[n] = c->t[i];
        memcpy(&v[n], &c->v[i], sizeof *v); // every bit of it
        if (starts)
            starts[n] = c->starts[i];
        n++;
    }
    return (struct column){.t = t, .v = v, .n = n, .starts = starts};
}
