#include "engine/base/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/base/bits.h"
#include "engine/base/mem.h"

enum { BLOCK_MIN = 4096, BLOCK_MAX = 1 << 20 };

struct arena_block {
    struct arena_block *next;
    size_t size; // of the whole block
    _Alignas(max_align_t) char bytes[];
};

void arena_init(struct arena *a, size_t limit_bytes)
{
    *a = (struct arena){.limit_bytes = limit_bytes};
}

void arena_init_within(struct arena *a, struct arena_budget *budget)
{
    *a = (struct arena){.budget = budget};
}

void arena_init_beside(struct arena *a, const struct arena *other)
{
    *a = (struct arena){.limit_bytes = other->limit_bytes, .budget = other->budget};
}

static void give_back(struct arena *a, size_t size)
{
    a->used_bytes -= size;
    for (struct arena_budget *b = a->budget; b; b = b->all)
        atomic_fetch_sub_explicit(&b->used_bytes, size, memory_order_relaxed);
}

static void free_block(struct arena *a, struct arena_block *block)
{
    give_back(a, block->size);
    mem_unpoison(block->bytes, block->size - sizeof *block);
    mem_free(block);
}

void arena_deinit(struct arena *a)
{
    for (struct arena_block *block = a->blocks, *next; block; block = next) {
        next = block->next;
        free_block(a, block);
    }
    arena_init_beside(a, a);
}

bool arena_drop_block(struct arena *a)
{
    struct arena_block *block = a->blocks;
    a->at = a->end = NULL;
    if (!block)
        return false;
    a->blocks = block->next;
    free_block(a, block);
    return true;
}

static void open_block(struct arena *a, struct arena_block *block)
{
    a->at = block->bytes;
    a->end = (char *)block + block->size;
    mem_poison(a->at, (size_t)(a->end - a->at));
}

void arena_reset(struct arena *a)
{
    struct arena_block *keep = NULL;
    for (struct arena_block *block = a->blocks, *next; block; block = next) {
        next = block->next;
        if (!keep && block->size <= BLOCK_MAX)
            keep = block;
        else
            free_block(a, block);
    }
    arena_init_beside(a, a);
    a->blocks = keep;
    if (keep) {
        keep->next = NULL;
        a->used_bytes = keep->size;
        open_block(a, keep);
    }
}

// The free bytes of the newest block, aligned, or NULL when size does not fit.
static void *take(struct arena *a, size_t size, size_t align)
{
    const uintptr_t at = (uintptr_t)a->at;
    const uintptr_t start = (at + align - 1) & ~(uintptr_t)(align - 1);
    if (!a->at || start > (uintptr_t)a->end || size > (uintptr_t)a->end - start)
        return NULL;
    char *p = a->at + (start - at);
    a->at = p + size;
    mem_unpoison(p, size);
    return p;
}

static size_t left_of(size_t limit, size_t used)
{
    return !limit ? SIZE_MAX : limit > used ? limit - used : 0;
}

static size_t load(const _Atomic(size_t) *p)
{
    return atomic_load_explicit(p, memory_order_relaxed);
}

static size_t left_of_budget(const struct arena_budget *b)
{
    return b ? left_of(load(&b->limit_bytes), load(&b->used_bytes)) : SIZE_MAX;
}

size_t arena_left(const struct arena *a)
{
    size_t left = left_of(a->limit_bytes, a->used_bytes);
    for (const struct arena_budget *b = a->budget; b; b = b->all) {
        const size_t of_budget = left_of_budget(b);
        left = of_budget < left ? of_budget : left;
    }
    return left;
}

bool arena_is_over(const struct arena *a)
{
    if (a->limit_bytes && a->used_bytes > a->limit_bytes)
        return true;
    for (struct arena_budget *b = a->budget; b; b = b->all) {
        const size_t limit = load(&b->limit_bytes);
        if (!limit || load(&b->used_bytes) <= limit)
            continue;
        if (b != a->budget)
            atomic_store_explicit(&a->budget->all_is_used, true, memory_order_relaxed);
        return true;
    }
    return false;
}

