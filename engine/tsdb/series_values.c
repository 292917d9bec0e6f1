// Blocks of up to 32 values, or one run.
//
// A DELTA block holds int32 differences to a base mantissa at a decimal scale: the value is
// (base + difference) / 10^scale, accepted only when that gives back the same bits. Slots are
// first_slot, first_slot + 1, ... unless GAPS is set; then a 16-bit offset for each value stands
// behind the array. Arrays grow by doubling.
#include "engine/tsdb/series_values.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "engine/base/bits.h"
#include "engine/base/mem.h"

enum block_kind { BLOCK_RUN, BLOCK_DELTA, BLOCK_RAW };

enum {
    CAPACITY_MIN = 4,
    RUN_MIN = 8,    // shorter runs are pushed as values
    REBASE_MIN = 8, // a block this long may end so that the next one has a nearer base
    SCALE_MAX = 9,
    OFFSET_MAX = UINT16_MAX,
};

struct value_block {
    struct value_block *prev;
    int64_t base; // of DELTA: a mantissa; of RUN: the bits
    uint32_t first_slot;
    uint8_t n, capacity; // of RUN: unused, the count stands in data
    uint8_t kind;        // enum block_kind
    uint8_t scale : 7;
    uint8_t gaps : 1;
    unsigned char data[];
};
static_assert(sizeof(struct value_block) == 24, "24 bytes before the values");

static const double POWERS[SCALE_MAX + 1] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
static const int64_t INT_POWERS[SCALE_MAX + 1] = {1,      10,      100,      1000,      10000,
                                                  100000, 1000000, 10000000, 100000000, 1000000000};
static const double MANTISSA_MAX = 9007199254740992.0; // 2^53

