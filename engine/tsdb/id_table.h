// A hash table of 32-bit ids: open addressing, eight bytes a slot, growth in small steps.
//
// The table knows ids and 32 bits of their hashes; what an id stands for is the caller's, who
// compares the candidates. While it grows, the old slots stay readable and a few of them move with
// each insertion; the new ones were zeroed before in the same way: no insertion takes long. Ids are
// below ID_TABLE_NONE.
#ifndef ENGINE_TSDB_ID_TABLE_H
#define ENGINE_TSDB_ID_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ID_TABLE_NONE = 0x7fffffff };

struct id_slot;

struct id_table { // zeroed is empty
    struct id_slot *slots, *old;
    struct id_slot *next;  // twice as many, zeroed bit by bit before they are needed; NULL: not yet
    size_t mask, old_mask; // capacity - 1
    size_t used, old_moved, next_zeroed;
    size_t n; // ids in the table
};

struct id_probe { // of one lookup; no insertion or removal may come between its calls
    uint32_t tag;
    bool in_old;
    size_t at;
};

void id_table_deinit(struct id_table *t);
// The candidates for a hash, one after the other: ID_TABLE_NONE when there are no more.
struct id_probe id_table_probe(const struct id_table *t, uint64_t hash);
uint32_t id_table_next(const struct id_table *t, struct id_probe *p);
// The id must not be in the table.
void id_table_insert(struct id_table *t, uint64_t hash, uint32_t id);
void id_table_remove(struct id_table *t, uint64_t hash, uint32_t id); // absent: a bug
size_t id_table_bytes(const struct id_table *t);

#endif
