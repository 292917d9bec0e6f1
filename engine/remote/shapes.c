#include "engine/remote/shapes.h"

#include <string.h>

#include "simd/simd.h"

enum { AHEAD = 8, RELEARN = 8 };

void shapes_init(struct shapes *s, size_t max)
{
    *s = (struct shapes){0};
    series_cache_init(&s->cache, max < SHAPES_MAX ? max : SHAPES_MAX);
}

void shapes_deinit(struct shapes *s)
{
    series_cache_deinit(&s->cache);
}

void shapes_forget(struct shapes *s)
{
    s->generation++;
}

static bool is_full(const struct shapes *s)
{
    return s->cache.young.n + s->cache.old.n >= 2 * s->cache.max;
}

// A full cache learns from some requests only: if more series come in turn than it holds, none
// would be found before it is dropped, and learning would be all it does.
void shapes_begin(struct shapes *s, struct str request, const struct fingerprint_key *key,
                  struct shapes_table *out)
{
    uint32_t symbols;
    const size_t n = remote_write2_leading_symbols(request, &symbols);
    *out = (struct shapes_table){.bytes = n, .symbols = symbols, .expected = SERIES_CACHE_NONE};
    s->requests++;
    if (!symbols || symbols > SHAPES_SYMBOLS_MAX)
        return;
    out->print = simd.fingerprint(request.p, n, key);
    out->print.lo += s->generation;
    uint64_t *const seen = &s->seen[out->print.hi % SHAPES_SEEN];
    out->is_known = *seen == out->print.lo;
    out->learns = out->is_known && (!is_full(s) || s->requests % RELEARN == 0);
    *seen = out->print.lo;
}

// Odd factors lose nothing: what is told differently is another shape.
static struct hash128 print_of(const struct shapes_table *t, const struct remote_write2_usual *x,
                               const struct fingerprint_key *key)
{
    static const uint64_t MIX = 0x9e3779b97f4a7c15u;
    const struct hash128 refs = simd.fingerprint(x->refs, x->refs_n, key);
    return (struct hash128){.lo = (refs.lo ^ t->print.lo) + x->metadata * MIX,
                            .hi = (refs.hi ^ t->print.hi) + x->metadata_n * MIX};
}

bool shapes_find(struct shapes *s, struct shapes_table *t, const struct remote_write2_usual *series,
                 const struct fingerprint_key *key, struct series_place *out)
{
    const struct hash128 print = print_of(t, series, key);
    const struct series_cache_entry *const entry = series_cache_at(&s->cache, t->expected);
    if (entry && hash128_eq(entry->key, print)) {
        __builtin_prefetch(entry + AHEAD); // they lie one behind the other
        *out = entry->place;
        series_cache_use(&s->cache, t->expected++);
        return true;
    }
    const uint64_t found = series_cache_find(&s->cache, print, out);
    if (found == SERIES_CACHE_NONE)
        return false;
    t->expected = found + 1;
    return true;
}

void shapes_learn(struct shapes *s, struct shapes_table *t,
                  const struct remote_write2_usual *series, const struct fingerprint_key *key,
                  const struct series_place *place)
{
    series_cache_put(&s->cache, print_of(t, series, key), place);
}