// The mantissa of v at this scale, when dividing gives back the same bits.
static bool mantissa_at(double v, unsigned scale, int64_t *out)
{
    const double scaled = v * POWERS[scale];
    if (!(fabs(scaled) < MANTISSA_MAX))
        return false;
    const int64_t m = (int64_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    if (bits_from_double((double)m / POWERS[scale]) != bits_from_double(v))
        return false; // also -0.0, whose sign no integer has
    *out = m;
    return true;
}

static bool find_decimal(double v, int64_t *out, unsigned *out_scale)
{
    for (unsigned scale = 0; scale <= SCALE_MAX; scale++) {
        if (mantissa_at(v, scale, out)) {
            *out_scale = scale;
            return true;
        }
    }
    return false;
}

static size_t width_of(const struct value_block *b)
{
    return b->kind == BLOCK_RAW ? 8 : 4;
}

static size_t size_of(const struct value_block *b, size_t capacity)
{
    if (b->kind == BLOCK_RUN)
        return sizeof *b + 8;
    return sizeof *b + capacity * (width_of(b) + (b->gaps ? 2 : 0));
}

static unsigned char *offsets_of(struct value_block *b)
{
    return b->data + b->capacity * width_of(b);
}

static uint32_t slot_at(const struct value_block *b, size_t i)
{
    if (!b->gaps)
        return b->first_slot + (uint32_t)i;
    return b->first_slot + load_le16(b->data + b->capacity * width_of(b) + 2 * i);
}

static uint32_t run_count(const struct value_block *b)
{
    return load_le32(b->data);
}

static uint32_t block_end(const struct value_block *b) // one behind the last slot
{
    return b->kind == BLOCK_RUN ? b->first_slot + run_count(b) : slot_at(b, b->n - 1u) + 1;
}

static uint64_t value_at(const struct value_block *b, size_t i)
{
    if (b->kind == BLOCK_RAW)
        return load_le64(b->data + 8 * i);
    const int64_t m = b->base + (int32_t)load_le32(b->data + 4 * i);
    return bits_from_double((double)m / POWERS[b->scale]);
}

// A block of another layout with the same values; the old one is freed.
static struct value_block *rebuild(struct value_block *old, uint8_t kind, bool gaps,
                                   size_t capacity)
{
    struct value_block head = *old;
    head.kind = kind;
    head.gaps = gaps;
    head.capacity = (uint8_t)capacity;
    struct value_block *b = mem_alloc(size_of(&head, capacity));
    *b = head;
    for (size_t i = 0; i < old->n; i++) {
        if (kind == BLOCK_RAW)
            store_le64(b->data + 8 * i, value_at(old, i));
        else
            store_le32(b->data + 4 * i, load_le32(old->data + 4 * i));
        if (gaps)
            store_le16(offsets_of(b) + 2 * i, (uint16_t)(slot_at(old, i) - old->first_slot));
    }
    mem_free(old);
    return b;
}

// Brings a DELTA block to a finer scale, when all its values fit there.
static bool rescale(struct value_block *b, unsigned scale)
{
    const int64_t factor = INT_POWERS[scale - b->scale];
    int64_t base;
    if (__builtin_mul_overflow(b->base, factor, &base) || !(fabs((double)base) < MANTISSA_MAX))
        return false;
    for (size_t i = 0; i < b->n; i++) {
        const int64_t delta = (int64_t)(int32_t)load_le32(b->data + 4 * i) * factor;
        if (delta != (int32_t)delta || !(fabs((double)(base + delta)) < MANTISSA_MAX))
            return false;
    }
    for (size_t i = 0; i < b->n; i++) {
        const int64_t delta = (int64_t)(int32_t)load_le32(b->data + 4 * i) * factor;
        store_le32(b->data + 4 * i, (uint32_t)(int32_t)delta);
    }
    b->base = base;
    b->scale = scale & 0x7f;
    return true;
}

// The difference that stands for bits in b, a DELTA block, which may change its scale.
static bool fit_delta(struct value_block *b, uint64_t bits, int32_t *out)
{
    const double v = double_from_bits(bits);
    int64_t m;
    unsigned scale;
    if (!mantissa_at(v, b->scale, &m)) {
        if (!find_decimal(v, &m, &scale) || scale < b->scale || !rescale(b, scale))
            return false;
    }
    const int64_t delta = m - b->base;
    *out = (int32_t)delta;
    return delta == *out;
}

static struct value_block *new_block(struct value_block *prev, uint32_t slot, uint64_t bits)
{
    struct value_block head = {.prev = prev, .first_slot = slot, .capacity = CAPACITY_MIN};
    unsigned scale = 0;
    int64_t m = 0;
    head.kind = find_decimal(double_from_bits(bits), &m, &scale) ? BLOCK_DELTA : BLOCK_RAW;
    head.base = head.kind == BLOCK_DELTA ? m : 0;
    head.scale = scale & 0x7f;
    struct value_block *b = mem_alloc(size_of(&head, CAPACITY_MIN));
    *b = head;
    return b;
}

// Makes room for one more value at slot in the newest block; false: a new block is needed.
static bool make_room(struct value_block **at, uint32_t slot)
{
    struct value_block *b = *at;
    if (!b || b->kind == BLOCK_RUN || b->n == BLOCK_VALUES || slot - b->first_slot > OFFSET_MAX)
        return false;
    const bool gaps = b->gaps || slot != b->first_slot + b->n;
    const size_t capacity = b->n == b->capacity ? b->capacity * 2u : b->capacity;
    if (gaps != b->gaps || capacity != b->capacity)
        *at = rebuild(b, b->kind, gaps, capacity);
    return true;
}

static void push(struct series_values *v, uint32_t slot, uint64_t bits)
{
    if (!make_room(&v->blocks, slot))
        v->blocks = new_block(v->blocks, slot, bits);
    int32_t delta = 0;
    if (v->blocks->kind == BLOCK_DELTA && !fit_delta(v->blocks, bits, &delta)) {
        if (v->blocks->n >= REBASE_MIN) {
            v->blocks = new_block(v->blocks, slot, bits);
            delta = 0;
        } else {
            struct value_block *b = v->blocks;
            v->blocks = rebuild(b, BLOCK_RAW, b->gaps, b->capacity);
        }
    }
    struct value_block *b = v->blocks;
    if (b->kind == BLOCK_RAW)
        store_le64(b->data + 8 * b->n, bits);
    else
        store_le32(b->data + 4 * b->n, (uint32_t)delta);
    if (b->gaps)
        store_le16(offsets_of(b) + 2 * b->n, (uint16_t)(slot - b->first_slot));
    b->n++;
}

static void push_run(struct series_values *v)
{
    const uint32_t count = v->run_end - v->run_first;
    if (count < RUN_MIN) {
        for (uint32_t slot = v->run_first; slot < v->run_end; slot++)
            push(v, slot, v->last_bits);
        return;
    }
    struct value_block *b = mem_alloc(sizeof *b + 8);
    *b = (struct value_block){.prev = v->blocks,
                              .base = (int64_t)v->last_bits,
                              .first_slot = v->run_first,
                              .kind = BLOCK_RUN};
    store_le64(b->data, count);
    v->blocks = b;
}

// The common push: the newest block has room for the difference of the value, and goes on at slot.
// False: nothing is done.
static bool push_next(struct value_block *b, uint32_t slot, uint64_t bits)
{
    int64_t m;
    if (!b || b->kind != BLOCK_DELTA || b->gaps || b->n == b->capacity ||
        slot != b->first_slot + b->n || !mantissa_at(double_from_bits(bits), b->scale, &m))
        return false;
    const int64_t delta = m - b->base;
    if (delta != (int32_t)delta)
        return false;
    store_le32(b->data + 4 * b->n, (uint32_t)(int32_t)delta);
    b->n++;
    return true;
}

size_t series_values_append(struct series_values *v, uint32_t slot, uint64_t bits)
{
    assert(slot >= v->run_end && slot < UINT32_MAX);
    size_t gained = 0;
    if (v->run_first != v->run_end) {
        if (slot == v->run_end && bits == v->last_bits) {
            v->run_end++;
            return 0;
        }
        if (v->run_end - v->run_first != 1 || !push_next(v->blocks, v->run_first, v->last_bits)) {
            const bool had = v->blocks != NULL;
            const struct value_block *older = had ? v->blocks->prev : NULL;
            push_run(v);
            for (const struct value_block *b = v->blocks; b != older; b = b->prev)
                gained++;
            gained -= had; // the newest may have been rebuilt
        }
    }
    v->run_first = slot;
    v->run_end = slot + 1;
    v->last_bits = bits;
    return gained;
}

size_t series_values_append_gone(struct series_values *v, uint32_t slot, uint64_t bits)
{
    assert(slot >= v->run_end && slot < UINT32_MAX);
    const size_t before = series_values_blocks(v);
    push_run(v);
    v->run_first = v->run_end = slot + 1;
    v->last_bits = bits;
    return series_values_blocks(v) - before;
}

static size_t decode_run(uint32_t first, uint32_t end, uint64_t value, uint32_t from, uint32_t to,
                         uint32_t *slots, uint64_t *bits)
{
    const uint32_t a = first > from ? first : from, b = end < to ? end : to;
    for (uint32_t slot = a; slot < b; slot++) {
        slots[slot - a] = slot;
        bits[slot - a] = value;
    }
    return a < b ? b - a : 0;
}

static size_t decode_block(const struct value_block *b, uint32_t from, uint32_t to, uint32_t *slots,
                           uint64_t *bits)
{
    if (b->kind == BLOCK_RUN)
        return decode_run(b->first_slot, block_end(b), (uint64_t)b->base, from, to, slots, bits);
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        const uint32_t slot = slot_at(b, i);
        if (slot >= from && slot < to) {
            slots[n] = slot;
            bits[n++] = value_at(b, i);
        }
    }
    return n;
}