// Takes want bytes from the limits, or what they leave, if that is at least need; else 0. What all
// may take is looked at, then counted: by a block a shard it may be passed.
static size_t charge(struct arena *a, size_t need, size_t want, bool limited)
{
    struct arena_budget *const b = a->budget, *const all = b ? b->all : NULL;
    const size_t of_all = limited ? left_of_budget(all) : SIZE_MAX;
    size_t own = limited ? left_of(a->limit_bytes, a->used_bytes) : SIZE_MAX;
    size_t used = b ? load(&b->used_bytes) : 0, take;
    if (need > of_all)
        atomic_store_explicit(&b->all_is_used, true, memory_order_relaxed);
    own = own < of_all ? own : of_all;
    do {
        size_t left = limited && b ? left_of(load(&b->limit_bytes), used) : SIZE_MAX;
        left = own < left ? own : left;
        if (need > left)
            return 0;
        take = want < left ? want : left;
    } while (b &&
             !atomic_compare_exchange_weak_explicit(&b->used_bytes, &used, used + take,
                                                    memory_order_relaxed, memory_order_relaxed));
    if (all)
        atomic_fetch_add_explicit(&all->used_bytes, take, memory_order_relaxed);
    a->used_bytes += take;
    return take;
}

// Needs a new block of at least size; false when the limit forbids it.
static bool grow(struct arena *a, size_t size, size_t align, bool limited)
{
    size_t want = a->blocks ? a->blocks->size * 2 : BLOCK_MIN;
    if (want > BLOCK_MAX)
        want = BLOCK_MAX;
    size_t need;
    if (__builtin_add_overflow(size, sizeof(struct arena_block) + align, &need))
        return false;
    if (want < need)
        want = need;
    want = charge(a, need, want, limited);
    if (!want)
        return false;
    struct arena_block *block = mem_alloc(want);
    *block = (struct arena_block){.next = a->blocks, .size = want};
    a->blocks = block;
    open_block(a, block);
    return true;
}

void *arena_alloc(struct arena *a, size_t size, size_t align)
{
    assert(is_power_of_two(align));
    void *p = take(a, size, align);
    if (!p) {
        const bool grown = grow(a, size, align, false);
        assert(grown);
        p = take(a, size, align);
        assert(p);
    }
    return p;
}

void *arena_try(struct arena *a, size_t count, size_t size, size_t align)
{
    assert(is_power_of_two(align));
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    void *p = take(a, total, align);
    if (!p && grow(a, total, align, true))
        p = take(a, total, align);
    return p;
}

void *arena_zalloc(struct arena *a, size_t size, size_t align)
{
    return memset(arena_alloc(a, size, align), 0, size);
}

void *arena_try_zeroed(struct arena *a, size_t count, size_t size, size_t align)
{
    void *p = arena_try(a, count, size, align);
    return p ? memset(p, 0, count * size) : NULL;
}

void *arena_mem_grow(struct arena *a, void *p, size_t *capacity, size_t need, size_t size)
{
    size_t to = *capacity, bytes;
    if (p && need <= to)
        return p;
    to = to + to / 2 < need ? need + 8 : to + to / 2;
    to = to ? to : 8; // nothing at all would read as a refusal
    if (__builtin_mul_overflow(to, size, &bytes) || !charge(a, bytes, bytes, true))
        return NULL;
    give_back(a, *capacity * size);
    *capacity = to;
    return mem_realloc(p, bytes);
}

void arena_mem_free(struct arena *a, void *p, size_t capacity, size_t size)
{
    give_back(a, capacity * size);
    mem_free(p);
}

struct str arena_str(struct arena *a, struct str s)
{
    char *p = arena_alloc(a, s.n, 1);
    if (s.n)
        memcpy(p, s.p, s.n);
    return (struct str){p, s.n};
}

struct str arena_printf(struct arena *a, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    assert(n >= 0);
    char *p = arena_alloc(a, (size_t)n + 1, 1);
    vsnprintf(p, (size_t)n + 1, format, again);
    va_end(again);
    return (struct str){p, (size_t)n};
}
