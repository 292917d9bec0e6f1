// The few macros every folder may use.
#ifndef ENGINE_BASE_UTIL_H
#define ENGINE_BASE_UTIL_H

#include <stddef.h>

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define countof(array) (sizeof(array) / sizeof((array)[0]))

enum { CACHE_LINE = 64 };

#endif
