// Arenas: memory with one lifetime (a query, a scrape, a request), given back all at once.
//
// Blocks come from mem.h and double up to a bound; large requests get a block of their own. With a
// limit an arena refuses instead of growing: arena_try() is for sizes that input decides.
#ifndef ENGINE_BASE_ARENA_H
#define ENGINE_BASE_ARENA_H

#include <stdbool.h>

#include "engine/base/str.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; // newest first
    char *at, *end;             // what is free in the newest
    size_t used_bytes;          // of all blocks, also what their ends waste
    size_t limit_bytes;         // 0: none
};

void arena_init(struct arena *a, size_t limit_bytes);
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

// Zeroed objects of one type: arena_new(a, struct x), arena_array(a, n, struct x) (NULL: limit).
#define arena_new(a, type) ((type *)arena_zalloc((a), sizeof(type), _Alignof(type)))
#define arena_array(a, count, type) \
    ((type *)arena_try_zeroed((a), (count), sizeof(type), _Alignof(type)))
void *arena_zalloc(struct arena *a, size_t size, size_t align) __attribute__((returns_nonnull));
void *arena_try_zeroed(struct arena *a, size_t count, size_t size, size_t align);

struct str arena_str(struct arena *a, struct str s); // a copy
// A formatted copy, with a NUL behind it that n does not count.
struct str arena_printf(struct arena *a, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
