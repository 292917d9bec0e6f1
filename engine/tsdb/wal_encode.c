#include "engine/tsdb/wal_encode.h"

#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "engine/model/value.h"
#include "engine/tsdb/wal_layouts.h"
#include "engine/tsdb/wal_table.h"
#include "engine/tsdb/wal_value.h"
#include "simd/simd.h"

enum {
    FRAME_BYTES = 16 * 1024,  // a frame is sealed when it holds so many: what one bad byte costs
    DEFINE_BYTES = 32 * 1024, // likewise a record of definitions
    ABSOLUTE_ROWS = 128,
    ABSOLUTE_MS = 3600 * 1000,
    DEFINE_ROWS = 64, // so many rows' samples pay for defining their members once more
    CHANGE_BYTES_MAX = 1 + VARINT_MAX + 1 + 8,
    LIST_BYTES_MAX = 2 * VARINT_MAX,
    START_BYTES_MAX = 2 * VARINT_MAX,
    HISTOGRAMS_BYTES = 64 * 1024, // of a record, if it has several
    RECORD_FIXED_MAX = 100,       // everything in a record but lists, changes and labels
};
static_assert(WAL_ROW_MEMBERS_MAX * (CHANGE_BYTES_MAX + LIST_BYTES_MAX + START_BYTES_MAX) +
                      FRAME_BYTES <
                  1 << 20,
              "a row fits in a frame");
static_assert(HISTOGRAMS_BYTES + WAL_HISTOGRAM_BYTES_MAX + FRAME_BYTES +
                      WAL_ROW_MEMBERS_MAX * LIST_BYTES_MAX <
                  WAL_FRAME_BYTES_MAX,
              "histograms too");

struct shape {
    uint64_t hash;
    uint32_t n;
    uint32_t *members;
};

struct cohort {
    uint64_t generation; // the segment it is defined in
    uint64_t new_seq, last_seq;
    int64_t t_ms, step_ms, absolute_t_ms;
    uint64_t samples;         // since the last absolute record
    uint64_t samples_defined; // since the members were defined from the first on
    uint32_t defined, capacity;
    uint32_t shapes_count;
    uint64_t shapes_members;
    bool absolute_due;
    struct shape *shapes; // WAL_SHAPES_MAX, or NULL while there was none
    uint64_t *bits;       // capacity of these, then capacity modes
    uint8_t *modes;
    int64_t *starts; // capacity of them, or NULL while there was none
};

struct wal_encoder {
    struct wal_source source;
    struct wal_segment segment;
    uint64_t generation, next_seq, synced;
    struct buf out;
    uint64_t out_offset; // in the segment, of the first byte of out
    bool frame_open;
    size_t frame_at; // in out
    struct wal_frame frame;
    struct wal_table cohorts;
    struct buf labels; // of the member defined before
    struct wal_layouts layouts;
    struct buf histograms; // of a record
    uint32_t *identity;
    size_t identity_count;
    struct wal_encoder_stats stats;
};

struct wal_encoder *wal_encoder_create(const struct wal_source *source)
{
    struct wal_encoder *enc = mem_zalloc(sizeof *enc);
    enc->source = *source;
    return enc;
}

static void drop_shapes(struct wal_encoder *enc, struct cohort *c)
{
    for (uint32_t i = 0; i < c->shapes_count; i++)
        mem_free(c->shapes[i].members);
    enc->stats.state_bytes -= c->shapes_members * sizeof *c->shapes->members;
    c->shapes_count = 0;
    c->shapes_members = 0;
}

static void free_cohort(struct wal_encoder *enc, struct cohort *c)
{
    drop_shapes(enc, c);
    enc->stats.state_bytes -= sizeof *c + c->capacity * (sizeof *c->bits + 1);
    enc->stats.cohorts--;
    if (c->starts)
        enc->stats.state_bytes -= c->capacity * sizeof *c->starts;
    mem_free(c->shapes);
    mem_free(c->bits);
    mem_free(c->starts);
    mem_free(c);
}

