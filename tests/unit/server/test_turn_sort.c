// A sort that gives way: the order and stability of a merge sort, whatever the size.
#include <criterion/criterion.h>
#include <stdlib.h>

#include "engine/base/util.h"
#include "engine/server/turn_sort.h"
#include "tests/lib/findings.h"
#include "tests/lib/in_loop.h"

struct pair {
    unsigned key, place;
};

static int compare(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    return (x->key > y->key) - (x->key < y->key);
}

static void run(void *arg)
{
    static const size_t sizes[] = {0, 1, 2, 255, 256, 257, 511, 512, 513, 1000, 4096, 100000};
    struct findings *found = arg;
    unsigned state = 1;
    for (size_t i = 0; i < countof(sizes); i++) {
        struct pair *pairs = calloc(sizes[i] + 1, sizeof *pairs);
        for (size_t k = 0; k < sizes[i]; k++) {
            state = state * 1664525 + 1013904223;
            pairs[k] = (struct pair){(state >> 8) % 1000, (unsigned)k};
        }
        turn_sort(pairs, sizes[i], sizeof *pairs, compare);
        for (size_t k = 1; k < sizes[i]; k++)
            want(found,
                 pairs[k - 1].key < pairs[k].key ||
                     (pairs[k - 1].key == pairs[k].key && pairs[k - 1].place < pairs[k].place),
                 "%zu of %zu", k, sizes[i]);
        free(pairs);
    }
}

Test(turn_sort, order)
{
    static struct findings found;
    in_loop(IN_LOOP_POLL, run, &found);
    cr_assert_str_eq(found.text, "", "%s", found.text);
}
