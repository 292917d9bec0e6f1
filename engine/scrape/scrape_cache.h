// What a target's last scrapes looked like: its lines in order, and the series they lead to.
//
// A body mostly repeats the one before, line by line. So the cache keeps the bytes of each line up
// to its value, in the order of the last scrape; the parser compares with the next expected one and
// reads only the number. A line that stands elsewhere is found by hash, a new one is added.
#ifndef ENGINE_SCRAPE_SCRAPE_CACHE_H
#define ENGINE_SCRAPE_SCRAPE_CACHE_H

#include <stdint.h>

#include "engine/base/str.h"

struct scrape_line {
    uint64_t ref;                 // of the series on its owner; 0: not looked up yet, or gone
    uint64_t hash;                // of the series' bytes
    uint32_t seen;                // number of the last scrape that had it
    uint32_t prefix_n;            // bytes from the line's start to its value
    uint32_t series_at, series_n; // name and labels within the prefix
    uint16_t owner;               // index of the shard
    bool is_dropped;              // by relabelling: its samples are passed over
    bool is_tracked;              // gets a stale marker when it disappears
    bool will_track;              // is_tracked once the scrape is kept
    bool is_new;                  // not in the order yet
    bool is_report; // not scraped: about the scrape itself; series is the metric's name
    uint8_t type;   // enum exposition_type in force where it stood
    uint8_t format; // enum exposition_format
    char prefix[];
};

struct scrape_cache {
    struct scrape_line **order; // lines of the last scrape, as they came
    size_t n, capacity;
    size_t at;                 // where in order the next line is expected
    struct scrape_line **next; // lines of this scrape
    size_t next_n, next_capacity;
    struct scrape_line **table; // all lines: open addressing by hash; a power of two
    size_t table_size, live;
    uint32_t scrape; // number of the present scrape, from 1
    uint32_t kept;   // of the last one that was ended with forget_old
    size_t bytes;
};

void scrape_cache_init(struct scrape_cache *c);
void scrape_cache_deinit(struct scrape_cache *c);

// Begins a scrape: the next line is expected to be the first.
void scrape_cache_begin(struct scrape_cache *c);
// The line that stood behind the one seen last, or NULL.
static inline struct scrape_line *scrape_cache_expected(const struct scrape_cache *c)
{
    return c->at < c->n ? c->order[c->at] : NULL;
}
// Any line by its series' bytes, or NULL.
struct scrape_line *scrape_cache_find(const struct scrape_cache *c, struct str series);
// A new line. series is a part of prefix.
struct scrape_line *scrape_cache_add(struct scrape_cache *c, struct str prefix, struct str series);
// Whether the last scrape that came to something had the line, or one behind it did.
static inline bool scrape_cache_was_there(const struct scrape_cache *c,
                                          const struct scrape_line *line)
{
    return line->seen && line->seen >= c->kept;
}
// The line stands next in this scrape. False: it was seen in it already.
bool scrape_cache_see(struct scrape_cache *c, struct scrape_line *line);
// Ends a scrape: each tracked line that it did not have goes to missing(arg, line), which sees to
// that it is tracked no more; with forget_old, untracked lines that were not seen for a few scrapes
// are forgotten.
void scrape_cache_end(struct scrape_cache *c, bool forget_old,
                      void (*missing)(void *arg, struct scrape_line *line), void *arg);
// Ends a scrape that came to nothing: as if it had had none of its lines.
void scrape_cache_abort(struct scrape_cache *c);
// The bytes of the series, as scraped.
static inline struct str scrape_line_series(const struct scrape_line *l)
{
    return str_make(l->prefix + l->series_at, l->series_n);
}

#endif
