#include "engine/tsdb/block_bitmap.h"

#include <string.h>

bool bitmap_init(struct bitmap *b, struct arena *a, size_t n, bool full)
{
    const size_t words = n / 64 + 1;
    b->words = arena_try(a, words, sizeof *b->words, _Alignof(uint64_t));
    b->n = n;
    b->is_any = false;
    if (b->words)
        memset(b->words, full ? 0xff : 0, words * sizeof *b->words);
    return b->words;
}

size_t bitmap_count(const struct bitmap *b)
{
    size_t count = 0;
    for (size_t i = 0; i < b->n / 64; i++)
        count += (size_t)__builtin_popcountll(b->words[i]);
    const uint64_t rest = ((uint64_t)1 << (b->n % 64)) - 1; // a full one has bits behind its end
    return count + (size_t)__builtin_popcountll(b->words[b->n / 64] & rest);
}

void bitmap_clear(struct bitmap *b)
{
    memset(b->words, 0, (b->n / 64 + 1) * sizeof *b->words);
    b->is_any = false;
}

uint32_t bitmap_next(const struct bitmap *b, uint32_t from, uint32_t end)
{
    while (from < end) {
        const uint64_t word = b->words[from / 64] >> (from % 64);
        if (word) {
            const uint32_t at = from + (uint32_t)__builtin_ctzll(word);
            return at < end ? at : end;
        }
        from = (from / 64 + 1) * 64;
    }
    return end;
}

void bitmap_set_run(struct bitmap *b, size_t from, size_t length)
{
    b->is_any = true;
    for (size_t i = from; i < from + length;) {
        if (i % 64 == 0 && from + length - i >= 64) {
            b->words[i / 64] = UINT64_MAX;
            i += 64;
        } else {
            b->words[i / 64] |= (uint64_t)1 << (i % 64);
            i++;
        }
    }
}

void bitmap_keep(struct bitmap *b, const struct bitmap *other, bool negated)
{
    for (size_t i = 0; i <= b->n / 64; i++)
        b->words[i] &= negated ? ~other->words[i] : other->words[i];
}
