#include "tests/lib/sample_map.h"

#include <string.h>

#include "engine/base/mem.h"

void sample_map_deinit(struct sample_map *m)
{
    for (size_t i = 0; i < m->n; i++) {
        mem_free((char *)(uintptr_t)m->series[i].labels.p);
        mem_free(m->series[i].samples);
    }
    mem_free(m->series);
    *m = (struct sample_map){0};
}

struct map_series *sample_map_find(struct sample_map *m, struct str labels, bool make)
{
    for (size_t i = 0; i < m->n; i++) {
        if (str_eq(m->series[i].labels, labels))
            return &m->series[i];
    }
    if (!make)
        return NULL;
    m->series = mem_grow(m->series, &m->capacity, m->n + 1, sizeof *m->series);
    char *copy = mem_alloc(labels.n);
    memcpy(copy, labels.p, labels.n);
    m->series[m->n] = (struct map_series){.labels = {copy, labels.n}};
    return &m->series[m->n++];
}

static void insert(struct map_series *s, struct map_sample sample)
{
    s->samples = mem_grow(s->samples, &s->capacity, s->n + 1, sizeof *s->samples);
    size_t at = s->n++;
    for (; at > 0 && s->samples[at - 1].t_ms > sample.t_ms; at--)
        s->samples[at] = s->samples[at - 1];
    s->samples[at] = sample;
}

enum tsdb_outcome sample_map_add(struct sample_map *m, struct str labels, int64_t t_ms,
                                 uint64_t bits, int64_t late_ms, int64_t max_t_ms)
{
    if (t_ms > max_t_ms)
        return TSDB_IN_FUTURE;
    struct map_series *s = sample_map_find(m, labels, true);
    const struct map_sample sample = {t_ms, bits, m->seq};
    const struct map_sample *newest = s->n ? &s->samples[s->n - 1] : NULL;
    if (!newest || t_ms > newest->t_ms) {
        insert(s, sample);
        return TSDB_APPENDED;
    }
    const struct map_sample *same = NULL;
    for (size_t i = s->n; i-- > 0 && s->samples[i].t_ms >= t_ms;) {
        if (s->samples[i].t_ms == t_ms)
            same = &s->samples[i];
    }
    if (same && same->bits == bits)
        return TSDB_SAME;
    if (t_ms == newest->t_ms)
        return TSDB_DUPLICATE;
    if (late_ms <= 0)
        return TSDB_OUT_OF_ORDER;
    if (t_ms < newest->t_ms - late_ms)
        return TSDB_TOO_OLD;
    if (same)
        return TSDB_DUPLICATE;
    insert(s, sample);
    return TSDB_LATE_KEPT;
}
