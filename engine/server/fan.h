// Label questions asked of every shard, and their answers as one: names, values, series.
#ifndef ENGINE_SERVER_FAN_H
#define ENGINE_SERVER_FAN_H

#include "engine/model/storage.h"

struct fan_selector { // one match[]
    const struct matcher *ms;
    size_t n;
};

enum fan_kind { FAN_NAMES, FAN_VALUES, FAN_SERIES };

struct fan_question {
    enum fan_kind kind;
    struct storage storage;
    struct str name;                      // of FAN_VALUES
    const struct fan_selector *selectors; // ORed; none: all series (not of FAN_SERIES)
    size_t selectors_count;
    int64_t mint, maxt;
    struct str after;         // only names and values behind it; p NULL: all
    uint64_t limit;           // 0: none; one more than that may come back, as a sign of truncation
    size_t bytes_max;         // of all shards' parts together; 0: a default
    struct arena_budget *all; // that they are counted in; may be NULL
};

// Answers in memory of the shards, until fan_done(). q must live as long.
struct fan {
    struct arena_budget *budget;
    struct fan_part *parts;
    unsigned parts_count;
    struct str last;
};

// After a failure nothing is left to be done. Suspends.
err fan_open(const struct fan_question *q, struct fan *out, struct errmsg *e);
// Sorted answers, each once: names or values as bytes, series as encoded labels sorted as
// labels_cmp(). false: that was the last.
bool fan_next(struct fan *f, struct str *out);
void fan_done(struct fan *f); // Suspends.

// All at once, in the arena. Suspends.
err fan_ask(const struct fan_question *q, struct arena *a, struct str **out, size_t *out_n,
            struct errmsg *e);

#endif
