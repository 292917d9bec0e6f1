// A histogram in a record: a varint, its low two bits say what follows:
//   NAMED    the place in the table is above them; varint: own sequence minus that of the record
//            that has the layout
//   KEPT     the place above; size, varint, and bytes of the layout
//   ONCE     the size above; bytes
// then the size (varint) and the bytes of the packed form behind the layout.
#include "engine/tsdb/wal_layouts.h"

#include "engine/base/bits.h"
#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "engine/model/histogram.h"

enum { NAMED, KEPT, ONCE };

static_assert(HISTOGRAM_PACKED_MAX + 4 * VARINT_MAX <= WAL_HISTOGRAM_BYTES_MAX, "one fits");

void wal_layouts_reset(struct wal_layouts *l)
{
    for (size_t i = 0; l->places && i < WAL_LAYOUTS; i++)
        l->places[i].seq = 0;
}

void wal_layouts_deinit(struct wal_layouts *l)
{
    for (size_t i = 0; l->places && i < WAL_LAYOUTS; i++)
        mem_free(l->places[i].bytes);
    mem_free(l->places);
    l->places = NULL;
}

static struct wal_layout *place_at(struct wal_layouts *l, uint64_t place)
{
    if (!l->places)
        l->places = mem_zalloc(WAL_LAYOUTS * sizeof *l->places);
    return &l->places[place];
}

static void keep(struct wal_layout *at, uint64_t seq, struct str layout)
{
    if (at->capacity < layout.n) {
        at->capacity = (uint32_t)layout.n;
        at->bytes = mem_realloc(at->bytes, layout.n);
    }
    memcpy(at->bytes, layout.p, layout.n);
    at->n = (uint32_t)layout.n;
    at->seq = seq;
    at->uses = 0;
}

static bool holds(const struct wal_layout *at, struct str layout)
{
    return at->seq && at->n == layout.n && memcmp(at->bytes, layout.p, layout.n) == 0;
}

void wal_layouts_put(struct wal_layouts *l, uint64_t seq, struct str packed, struct buf *out)
{
    const struct str layout = histogram_layout(packed);
    const uint64_t place = hash64(layout.p, layout.n, 0) % WAL_LAYOUTS;
    struct wal_layout *at = place_at(l, place);
    if (layout.n > WAL_LAYOUT_KEPT_MAX) {
        buf_put_varint(out, (uint64_t)layout.n << 2 | ONCE);
        buf_put_str(out, layout);
    } else if (holds(at, layout) && ++at->uses < WAL_LAYOUT_USES) {
        buf_put_varint(out, place << 2 | NAMED);
        buf_put_varint(out, seq - at->seq);
    } else {
        keep(at, seq, layout);
        buf_put_varint(out, place << 2 | KEPT);
        buf_put_varint(out, layout.n);
        buf_put_str(out, layout);
    }
    const char *rest = layout.p + layout.n;
    const size_t n = (size_t)(packed.p + packed.n - rest);
    buf_put_varint(out, n);
    buf_put(out, rest, n);
}

static bool take_number(const uint8_t **p, const uint8_t *end, uint64_t *out)
{
    const size_t n = varint_load(*p, end, out);
    *p += n;
    return n > 0;
}

static bool take_bytes(const uint8_t **p, const uint8_t *end, uint64_t n, struct str *out)
{
    if (n > (size_t)(end - *p) || n > WAL_HISTOGRAM_BYTES_MAX)
        return false;
    *out = str_make((const char *)*p, n);
    *p += n;
    return true;
}

// The layout; p NULL: it was lost.
static bool take_layout(struct wal_layouts *l, uint64_t seq, const uint8_t **p, const uint8_t *end,
                        struct str *out)
{
    uint64_t first, more;
    *out = (struct str){0};
    if (!take_number(p, end, &first))
        return false;
    const uint64_t above = first >> 2;
    if ((first & 3) == ONCE)
        return take_bytes(p, end, above, out);
    if ((first & 3) > ONCE || above >= WAL_LAYOUTS || !take_number(p, end, &more))
        return false;
    struct wal_layout *at = place_at(l, above);
    if ((first & 3) == KEPT) {
        if (more == 0 || more > WAL_LAYOUT_KEPT_MAX || !take_bytes(p, end, more, out))
            return false;
        keep(at, seq, *out);
    } else if (at->seq && at->seq == seq - more) {
        *out = str_make(at->bytes, at->n);
    }
    return true;
}

bool wal_layouts_take(struct wal_layouts *l, uint64_t seq, const uint8_t **p, const uint8_t *end,
                      struct buf *out)
{
    struct str layout, rest;
    uint64_t size;
    if (!take_layout(l, seq, p, end, &layout) || !take_number(p, end, &size) ||
        !take_bytes(p, end, size, &rest))
        return false;
    if (!layout.p)
        return true;
    const size_t from = out->n;
    buf_put_varint(out, layout.n);
    buf_put_str(out, layout);
    buf_put_str(out, rest);
    return histogram_is_packed(str_make(out->p + from, out->n - from));
}
