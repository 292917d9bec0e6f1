// The few macros every folder may use.
#ifndef ENGINE_BASE_UTIL_H
#define ENGINE_BASE_UTIL_H

#include <stddef.h>

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define countof(array) (sizeof(array) / sizeof((array)[0]))

enum { CACHE_LINE = 64 };

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