void wal_encoder_destroy(struct wal_encoder *enc)
{
    if (!enc)
        return;
    for (size_t i = 0; i < enc->cohorts.pages_count * WAL_TABLE_PAGE; i++) {
        struct cohort *c = wal_table_get(&enc->cohorts, (uint32_t)i);
        if (c)
            free_cohort(enc, c);
    }
    wal_table_deinit(&enc->cohorts);
    buf_deinit(&enc->out);
    buf_deinit(&enc->labels);
    buf_deinit(&enc->histograms);
    wal_layouts_deinit(&enc->layouts);
    mem_free(enc->identity);
    mem_free(enc);
}

void wal_encoder_forget(struct wal_encoder *enc, uint32_t cohort)
{
    if (!wal_table_get(&enc->cohorts, cohort))
        return;
    void **at = wal_table_at(&enc->cohorts, cohort);
    free_cohort(enc, *at);
    *at = NULL;
}

void wal_encoder_begin(struct wal_encoder *enc, const struct wal_segment *segment, uint64_t offset)
{
    assert(enc->out.n == 0 && offset % WAL_FRAME_ALIGN == 0);
    assert(segment->first_seq >= enc->next_seq && segment->first_seq > 0);
    enc->segment = *segment;
    enc->next_seq = segment->first_seq;
    enc->out_offset = offset;
    enc->generation++;
    wal_layouts_reset(&enc->layouts);
}

void wal_encoder_set_synced(struct wal_encoder *enc, uint64_t seq)
{
    enc->synced = seq;
}

size_t wal_encoder_pending(const struct wal_encoder *enc)
{
    return enc->out.n;
}

uint64_t wal_encoder_next_seq(const struct wal_encoder *enc)
{
    return enc->next_seq;
}

uint64_t wal_encoder_next_offset(const struct wal_encoder *enc)
{
    return enc->out_offset + enc->out.n;
}

const struct wal_encoder_stats *wal_encoder_stats(const struct wal_encoder *enc)
{
    return &enc->stats;
}

// ---- frames and records

static void open_frame(struct wal_encoder *enc)
{
    if (enc->frame_open)
        return;
    enc->frame_open = true;
    enc->frame_at = enc->out.n;
    enc->frame = (struct wal_frame){.first_seq = enc->next_seq, .synced = enc->synced};
    buf_reserve(&enc->out, WAL_FRAME_HEADER_BYTES);
    enc->out.n += WAL_FRAME_HEADER_BYTES;
}

static void seal_frame(struct wal_encoder *enc)
{
    if (!enc->frame_open)
        return;
    while (enc->out.n % WAL_FRAME_ALIGN != 0)
        buf_put_char(&enc->out, 0);
    enc->frame_open = false;
    enc->frame.size = (uint32_t)(enc->out.n - enc->frame_at - WAL_FRAME_HEADER_BYTES);
    wal_frame_seal(&enc->segment, enc->out_offset + enc->frame_at, &enc->frame,
                   (uint8_t *)enc->out.p + enc->frame_at);
}

uint64_t wal_encoder_take(struct wal_encoder *enc, struct buf *out)
{
    seal_frame(enc);
    const struct buf taken = enc->out;
    const uint64_t offset = enc->out_offset;
    enc->out = *out;
    enc->out.n = 0;
    enc->out_offset = offset + taken.n;
    *out = taken;
    return offset;
}

void wal_encode_end(struct wal_encoder *enc)
{
    seal_frame(enc);
    open_frame(enc);
    seal_frame(enc);
}

// Room for a record of at most size bytes; where its body begins.
static uint8_t *record_begin(struct wal_encoder *enc, size_t size)
{
    open_frame(enc);
    return (uint8_t *)buf_reserve(&enc->out, size + 4) + 2;
}

