// Cohort numbers to their state: two levels, so that a large number costs a page and not a table.
// A zeroed struct is empty and valid.
#ifndef ENGINE_TSDB_WAL_TABLE_H
#define ENGINE_TSDB_WAL_TABLE_H

#include <stddef.h>
#include <stdint.h>

enum { WAL_TABLE_PAGE = 256 };

struct wal_table {
    void ***pages; // of WAL_TABLE_PAGE items each, NULL: all empty
    size_t pages_count;
};

void wal_table_deinit(struct wal_table *t);                  // the items are the caller's
void *wal_table_get(const struct wal_table *t, uint32_t at); // NULL: nothing is there
void **wal_table_at(struct wal_table *t, uint32_t at);       // its place, made if missing

#endif
