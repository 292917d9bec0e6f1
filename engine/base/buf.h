// A growable byte buffer on the heap: answers, encodings, lines. A zeroed struct is empty and
// valid.
#ifndef ENGINE_BASE_BUF_H
#define ENGINE_BASE_BUF_H

#include <stdint.h>

#include "engine/base/str.h"

struct buf {
    char *p;
    size_t n;
    size_t capacity;
};

void buf_deinit(struct buf *b);
static inline void buf_reset(struct buf *b) // empties, keeps the memory
{
    b->n = 0;
}
static inline struct str buf_str(const struct buf *b)
{
    return (struct str){b->p, b->n};
}

// Room for at least more bytes at the end; the caller writes there and adds to n.
char *buf_reserve(struct buf *b, size_t more) __attribute__((returns_nonnull));
void buf_trim(struct buf *b); // gives back memory that it does not need, when that is worth it
void buf_put(struct buf *b, const void *bytes, size_t n);
void buf_put_str(struct buf *b, struct str s);
void buf_put_char(struct buf *b, char c);
void buf_put_u64(struct buf *b, uint64_t number); // decimal
void buf_put_i64(struct buf *b, int64_t number);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Little-endian, and LEB128 varints: the encodings of our own formats.
void buf_put_le32(struct buf *b, uint32_t number);
void buf_put_le64(struct buf *b, uint64_t number);
void buf_put_varint(struct buf *b, uint64_t number);

#endif
