// Quantiles of query times: within 3 % of the sorted values, over ten minutes at most.
#include <criterion/criterion.h>
#include <math.h>

#include "engine/base/mem.h"
#include "engine/server/query_summary.h"

static const int64_t MINUTE = 60000000000;

static bool is_near(double got, double wanted)
{
    return fabs(got - wanted) <= .032 * wanted;
}

Test(query_summary, quantiles_of_known_times)
{
    struct query_summary *s = mem_zalloc(sizeof *s);
    struct query_window *w = mem_zalloc(sizeof *w);
    cr_assert(isnan(query_window_quantile(w, QUERY_EVAL, .5)));
    for (int64_t i = 1; i <= 1000; i++) {
        const int64_t ns[QUERY_SLICES] = {[QUERY_EVAL] = i * 1000,
                                          [QUERY_PREPARE] = i,
                                          [QUERY_QUEUE] = INT64_MAX,
                                          [QUERY_SORT] = 0};
        query_summary_add(s, ns, 5 * MINUTE);
    }
    query_summary_gather(s, 5 * MINUTE, w);
    static const double quantiles[] = {.5, .9, .99};
    for (int i = 0; i < 3; i++) {
        const double eval = query_window_quantile(w, QUERY_EVAL, quantiles[i]);
        const double prepare = query_window_quantile(w, QUERY_PREPARE, quantiles[i]);
        cr_assert(is_near(eval, quantiles[i] * 1e-3), "%g: %g", quantiles[i], eval);
        cr_assert(is_near(prepare, quantiles[i] * 1e-6), "%g: %g", quantiles[i], prepare);
        cr_assert_eq(query_window_quantile(w, QUERY_SORT, quantiles[i]), 0);
        cr_assert_gt(query_window_quantile(w, QUERY_QUEUE, quantiles[i]), 7000);
    }
    mem_free(w);
    mem_free(s);
}

Test(query_summary, forgets)
{
    struct query_summary *s = mem_zalloc(sizeof *s);
    struct query_window *w = mem_zalloc(sizeof *w);
    const int64_t slow[QUERY_SLICES] = {1000000}, fast[QUERY_SLICES] = {1000};
    for (int i = 0; i < 9; i++)
        query_summary_add(s, slow, 20 * MINUTE);
    query_summary_add(s, fast, 28 * MINUTE);
    query_summary_gather(s, 28 * MINUTE, w);
    cr_assert(is_near(query_window_quantile(w, QUERY_EVAL, .5), 1e-3));
    *w = (struct query_window){0};
    query_summary_gather(s, 30 * MINUTE, w); // the slow ones are older than that
    cr_assert(is_near(query_window_quantile(w, QUERY_EVAL, .99), 1e-6));
    *w = (struct query_window){0};
    query_summary_gather(s, 3000 * MINUTE, w);
    cr_assert(isnan(query_window_quantile(w, QUERY_EVAL, .99)));
    mem_free(w);
    mem_free(s);
}