// The size before the body takes two bytes for most; the body moves where it is one or three.
static void record_end(struct wal_encoder *enc, const uint8_t *end)
{
    uint8_t *at = (uint8_t *)enc->out.p + enc->out.n;
    const size_t size = (size_t)(end - (at + 2));
    uint8_t prefix[VARINT_MAX];
    const size_t prefix_size = varint_store(prefix, size);
    assert(prefix_size <= 3);
    if (prefix_size != 2)
        memmove(at + prefix_size, at + 2, size);
    memcpy(at, prefix, prefix_size);
    enc->out.n += prefix_size + size;
    enc->next_seq++;
    enc->frame.records++;
    enc->stats.records++;
    enc->stats.bytes += prefix_size + size;
    if (enc->out.n - enc->frame_at >= FRAME_BYTES)
        seal_frame(enc);
}

// ---- definitions

static void cohort_grow(struct wal_encoder *enc, struct cohort *c, uint32_t need)
{
    assert(need <= WAL_MEMBERS_MAX);
    if (need <= c->capacity)
        return;
    uint32_t capacity = c->capacity + c->capacity / 2;
    capacity = capacity > need ? capacity : need;
    uint64_t *bits = mem_alloc_array(capacity, sizeof *bits + 1);
    uint8_t *modes = (uint8_t *)(bits + capacity);
    if (c->defined > 0) {
        memcpy(bits, c->bits, c->defined * sizeof *bits);
        memcpy(modes, c->modes, c->defined);
    }
    mem_free(c->bits);
    if (c->starts) {
        c->starts = mem_realloc(c->starts, capacity * sizeof *c->starts);
        enc->stats.state_bytes += (capacity - c->capacity) * sizeof *c->starts;
    }
    enc->stats.state_bytes += (capacity - c->capacity) * (sizeof *bits + 1);
    c->bits = bits;
    c->modes = modes;
    c->capacity = capacity;
}

static size_t common_prefix(struct str a, struct str b)
{
    const size_t n = a.n < b.n ? a.n : b.n;
    return n ? simd.scan_mismatch(a.p, b.p, n) : 0;
}

static size_t common_suffix(struct str a, struct str b, size_t prefix)
{
    const size_t max = (a.n < b.n ? a.n : b.n) - prefix;
    size_t n = 0;
    for (; n + 8 <= max; n += 8) {
        const uint64_t differs = load_le64(a.p + a.n - n - 8) ^ load_le64(b.p + b.n - n - 8);
        if (differs)
            return n + (size_t)__builtin_clzll(differs) / 8;
    }
    while (n < max && a.p[a.n - 1 - n] == b.p[b.n - 1 - n])
        n++;
    return n;
}

// What a member's labels have besides those of the one before.
static void put_member(struct buf *body, struct str labels, struct str before)
{
    const size_t prefix = common_prefix(before, labels);
    const size_t suffix = common_suffix(before, labels, prefix);
    const size_t own = labels.n - prefix - suffix;
    uint8_t *p = (uint8_t *)buf_reserve(body, 3 * VARINT_MAX + own);
    p += varint_store(p, prefix);
    p += varint_store(p, suffix);
    p += varint_store(p, own);
    if (own)
        memcpy(p, labels.p + prefix, own);
    body->n = (size_t)(p + own - (uint8_t *)body->p);
}

// One record: members from first on, until it is large enough; the member after the last.
static uint32_t define_some(struct wal_encoder *enc, uint32_t number, struct cohort *c,
                            uint32_t first, uint32_t end, bool is_new)
{
    struct wal_cohort_info info;
    if (is_new)
        enc->source.cohort(enc->source.arg, number, &info);
    struct buf body = {0}; // its count comes first, and is known last
    uint32_t at = first;
    buf_reset(&enc->labels);
    for (; at < end && body.n < DEFINE_BYTES; at++) {
        const struct str labels = enc->source.member(enc->source.arg, number, at);
        assert(labels.n <= WAL_LABELS_BYTES_MAX);
        put_member(&body, labels, buf_str(&enc->labels));
        buf_reset(&enc->labels);
        buf_put_str(&enc->labels, labels);
    }
    uint8_t *p = record_begin(enc, RECORD_FIXED_MAX + body.n);
    *p++ = (uint8_t)(WAL_RECORD_DEFINE | (is_new ? WAL_DEFINE_NEW : 0));
    p += varint_store(p, number);
    if (is_new) {
        p += varint_store(p, info.partition);
        store_le64(p, info.source);
        p += 8;
        c->new_seq = enc->next_seq;
    } else {
        p += varint_store(p, enc->next_seq - c->last_seq);
        p += varint_store(p, enc->next_seq - c->new_seq);
    }
    p += varint_store(p, first);
    p += varint_store(p, at - first);
    memcpy(p, body.p, body.n);
    c->last_seq = enc->next_seq;
    enc->stats.definitions += at - first;
    enc->stats.definition_bytes += body.n;
    record_end(enc, p + body.n);
    buf_deinit(&body);
    return at;
}

