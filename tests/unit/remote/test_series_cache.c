#include "engine/remote/series_cache.h"

#include <criterion/criterion.h>

static struct hash128 key_of(uint64_t i)
{
    return hash128(&i, sizeof i, 1);
}

static bool has(struct series_cache *c, uint64_t i)
{
    struct series_place place;
    if (!series_cache_get(c, key_of(i), &place))
        return false;
    cr_assert_eq(place.ref, i + 1);
    cr_assert_eq(place.owner, (uint32_t)i % 7);
    return true;
}

static void put(struct series_cache *c, uint64_t i)
{
    series_cache_put(c, key_of(i), &(struct series_place){i + 1, (uint32_t)i % 7});
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
    series_cache_put(&c, key_of(950), &(struct series_place){7, 1}); // another place now
    struct series_place place;
    cr_assert(series_cache_get(&c, key_of(950), &place) && place.ref == 7 && place.owner == 1);
    series_cache_deinit(&c);
}
