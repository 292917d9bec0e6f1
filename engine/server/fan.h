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
    uint64_t limit; // 0: none; one more than that may come back, as a sign of truncation
};

// Sorted answers, each once, in the arena: names or values as bytes, series as encoded labels
// sorted as labels_cmp(). Suspends.
err fan_ask(const struct fan_question *q, struct arena *a, struct str **out, size_t *out_n,
            struct errmsg *e);

#endif