static void define(struct wal_encoder *enc, uint32_t number, struct cohort *c, uint32_t end)
{
    bool is_new = c->generation != enc->generation;
    if (is_new) {
        c->generation = enc->generation;
        c->defined = 0;
        c->absolute_due = true;
        c->samples_defined = 0;
    }
    cohort_grow(enc, c, end);
    for (uint32_t at = c->defined; at < end; is_new = false)
        at = define_some(enc, number, c, at, end, is_new);
    memset(c->bits + c->defined, 0, (end - c->defined) * sizeof *c->bits);
    memset(c->modes + c->defined, 0, end - c->defined);
    if (c->starts)
        memset(c->starts + c->defined, 0, (end - c->defined) * sizeof *c->starts);
    c->defined = end;
}

static struct cohort *cohort_at(struct wal_encoder *enc, uint32_t number, uint32_t end)
{
    struct cohort *c = wal_table_get(&enc->cohorts, number);
    if (!c) {
        c = mem_zalloc(sizeof *c);
        *wal_table_at(&enc->cohorts, number) = c;
        enc->stats.cohorts++;
        enc->stats.state_bytes += sizeof *c;
    }
    if (c->generation != enc->generation || c->defined < end)
        define(enc, number, c, end);
    return c;
}

// All members once more: what a lost definition costs ends here.
static void define_again(struct wal_encoder *enc, uint32_t number, struct cohort *c, uint32_t end)
{
    const struct wal_encoder_stats before = enc->stats;
    end = end > c->defined ? end : c->defined;
    c->generation = 0;
    define(enc, number, c, end);
    enc->stats.definitions = before.definitions;
    enc->stats.definition_bytes = before.definition_bytes;
    enc->stats.repeated_bytes += enc->stats.bytes - before.bytes;
}

// ---- values

static unsigned byte_width(uint64_t z)
{
    return (bit_width(z | 1) + 7) / 8;
}

// The lowest mode in which the value is a decimal, or WAL_MODE_RAW. One test is enough: what is a
// decimal is one at the highest power that the bound allows.
static unsigned decimal_mode(uint64_t bits)
{
    double size = double_from_bits(bits & INT64_MAX);
    if (!(size < WAL_MANTISSA_BOUND))
        return WAL_MODE_RAW;
    unsigned mode = 0;
    while (mode < WAL_MODE_DECIMAL_MAX && size * WAL_POW10[mode + 1] < WAL_MANTISSA_BOUND)
        mode++;
    int64_t mantissa = wal_mantissa(bits, mode);
    if (wal_decimal(mantissa, mode) != bits)
        return WAL_MODE_RAW;
    while (mode > 0 && mantissa % 10 == 0) {
        mantissa /= 10;
        mode--;
    }
    return wal_decimal(wal_mantissa(bits, mode), mode) == bits ? mode : WAL_MODE_RAW;
}

// A change whose mode has to be chosen: what the escape costs is part of the choice.
static uint8_t *put_other(uint8_t *control, uint8_t *p, uint64_t bits, uint64_t last, uint8_t *mode)
{
    if (bits == VALUE_STALE_BITS) {
        *control |= 7 << 5;
        *p++ = WAL_MODE_STALE;
        return p;
    }
    unsigned chosen = decimal_mode(bits);
    uint64_t z = zigzag((int64_t)(bits - last));
    if (chosen != WAL_MODE_RAW) {
        const uint64_t decimal =
            zigzag((int64_t)((uint64_t)wal_mantissa(bits, chosen) - wal_base(last, chosen)));
        if (byte_width(decimal) + (chosen != *mode) <= byte_width(z) + (*mode != WAL_MODE_RAW))
            z = decimal;
        else
            chosen = WAL_MODE_RAW;
    }
    const unsigned bytes = byte_width(z);
    if (chosen == *mode && bytes < 8) {
        *control |= (uint8_t)((bytes - 1) << 5);
    } else {
        *control |= 7 << 5;
        *p++ = (uint8_t)(chosen | (bytes - 1) << 5);
        *mode = (uint8_t)chosen;
    }
    store_le64(p, z);
    return p + bytes;
}

