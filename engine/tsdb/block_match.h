// The values of a label name in a block file that a matcher is about.
#ifndef ENGINE_TSDB_BLOCK_MATCH_H
#define ENGINE_TSDB_BLOCK_MATCH_H

#include "engine/tsdb/block_bitmap.h"
#include "engine/tsdb/block_reader.h"

struct block_match {
    const struct matcher *m;
    uint32_t name;
    bool takes_absent; // series without the name pass
    bool is_inverse;   // asked for are the values that its text or expression does not match
    uint32_t from, to; // pairs whose values are to be tried; none if it lists its values
    uint64_t cost;     // in values tried and postings read, roughly
};

// What of m is asked for: the values that pass or, if series without the name pass, those that do
// not. The names were read. Suspends.
err block_match_init(struct block_match *x, struct block_file *f, const struct matcher *m,
                     uint32_t name, struct errmsg *e);
// Sets the bits of those values, counted from the name's first; the bits are clear. among: none but
// these are looked at, or NULL. Suspends.
err block_match_run(const struct block_match *x, struct block_file *f, const struct bitmap *among,
                    struct bitmap *out, struct errmsg *e);

// What expressions matched before is kept with the file: at most half as much as its cache.
void block_answers_drop(struct block_file *f);

#endif
