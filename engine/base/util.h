// The few things every folder may use.
#ifndef ENGINE_BASE_UTIL_H
#define ENGINE_BASE_UTIL_H

#include <stddef.h>
#include <stdint.h>

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define countof(array) (sizeof(array) / sizeof((array)[0]))

enum { CACHE_LINE = 64 };

// The index of the first of n ascending times that is above t; n: none is.
static inline size_t times_above(const int64_t *times, size_t n, int64_t t)
{
    size_t low = 0, high = n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (times[middle] > t)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

// For loops that wait for another core.
static inline void cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
