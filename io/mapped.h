// A file mapped for writing: what is stored there outlives the process, whatever ends it, without a
// system call for each store. For small files; a full disk must have been met when it was made.
#ifndef IO_MAPPED_H
#define IO_MAPPED_H

#include <stddef.h>

#include "engine/base/err.h"

// Makes or empties path, of size zeroed bytes that the disk has set aside. Suspends.
err mapped_create(const char *path, size_t size, void **out, struct errmsg *e);
void mapped_destroy(void *map, size_t size);

#endif