static inline uint8_t *put_change(uint8_t *p, uint32_t skip, uint64_t bits, uint64_t last,
                                  uint8_t *mode)
{
    uint8_t *control = p++;
    if (skip < 31) {
        *control = (uint8_t)skip;
    } else {
        *control = 31;
        p += varint_store(p, skip - 31);
    }
    if (*mode > WAL_MODE_DECIMAL_MAX)
        return put_other(control, p, bits, last, mode);
    const int64_t mantissa = wal_mantissa(bits, *mode);
    if (wal_decimal(mantissa, *mode) != bits)
        return put_other(control, p, bits, last, mode);
    const uint64_t z = zigzag(mantissa - wal_mantissa(last, *mode));
    const unsigned bytes = byte_width(z);
    *control |= (uint8_t)((bytes - 1) << 5);
    store_le64(p, z);
    return p + bytes;
}

static uint8_t *put_changes_full(uint8_t *p, const uint64_t *now, uint32_t n, uint64_t *last,
                                 uint8_t *modes)
{
    uint32_t after = 0; // the member after the last change
    for (uint32_t i = 0; i < n; i++) {
        if (now[i] == last[i])
            continue;
        p = put_change(p, i - after, now[i], last[i], &modes[i]);
        last[i] = now[i];
        after = i + 1;
    }
    return p;
}

static uint8_t *put_changes(uint8_t *p, const uint64_t *now, const uint32_t *members, uint32_t n,
                            uint64_t *last, uint8_t *modes)
{
    uint32_t after = 0;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t m = members[i];
        if (now[i] == last[m])
            continue;
        p = put_change(p, i - after, now[i], last[m], &modes[m]);
        last[m] = now[i];
        after = i + 1;
    }
    return p;
}

// Of a row where all but those that it names are as in the cohort's row before.
static uint8_t *put_changes_named(uint8_t *p, const struct wal_row *row, uint64_t *last,
                                  uint8_t *modes)
{
    uint32_t after = 0;
    for (uint32_t k = 0; k < row->changed_n; k++) {
        const uint32_t i = row->changed[k], m = row->members ? row->members[i] : i;
        if (row->bits[i] == last[m])
            continue;
        p = put_change(p, i - after, row->bits[i], last[m], &modes[m]);
        last[m] = row->bits[i];
        after = i + 1;
    }
    return p;
}

// Of a late row: nothing of it becomes a base.
static uint8_t *put_changes_late(uint8_t *p, const struct wal_row *row, const uint64_t *last,
                                 const uint8_t *modes)
{
    uint32_t after = 0;
    for (uint32_t i = 0; i < row->n; i++) {
        const uint32_t m = row->members ? row->members[i] : i;
        if (row->bits[i] == last[m])
            continue;
        uint8_t mode = modes[m];
        p = put_change(p, i - after, row->bits[i], last[m], &mode);
        after = i + 1;
    }
    return p;
}

// ---- rows

static uint8_t *put_list(uint8_t *p, const uint32_t *members, uint32_t n)
{
    p += varint_store(p, n);
    uint32_t expected = 0;
    for (uint32_t i = 0; i < n;) {
        assert(members[i] >= expected); // ascending
        uint32_t run = 1;
        while (i + run < n && members[i + run] == members[i] + run)
            run++;
        p += varint_store(p, (uint64_t)(members[i] - expected) << 1 | (run > 1));
        if (run > 1)
            p += varint_store(p, run - 2);
        expected = members[i] + run;
        i += run;
    }
    return p;
}

