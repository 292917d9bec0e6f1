// The least of many texts, sorted and each once: what an answer with a limit keeps of all that is
// found.
//
// Memory follows the limit, not how many are offered: when twice as many have gathered the greatest
// are dropped, and from then on nothing behind those that were kept is taken.
#ifndef ENGINE_MODEL_LEAST_H
#define ENGINE_MODEL_LEAST_H

#include "engine/base/arena.h"
#include "engine/base/err.h"

struct least {
    struct arena arenas[2]; // one of them has the texts; the other takes those that stay
    unsigned arena_at;
    struct arena list; // what the items themselves are charged to
    struct str *items; // items[0..kept) are sorted, each once
    size_t n, kept, capacity;
    size_t max;        // 0: any number
    bool is_of_labels; // encoded labels, in the order of labels_cmp(); else bytes
    // Set by the caller before the first is added: only what comes behind it is taken. p NULL: all.
    struct str after;
    struct str greatest; // of those that are kept, when they are max; else p is NULL
};

// With the limits of beside, which is a query's.
void least_init(struct least *l, const struct arena *beside, size_t max, bool is_of_labels);
void least_deinit(struct least *l);
// The order of its texts: below 0, 0, above 0.
int least_compare(const struct least *l, struct str a, struct str b);
// Takes a copy, if the text is wanted. ERR_LIMIT; or the fiber has ended. Suspends.
err least_add(struct least *l, struct str text, struct errmsg *e);
// Whether a text would be taken; those of an ascending list that follow one that is not, and comes
// behind after, are not either.
bool least_wants(const struct least *l, struct str text);
// Before items[0..n) are looked at: then they are what there is. Suspends.
err least_finish(struct least *l, struct errmsg *e);

#endif
