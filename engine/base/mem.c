#include "engine/base/mem.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif
#ifdef HAS_ASAN
#include <sanitizer/asan_interface.h>
#endif

// Absent (NULL) where jemalloc is not linked: sanitizer builds.
extern int mallctl(const char *, void *, size_t *, void *, size_t) __attribute__((weak));

// Read by jemalloc at its start. Freeing what is large may not take longer than a turn: like the
// small it is given back to the system bit by bit, and by a thread of jemalloc's own.
extern const char *const malloc_conf;
__attribute__((visibility("default"))) const char *const malloc_conf =
    "oversize_threshold:0,background_thread:true";

static void *check(void *p, size_t size)
{
    if (!p) {
        fprintf(stderr, "out of memory: %zu bytes refused by the system\n", size);
        abort();
    }
    return p;
}

void *mem_alloc(size_t size)
{
    return check(malloc(size ? size : 1), size);
}

void *mem_zalloc(size_t size)
{
    return check(calloc(1, size ? size : 1), size);
}

void *mem_realloc(void *p, size_t size)
{
    return check(realloc(p, size ? size : 1), size);
}

void *mem_alloc_aligned(size_t align, size_t size)
{
    void *p = NULL;
    const size_t at_least = align < sizeof(void *) ? sizeof(void *) : align;
    if (posix_memalign(&p, at_least, size ? size : 1))
        p = NULL;
    return check(p, size);
}

void mem_free(void *p)
{
    free(p);
}

void *mem_alloc_array(size_t count, size_t size)
{
    size_t total;
    const bool overflow = __builtin_mul_overflow(count, size, &total);
    assert(!overflow);
    return mem_alloc(total);
}

void *mem_grow(void *p, size_t *capacity, size_t need, size_t size)
{
    if (need <= *capacity && p)
        return p;
    size_t next = *capacity + *capacity / 2;
    if (next < need)
        next = need;
    if (next < 8)
        next = 8;
    size_t total;
    const bool overflow = __builtin_mul_overflow(next, size, &total);
    assert(!overflow);
    p = mem_realloc(p, total);
    *capacity = next;
    return p;
}

void mem_thread_init(void)
{
    if (!mallctl)
        return;
    unsigned arena;
    size_t size = sizeof arena;
    if (!mallctl("arenas.create", &arena, &size, NULL, 0))
        mallctl("thread.arena", NULL, NULL, &arena, sizeof arena);
}

size_t mem_live_bytes(void)
{
    if (!mallctl)
        return 0;
    uint64_t epoch = 1;
    size_t size = sizeof epoch, live = 0;
    mallctl("epoch", &epoch, &size, &epoch, size);
    size = sizeof live;
    return mallctl("stats.allocated", &live, &size, NULL, 0) ? 0 : live;
}

void mem_trim(void)
{
    if (mallctl)
        mallctl("arena.4096.purge", NULL, NULL, NULL, 0); // 4096: all arenas
}

void mem_poison(const void *p, size_t size)
{
#ifdef HAS_ASAN
    ASAN_POISON_MEMORY_REGION(p, size);
#else
    (void)p, (void)size;
#endif
}

void mem_unpoison(const void *p, size_t size)
{
#ifdef HAS_ASAN
    ASAN_UNPOISON_MEMORY_REGION(p, size);
#else
    (void)p, (void)size;
#endif
}
