// Bytes of a simulated file: pages, of which those never written read as zeros.
#ifndef TESTS_SIM_CONTENT_H
#define TESTS_SIM_CONTENT_H

#include <stddef.h>
#include <stdint.h>

struct content { // zeroed is empty
    uint8_t **pages;
    size_t pages_n, capacity;
    int64_t size;
};

void content_deinit(struct content *c);
size_t content_read(const struct content *c, int64_t offset, void *p, size_t n); // bytes
void content_write(struct content *c, int64_t offset, const void *p, size_t n);
void content_resize(struct content *c, int64_t size); // what is behind a smaller size is gone
size_t content_memory_bytes(const struct content *c);
void content_copy(struct content *to, const struct content *from); // to is empty

#endif
