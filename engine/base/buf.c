#include "engine/base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "engine/base/bits.h"
#include "engine/base/mem.h"

void buf_deinit(struct buf *b)
{
    mem_free(b->p);
    *b = (struct buf){0};
}

char *buf_reserve(struct buf *b, size_t more)
{
    size_t need;
    const bool overflow = __builtin_add_overflow(b->n, more, &need);
    assert(!overflow);
    b->p = mem_grow(b->p, &b->capacity, need, 1);
    return b->p + b->n;
}

void buf_trim(struct buf *b)
{
    if (b->capacity - b->n <= b->n / 8)
        return;
    b->p = mem_realloc(b->p, b->n);
    b->capacity = b->n;
}

void buf_put(struct buf *b, const void *bytes, size_t n)
{
    char *at = buf_reserve(b, n);
    if (n)
        memcpy(at, bytes, n);
    b->n += n;
}

void buf_put_str(struct buf *b, struct str s)
{
    buf_put(b, s.p, s.n);
}

void buf_put_char(struct buf *b, char c)
{
    *buf_reserve(b, 1) = c;
    b->n++;
}

void buf_put_u64(struct buf *b, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    buf_put(b, digits + at, sizeof digits - at);
}

void buf_put_i64(struct buf *b, int64_t number)
{
    if (number < 0)
        buf_put_char(b, '-');
    buf_put_u64(b, number < 0 ? 0 - (uint64_t)number : (uint64_t)number);
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    assert(n >= 0);
    char *at = buf_reserve(b, (size_t)n + 1);
    vsnprintf(at, (size_t)n + 1, format, again);
    va_end(again);
    b->n += (size_t)n;
}

void buf_put_le32(struct buf *b, uint32_t number)
{
    store_le32(buf_reserve(b, 4), number);
    b->n += 4;
}

void buf_put_le64(struct buf *b, uint64_t number)
{
    store_le64(buf_reserve(b, 8), number);
    b->n += 8;
}

void buf_put_varint(struct buf *b, uint64_t number)
{
    b->n += varint_store((uint8_t *)buf_reserve(b, VARINT_MAX), number);
}
