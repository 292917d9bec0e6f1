// Samples of a test script that storage cannot hold: a storage that stands before another and
// refuses selectors which would need one of them, instead of answering without it.
#ifndef ENGINE_PROMQL_TEST_REFUSAL_H
#define ENGINE_PROMQL_TEST_REFUSAL_H

#include "engine/base/arena.h"
#include "engine/model/storage.h"

struct test_refused_sample {
    struct str labels; // in the arena; of neighbours of one series the same memory
    int64_t t_ms;
    const char *what;
};

struct test_refusals {
    struct arena arena;
    struct test_refused_sample *samples;
    size_t n, capacity;
};

void test_refusals_init(struct test_refusals *r);
void test_refusals_deinit(struct test_refusals *r);
void test_refusals_clear(struct test_refusals *r);
// From now on a selector of this series over a range with t_ms fails with "unsupported: " and what,
// a constant text.
void test_refusals_add(struct test_refusals *r, struct str labels, int64_t t_ms, const char *what);

// Owned by the caller, as long as the storage made of it.
struct test_refusing {
    const struct test_refusals *refusals;
    const struct storage *inner;
};
struct storage test_refusing_storage(struct test_refusing *self);

#endif
