// Inside of reading block files: tables and chunks, cached and pinned, and the dictionary. Used by
// block_file.c, block_select.c, block_names.c, block_series.c, block_read.c and block_merge.c.
//
// Everything that suspends may let other fibers use the same file; a pinned chunk stays.
#ifndef ENGINE_TSDB_BLOCK_READER_H
#define ENGINE_TSDB_BLOCK_READER_H

#include "engine/base/list.h"
#include "engine/tsdb/block_format.h"
#include "engine/tsdb/tombstones.h"
#include "io/file.h"

struct block_held { // a chunk in memory, decompressed
    struct list recent;
    unsigned pins;
    enum block_section section;
    uint32_t index; // of its table
    uint32_t first, items;
    size_t n;
    uint8_t bytes[];
};

struct block_table_of { // a section's table, once it was read
    struct block_chunk *chunks;
    struct block_held **held; // by chunk; NULL: not in memory
};

struct block_names {
    struct str *names; // ascending
    uint32_t *first;   // pair of each; one more at the end
    uint32_t n;
    char *text;
};

struct block_file {
    struct file file;
    unsigned refs;
    struct block_footer footer;
    struct block_table_of tables[BLOCK_SECTION_COUNT];
    struct list recent; // chunks in memory, the least recently used first
    size_t held_bytes, cache_bytes, fixed_bytes;
    struct block_names names; // text NULL: not read
    struct str *heads;        // first values of chunks of PAIRS, as far as they are known
    struct list answers;      // of expressions, the least recently asked first (block_match.c)
    size_t answers_bytes;
    uint32_t *tuple_partitions;    // NULL: not read
    struct tombstones *tombstones; // NULL: nothing is hidden
};

// ERR_CORRUPT with file and offset.
err block_corrupt(const struct block_file *f, uint64_t offset, struct errmsg *e, const char *what);
// Reads the section's table if need be. Suspends.
err block_table_load(struct block_file *f, enum block_section section, struct errmsg *e);
// The chunk that holds item; the section's table was read and has items.
uint32_t block_chunk_of(const struct block_file *f, enum block_section section, uint32_t item);
uint32_t block_chunk_items(const struct block_file *f, enum block_section section, uint32_t index);
// A pinned chunk. Suspends.
err block_chunk_get(struct block_file *f, enum block_section section, uint32_t index,
                    struct block_held **out, struct errmsg *e);
void block_chunk_put(struct block_file *f, struct block_held *held);
struct block_cursor block_chunk_cursor(const struct block_held *held);
err block_chunk_corrupt(const struct block_file *f, const struct block_held *held,
                        struct errmsg *e);

// Reads the names if need be. Suspends.
err block_names_load(struct block_file *f, struct errmsg *e);
bool block_name_find(const struct block_file *f, struct str name, uint32_t *out); // after the load
// Reads the partition of each tuple if need be. Suspends.
err block_partitions_load(struct block_file *f, struct errmsg *e);

// Calls see(pair, value) for the pairs from <= p < end, ascending, until it returns false; value is
// good during the call. Suspends.
typedef bool block_pair_fn(void *arg, uint32_t pair, struct str value);
err block_pairs_walk(struct block_file *f, uint32_t from, uint32_t end, struct errmsg *e, void *arg,
                     block_pair_fn *see);
// The first pair of the name whose value is not below value; end of the name when there is none.
// Suspends.
err block_pairs_lower_bound(struct block_file *f, uint32_t name, struct str value, uint32_t *out,
                            struct errmsg *e);
void block_heads_drop(struct block_file *f);

// The label pairs of sets or tuples items[0..n), ascending: item i's are pairs[ends[i-1], ends[i]).
// In the arena. Suspends.
struct block_lists {
    uint32_t *pairs;
    size_t *ends;
};
err block_lists_load(struct block_file *f, enum block_section section, const uint32_t *items,
                     size_t n, struct arena *a, struct block_lists *out, struct errmsg *e);

// A series that matches, as (set, tuple, id).
struct block_hit {
    uint32_t set, tuple, id;
};
// What matches, ascending by id, in the arena as one array (max 0: any number), or some at a time:
// then what is held, beside the limits of an arena, does not follow how many there are, and what
// take() returns ends it. It may suspend. Suspend.
enum { BLOCK_HITS_AT_ONCE = 4096 };
typedef err block_hits_fn(void *arg, const struct block_hit *hits, size_t n, struct errmsg *e);
err block_hits(struct block_file *f, const struct matcher *ms, size_t ms_count,
               struct block_range range, size_t max, struct arena *a, struct block_hit **out,
               size_t *out_n, struct errmsg *e);
err block_hits_each(struct block_file *f, const struct matcher *ms, size_t ms_count,
                    struct block_range range, const struct arena *beside, void *arg,
                    struct errmsg *e, block_hits_fn *take);
// The distinct sets, or tuples, of hits, all below limit, ascending. In the arena; NULL: it has no
// room. Suspends.
uint32_t *block_hits_distinct(const struct block_hit *hits, size_t n, bool tuples, size_t limit,
                              struct arena *a, size_t *out_n);

// Series that match, with their labels as the file divides them, ascending by id. In the arena;
// series of one tuple, or of one set, share its bytes. Suspends.
struct block_keyed {
    struct block_key key;
    uint32_t id;
};
err block_select_keys(struct block_file *f, const struct matcher *ms, size_t ms_count,
                      struct block_range range, struct arena *a, struct block_keyed **out,
                      size_t *out_n, struct errmsg *e);

#endif
