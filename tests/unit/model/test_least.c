// The least of many texts: against sorting all of them.
#include <criterion/criterion.h>
#include <stdlib.h>

#include "engine/base/rng.h"
#include "engine/base/util.h"
#include "engine/model/least.h"

enum { TEXTS = 20000 };

static int compare(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

// What items[0..n) must leave, in place.
static size_t expected(struct str *items, size_t n, size_t max, struct str after)
{
    size_t kept = 0;
    qsort(items, n, sizeof *items, compare);
    for (size_t i = 0; i < n && (!max || kept < max); i++)
        if ((!after.p || str_cmp(items[i], after) > 0) &&
            (!kept || !str_eq(items[kept - 1], items[i])))
            items[kept++] = items[i];
    return kept;
}

Test(least, random_texts)
{
    static const size_t maxes[] = {0, 1, 10, 5000, TEXTS};
    static const struct str afters[] = {{0}, {"", 0}, {"500", 3}, {"zzz", 3}};
    static struct str all[TEXTS];
    struct rng rng;
    rng_init(&rng, 1);
    for (size_t round = 0; round < countof(maxes) * countof(afters) * 2; round++) {
        struct arena a;
        struct least l;
        const size_t max = maxes[round % countof(maxes)];
        const size_t n = 1 + rng_below(&rng, TEXTS);
        const uint64_t distinct = round % 2 ? 300 : 1u << 30; // often the same, or hardly ever
        arena_init(&a, 0);
        least_init(&l, &a, max, false);
        l.after = afters[round / countof(maxes) % countof(afters)];
        for (size_t i = 0; i < n; i++) {
            all[i] = arena_printf(&a, "%lu", rng_below(&rng, distinct));
            cr_assert_eq(least_add(&l, all[i], NULL), ERR_OK);
        }
        cr_assert_eq(least_finish(&l, NULL), ERR_OK);
        const size_t want = expected(all, n, max, l.after);
        cr_assert_eq(l.n, want, "round %zu: %zu texts, want %zu", round, l.n, want);
        for (size_t i = 0; i < want; i++)
            cr_assert(str_eq(l.items[i], all[i]), "round %zu, text %zu", round, i);
        least_deinit(&l);
        arena_deinit(&a);
    }
}

// However many are offered, in whatever order: a limit of memory that a few of them need is kept.
Test(least, memory)
{
    for (int order = 0; order < 2; order++) {
        struct arena_budget budget = {.limit_bytes = 2 << 20};
        struct arena a;
        struct least l;
        char text[64] = {0};
        arena_init_within(&a, &budget);
        least_init(&l, &a, 1000, false);
        for (unsigned i = 0; i < 200000; i++) {
            const unsigned x = order ? i : 200000 - i;
            for (size_t k = 0; k < 8; k++)
                text[k] = (char)('a' + (x >> (28 - 4 * k) & 15));
            cr_assert_eq(least_add(&l, str_make(text, sizeof text), NULL), ERR_OK, "%u", i);
        }
        cr_assert_eq(least_finish(&l, NULL), ERR_OK);
        cr_assert_eq(l.n, 1000);
        least_deinit(&l);
        least_init(&l, &a, 0, false);
        err code = ERR_OK;
        for (unsigned i = 0; i < 200000 && !code; i++) {
            memcpy(text, &i, sizeof i);
            code = least_add(&l, str_make(text, sizeof text), NULL);
        }
        cr_assert_eq(code, ERR_LIMIT);
        least_deinit(&l);
        arena_deinit(&a);
        cr_assert_eq(budget.used_bytes, 0);
    }
}
