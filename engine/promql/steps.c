#include "engine/promql/steps.h"

#include "engine/promql/gently.h"

void steps_set_all(uint64_t *present, size_t n)
{
    for (size_t w = 0; w < steps_words(n); w++)
        present[w] = steps_mask(n, w);
}

bool steps_any(const uint64_t *present, size_t n)
{
    for (size_t w = 0; w < steps_words(n); w++)
        if (present[w])
            return true;
    return false;
}

size_t steps_count(const uint64_t *present, size_t n)
{
    size_t count = 0;
    for (size_t w = 0; w < steps_words(n); w++)
        count += (size_t)__builtin_popcountll(present[w]);
    return count;
}

size_t steps_next(const uint64_t *present, size_t n, size_t at)
{
    for (size_t w = at / 64; at < n && w < steps_words(n); w++, at = w * 64) {
        const uint64_t word = present[w] >> (at % 64);
        if (word)
            return at + (size_t)__builtin_ctzll(word);
    }
    return n;
}

err step_column_make(struct arena *a, size_t n, struct step_column *out)
{
    double *v = gently_array(a, n, double);
    uint64_t *present = gently_array(a, steps_words(n), uint64_t);
    if (!v || !present)
        return ERR_LIMIT;
    *out = (struct step_column){v, present};
    return ERR_OK;
}

void step_column_fill(struct step_column *c, size_t n, double v)
{
    for (struct slice s = {0}; slice_next(&s, n);)
        for (size_t k = s.from; k < s.end; k++)
            c->v[k] = v;
    steps_set_all(c->present, n);
}
