// Opening, tables, the cache of chunks, names. block_format.h describes the bytes.
#include "engine/tsdb/block_file.h"

#include <assert.h>
#include <lz4.h>

#include "engine/base/mem.h"
#include "engine/tsdb/block_match.h"
#include "engine/tsdb/block_reader.h"
#include "io/fiber.h"

err block_corrupt(const struct block_file *f, uint64_t offset, struct errmsg *e, const char *what)
{
    return err_set(e, ERR_CORRUPT, "%s: offset %llu: %s", f->file.path, (unsigned long long)offset,
                   what);
}

static err read_ends(struct block_file *f, struct errmsg *e)
{
    uint8_t header[BLOCK_HEADER_BYTES], footer[BLOCK_FOOTER_BYTES];
    int64_t size;
    TRY(file_size(&f->file, &size, e));
    if (size < BLOCK_HEADER_BYTES + BLOCK_FOOTER_BYTES_1)
        return block_corrupt(f, (uint64_t)size, e, "the file ends early");
    uint32_t version;
    TRY(file_read(&f->file, 0, header, sizeof header, e));
    TRY(block_header_check(header, f->file.path, &version, e));
    const size_t footer_size = block_footer_size(version);
    if (size < BLOCK_HEADER_BYTES + (int64_t)footer_size)
        return block_corrupt(f, (uint64_t)size, e, "the file ends early");
    TRY(file_read(&f->file, size - (int64_t)footer_size, footer, footer_size, e));
    return block_footer_load(footer, (uint64_t)size, version, f->file.path, &f->footer, e);
}

err block_file_open(const char *path, size_t cache_bytes, struct block_file **out, struct errmsg *e)
{
    struct block_file *f = mem_zalloc(sizeof *f);
    f->file.fd = -1;
    f->refs = 1;
    f->cache_bytes = cache_bytes;
    list_init(&f->recent);
    list_init(&f->answers);
    err code = file_open(&f->file, path, FILE_READ, e);
    if (code == ERR_OK)
        code = read_ends(f, e);
    if (code != ERR_OK) {
        block_file_unref(f);
        return code;
    }
    *out = f;
    return ERR_OK;
}

struct block_file *block_file_ref(struct block_file *f)
{
    f->refs++;
    return f;
}

static void forget(struct block_file *f, struct block_held *held)
{
    assert(held->pins == 0);
    list_remove(&held->recent);
    f->tables[held->section].held[held->index] = NULL;
    f->held_bytes -= sizeof *held + held->n;
    mem_free(held);
}

void block_file_unref(struct block_file *f)
{
    if (!f || --f->refs > 0)
        return;
    while (!list_is_empty(&f->recent))
        forget(f, container_of(f->recent.next, struct block_held, recent));
    block_answers_drop(f);
    block_heads_drop(f);
    for (unsigned i = 0; i < BLOCK_SECTION_COUNT; i++) {
        mem_free(f->tables[i].chunks);
        mem_free(f->tables[i].held);
    }
    mem_free(f->names.names);
    mem_free(f->names.first);
    mem_free(f->names.text);
    mem_free(f->tuple_partitions);
    tombstones_unref(f->tombstones);
    file_close(&f->file);
    mem_free(f);
}

const struct block_summary *block_file_summary(const struct block_file *f)
{
    return &f->footer.summary;
}

const char *block_file_path(const struct block_file *f)
{
    return f->file.path;
}

void block_file_set_tombstones(struct block_file *f, struct tombstones *t)
{
    tombstones_unref(f->tombstones);
    f->tombstones = t;
}

struct tombstones *block_file_tombstones(const struct block_file *f)
{
    return f->tombstones;
}

size_t block_file_memory(const struct block_file *f)
{
    return sizeof *f + f->held_bytes + f->answers_bytes + f->fixed_bytes;
}

// ---- tables

// An item takes a byte at least, so that no number of items is larger than what is there.
static bool chunk_is_sound(const struct block_chunk *c, uint32_t end,
                           const struct block_section_info *section)
{
    const uint64_t lz4_most = (uint64_t)c->size * 255 + 64;
    if (c->first >= end || end - c->first > (c->raw_size ? c->raw_size : c->size))
        return false;
    return c->offset >= BLOCK_HEADER_BYTES && c->offset <= section->table_offset &&
           c->size <= section->table_offset - c->offset && c->size <= BLOCK_RAW_MAX &&
           c->raw_size <= BLOCK_RAW_MAX && c->raw_size <= lz4_most;
}

