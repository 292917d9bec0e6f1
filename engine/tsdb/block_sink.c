#include "engine/tsdb/block_sink.h"

#include <lz4.h>

#include "engine/base/mem.h"
#include "io/fiber.h"
#include "io/fiber_memory.h"

enum { WRITE_BYTES = 256 * 1024 };

static err flush(struct block_sink *s, struct errmsg *e)
{
    TRY(file_write(&s->file, (int64_t)s->written, s->waiting.p, s->waiting.n, e));
    s->written += s->waiting.n;
    buf_reset(&s->waiting);
    return ERR_OK;
}

err block_sink_open(struct block_sink *s, const char *path, uint32_t tenant, uint32_t tier,
                    struct errmsg *e)
{
    *s = (struct block_sink){.file = {.fd = -1}};
    TRY(file_open(&s->file, path, FILE_WRITE | FILE_CREATE | FILE_EXCLUSIVE, e));
    block_header_store(tenant, tier, (uint8_t *)buf_reserve(&s->waiting, BLOCK_HEADER_BYTES));
    s->waiting.n += BLOCK_HEADER_BYTES;
    return ERR_OK;
}

void block_sink_deinit(struct block_sink *s)
{
    file_close(&s->file);
    buf_deinit(&s->waiting);
    buf_deinit(&s->scratch);
    for (unsigned i = 0; i < BLOCK_SECTION_COUNT; i++)
        mem_free(s->sections[i].chunks);
}

// Into scratch; false: it does not save a tenth.
static bool compressed(struct block_sink *s, struct str raw)
{
    enum { SMALLEST = 64 };
    if (raw.n < SMALLEST)
        return false;
    buf_reset(&s->scratch);
    const int room = LZ4_compressBound((int)raw.n);
    char *p = buf_reserve(&s->scratch, (size_t)room);
    const int size = LZ4_compress_default(raw.p, p, (int)raw.n, room);
    s->scratch.n = size > 0 ? (size_t)size : 0;
    return size > 0 && (size_t)size < raw.n - raw.n / 10;
}

err block_sink_put(struct block_sink *s, enum block_section section, size_t items, struct str raw,
                   bool compress, struct errmsg *e)
{
    if (raw.n > BLOCK_RAW_MAX)
        return err_set(e, ERR_LIMIT, "%s: a part of %zu bytes, at most %d are possible",
                       s->file.path, raw.n, BLOCK_RAW_MAX);
    uint32_t after;
    if (items == 0)
        return ERR_OK;
    if (__builtin_add_overflow(s->sections[section].items, items, &after))
        return err_set(e, ERR_LIMIT, "%s: too many series", s->file.path);
    struct block_chunk c = {.offset = s->written + s->waiting.n,
                            .first = s->sections[section].items};
    if (compress && compressed(s, raw)) {
        c.raw_size = (uint32_t)raw.n;
        raw = buf_str(&s->scratch);
    }
    c.size = (uint32_t)raw.n;
    c.crc = block_chunk_crc(c.offset, raw.p, raw.n);
    s->sections[section].chunks =
        fiber_grow(s->sections[section].chunks, &s->sections[section].capacity,
                   s->sections[section].n + 1, sizeof c);
    s->sections[section].chunks[s->sections[section].n++] = c;
    s->sections[section].items = after;
    buf_put_str(&s->waiting, raw);
    fiber_yield_if_due();
    return s->waiting.n < WRITE_BYTES ? ERR_OK : flush(s, e);
}

err block_sink_finish(struct block_sink *s, struct block_summary *summary, struct errmsg *e)
{
    struct block_footer footer = {.summary = *summary};
    for (unsigned i = 0; i < BLOCK_SECTION_COUNT; i++) {
        const size_t n = s->sections[i].n, start = s->waiting.n;
        const uint64_t offset = s->written + start;
        for (size_t c = 0; c < n; c++) {
            block_chunk_store(&s->sections[i].chunks[c],
                              (uint8_t *)buf_reserve(&s->waiting, BLOCK_CHUNK_BYTES));
            s->waiting.n += BLOCK_CHUNK_BYTES;
        }
        footer.sections[i] = (struct block_section_info){
            .table_offset = offset,
            .chunks = (uint32_t)n,
            .items = s->sections[i].items,
            .table_crc = block_chunk_crc(offset, s->waiting.p + start, s->waiting.n - start)};
    }
    footer.summary.bytes = s->written + s->waiting.n + BLOCK_FOOTER_BYTES;
    block_footer_store(&footer, (uint8_t *)buf_reserve(&s->waiting, BLOCK_FOOTER_BYTES));
    s->waiting.n += BLOCK_FOOTER_BYTES;
    TRY(flush(s, e));
    TRY(file_sync(&s->file, false, e));
    *summary = footer.summary;
    return ERR_OK;
}
