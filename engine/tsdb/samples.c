#include "engine/tsdb/samples.h"

#include <assert.h>
#include <string.h>

bool samples_init(struct samples *s, struct arena *a, const struct column *parts, size_t parts_n,
                  bool times)
{
    bool histograms = false, starts = false;
    *s = (struct samples){0};
    for (size_t i = 0; i < parts_n; i++) {
        s->capacity += parts[i].n;
        histograms |= parts[i].histograms && parts[i].n;
        starts |= parts[i].starts && parts[i].n;
    }
    s->v = arena_try(a, s->capacity, sizeof *s->v, _Alignof(double));
    if (times)
        s->t = arena_try(a, s->capacity, sizeof *s->t, _Alignof(int64_t));
    if (histograms)
        s->histograms = arena_array(a, s->capacity, struct str);
    if (starts)
        s->starts = arena_array(a, s->capacity, int64_t);
    return s->v && (s->t || !times) && (s->histograms || !histograms) && (s->starts || !starts);
}

void samples_put(struct samples *s, const struct column *part, size_t from, size_t n)
{
    assert(n <= s->capacity - s->n);
    if (s->t)
        memcpy(s->t + s->n, part->t + from, n * sizeof *s->t);
    memcpy(s->v + s->n, part->v + from, n * sizeof *s->v);
    if (part->histograms && n)
        memcpy(s->histograms + s->n, part->histograms + from, n * sizeof *s->histograms);
    if (part->starts && n)
        memcpy(s->starts + s->n, part->starts + from, n * sizeof *s->starts);
    s->n += n;
}

struct column samples_column(const struct samples *s)
{
    return (struct column){
        .t = s->t, .v = s->v, .n = s->n, .histograms = s->histograms, .starts = s->starts};
}

void column_skip(struct column *c, size_t n)
{
    c->t += n;
    c->v += n;
    c->n -= n;
    if (c->histograms)
        c->histograms += n;
    if (c->starts)
        c->starts += n;
}
