#include "engine/remote/series_cache.h"

#include <criterion/criterion.h>

static struct hash128 key_of(uint64_t i)
{
    return hash128(&i, sizeof i, 1);
}

static bool has(struct series_cache *c, uint64_t i)
{
    struct series_place place;
    const uint64_t number = series_cache_find(c, key_of(i), &place);
    if (number == SERIES_CACHE_NONE)
        return false;
    cr_assert_eq(place.ref, i + 1);
    cr_assert_eq(place.owner, (uint32_t)i % 7);
    return true;
}

static void put(struct series_cache *c, uint64_t i)
{
    series_cache_put(c, key_of(i), &(struct series_place){i + 1, (uint32_t)i % 7, 9});
}

Test(series_cache, bounded_and_what_is_used_stays)
{
    enum { MAX = 100 };
    struct series_cache c;
    series_cache_init(&c, MAX);
    cr_assert(!has(&c, 0));
    for (uint64_t i = 0; i < 1000; i++) {
        put(&c, i);
        cr_assert(has(&c, i));
        cr_assert(has(&c, 0)); // asked for all the time
        cr_assert(c.young.n <= MAX && c.old.n <= MAX);
    }
    cr_assert(!has(&c, 500));
    cr_assert(has(&c, 950));
    series_cache_put(&c, key_of(950), &(struct series_place){7, 1, 9}); // another place now
    struct series_place place;
    cr_assert(series_cache_find(&c, key_of(950), &place) != SERIES_CACHE_NONE && place.ref == 7 &&
              place.owner == 1);
    series_cache_deinit(&c);
}

// Numbers follow the order of putting, and those who follow them keep entries in use.
Test(series_cache, numbers)
{
    enum { MAX = 100, SERIES = 150 };
    struct series_cache c;
    struct series_place place;
    series_cache_init(&c, MAX);
    for (uint64_t i = 0; i < SERIES; i++)
        put(&c, i);
    const uint64_t first = series_cache_find(&c, key_of(0), &place);
    cr_assert_eq(first, 0);
    for (uint64_t i = 0; i < SERIES; i++) {
        const struct series_cache_entry *entry = series_cache_at(&c, first + i);
        cr_assert(entry && hash128_eq(entry->key, key_of(i)));
        if (i < 40)
            series_cache_use(&c, first + i);
    }
    cr_assert_null(series_cache_at(&c, first + 1000));
    for (uint64_t i = SERIES; i < SERIES + 20; i++) // the older table is dropped
        put(&c, i);
    cr_assert_null(series_cache_at(&c, first));
    for (uint64_t i = 0; i < MAX; i++)
        cr_assert_eq(has(&c, i), i < 40, "%d", (int)i);
    series_cache_deinit(&c);
}

// Whatever its size, all that was put is found while slots move.
Test(series_cache, grows)
{
    enum { SERIES = 20000 };
    struct series_cache c;
    series_cache_init(&c, SERIES);
    for (uint64_t i = 0; i < SERIES; i++) {
        cr_assert(!has(&c, i));
        put(&c, i);
        put(&c, i / 3); // again: nothing changes
        cr_assert(has(&c, i) && has(&c, i / 2) && has(&c, 0));
        const struct series_cache_entry *entry = series_cache_at(&c, i);
        cr_assert(entry && hash128_eq(entry->key, key_of(i)));
    }
    cr_assert_eq(c.young.n, SERIES);
    cr_assert_eq(c.old.n, 0);
    for (uint64_t i = 0; i < 2 * SERIES; i++)
        cr_assert_eq(has(&c, i), i < SERIES);
    series_cache_deinit(&c);
}
