// Who makes new series: the targets and the metric names that made most of them of late.
//
// Of each kind as many are known as there are places. One that has none takes the place of the
// least, with its count: who makes more than one in MAKERS_PLACES of all has a place, and no count
// is more than the true one and that least. "Of late" is the present window and the one before.
#ifndef ENGINE_TSDB_MAKERS_H
#define ENGINE_TSDB_MAKERS_H

#include "engine/base/buf.h"

enum makers_kind { MAKERS_TARGET, MAKERS_METRIC, MAKERS_KINDS };
enum { MAKERS_PLACES = 32, MAKERS_TEXT_MAX = 192, MAKERS_WINDOW_MS = 1800000 };

struct makers_place {
    uint64_t key;
    uint64_t made[2];  // series: in this window, in the one before
    uint64_t borrowed; // of made, at most: from who had the place before
    uint64_t refused;  // series that were not made for it, ever
    uint32_t text_n;
    char text[MAKERS_TEXT_MAX]; // {job="x", instance="y"}, or the metric's name
};

struct makers_list {
    struct makers_place places[MAKERS_PLACES];
    size_t n, last; // last: the one that was counted last
};

struct makers { // zeros: nothing was made
    struct makers_list lists[MAKERS_KINDS];
    uint64_t made[2];
    int64_t window_ms; // when this one began
};

// A new series, of the target that key stands for.
void makers_count(struct makers *g, uint64_t key, struct str labels);
// Whether its target or its metric made an eighth of all that were made of late, or more.
bool makers_is_much(struct makers *g, uint64_t key, struct str labels);
void makers_refuse(struct makers *g, uint64_t key, struct str labels);
void makers_step(struct makers *g, int64_t now_ms); // begins a new window when it is time

static inline uint64_t makers_of(const struct makers_place *p)
{
    return p->made[0] + p->made[1];
}

#endif
