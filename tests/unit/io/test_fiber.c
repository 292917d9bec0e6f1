#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>

#include "io/clock.h"
#include "tests/lib/in_loop.h"

enum { MS = 1000 * 1000 };

// Runs once for each backend; flow leaves what it saw in the counts.
struct seen {
    int64_t n[8];
};

static void on_each(fiber_fn *flow, const struct seen *wanted)
{
    for (int backend = 0; backend < IN_LOOP_BACKENDS; backend++) {
        struct seen seen = {0};
        in_loop(backend, flow, &seen);
        for (size_t i = 0; i < countof(seen.n); i++)
            cr_assert_eq(seen.n[i], wanted->n[i], "backend %d, n[%zu] is %lld, not %lld", backend,
                         i, (long long)seen.n[i], (long long)wanted->n[i]);
    }
}

static void count_one(void *arg)
{
    struct seen *seen = arg;
    seen->n[0]++;
    fiber_yield();
    seen->n[1]++;
}

static void start_many(void *arg)
{
    struct seen *seen = arg;
    for (int i = 0; i < 10000; i++)
        seen->n[2] += fiber_start(LOOP_QUERY, count_one, arg, NULL) == ERR_OK;
}

Test(fiber, ten_thousand_run)
{
    on_each(start_many, &(struct seen){{10000, 10000, 10000}});
}

static void sleep_past_deadline(void *arg)
{
    struct seen *seen = arg;
    const int64_t begin = clock_mono_ns();
    seen->n[0] = fiber_sleep_ns(2 * MS);
    seen->n[1] = clock_mono_ns() - begin >= 2 * MS;
    fiber_set_deadline(clock_mono_ns() + 3 * MS);
    seen->n[2] = fiber_sleep_ns(1000 * MS);
    seen->n[3] = fiber_sleep_ns(1);
    seen->n[4] = clock_mono_ns() - begin < 500 * MS;
    fiber_shield_begin();
    seen->n[5] = fiber_sleep_ns(1);
    fiber_shield_end();
    seen->n[6] = fiber_status();
    fiber_set_deadline(INT64_MAX);
    seen->n[7] = fiber_sleep_ns(1);
}

Test(fiber, deadline)
{
    on_each(sleep_past_deadline,
            &(struct seen){{ERR_OK, 1, ERR_TIMEOUT, ERR_TIMEOUT, 1, ERR_OK, ERR_TIMEOUT, ERR_OK}});
}