err block_table_load(struct block_file *f, enum block_section section, struct errmsg *e)
{
    const struct block_section_info *info = &f->footer.sections[section];
    const size_t n = info->chunks, size = n * BLOCK_CHUNK_BYTES;
    if (f->tables[section].chunks)
        return ERR_OK;
    uint8_t *bytes = mem_alloc(size);
    err code = file_read(&f->file, (int64_t)info->table_offset, bytes, size, e);
    if (code == ERR_OK && block_chunk_crc(info->table_offset, bytes, size) != info->table_crc)
        code = block_corrupt(f, info->table_offset, e, "wrong checksum of a table");
    struct block_chunk *chunks = mem_alloc_array(n, sizeof *chunks);
    for (size_t i = 0; i < n; i++)
        chunks[i] = block_chunk_load(bytes + i * BLOCK_CHUNK_BYTES);
    for (size_t i = 0; i < n && code == ERR_OK; i++) {
        if ((i == 0 && chunks[i].first != 0) ||
            (section == BLOCK_COLUMNS && chunks[i].raw_size != 0) ||
            !chunk_is_sound(&chunks[i], i + 1 < n ? chunks[i + 1].first : info->items, info))
            code = block_corrupt(f, info->table_offset + i * BLOCK_CHUNK_BYTES, e,
                                 "an impossible table entry");
    }
    mem_free(bytes);
    if (code != ERR_OK || f->tables[section].chunks) { // another fiber may have been faster
        mem_free(chunks);
        return code;
    }
    f->tables[section].chunks = chunks;
    f->tables[section].held = mem_zalloc(n * sizeof(struct block_held *));
    f->fixed_bytes += n * (sizeof *chunks + sizeof(struct block_held *));
    return ERR_OK;
}

uint32_t block_chunk_of(const struct block_file *f, enum block_section section, uint32_t item)
{
    const struct block_chunk *chunks = f->tables[section].chunks;
    uint32_t low = 0, high = f->footer.sections[section].chunks; // the answer is in [low, high)
    while (high - low > 1) {
        const uint32_t middle = low + (high - low) / 2;
        if (chunks[middle].first <= item)
            low = middle;
        else
            high = middle;
    }
    return low;
}

uint32_t block_chunk_items(const struct block_file *f, enum block_section section, uint32_t index)
{
    const struct block_section_info *info = &f->footer.sections[section];
    const struct block_chunk *chunks = f->tables[section].chunks;
    const uint32_t end = index + 1 < info->chunks ? chunks[index + 1].first : info->items;
    return end - chunks[index].first;
}

// ---- chunks

static err read_chunk(struct block_file *f, const struct block_chunk *c, struct block_held **out,
                      struct errmsg *e)
{
    const size_t n = c->raw_size ? c->raw_size : c->size;
    struct block_held *held = mem_alloc(sizeof *held + n);
    uint8_t *stored = c->raw_size ? mem_alloc(c->size) : held->bytes;
    held->n = n;
    err code = file_read(&f->file, (int64_t)c->offset, stored, c->size, e);
    if (code == ERR_OK && block_chunk_crc(c->offset, stored, c->size) != c->crc)
        code = block_corrupt(f, c->offset, e, "wrong checksum");
    if (code == ERR_OK && c->raw_size &&
        LZ4_decompress_safe((const char *)stored, (char *)held->bytes, (int)c->size, (int)n) !=
            (int)n)
        code = block_corrupt(f, c->offset, e, "does not decompress");
    if (c->raw_size)
        mem_free(stored);
    if (code == ERR_OK)
        *out = held;
    else
        mem_free(held);
    return code;
}

static void make_room(struct block_file *f, size_t bytes)
{
    struct list *at = f->recent.next;
    while (f->held_bytes > bytes && at != &f->recent) {
        struct block_held *held = container_of(at, struct block_held, recent);
        at = at->next;
        if (held->pins == 0)
            forget(f, held);
    }
}

void block_file_shrink(struct block_file *f)
{
    make_room(f, 0);
    block_answers_drop(f);
}

err block_chunk_get(struct block_file *f, enum block_section section, uint32_t index,
                    struct block_held **out, struct errmsg *e)
{
    const struct block_chunk *c = &f->tables[section].chunks[index];
    struct block_held *fresh = NULL, *held = f->tables[section].held[index];
    if (!held) {
        TRY(read_chunk(f, c, &fresh, e));
        held = f->tables[section].held[index];
        if (held) // another fiber was faster
            mem_free(fresh);
    }
    if (!held) {
        held = fresh;
        held->pins = 0;
        held->section = section;
        held->index = index;
        held->first = c->first;
        held->items = block_chunk_items(f, section, index);
        f->tables[section].held[index] = held;
        f->held_bytes += sizeof *held + held->n;
    } else {
        list_remove(&held->recent);
    }
    list_push(&f->recent, &held->recent);
    held->pins++;
    make_room(f, f->cache_bytes);
    *out = held;
    return ERR_OK;
}

void block_chunk_put(struct block_file *f, struct block_held *held)
{
    assert(held->pins > 0);
    held->pins--;
    make_room(f, f->cache_bytes);
}

struct block_cursor block_chunk_cursor(const struct block_held *held)
{
    return (struct block_cursor){held->bytes, held->bytes + held->n, false};
}

err block_chunk_corrupt(const struct block_file *f, const struct block_held *held, struct errmsg *e)
{
    return block_corrupt(f, f->tables[held->section].chunks[held->index].offset, e,
                         "malformed content");
}
