// Reading numbers and texts of a file's or log's parts, whatever their bytes are.
#ifndef ENGINE_TSDB_BLOCK_CURSOR_H
#define ENGINE_TSDB_BLOCK_CURSOR_H

#include "engine/base/bits.h"
#include "engine/base/str.h"

// After the first number that is not there all are 0 and failed is set.
struct block_cursor {
    const uint8_t *at, *end;
    bool failed;
};

static inline uint64_t block_number(struct block_cursor *c)
{
    uint64_t v = 0;
    const size_t n = varint_load(c->at, c->end, &v);
    c->failed |= n == 0;
    c->at += n;
    return v;
}

// A number below limit.
static inline uint32_t block_number_below(struct block_cursor *c, uint64_t limit)
{
    const uint64_t v = block_number(c);
    if (v < limit && v <= UINT32_MAX)
        return (uint32_t)v;
    c->failed = true;
    return 0;
}

static inline struct str block_bytes(struct block_cursor *c, uint64_t n)
{
    const char *p = (const char *)c->at;
    if (n > (size_t)(c->end - c->at)) {
        c->failed = true;
        return (struct str){0};
    }
    c->at += n;
    return (struct str){p, (size_t)n};
}

#endif