static uint32_t find_shape(const struct cohort *c, uint64_t hash, const struct wal_row *row)
{
    for (uint32_t i = 0; i < c->shapes_count; i++) {
        const struct shape *s = &c->shapes[i];
        if (s->hash == hash && s->n == row->n &&
            memcmp(s->members, row->members, row->n * sizeof *row->members) == 0)
            return i;
    }
    return UINT32_MAX;
}

static void add_shape(struct wal_encoder *enc, struct cohort *c, uint64_t hash,
                      const struct wal_row *row)
{
    if (!c->shapes)
        c->shapes = mem_alloc_array(WAL_SHAPES_MAX, sizeof *c->shapes);
    struct shape *s = &c->shapes[c->shapes_count++];
    *s = (struct shape){hash, row->n, mem_alloc_array(row->n, sizeof *s->members)};
    memcpy(s->members, row->members, row->n * sizeof *s->members);
    c->shapes_members += row->n;
    enc->stats.state_bytes += row->n * sizeof *s->members;
}

static bool is_full(const struct cohort *c, const struct wal_row *row)
{
    return row->n == c->defined && (!row->members || row->members[row->n - 1] == row->n - 1);
}

// Writes which members a row has, sets the flags that say how.
static uint8_t *put_presence(struct wal_encoder *enc, struct cohort *c, const struct wal_row *row,
                             uint8_t *p, uint8_t *flags)
{
    if (is_full(c, row)) {
        *flags |= WAL_PRESENCE_FULL;
        return p;
    }
    const uint64_t hash = hash64(row->members, row->n * sizeof *row->members, 0);
    const uint32_t shape = find_shape(c, hash, row);
    if (shape != UINT32_MAX) {
        *flags |= WAL_PRESENCE_SHAPE;
        return p + varint_store(p, shape);
    }
    if (!(row->flags & WAL_ROW_LATE) && c->shapes_count < WAL_SHAPES_MAX &&
        c->shapes_members < 2 * (uint64_t)c->defined) {
        *flags |= WAL_PRESENCE_NEW_SHAPE;
        add_shape(enc, c, hash, row);
    } else {
        *flags |= WAL_PRESENCE_ONCE;
    }
    return put_list(p, row->members, row->n);
}

static void make_absolute(struct wal_encoder *enc, struct cohort *c, const struct wal_row *row)
{
    c->t_ms = c->step_ms = 0;
    c->absolute_t_ms = row->t_ms;
    c->samples = 0;
    c->absolute_due = false;
    drop_shapes(enc, c);
    memset(c->bits, 0, c->defined * sizeof *c->bits);
    memset(c->modes, 0, c->defined);
    if (c->starts)
        memset(c->starts, 0, c->defined * sizeof *c->starts);
}

static int64_t start_of(const struct wal_row *row, uint32_t i)
{
    return row->starts ? row->starts[i] : 0;
}

static bool start_differs(const struct cohort *c, const struct wal_row *row, uint32_t i)
{
    return start_of(row, i) != (c->starts ? c->starts[row->members ? row->members[i] : i] : 0);
}

static bool starts_differ(const struct cohort *c, const struct wal_row *row)
{
    if (!row->starts && !c->starts)
        return false;
    for (uint32_t i = 0; i < row->n; i++) {
        if (start_differs(c, row, i))
            return true;
    }
    return false;
}

// The end of the run of members from i on that get one start timestamp which is new to them.
static uint32_t start_run_end(const struct cohort *c, const struct wal_row *row, uint32_t i)
{
    uint32_t end = i;
    while (end < row->n && start_of(row, end) == start_of(row, i) && start_differs(c, row, end))
        end++;
    return end;
}

