#include "engine/tsdb/block_format.h"

#include <assert.h>

#include "simd/simd.h"

static const char magic[8] = {'f', 'e', 'r', 'u', 'l', 'a', 'b', 'f'};

uint32_t block_chunk_crc(uint64_t offset, const void *p, size_t n)
{
    uint8_t place[8];
    store_le64(place, offset);
    return simd.crc32c(simd.crc32c(0, place, sizeof place), p, n);
}

static uint8_t *put32(uint8_t *p, uint32_t v)
{
    store_le32(p, v);
    return p + 4;
}

static uint8_t *put64(uint8_t *p, uint64_t v)
{
    store_le64(p, v);
    return p + 8;
}

static uint32_t get32(const uint8_t **p)
{
    *p += 4;
    return load_le32(*p - 4);
}

static uint64_t get64(const uint8_t **p)
{
    *p += 8;
    return load_le64(*p - 8);
}

void block_header_store(uint32_t tenant, uint32_t tier, uint8_t *p)
{
    memcpy(p, magic, sizeof magic);
    store_le32(p + 8, BLOCK_VERSION);
    store_le32(p + 12, tenant);
    store_le32(p + 16, tier);
    store_le32(p + 20, block_chunk_crc(0, p, 20));
}

size_t block_footer_size(uint32_t version)
{
    return version == 1 ? BLOCK_FOOTER_BYTES_1 : BLOCK_FOOTER_BYTES;
}

err block_header_check(const uint8_t *p, const char *path, uint32_t *out_version, struct errmsg *e)
{
    if (memcmp(p, magic, sizeof magic) != 0)
        return err_set(e, ERR_CORRUPT, "%s: offset 0: not a block file", path);
    if (load_le32(p + 20) != block_chunk_crc(0, p, 20))
        return err_set(e, ERR_CORRUPT, "%s: offset 0: wrong checksum of the header", path);
    const uint32_t version = load_le32(p + 8);
    if (version < BLOCK_VERSION_MIN || version > BLOCK_VERSION)
        return err_set(e, ERR_INVALID, "%s: block format %u is newer than %d, the newest known",
                       path, version, BLOCK_VERSION);
    *out_version = version;
    return ERR_OK;
}

void block_chunk_store(const struct block_chunk *c, uint8_t *p)
{
    p = put64(p, c->offset);
    p = put32(p, c->size);
    p = put32(p, c->raw_size);
    p = put32(p, c->first);
    put32(p, c->crc);
}

struct block_chunk block_chunk_load(const uint8_t *p)
{
    struct block_chunk c;
    c.offset = get64(&p);
    c.size = get32(&p);
    c.raw_size = get32(&p);
    c.first = get32(&p);
    c.crc = get32(&p);
    return c;
}

void block_footer_store(const struct block_footer *f, uint8_t *p)
{
    const struct block_summary *s = &f->summary;
    uint8_t *at = p;
    memcpy(at, magic, sizeof magic);
    at = put32(at + sizeof magic, BLOCK_VERSION);
    at = put32(at, s->tenant);
    at = put32(at, s->tier);
    at = put32(at, s->partition_min);
    at = put32(at, s->partition_max);
    at = put64(at, (uint64_t)s->min_t);
    at = put64(at, (uint64_t)s->max_t);
    at = put64(at, s->series);
    at = put64(at, s->samples);
    at = put64(at, s->bytes);
    for (unsigned i = 0; i < BLOCK_SECTION_COUNT; i++) {
        at = put64(at, f->sections[i].table_offset);
        at = put32(at, f->sections[i].chunks);
        at = put32(at, f->sections[i].items);
        at = put32(at, f->sections[i].table_crc);
    }
    const size_t unused = BLOCK_SECTION_BYTES * (BLOCK_SECTION_ROOM - BLOCK_SECTION_COUNT);
    memset(at, 0, unused);
    at += unused;
    at = put32(at, block_chunk_crc(s->bytes - BLOCK_FOOTER_BYTES, p, (size_t)(at - p)));
    assert(at == p + BLOCK_FOOTER_BYTES);
}

err block_footer_load(const uint8_t *p, uint64_t file_size, uint32_t version, const char *path,
                      struct block_footer *out, struct errmsg *e)
{
    const size_t size = block_footer_size(version);
    const uint64_t offset = file_size - size;
    const uint8_t *at = p + sizeof magic;
    if (memcmp(p, magic, sizeof magic) != 0)
        return err_set(e, ERR_CORRUPT, "%s: offset %llu: no footer", path,
                       (unsigned long long)offset);
    if (load_le32(p + size - 4) != block_chunk_crc(offset, p, size - 4))
        return err_set(e, ERR_CORRUPT, "%s: offset %llu: wrong checksum of the footer", path,
                       (unsigned long long)offset);
    struct block_footer f = {.version = get32(&at)};
    struct block_summary *s = &f.summary;
    s->tenant = get32(&at);
    s->tier = get32(&at);
    s->partition_min = get32(&at);
    s->partition_max = get32(&at);
    s->min_t = (int64_t)get64(&at);
    s->max_t = (int64_t)get64(&at);
    s->series = get64(&at);
    s->samples = get64(&at);
    s->bytes = get64(&at);
    bool good = s->bytes == file_size && f.version == version;
    for (unsigned i = 0; i < (version == 1 ? BLOCK_SECTIONS_1 : BLOCK_SECTION_COUNT); i++) {
        struct block_section_info *section = &f.sections[i];
        section->table_offset = get64(&at);
        section->chunks = get32(&at);
        section->items = get32(&at);
        section->table_crc = get32(&at);
        good = good && section->table_offset <= offset &&
               section->chunks <= (offset - section->table_offset) / BLOCK_CHUNK_BYTES &&
               section->chunks <= section->items && (section->chunks > 0 || section->items == 0);
    }
    if (!good || s->series != f.sections[BLOCK_COLUMNS].items)
        return err_set(e, ERR_CORRUPT, "%s: offset %llu: the footer contradicts itself", path,
                       (unsigned long long)offset);
    *out = f;
    return ERR_OK;
}
