// Series of 2.0 as they were spelled: references and metadata under a table of symbols.
//
// A sender whose requests begin and end at the same series every time sends the same table and the
// same references every time; then equal bytes mean equal series, and neither the table's symbols
// nor a series' labels are looked at. That goes by a fingerprint of the table, as far as it leads
// the request, and one of the series' references, both keyed. Only of tables that come again is
// anything remembered, so a sender whose requests are cut elsewhere each time costs the table's
// fingerprint, and takes no place.
//
// What is remembered is forgotten, all of it, when a series turns out to have left the head or
// when metadata could not be kept.
#ifndef ENGINE_REMOTE_SHAPES_H
#define ENGINE_REMOTE_SHAPES_H

#include "engine/remote/series_cache.h"
#include "protocol/remote_write2.h"
#include "simd/fingerprint.h"

enum {
    SHAPES_SEEN = 4096,            // tables
    SHAPES_MAX = 512 * 1024,       // series, in each of the cache's two tables
    SHAPES_SYMBOLS_MAX = 64 * 1024 // of a table; more are none of a usual sender
};

struct shapes {
    struct series_cache cache; // by shape
    uint64_t seen[SHAPES_SEEN];
    uint64_t generation; // what was learned in another one is not found
    uint64_t requests;
};

struct shapes_table { // that of a request
    struct hash128 print;
    uint64_t expected; // number in the cache
    size_t bytes;      // of its symbols
    uint32_t symbols;  // that lead the request
    bool is_known;     // it came before: series may be found by their shape
    bool learns;
};

void shapes_init(struct shapes *s, size_t max);
void shapes_deinit(struct shapes *s);
void shapes_forget(struct shapes *s);
// The table of a request.
void shapes_begin(struct shapes *s, struct str request, const struct fingerprint_key *key,
                  struct shapes_table *out);

// Whether a series under a known table has come before; what it told is known then, too.
bool shapes_find(struct shapes *s, struct shapes_table *t, const struct remote_write2_usual *series,
                 const struct fingerprint_key *key, struct series_place *out);
// All that the series refers to is in the leading table.
void shapes_learn(struct shapes *s, struct shapes_table *t,
                  const struct remote_write2_usual *series, const struct fingerprint_key *key,
                  const struct series_place *place);

#endif
