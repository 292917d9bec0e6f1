// The block: varint of the uncompressed size, then elements. Those used here:
//
//   (n - 1) << 2                      n bytes literally; n up to 60
//   60 << 2, n - 1                    up to 256; 61 << 2 with two bytes up to 65536
//   (n - 4) << 2 | off >> 8 << 5 | 1, off     copies 4 to 11 bytes from up to 2047 back
//   (n - 1) << 2 | 2, off, off >> 8   copies 1 to 64 bytes from up to 65535 back
//
// Matches neither begin nor reach into a hole, so that no fixed text is taken from bytes that
// change.
#include "tools/loadgen/holey_snappy.h"

#include <assert.h>

#include "engine/base/bits.h"
#include "engine/base/mem.h"

enum {
    TABLE_BITS = 15,
    MATCH_MIN = 4,
    OFFSET_MAX = 65535,
    COPY_MAX = 64,
    SHORT_OFFSET_MAX = 2047,
    SHORT_COPY_MAX = 11,
    LITERAL_SHORT_MAX = 60,
    LITERAL_MAX = 65536,
};

struct packer {
    const uint8_t *text;
    const uint32_t *fixed_until; // for each byte the end of its fixed run; 0 within a hole
    struct hole *holes;
    struct buf *out;
    uint32_t from;        // of the literal that is not written yet
    size_t hole, waiting; // the next hole; the first one within that literal
    uint32_t *table;      // of 4 bytes to position + 1
};

static void put_literal(struct packer *p, uint32_t end)
{
    while (p->from < end) {
        const uint32_t n = end - p->from < LITERAL_MAX ? end - p->from : LITERAL_MAX;
        if (n <= LITERAL_SHORT_MAX) {
            buf_put_char(p->out, (char)((n - 1) << 2));
        } else if (n <= 256) {
            buf_put_char(p->out, (char)(uint8_t)(60 << 2));
            buf_put_char(p->out, (char)(uint8_t)(n - 1));
        } else {
            buf_put_char(p->out, (char)(uint8_t)(61 << 2));
            buf_put_char(p->out, (char)(uint8_t)(n - 1));
            buf_put_char(p->out, (char)(uint8_t)((n - 1) >> 8));
        }
        for (; p->waiting < p->hole && p->holes[p->waiting].at < p->from + n; p->waiting++)
            if (p->holes[p->waiting].out_at != HOLE_NONE)
                p->holes[p->waiting].out_at =
                    (uint32_t)p->out->n + p->holes[p->waiting].at - p->from;
        buf_put(p->out, p->text + p->from, n);
        p->from += n;
    }
    p->waiting = p->hole;
}

static void put_copy(struct packer *p, uint32_t offset, uint32_t n)
{
    while (n) {
        const uint32_t part = n < COPY_MAX ? n : COPY_MAX;
        if (part >= MATCH_MIN && part <= SHORT_COPY_MAX && offset <= SHORT_OFFSET_MAX) {
            buf_put_char(p->out, (char)(uint8_t)((part - 4) << 2 | offset >> 8 << 5 | 1));
            buf_put_char(p->out, (char)(uint8_t)offset);
        } else {
            buf_put_char(p->out, (char)(uint8_t)((part - 1) << 2 | 2));
            buf_put_char(p->out, (char)(uint8_t)offset);
            buf_put_char(p->out, (char)(uint8_t)(offset >> 8));
        }
        n -= part;
    }
}

static uint32_t slot_of(const uint8_t *p)
{
    return load_le32(p) * 0x9e3779b1U >> (32 - TABLE_BITS);
}

// A literal must hold a hole whole: one that would be cut at LITERAL_MAX begins a new literal.
static uint32_t pass_hole(struct packer *p, uint32_t *last, uint32_t at)
{
    struct hole *const h = &p->holes[p->hole];
    assert(h->n && h->n <= LITERAL_SHORT_MAX);
    const uint32_t group = h->same_as == HOLE_NONE ? (uint32_t)p->hole : h->same_as;
    const bool copies = h->same_as != HOLE_NONE && at - last[group] <= OFFSET_MAX;
    if (copies || at + h->n - p->from > LITERAL_MAX)
        put_literal(p, at);
    h->out_at = copies ? HOLE_NONE : 0;
    if (copies) {
        put_copy(p, at - last[group], h->n);
        p->from = at + h->n;
        p->waiting = p->hole + 1;
    }
    last[group] = at;
    p->hole++;
    return at + h->n;
}

// A match of the bytes at at, taken; how many, 0: none.
static uint32_t take_match(struct packer *p, uint32_t at)
{
    const uint32_t end = p->fixed_until[at];
    if (at + MATCH_MIN > end)
        return 0;
    uint32_t *const slot = &p->table[slot_of(p->text + at)];
    const uint32_t found = *slot;
    *slot = at + 1;
    if (!found || at - (found - 1) > OFFSET_MAX ||
        load_le32(p->text + found - 1) != load_le32(p->text + at))
        return 0;
    const uint32_t other = found - 1, other_end = p->fixed_until[other];
    uint32_t n = MATCH_MIN;
    while (at + n < end && other + n < other_end && p->text[at + n] == p->text[other + n])
        n++;
    put_literal(p, at);
    put_copy(p, at - other, n);
    p->from = at + n;
    return n;
}

void holey_snappy_compress(struct str text, struct hole *holes, size_t holes_n, struct buf *out)
{
    assert(text.n < UINT32_MAX);
    uint32_t *const fixed_until = mem_alloc_array(text.n + 1, sizeof *fixed_until);
    uint32_t *const last = mem_alloc_array(holes_n + 1, sizeof *last);
    size_t at = 0;
    for (size_t h = 0; h <= holes_n; h++) {
        const uint32_t end = h < holes_n ? holes[h].at : (uint32_t)text.n;
        assert(at <= end);
        while (at < end)
            fixed_until[at++] = end;
        for (size_t i = 0; h < holes_n && i < holes[h].n; i++)
            fixed_until[at++] = 0;
    }
    struct packer p = {.text = (const uint8_t *)text.p,
                       .fixed_until = fixed_until,
                       .holes = holes,
                       .out = out,
                       .table = mem_zalloc(sizeof(uint32_t) << TABLE_BITS)};
    const size_t begin = out->n;
    buf_put_varint(out, text.n);
    for (uint32_t i = 0; i < text.n;) {
        if (!fixed_until[i]) {
            i = pass_hole(&p, last, i);
            continue;
        }
        const uint32_t n = take_match(&p, i);
        i += n ? n : 1;
    }
    put_literal(&p, (uint32_t)text.n);
    for (size_t h = 0; h < holes_n; h++)
        if (holes[h].out_at != HOLE_NONE)
            holes[h].out_at -= (uint32_t)begin; // of what was appended
    mem_free(p.table);
    mem_free(last);
    mem_free(fixed_until);
}
