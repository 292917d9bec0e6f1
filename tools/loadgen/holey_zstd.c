// libzstd writes the frame from the literals and copies of holey_match(), in blocks that we end.
// What of the format (RFC 8878) must be known to find a literal in it:
//
//   frame   magic (4), descriptor: bits 7-6 size of the content's size, 5 one segment, 2 checksum;
//           a window byte unless one segment; the content's size (0, 2, 4 or 8 bytes; 1 if one
//           segment)
//   block   3 bytes: bit 0 last, 2-1 type (0 raw, 1 one byte repeated, 2 compressed), then the size
//   compressed block, literals first: bits 1-0 type (0 raw), 3-2 how its size is written (0 or 2:
//           in 5 bits of 1 byte, 1: 12 of 2, 3: 20 of 3), then the literals of the whole block
#define ZSTD_STATIC_LINKING_ONLY // ZSTD_compressSequences()
#include "tools/loadgen/holey_zstd.h"

#include <assert.h>
#include <zstd.h>

#include "engine/base/bits.h"
#include "engine/base/mem.h"

enum { BLOCK_MAX = 128 * 1024, WINDOW_LOG = 17, BLOCK_RAW = 0, BLOCK_COMPRESSED = 2 };

struct sequences {
    ZSTD_Sequence *items;
    size_t n, capacity;
};

static void put_sequence(struct sequences *s, uint32_t literal_n, uint32_t offset, uint32_t copy_n)
{
    s->items = mem_grow(s->items, &s->capacity, s->n + 1, sizeof *s->items);
    s->items[s->n++] =
        (ZSTD_Sequence){.offset = offset, .litLength = literal_n, .matchLength = copy_n};
}

// A block ends with literals alone, maybe none. Literals in front of others join them.
static void make_sequences(const struct holey_ops *ops, struct sequences *out)
{
    uint32_t literal_n = 0, block_n = 0;
    for (size_t i = 0; i < ops->n; i++) {
        const struct holey_op *const op = &ops->items[i];
        if (block_n + op->literal_n + op->copy_n > BLOCK_MAX) {
            put_sequence(out, literal_n, 0, 0);
            literal_n = block_n = 0;
        }
        block_n += op->literal_n + op->copy_n;
        literal_n += op->literal_n;
        if (op->copy_n) {
            put_sequence(out, literal_n, op->copy_offset, op->copy_n);
            literal_n = 0;
        }
    }
    put_sequence(out, literal_n, 0, 0);
}

static size_t frame_head(const uint8_t *p)
{
    static const uint8_t sizes[] = {0, 2, 4, 8};
    const uint8_t descriptor = p[4];
    const bool is_single = descriptor >> 5 & 1;
    const size_t content = sizes[descriptor >> 6];
    assert(!(descriptor & 4) && !(descriptor & 3)); // no checksum, no dictionary
    return is_single ? 5 + (content ? content : 1) : 6 + content;
}

// Where the literals of a compressed block's content begin.
static size_t literals_head(const uint8_t *p)
{
    assert((p[0] & 3) == 0); // raw
    const unsigned format = p[0] >> 2 & 3;
    return format == 3 ? 3 : format == 1 ? 2 : 1;
}

struct finding {
    const uint8_t *frame;
    struct hole *holes;
    size_t holes_n, hole;
    uint32_t at; // in the text
};

// Of the sequences of one block, whose head is at frame + block. Returns how many there are.
static size_t find_in_block(struct finding *f, const ZSTD_Sequence *s, size_t block)
{
    const uint32_t head = (uint32_t)f->frame[block] | (uint32_t)f->frame[block + 1] << 8;
    const unsigned type = head >> 1 & 3;
    const size_t content = block + 3;
    const uint32_t begin = f->at;
    size_t literal = type == BLOCK_RAW ? 0 : content + literals_head(f->frame + content), n = 0;
    assert(type == BLOCK_RAW || type == BLOCK_COMPRESSED);
    for (bool is_last = false; !is_last; n++) {
        const uint32_t end = f->at + s[n].litLength, next = end + s[n].matchLength;
        is_last = !s[n].matchLength;
        for (; f->hole < f->holes_n && f->holes[f->hole].at < next; f->hole++) {
            struct hole *const h = &f->holes[f->hole];
            if (type == BLOCK_RAW) // all is there, copies, too
                h->out_at = (uint32_t)content + h->at - begin;
            else if (h->at < end)
                h->out_at = (uint32_t)literal + h->at - f->at;
        }
        literal += s[n].litLength;
        f->at = next;
    }
    return n;
}

void holey_zstd_compress(struct str text, struct hole *holes, size_t holes_n, struct buf *out)
{
    struct holey_ops ops;
    struct sequences s = {0};
    holey_match(text, holes, holes_n, &ops);
    make_sequences(&ops, &s);
    ZSTD_CCtx *const c = ZSTD_createCCtx();
    assert(c);
    const struct {
        ZSTD_cParameter name;
        int value;
    } parameters[] = {{ZSTD_c_blockDelimiters, ZSTD_sf_explicitBlockDelimiters},
                      {ZSTD_c_literalCompressionMode, ZSTD_ps_disable},
                      {ZSTD_c_checksumFlag, 0},
                      {ZSTD_c_windowLog, WINDOW_LOG}};
    for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++)
        (void)ZSTD_CCtx_setParameter(c, parameters[i].name, parameters[i].value);
    const size_t max = ZSTD_compressBound(text.n) + s.n * 3; // our blocks may be small
    char *const p = buf_reserve(out, max);
    const size_t n = ZSTD_compressSequences(c, p, max, s.items, s.n, text.p ? text.p : "", text.n);
    assert(!ZSTD_isError(n));
    ZSTD_freeCCtx(c);
    struct finding f = {.frame = (const uint8_t *)p, .holes = holes, .holes_n = holes_n};
    size_t block = frame_head(f.frame);
    for (size_t at = 0; at < s.n && block < n;) {
        const uint32_t head = (uint32_t)f.frame[block] | (uint32_t)f.frame[block + 1] << 8 |
                              (uint32_t)f.frame[block + 2] << 16;
        at += find_in_block(&f, s.items + at, block);
        block += 3 + (head >> 3);
    }
    out->n += n;
    mem_free(s.items);
    mem_free(ops.items);
}