// Reverses the chain below *newest up to the blocks that end at or below from; the caller turns it
// back. So the blocks are walked oldest first without memory for their addresses.
static struct value_block *turn(struct value_block *b, uint32_t from, struct value_block **rest)
{
    struct value_block *newer = NULL;
    while (b && block_end(b) > from) {
        struct value_block *older = b->prev;
        b->prev = newer;
        newer = b;
        b = older;
    }
    *rest = b;
    return newer; // the oldest that counts
}

size_t series_values_decode(const struct series_values *v, uint32_t from, uint32_t to,
                            uint32_t *slots, uint64_t *bits)
{
    struct value_block *rest;
    struct value_block *b = turn(v->blocks, from, &rest);
    size_t n = 0;
    while (b) {
        n += decode_block(b, from, to, slots + n, bits + n);
        struct value_block *newer = b->prev;
        b->prev = rest;
        rest = b;
        b = newer;
    }
    assert(rest == v->blocks);
    return n + decode_run(v->run_first, v->run_end, v->last_bits, from, to, slots + n, bits + n);
}

bool series_values_at(const struct series_values *v, uint32_t slot, uint64_t *out_bits)
{
    uint32_t one;
    if (slot >= v->run_first && slot < v->run_end) {
        *out_bits = v->last_bits;
        return true;
    }
    for (const struct value_block *b = v->blocks; b && block_end(b) > slot; b = b->prev) {
        uint64_t bits[BLOCK_VALUES];
        if (b->first_slot <= slot && decode_block(b, slot, slot + 1, &one, bits)) {
            *out_bits = bits[0];
            return true;
        }
    }
    return false;
}

uint32_t series_values_first(const struct series_values *v)
{
    uint32_t first = v->run_first;
    for (const struct value_block *b = v->blocks; b; b = b->prev)
        first = b->first_slot;
    return first;
}

size_t series_values_release(struct series_values *v, uint32_t slot)
{
    size_t freed = 0;
    struct value_block **link = &v->blocks;
    while (*link && block_end(*link) > slot)
        link = &(*link)->prev;
    struct value_block *b = *link;
    *link = NULL;
    while (b) {
        struct value_block *older = b->prev;
        freed++;
        mem_free(b);
        b = older;
    }
    if (v->run_first < slot)
        v->run_first = slot < v->run_end ? slot : v->run_end;
    return freed;
}

size_t series_values_blocks(const struct series_values *v)
{
    size_t n = 0;
    for (const struct value_block *b = v->blocks; b; b = b->prev)
        n++;
    return n;
}
