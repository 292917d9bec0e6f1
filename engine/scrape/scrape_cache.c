#include "engine/scrape/scrape_cache.h"

#include <assert.h>

#include "engine/base/hash.h"
#include "engine/base/mem.h"

enum { TABLE_MIN = 64, KEPT_SCRAPES = 3 };

void scrape_cache_init(struct scrape_cache *c)
{
    *c = (struct scrape_cache){0};
}

void scrape_cache_deinit(struct scrape_cache *c)
{
    for (size_t i = 0; i < c->table_size; i++)
        mem_free(c->table[i]);
    mem_free(c->table);
    mem_free(c->order);
    mem_free(c->next);
    *c = (struct scrape_cache){0};
}

void scrape_cache_begin(struct scrape_cache *c)
{
    c->scrape++;
    c->at = c->next_n = 0;
}

static size_t slot_of(const struct scrape_cache *c, uint64_t hash, struct str series)
{
    size_t at = hash & (c->table_size - 1);
    while (c->table[at] &&
           (c->table[at]->hash != hash || !str_eq(scrape_line_series(c->table[at]), series)))
        at = (at + 1) & (c->table_size - 1);
    return at;
}

static void grow_table(struct scrape_cache *c)
{
    struct scrape_line **old = c->table;
    const size_t old_size = c->table_size;
    c->table_size = old_size ? old_size * 2 : TABLE_MIN;
    c->table = mem_zalloc(c->table_size * sizeof *c->table);
    for (size_t i = 0; i < old_size; i++)
        if (old[i])
            c->table[slot_of(c, old[i]->hash, scrape_line_series(old[i]))] = old[i];
    mem_free(old);
}

struct scrape_line *scrape_cache_find(const struct scrape_cache *c, struct str series)
{
    if (!c->table_size)
        return NULL;
    return c->table[slot_of(c, hash64(series.p, series.n, 0), series)];
}

// Expects what followed line last time, when that stands near: bodies differ by a few lines.
static void follow(struct scrape_cache *c, const struct scrape_line *line)
{
    enum { WINDOW = 64 };
    for (size_t i = c->at; i < c->n && i < c->at + WINDOW; i++)
        if (c->order[i] == line) {
            c->at = i + 1;
            return;
        }
}

bool scrape_cache_see(struct scrape_cache *c, struct scrape_line *line)
{
    if (line->seen == c->scrape)
        return false;
    // One that was away stands at the end of the order, which is not where this body goes on.
    const bool has_place = line->seen + 1 == c->scrape || (c->at < c->n && c->order[c->at] == line);
    line->seen = c->scrape;
    if (c->next_n == c->next_capacity)
        c->next = mem_grow(c->next, &c->next_capacity, c->next_n + 1, sizeof *c->next);
    c->next[c->next_n++] = line;
    if (has_place)
        follow(c, line);
    return true;
}

struct scrape_line *scrape_cache_add(struct scrape_cache *c, struct str prefix, struct str series)
{
    assert(series.p >= prefix.p && series.p + series.n <= prefix.p + prefix.n);
    if (2 * (c->live + 1) > c->table_size)
        grow_table(c);
    struct scrape_line *line = mem_alloc(sizeof *line + prefix.n);
    *line = (struct scrape_line){.is_new = true,
                                 .hash = hash64(series.p, series.n, 0),
                                 .prefix_n = (uint32_t)prefix.n,
                                 .series_at = (uint32_t)(series.p - prefix.p),
                                 .series_n = (uint32_t)series.n};
    memcpy(line->prefix, prefix.p, prefix.n);
    const size_t slot = slot_of(c, line->hash, series);
    assert(!c->table[slot]);
    c->table[slot] = line;
    c->live++;
    c->bytes += sizeof *line + prefix.n;
    return line;
}

// Takes a line out of the table; the lines behind it that hashed before it move up.
static void forget(struct scrape_cache *c, struct scrape_line *line)
{
    size_t hole = slot_of(c, line->hash, scrape_line_series(line));
    assert(c->table[hole] == line);
    c->bytes -= sizeof *line + line->prefix_n;
    c->live--;
    mem_free(line);
    c->table[hole] = NULL;
    const size_t mask = c->table_size - 1;
    for (size_t at = (hole + 1) & mask; c->table[at]; at = (at + 1) & mask) {
        const size_t home = c->table[at]->hash & mask;
        if (((at - home) & mask) < ((at - hole) & mask))
            continue;
        c->table[hole] = c->table[at];
        c->table[at] = NULL;
        hole = at;
    }
}

void scrape_cache_end(struct scrape_cache *c, bool forget_old,
                      void (*missing)(void *arg, struct scrape_line *line), void *arg)
{
    for (size_t i = 0; i < c->n; i++) {
        struct scrape_line *line = c->order[i];
        if (line->seen == c->scrape)
            continue;
        if (line->is_tracked) // until its marker is kept
            missing(arg, line);
        else if (forget_old && c->scrape - line->seen >= KEPT_SCRAPES) {
            forget(c, line);
            continue;
        }
        c->next = mem_grow(c->next, &c->next_capacity, c->next_n + 1, sizeof *c->next);
        c->next[c->next_n++] = line;
    }
    for (size_t i = 0; i < c->next_n; i++)
        c->next[i]->is_new = false;
    if (forget_old)
        c->kept = c->scrape;
    struct scrape_line **order = c->order;
    const size_t capacity = c->capacity;
    c->order = c->next;
    c->n = c->next_n;
    c->capacity = c->next_capacity;
    c->next = order;
    c->next_capacity = capacity;
    c->next_n = 0;
}

void scrape_cache_abort(struct scrape_cache *c)
{
    for (size_t i = 0; i < c->next_n; i++) {
        struct scrape_line *line = c->next[i];
        if (!line->is_new)
            continue;
        line->is_new = false;
        c->order = mem_grow(c->order, &c->capacity, c->n + 1, sizeof *c->order);
        c->order[c->n++] = line;
    }
    c->next_n = 0;
}
