// The reversible property: libsnappy and libzstd read back the text, also after the holes were
// changed.
#include <criterion/criterion.h>
#include <zstd.h>

#include "engine/base/mem.h"
#include "engine/base/rng.h"
#include "engine/base/util.h"
#include "protocol/snappy_block.h"
#include "tools/loadgen/holey_snappy.h"
#include "tools/loadgen/holey_zstd.h"

enum { SEEDS = 300, TEXT_MAX = 300000, HOLES_MAX = 4000 };

struct trial {
    struct rng rng;
    char *text;
    size_t n, holes_n;
    struct hole holes[HOLES_MAX];
};

static void fill(struct trial *t)
{
    static const size_t sizes[] = {0, 1, 3, 4, 60, 61, 256, 257, 5000, 70000, 140000, TEXT_MAX};
    t->n = sizes[rng_below(&t->rng, countof(sizes))];
    const uint64_t variety = 1 + rng_below(&t->rng, 40);
    for (size_t i = 0; i < t->n; i++) {
        const size_t back = 1 + rng_below(&t->rng, 300);
        const bool repeats = i >= back + 50 && rng_below(&t->rng, 8) == 0;
        const size_t run = repeats ? 50 : 1;
        for (size_t k = 0; k < run && i + k < t->n; k++)
            t->text[i + k] = repeats ? t->text[i + k - back] : (char)rng_below(&t->rng, variety);
        i += run - 1;
    }
    t->holes_n = 0;
    const uint64_t gap = 1 + rng_below(&t->rng, 200);
    size_t at = rng_below(&t->rng, gap);
    while (t->holes_n < HOLES_MAX) {
        struct hole h = {
            .at = (uint32_t)at, .n = 1 + (uint32_t)rng_below(&t->rng, 60), .same_as = HOLE_NONE};
        const size_t other = rng_below(&t->rng, t->holes_n + 1);
        if (other < t->holes_n && t->holes[other].same_as == HOLE_NONE) {
            h.same_as = (uint32_t)other;
            h.n = t->holes[other].n;
        }
        if (at + h.n > t->n)
            break;
        if (h.same_as != HOLE_NONE)
            memcpy(t->text + at, t->text + t->holes[other].at, h.n);
        t->holes[t->holes_n++] = h;
        at += h.n + rng_below(&t->rng, gap);
    }
}

static const struct way {
    const char *name;
    void (*compress)(struct str text, struct hole *holes, size_t holes_n, struct buf *out);
    bool is_zstd;
} ways[] = {{"snappy", holey_snappy_compress, false}, {"zstd", holey_zstd_compress, true}};

static err decompress(const struct way *w, struct str block, struct buf *out)
{
    if (!w->is_zstd)
        return snappy_block_decompress(block, TEXT_MAX, out, NULL);
    const size_t n = ZSTD_decompress(buf_reserve(out, TEXT_MAX), TEXT_MAX, block.p, block.n);
    if (ZSTD_isError(n))
        return ERR_CORRUPT;
    out->n = n;
    return ERR_OK;
}

static bool reads_back(const struct way *w, const struct trial *t, const struct buf *block)
{
    struct buf text = {0};
    const bool same = decompress(w, buf_str(block), &text) == ERR_OK &&
                      str_eq(buf_str(&text), str_make(t->text, t->n));
    buf_deinit(&text);
    return same;
}

// Other bytes for each hole, in the text and in the block.
static void change(struct trial *t, struct buf *block)
{
    for (size_t i = 0; i < t->holes_n; i++) {
        const struct hole *const h = &t->holes[i];
        if (h->same_as != HOLE_NONE)
            memcpy(t->text + h->at, t->text + t->holes[h->same_as].at, h->n);
        for (size_t k = 0; h->same_as == HOLE_NONE && k < h->n; k++)
            t->text[h->at + k] = (char)rng_below(&t->rng, 256);
        if (h->out_at != HOLE_NONE)
            memcpy(block->p + h->out_at, t->text + h->at, h->n);
    }
}

Test(holey, holes_can_be_changed)
{
    struct trial *const t = mem_alloc(sizeof *t);
    t->text = mem_alloc(TEXT_MAX);
    for (uint64_t seed = 0; seed < SEEDS * countof(ways); seed++) {
        const struct way *const w = &ways[seed % countof(ways)];
        struct buf block = {0};
        buf_put_str(&block, STR("in front"));
        rng_init(&t->rng, seed / countof(ways));
        fill(t);
        struct buf made = {0};
        w->compress(str_make(t->text, t->n), t->holes, t->holes_n, &made);
        w->compress(str_make(t->text, t->n), t->holes, t->holes_n, &block); // behind what is there
        cr_assert_eq(memcmp(made.p, block.p + 8, made.n), 0);
        cr_assert(reads_back(w, t, &made), "%s %llu", w->name, (unsigned long long)seed);
        for (int round = 0; round < 2; round++) {
            change(t, &made);
            cr_assert(reads_back(w, t, &made), "%s %llu, changed", w->name,
                      (unsigned long long)seed);
        }
        buf_deinit(&block);
        buf_deinit(&made);
    }
    mem_free(t->text);
    mem_free(t);
}

Test(holey, repeats_are_copies)
{
    for (size_t i = 0; i < countof(ways); i++) {
        struct buf text = {0}, block = {0};
        for (int k = 0; k < 1000; k++)
            buf_put_str(&text, STR("the same line of text again\n"));
        ways[i].compress(buf_str(&text), NULL, 0, &block);
        cr_assert_lt(block.n, text.n / 15); // snappy: 3 bytes for each 64
        buf_deinit(&text);
        buf_deinit(&block);
    }
}
