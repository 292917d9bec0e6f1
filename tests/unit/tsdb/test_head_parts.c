// The pieces the head is made of, each against something simpler.
#include <criterion/criterion.h>

#include "engine/base/bits.h"
#include "engine/base/mem.h"
#include "engine/base/rng.h"
#include "engine/base/util.h"
#include "engine/model/value.h"
#include "engine/tsdb/id_table.h"
#include "engine/tsdb/posting.h"
#include "engine/tsdb/series_values.h"

static uint64_t hash_of(uint32_t id, uint64_t spread)
{
    return (id % spread) * 0x9e3779b97f4a7c15u;
}

static bool has_id(const struct id_table *t, uint32_t id, uint64_t spread)
{
    struct id_probe probe = id_table_probe(t, hash_of(id, spread));
    uint32_t found;
    while ((found = id_table_next(t, &probe)) != ID_TABLE_NONE) {
        if (found == id)
            return true;
    }
    return false;
}

Test(head_parts, id_table_holds_what_was_put_in)
{
    enum { IDS = 20000 };
    static const uint64_t spreads[] = {IDS, 3000}; // all hashes differ; seven ids a hash
    for (size_t k = 0; k < countof(spreads); k++) {
        struct id_table t = {0};
        struct rng rng;
        rng_init(&rng, 5);
        bool *in = mem_zalloc(IDS);
        for (size_t i = 0; i < 100000; i++) {
            const uint32_t id = (uint32_t)rng_below(&rng, i < 60000 ? IDS : IDS / 8);
            cr_assert_eq(has_id(&t, id, spreads[k]), in[id], "step %zu id %u", i, id);
            if (in[id])
                id_table_remove(&t, hash_of(id, spreads[k]), id);
            else
                id_table_insert(&t, hash_of(id, spreads[k]), id);
            in[id] = !in[id];
        }
        size_t n = 0;
        for (uint32_t id = 0; id < IDS; id++) {
            cr_assert_eq(has_id(&t, id, spreads[k]), in[id]);
            n += in[id];
        }
        cr_assert_eq(t.n, n);
        mem_free(in);
        id_table_deinit(&t);
    }
}

Test(head_parts, posting_is_a_set)
{
    enum { IDS = 400 };
    struct rng rng;
    rng_init(&rng, 9);
    for (size_t round = 0; round < 20; round++) {
        struct posting p = {0};
        bool in[IDS] = {false};
        for (size_t i = 0; i < 50 * round; i++) {
            const uint32_t id = (uint32_t)rng_below(&rng, 20 * (round + 1));
            if (in[id])
                posting_remove(&p, id);
            else
                posting_add(&p, id);
            in[id] = !in[id];
        }
        roaring_bitmap_t *all = roaring_bitmap_create();
        posting_union(&p, all);
        for (uint32_t id = 0; id < IDS; id++)
            cr_assert_eq(roaring_bitmap_contains(all, id), in[id], "round %zu id %u", round, id);
        cr_assert_eq(roaring_bitmap_get_cardinality(all), p.n);
        roaring_bitmap_free(all);
        posting_deinit(&p);
    }
}

static uint64_t value_of(struct rng *rng, size_t kind, double *state)
{
    static const uint64_t odd[] = {
        VALUE_STALE_BITS, 0x8000000000000000u, 0x7ff8000000000001u, 0, 0x7ff0000000000000u, 1};
    switch (kind) {
    case 0:
        return bits_from_double(*state += (double)rng_below(rng, 3) * 1e5);
    case 1:
        return bits_from_double((double)rng_below(rng, 100000) / 1000);
    case 2:
        return rng_u64(rng);
    case 3:
        return odd[rng_below(rng, countof(odd))];
    case 4:
        return bits_from_double(*state += (double)rng_below(rng, 1ull << 40));
    default:
        return bits_from_double(rng_below(rng, 30) ? *state : (*state += 0.5));
    }
}

enum { VALUES = 700, KINDS = 6 };

static void check_values(const struct series_values *v, const uint32_t *slots, const uint64_t *bits,
                         size_t n, uint32_t from, uint32_t to)
{
    static uint32_t got_slots[VALUES * 1200];
    static uint64_t got_bits[VALUES * 1200];
    const size_t got = series_values_decode(v, from, to, got_slots, got_bits);
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (slots[i] < from || slots[i] >= to)
            continue;
        cr_assert_lt(at, got);
        cr_assert_eq(got_slots[at], slots[i]);
        cr_assert_eq(got_bits[at], bits[i], "slot %u: %llx, wanted %llx", slots[i],
                     (unsigned long long)got_bits[at], (unsigned long long)bits[i]);
        at++;
    }
    cr_assert_eq(at, got);
}

Test(head_parts, values_read_back)
{
    for (size_t kind = 0; kind < KINDS * 4; kind++) {
        struct rng rng;
        rng_init(&rng, kind);
        struct series_values v = {0};
        uint32_t slots[VALUES], slot = 5;
        uint64_t bits[VALUES];
        double state = 1000;
        size_t blocks = 0;
        for (size_t i = 0; i < VALUES; i++) {
            slots[i] = slot;
            bits[i] =
                value_of(&rng, kind < KINDS * 3 ? kind % KINDS : rng_below(&rng, KINDS), &state);
            blocks += series_values_append(&v, slot, bits[i]);
            cr_assert_eq(blocks, series_values_blocks(&v));
            slot += 1 + (kind / KINDS == 1 ? (uint32_t)rng_below(&rng, 3)
                         : kind / KINDS == 2 && rng_below(&rng, 30) == 0
                             ? (uint32_t)rng_below(&rng, 70000) % 1000
                             : 0);
        }
        check_values(&v, slots, bits, VALUES, 0, UINT32_MAX);
        check_values(&v, slots, bits, VALUES, slots[100], slots[130]);
        check_values(&v, slots, bits, VALUES, slots[VALUES - 3], slots[VALUES - 1]);
        cr_assert_eq(series_values_first(&v), 5);
        for (size_t i = 0; i < VALUES; i += 7) {
            uint64_t one = 0;
            cr_assert(series_values_at(&v, slots[i], &one) && one == bits[i]);
            const bool next = i + 1 < VALUES && slots[i + 1] == slots[i] + 1;
            cr_assert_eq(series_values_at(&v, slots[i] + 1, &one), next);
        }
        blocks -= series_values_release(&v, slots[500]);
        cr_assert_eq(blocks, series_values_blocks(&v));
        check_values(&v, slots, bits, VALUES, slots[500], UINT32_MAX);
        cr_assert_eq(series_values_release(&v, UINT32_MAX), blocks);
        cr_assert(series_values_is_empty(&v));
    }
}