static uint8_t *put_starts(uint8_t *p, const struct cohort *c, const struct wal_row *row)
{
    uint32_t runs = 0, after = 0;
    for (uint32_t i = 0, end; i<row->n; i = end> i ? end : i + 1) {
        end = start_run_end(c, row, i);
        runs += end > i;
    }
    p += varint_store(p, runs);
    uint64_t last = (uint64_t)row->t_ms;
    for (uint32_t i = 0, end; i<row->n; i = end> i ? end : i + 1) {
        end = start_run_end(c, row, i);
        if (end == i)
            continue;
        p += varint_store(p, i - after);
        p += varint_store(p, end - i - 1);
        p += varint_store(p, zigzag((int64_t)((uint64_t)start_of(row, i) - last)));
        last = (uint64_t)start_of(row, i);
        after = end;
    }
    return p;
}

static void keep_starts(struct wal_encoder *enc, struct cohort *c, const struct wal_row *row)
{
    if (!c->starts) {
        c->starts = mem_zalloc(c->capacity * sizeof *c->starts);
        enc->stats.state_bytes += c->capacity * sizeof *c->starts;
    }
    for (uint32_t i = 0; i < row->n; i++)
        c->starts[row->members ? row->members[i] : i] = start_of(row, i);
}

static bool is_absolute_due(const struct cohort *c, const struct wal_row *row)
{
    int64_t age;
    return c->absolute_due || c->samples >= (uint64_t)ABSOLUTE_ROWS * c->defined ||
           __builtin_sub_overflow(row->t_ms, c->absolute_t_ms, &age) || age >= ABSOLUTE_MS;
}

// A row of at most WAL_ROW_MEMBERS_MAX members, all defined. Times wrap around, on both sides.
static void encode_row(struct wal_encoder *enc, struct cohort *c, const struct wal_row *row)
{
    const bool late = row->flags & WAL_ROW_LATE;
    const bool absolute = is_absolute_due(c, row);
    if (absolute)
        make_absolute(enc, c, row);
    uint8_t *const begin =
        record_begin(enc, RECORD_FIXED_MAX + (size_t)row->n * (CHANGE_BYTES_MAX + LIST_BYTES_MAX +
                                                               START_BYTES_MAX));
    uint8_t *p = begin + 1;
    p += varint_store(p, row->cohort);
    p += varint_store(p, enc->next_seq - (absolute ? c->new_seq : c->last_seq));
    if (absolute)
        p += varint_store(p, c->defined);
    const uint64_t step = (uint64_t)row->t_ms - (uint64_t)c->t_ms;
    p += varint_store(p, zigzag((int64_t)(late ? step : step - (uint64_t)c->step_ms)));
    uint8_t flags = (uint8_t)((late ? WAL_FLAG_LATE : 0) | (absolute ? WAL_FLAG_ABSOLUTE : 0));
    p = put_presence(enc, c, row, p, &flags);
    *begin = (uint8_t)(WAL_RECORD_ROW | flags);
    if (starts_differ(c, row)) {
        *begin = (uint8_t)(WAL_RECORD_ROW_STARTS | flags);
        p = put_starts(p, c, row);
        if (!late)
            keep_starts(enc, c, row);
    }
    if (late)
        p = put_changes_late(p, row, c->bits, c->modes);
    else if (row->changed && !absolute)
        p = put_changes_named(p, row, c->bits, c->modes);
    else if ((flags & WAL_FLAG_PRESENCE) == WAL_PRESENCE_FULL)
        p = put_changes_full(p, row->bits, row->n, c->bits, c->modes);
    else
        p = put_changes(p, row->bits, row->members, row->n, c->bits, c->modes);
    if (absolute || !late)
        c->last_seq = enc->next_seq;
    if (!late) {
        c->t_ms = row->t_ms;
        c->step_ms = (int64_t)step;
        c->samples += row->n;
        c->samples_defined += row->n;
    }
    record_end(enc, p);
    enc->stats.rows++;
    enc->stats.samples += row->n;
}

