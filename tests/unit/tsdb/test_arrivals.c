#include <criterion/criterion.h>

#include "engine/tsdb/arrivals.h"

enum { MINUTE_MS = 60000 };

static size_t count(const struct arrivals *a, int64_t from_ms, int64_t now_ms)
{
    size_t n = 0;
    for (int64_t t_ms = from_ms; t_ms <= now_ms; t_ms += ARRIVALS_LIST_MS) {
        const struct id_list *list = arrivals_at(a, t_ms);
        n += list ? list->n : 0;
    }
    return n;
}

Test(arrivals, an_hour_is_known_and_no_more)
{
    static const int64_t begins[] = {0, 1, 59 * MINUTE_MS, INT64_C(4000000000000)};
    for (size_t k = 0; k < sizeof begins / sizeof *begins; k++) {
        struct arrivals a = {0};
        for (uint32_t m = 0; m < 600; m++) { // one a minute
            const int64_t now = begins[k] + (int64_t)m * MINUTE_MS;
            const int64_t from = now - ARRIVALS_SPAN_MS;
            arrivals_add(&a, m, now);
            const size_t found = count(&a, from < 0 ? 0 : from, now);
            const size_t least = m < 60 ? m + 1 : 60;
            cr_assert(found >= least && found <= least + 5, "minute %u: %zu", m, found);
        }
        arrivals_deinit(&a);
    }
}

Test(arrivals, long_silence_forgets_all)
{
    struct arrivals a = {0};
    arrivals_add(&a, 1, 0);
    arrivals_expire(&a, ARRIVALS_SPAN_MS);
    cr_assert_eq(count(&a, 0, ARRIVALS_SPAN_MS), 1);
    arrivals_expire(&a, 100 * INT64_C(3600000));
    for (size_t i = 0; i < ARRIVALS_LISTS; i++)
        cr_assert_eq(a.lists[i].n, 0);
    cr_assert_null(arrivals_at(&a, 0));
    cr_assert_null(arrivals_at(&a, INT64_C(1) << 60));
    arrivals_deinit(&a);
}
