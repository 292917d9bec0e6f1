// Arenas: memory with one lifetime (a query, a scrape, a request), given back all at once.
//
// Blocks come from mem.h and double up to a bound; large requests get a block of their own. With a
// limit an arena refuses instead of growing: arena_try() is for sizes that input decides.
// arena_alloc() goes beyond it, for small things: who takes many of them asks arena_is_over()
// between, and ends.
#ifndef ENGINE_BASE_ARENA_H
#define ENGINE_BASE_ARENA_H

#include <stdatomic.h>
#include <stdbool.h>

#include "engine/base/str.h"

struct arena_block;

// What arenas may take together, whatever shards they are on: those of one query, and all queries.
struct arena_budget {
    _Atomic(size_t) used_bytes;
    _Atomic(size_t) limit_bytes; // 0: none
    struct arena_budget *all;    // that this is a part of; NULL: of none
    _Atomic(bool) all_is_used;   // something was refused for the limit of all
};

struct arena {
    struct arena_block *blocks;  // newest first
    char *at, *end;              // what is free in the newest
    size_t used_bytes;           // of all blocks, also what their ends waste
    size_t limit_bytes;          // 0: none
    struct arena_budget *budget; // outlives the arena; NULL: none
};

void arena_init(struct arena *a, size_t limit_bytes);
void arena_init_within(struct arena *a, struct arena_budget *budget);
// With the budget of another, or at least its limit: for what only lasts while that is filled.
void arena_init_beside(struct arena *a, const struct arena *other);
void arena_deinit(struct arena *a);
// Gives one block back, the newest; false: none was left. For those who cannot free all at once:
// nothing may be taken from the arena any more.
bool arena_drop_block(struct arena *a);
// Empties; keeps one block of ordinary size for the next user.
void arena_reset(struct arena *a);

// align is a power of two. Ignores the limit: for small things whose number is bounded elsewhere.
void *arena_alloc(struct arena *a, size_t size, size_t align) __attribute__((returns_nonnull));
// NULL when the limit would be passed or count * size overflows.
void *arena_try(struct arena *a, size_t count, size_t size, size_t align);
size_t arena_left(const struct arena *a);  // what its limits leave; SIZE_MAX: they are none
bool arena_is_over(const struct arena *a); // more was taken than they allow

// Zeroed objects of one type: arena_new(a, struct x), arena_array(a, n, struct x) (NULL: limit).
#define arena_new(a, type) ((type *)arena_zalloc((a), sizeof(type), _Alignof(type)))
#define arena_array(a, count, type) \
    ((type *)arena_try_zeroed((a), (count), sizeof(type), _Alignof(type)))
void *arena_zalloc(struct arena *a, size_t size, size_t align) __attribute__((returns_nonnull));
void *arena_try_zeroed(struct arena *a, size_t count, size_t size, size_t align);

// mem_grow() of what the limits of a count, too, because it stands beside a; NULL: they forbid it,
// and p stays. arena_mem_free() frees it.
void *arena_mem_grow(struct arena *a, void *p, size_t *capacity, size_t need, size_t size);
void arena_mem_free(struct arena *a, void *p, size_t capacity, size_t size);

struct str arena_str(struct arena *a, struct str s); // a copy
// A formatted copy, with a NUL behind it that n does not count.
struct str arena_printf(struct arena *a, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