// A record of as many of the row's histograms as it may hold; how many.
static uint32_t encode_histograms(struct wal_encoder *enc, struct cohort *c,
                                  const struct wal_row *row)
{
    struct buf *body = &enc->histograms;
    uint64_t last = 0;
    uint32_t n = 0;
    buf_reset(body);
    for (; n < row->n && n < WAL_ROW_MEMBERS_MAX && body->n < HISTOGRAMS_BYTES; n++) {
        if (row->starts) {
            buf_put_varint(body, zigzag((int64_t)((uint64_t)row->starts[n] - last)));
            last = (uint64_t)row->starts[n];
        }
        wal_layouts_put(&enc->layouts, enc->next_seq, row->histograms[n], body);
    }
    uint8_t *p = record_begin(enc, RECORD_FIXED_MAX + (size_t)n * LIST_BYTES_MAX + body->n);
    *p++ = (uint8_t)(WAL_RECORD_HISTOGRAMS | (row->flags & WAL_ROW_LATE ? WAL_HISTOGRAMS_LATE : 0) |
                     (row->starts ? WAL_HISTOGRAMS_STARTS : 0));
    p += varint_store(p, row->cohort);
    p += varint_store(p, enc->next_seq - c->new_seq);
    p += varint_store(p, c->defined);
    p += varint_store(p, zigzag(row->t_ms));
    p = put_list(p, row->members, n);
    memcpy(p, body->p, body->n);
    c->samples_defined += n;
    record_end(enc, p + body->n);
    enc->stats.rows++;
    enc->stats.samples += n;
    return n;
}

// 0, 1, 2, ...: for a row that names its members by being the first n of more.
static const uint32_t *identity(struct wal_encoder *enc, uint32_t n)
{
    if (enc->identity_count < n) {
        enc->identity = mem_realloc(enc->identity, n * sizeof *enc->identity);
        for (size_t i = enc->identity_count; i < n; i++)
            enc->identity[i] = (uint32_t)i;
        enc->identity_count = n;
    }
    return enc->identity;
}

// The cohort of a row, with all of the row's members defined.
static struct cohort *cohort_of(struct wal_encoder *enc, const struct wal_row *row)
{
    const uint32_t last = row->members ? row->members[row->n - 1] : row->n - 1;
    assert(last < WAL_MEMBERS_MAX && row->n <= last + 1);
    struct cohort *c = cohort_at(enc, row->cohort, last + 1);
    if (c->samples_defined >= (uint64_t)DEFINE_ROWS * c->defined &&
        (row->histograms || is_absolute_due(c, row)))
        define_again(enc, row->cohort, c, last + 1);
    return c;
}

// The row without its first n members.
static void row_skip(struct wal_row *row, uint32_t n)
{
    row->bits += n;
    row->n -= n;
    if (row->members)
        row->members += n;
    if (row->histograms)
        row->histograms += n;
    if (row->starts)
        row->starts += n;
}

void wal_encode(struct wal_encoder *enc, const struct wal_row *rows, size_t n)
{
    assert(enc->generation > 0); // begun
    for (size_t i = 0; i < n; i++) {
        struct wal_row row = rows[i];
        if (row.n == 0)
            continue;
        struct cohort *c = cohort_of(enc, &row);
        if (!row.members && (row.histograms || !is_full(c, &row) || row.n > WAL_ROW_MEMBERS_MAX))
            row.members = identity(enc, row.n);
        assert(!row.changed || row.n <= WAL_ROW_MEMBERS_MAX);
        for (uint32_t done; row.n > 0; row_skip(&row, done)) {
            struct wal_row some = row;
            some.n = row.n < WAL_ROW_MEMBERS_MAX ? row.n : WAL_ROW_MEMBERS_MAX;
            done = some.n;
            if (row.histograms)
                done = encode_histograms(enc, c, &some);
            else
                encode_row(enc, c, &some);
        }
    }
}

void wal_encode_notes(struct wal_encoder *enc, enum wal_record_type type, const struct str *notes,
                      size_t n)
{
    assert(enc->generation > 0); // begun
    for (size_t at = 0; at < n;) {
        size_t size = 1, end = at;
        do
            size += VARINT_MAX + notes[end++].n;
        while (end < n && size < DEFINE_BYTES);
        uint8_t *p = record_begin(enc, size);
        *p++ = (uint8_t)type;
        for (; at < end; at++) {
            p += varint_store(p, notes[at].n);
            memcpy(p, notes[at].p, notes[at].n);
            p += notes[at].n;
        }
        record_end(enc, p);
    }
}
