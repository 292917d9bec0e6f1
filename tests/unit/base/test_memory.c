#include <criterion/criterion.h>

#include "engine/base/arena.h"
#include "engine/base/heap.h"
#include "engine/base/list.h"
#include "engine/base/mem.h"
#include "engine/base/pool.h"
#include "engine/base/rng.h"

Test(arena, keeps_what_it_gave_and_honours_its_limit)
{
    struct arena a;
    arena_init(&a, 1 << 20);
    char *parts[1000];
    for (size_t i = 0; i < 1000; i++) {
        parts[i] = arena_alloc(&a, i % 50 + 1, 8);
        cr_assert_eq((uintptr_t)parts[i] % 8, 0);
        memset(parts[i], (int)(i & 0xff), i % 50 + 1);
    }
    for (size_t i = 0; i < 1000; i++)
        for (size_t k = 0; k <= i % 50; k++)
            cr_assert_eq((unsigned char)parts[i][k], i & 0xff);
    cr_assert_null(arena_try(&a, 2, 1 << 20, 1));
    cr_assert_null(arena_try(&a, SIZE_MAX / 2, 3, 1));
    arena_reset(&a);
    cr_assert_not_null(arena_try(&a, 1, 1 << 19, 1));
    cr_assert_eq(arena_printf(&a, "%d-%s", 7, "x").n, 3);
    arena_deinit(&a);
}

Test(arena, gives_memory_beside_it_even_for_nothing)
{
    struct arena a;
    arena_init(&a, 100);
    size_t capacity = 0;
    char *p = arena_mem_grow(&a, NULL, &capacity, 0, 1); // NULL would say that there is none
    cr_assert_not_null(p);
    p = arena_mem_grow(&a, p, &capacity, 60, 1);
    cr_assert_not_null(p);
    cr_assert_null(arena_mem_grow(&a, p, &capacity, 101, 1));
    arena_mem_free(&a, p, capacity, 1);
    cr_assert_eq(arena_left(&a), 100);
    arena_deinit(&a);
}

Test(arena, shares_a_budget_and_gives_it_back)
{
    struct arena_budget budget = {.limit_bytes = 1 << 20};
    struct arena a, b, beside;
    arena_init_within(&a, &budget);
    arena_init_within(&b, &budget);
    cr_assert_not_null(arena_try(&a, 1, 600 << 10, 1));
    cr_assert_null(arena_try(&b, 1, 600 << 10, 1));
    cr_assert_not_null(arena_try(&b, 1, 300 << 10, 1));
    cr_assert(arena_left(&a) < 150 << 10);
    cr_assert_eq(arena_left(&a), arena_left(&b));
    arena_init_beside(&beside, &b);
    cr_assert_null(arena_try(&beside, 1, 300 << 10, 1));
    cr_assert_not(arena_is_over(&a));
    arena_alloc(&beside, 300 << 10, 1);
    cr_assert(arena_is_over(&a) && arena_is_over(&b) && arena_is_over(&beside));
    cr_assert_eq(arena_left(&a), 0);
    arena_deinit(&beside);
    cr_assert_not(arena_is_over(&a));
    arena_deinit(&a);
    while (arena_drop_block(&b))
        ;
    cr_assert_not_null(arena_try(&b, 1, 900 << 10, 1));
    arena_deinit(&b);
    cr_assert_eq(budget.used_bytes, 0);
}

Test(arena, budgets_are_parts_of_one)
{
    struct arena_budget all = {.limit_bytes = 1 << 20};
    struct arena_budget one = {.limit_bytes = 1 << 20, .all = &all}, two = {.all = &all};
    struct arena a, b;
    arena_init_within(&a, &one);
    arena_init_within(&b, &two);
    cr_assert_not_null(arena_try(&a, 1, 700 << 10, 1));
    cr_assert_null(arena_try(&b, 1, 700 << 10, 1));
    cr_assert(two.all_is_used && !one.all_is_used);
    cr_assert(arena_left(&b) < 400 << 10);
    all.limit_bytes = 500 << 10; // it shrank meanwhile
    cr_assert(arena_is_over(&a) && one.all_is_used);
    cr_assert_eq(arena_left(&b), 0);
    arena_deinit(&a);
    cr_assert_not_null(arena_try(&b, 1, 400 << 10, 1));
    arena_deinit(&b);
    cr_assert_eq(all.used_bytes, 0);
    cr_assert_eq(one.used_bytes, 0);
    cr_assert_eq(two.used_bytes, 0);
}

Test(pool, reuses)
{
    struct pool p;
    pool_init(&p, 24);
    void *objects[5000];
    for (size_t i = 0; i < 5000; i++)
        memset(objects[i] = pool_alloc(&p), 1, 24);
    for (size_t i = 0; i < 5000; i++)
        pool_free(&p, objects[i]);
    cr_assert_eq(p.live, 0);
    void *again = pool_alloc(&p);
    cr_assert_eq(again, objects[4999]);
    pool_deinit(&p);
}

Test(heap, yields_in_order_whatever_is_removed)
{
    struct rng rng;
    rng_init(&rng, 3);
    struct heap h = {0};
    struct heap_node nodes[500];
    for (size_t i = 0; i < 500; i++) {
        heap_node_init(&nodes[i]);
        heap_insert(&h, &nodes[i], (int64_t)rng_below(&rng, 100));
    }
    for (size_t i = 0; i < 500; i += 3)
        heap_remove(&h, &nodes[i]);
    int64_t last = INT64_MIN;
    size_t count = 0;
    for (struct heap_node *n; (n = heap_pop(&h)); count++) {
        cr_assert_geq(n->key, last);
        last = n->key;
    }
    cr_assert_eq(count, 333);
    heap_deinit(&h);
}
