#include "tests/sim/content.h"

#include <assert.h>
#include <string.h>

#include "engine/base/mem.h"

enum { PAGE = 4096 };

void content_deinit(struct content *c)
{
    for (size_t i = 0; i < c->pages_n; i++)
        mem_free(c->pages[i]);
    mem_free(c->pages);
    *c = (struct content){0};
}

static size_t piece(int64_t offset, size_t n)
{
    const size_t rest = PAGE - (size_t)(offset % PAGE);
    return n < rest ? n : rest;
}

size_t content_read(const struct content *c, int64_t offset, void *p, size_t n)
{
    if (offset >= c->size)
        return 0;
    if ((int64_t)n > c->size - offset)
        n = (size_t)(c->size - offset);
    for (size_t done = 0; done < n;) {
        const int64_t at = offset + (int64_t)done;
        const size_t step = piece(at, n - done), page = (size_t)(at / PAGE);
        if (page < c->pages_n && c->pages[page])
            memcpy((char *)p + done, c->pages[page] + at % PAGE, step);
        else
            memset((char *)p + done, 0, step);
        done += step;
    }
    return n;
}

void content_write(struct content *c, int64_t offset, const void *p, size_t n)
{
    for (size_t done = 0; done < n;) {
        const int64_t at = offset + (int64_t)done;
        const size_t step = piece(at, n - done), page = (size_t)(at / PAGE);
        if (page >= c->pages_n) {
            c->pages = mem_grow(c->pages, &c->capacity, page + 1, sizeof *c->pages);
            memset(c->pages + c->pages_n, 0, (page + 1 - c->pages_n) * sizeof *c->pages);
            c->pages_n = page + 1;
        }
        if (!c->pages[page])
            c->pages[page] = mem_zalloc(PAGE);
        memcpy(c->pages[page] + at % PAGE, (const char *)p + done, step);
        done += step;
    }
    if (offset + (int64_t)n > c->size)
        c->size = offset + (int64_t)n;
}

void content_resize(struct content *c, int64_t size)
{
    assert(size >= 0);
    const size_t keep = (size_t)((size + PAGE - 1) / PAGE);
    for (size_t i = keep; i < c->pages_n; i++)
        mem_free(c->pages[i]);
    if (c->pages_n > keep)
        c->pages_n = keep;
    if (size < c->size && size % PAGE && keep <= c->pages_n && c->pages[keep - 1])
        memset(c->pages[keep - 1] + size % PAGE, 0, (size_t)(PAGE - size % PAGE));
    c->size = size;
}

void content_copy(struct content *to, const struct content *from)
{
    assert(to->pages_n == 0);
    for (size_t i = 0; i < from->pages_n; i++) {
        if (from->pages[i])
            content_write(to, (int64_t)i * PAGE, from->pages[i], PAGE);
    }
    to->size = from->size;
}

size_t content_memory_bytes(const struct content *c)
{
    size_t sum = c->capacity * sizeof *c->pages;
    for (size_t i = 0; i < c->pages_n; i++)
        sum += c->pages[i] ? PAGE : 0;
    return sum;
}
