#include "engine/tsdb/wal_table.h"

#include <assert.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/tsdb/wal_record.h"

void wal_table_deinit(struct wal_table *t)
{
    for (size_t i = 0; i < t->pages_count; i++)
        mem_free(t->pages[i]);
    mem_free(t->pages);
    *t = (struct wal_table){0};
}

void *wal_table_get(const struct wal_table *t, uint32_t at)
{
    const size_t page = at / WAL_TABLE_PAGE;
    return page < t->pages_count && t->pages[page] ? t->pages[page][at % WAL_TABLE_PAGE] : NULL;
}

void **wal_table_at(struct wal_table *t, uint32_t at)
{
    assert(at < WAL_COHORTS_MAX);
    const size_t page = at / WAL_TABLE_PAGE;
    if (page >= t->pages_count) {
        const size_t count = page + 1 + page / 2;
        t->pages = mem_realloc(t->pages, count * sizeof *t->pages);
        memset(t->pages + t->pages_count, 0, (count - t->pages_count) * sizeof *t->pages);
        t->pages_count = count;
    }
    if (!t->pages[page])
        t->pages[page] = mem_zalloc(WAL_TABLE_PAGE * sizeof *t->pages[page]);
    return &t->pages[page][at % WAL_TABLE_PAGE];
}
