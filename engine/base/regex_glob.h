// What can be told of a regular expression's matches without running it: alternatives, each a
// sequence of texts with gaps between them. "a.*b|cd" is two, and nothing else matches; of
// "node_[a-z]{9}.*" one is known that every match fits, and RE2 decides.
#ifndef ENGINE_BASE_REGEX_GLOB_H
#define ENGINE_BASE_REGEX_GLOB_H

#include "engine/base/arena.h"
#include "engine/base/regex_syntax.h"

struct regex_part {
    struct str text; // of a gap: n 0, p NULL
    bool is_gap;
    bool at_least_one; // a gap of one character or more
    bool is_rough;     // a gap that stands for something more exact
};

struct regex_glob {
    struct regex_part *parts; // no two gaps or texts side by side
    size_t n;
};

struct regex_globs {
    struct arena arena;
    struct regex_glob *items;
    size_t n;         // 0: nothing is known
    bool is_exact;    // what fits one of them matches
    bool is_one_line; // and has no newline, of which nothing is known
    bool is_set;      // all are texts: they stand in slots, once each
    uint32_t *slots;  // 1 + index, by hash; 0: free
    size_t slots_mask;
};

// Of whole texts: an anchor at either end of the expression says nothing new.
void regex_globs_make(const struct regex_tree *t, struct regex_globs *out);
void regex_globs_deinit(struct regex_globs *g);
bool regex_globs_fit(const struct regex_globs *g, struct str text);
struct str regex_globs_prefix(const struct regex_globs *g); // what all begin with; a slice
// A set of the texts between the bars of list.
void regex_globs_of_list(struct str list, struct regex_globs *out);

#endif
