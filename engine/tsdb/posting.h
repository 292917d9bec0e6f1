// The set of ids that carry one label pair: most sets are tiny, a few are huge.
//
// Up to two ids lie inside the struct, up to POSTING_ARRAY_MAX in a sorted array, more in a Roaring
// bitmap.
#ifndef ENGINE_TSDB_POSTING_H
#define ENGINE_TSDB_POSTING_H

#include <roaring/roaring.h>
#include <stdbool.h>
#include <stdint.h>

enum { POSTING_INLINE = 2, POSTING_ARRAY_MAX = 48 };

struct posting { // zeroed is empty
    uint32_t n;
    uint32_t capacity; // of the array; 0: inline; UINT32_MAX: a bitmap
    union {
        uint32_t ids[POSTING_INLINE];
        uint32_t *array;
        roaring_bitmap_t *bitmap;
    };
};

void posting_deinit(struct posting *p);
void posting_add(struct posting *p, uint32_t id);    // must not be in it
void posting_remove(struct posting *p, uint32_t id); // must be in it
// out |= p
void posting_union(const struct posting *p, roaring_bitmap_t *out);

#endif
