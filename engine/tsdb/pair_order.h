// The pairs of one label name, in the order of their values' bytes, in a form that takes one more
// at any time.
//
// Leaves of up to PAIR_LEAF_MAX ids stand in one list; both are searched by halves. An insertion
// moves ids within a leaf and, once in a hundred, the list of leaves: 16 bytes for each hundred.
#ifndef ENGINE_TSDB_PAIR_ORDER_H
#define ENGINE_TSDB_PAIR_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/str.h"

enum { PAIR_LEAF_MAX = 256 };

struct label_store;
struct pair_leaf;

struct pair_order { // zeroed is empty
    struct pair_leaf **leaves;
    size_t leaves_n, capacity;
    size_t n;         // pairs
    uint32_t version; // counted up by every change
};

void pair_order_deinit(struct pair_order *o);
// The pair has its value already, which no other of the order has.
void pair_order_add(struct pair_order *o, const struct label_store *s, uint32_t pair);
void pair_order_remove(struct pair_order *o, const struct label_store *s, uint32_t pair);

// A walk over the pairs whose values begin with prefix, at or behind from. Pairs may come between
// its steps; the one it stepped to last may not go.
struct pair_walk {
    const struct pair_order *order;
    const struct label_store *store;
    struct str prefix;
    size_t leaf, at; // of the next
    uint32_t last;   // LABEL_NONE: before the first step
    uint32_t version;
};

void pair_walk_begin(struct pair_walk *w, const struct label_store *s, uint32_t name,
                     struct str prefix, struct str from);
uint32_t pair_walk_next(struct pair_walk *w); // LABEL_NONE: there are no more
// How many pairs begin with prefix, roughly: exact for few.
size_t pair_order_count(const struct label_store *s, uint32_t name, struct str prefix);

#endif
