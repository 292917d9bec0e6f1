// Parts of label sets, and a table of label sets: grouping and matching stand on these.
#ifndef ENGINE_PROMQL_LABEL_SET_H
#define ENGINE_PROMQL_LABEL_SET_H

#include "engine/model/labels.h"

// Names that grouping and matching use.
struct label_names {
    const struct str *names;
    size_t n;
};

// The labels whose name is among names (keep) or is not, into out, which has room for labels.n
// bytes. How many bytes it wrote.
size_t label_set_pick(struct str labels, struct label_names names, bool keep, char *out);
// The same in the arena.
struct str label_set_keep(struct str labels, struct label_names names, struct arena *a);
struct str label_set_drop(struct str labels, struct label_names names, struct arena *a);
// Without what a function forgets: __name__, __type__, __unit__.
struct str label_set_drop_metadata(struct str labels, struct arena *a);
// Names are copied; a name given twice does no harm. plus may be empty.
struct label_names label_names_with(struct label_names names, struct str plus, struct arena *a);

// Sorts by labels; equal ones stay in their order; room for a copy is taken beside a. Suspends.
struct label_index {
    struct str labels; // first, for labels_compare()
    size_t index;
};
err label_index_sort(struct label_index *items, size_t n, const struct arena *a, struct errmsg *e);

// From label sets to indices 0, 1, 2, ... in the order they came.
struct label_map {
    struct arena *a;
    struct label_slot *slots;
    size_t capacity;  // a power of two, or 0
    struct str *keys; // room for capacity / 2
    size_t n;
};
// The index of key, which is added (copied into the arena if copy) when it is not there; false: the
// arena's limits are passed. Suspends.
NODISCARD bool label_map_add(struct label_map *m, struct str key, bool copy, size_t *out_index,
                             bool *out_is_new);
bool label_map_find(const struct label_map *m, struct str key, size_t *out_index);

#endif
