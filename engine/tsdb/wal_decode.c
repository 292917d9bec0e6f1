#include "engine/tsdb/wal_decode.h"

#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "engine/model/labels.h"
#include "engine/model/value.h"
#include "engine/tsdb/wal_layouts.h"
#include "engine/tsdb/wal_table.h"
#include "engine/tsdb/wal_value.h"

struct shape {
    uint32_t n;
    uint32_t *members;
};

struct cohort {
    struct wal_cohort_info info;
    uint64_t new_seq;
    uint64_t last_seq; // of the previous record; 0: one was lost, only an absolute one helps
    int64_t t_ms, step_ms;
    uint64_t memo;  // the caller's, see wal_replay.h
    uint32_t whole; // members of the last row, if it was handed over and had all; 0: not so
    uint32_t defined, capacity;
    uint32_t known; // handles of so many members, also when they are being defined again
    uint32_t shapes_count;
    struct shape *shapes; // WAL_SHAPES_MAX, or NULL while there was none
    uint64_t *bits;       // capacity of each of these, in one block
    uint64_t *handles;
    uint64_t *hashes; // of the labels
    uint8_t *modes;
    int64_t *starts; // capacity of them, or NULL while there was none
};

struct wal_decoder {
    const struct wal_replay_ops *ops;
    void *arg;
    uint64_t seq_min, seed;
    struct wal_table cohorts;
    struct buf labels[2];
    // Of one row, as large as the largest cohort.
    uint32_t *members, *changed;
    uint64_t *bits, *handles;
    int64_t *starts;
    size_t scratch_count;
    struct wal_layouts layouts;
    struct buf packed; // the histograms of a row
    struct str *histograms;
    size_t histograms_capacity;
    struct wal_decoder_stats stats;
};

// What is left of a record.
struct input {
    const uint8_t *p, *end;
};

enum { DEFINED_BYTES = 3 * sizeof(uint64_t) + 1 }; // of a member

struct wal_decoder *wal_decoder_create(const struct wal_replay_ops *ops, void *arg,
                                       uint64_t seq_min, uint64_t seed)
{
    struct wal_decoder *d = mem_zalloc(sizeof *d);
    d->ops = ops;
    d->arg = arg;
    d->seq_min = seq_min;
    d->seed = seed;
    buf_reserve(&d->labels[0], 1); // an empty one has a pointer to add to
    buf_reserve(&d->labels[1], 1);
    return d;
}

static void drop_shapes(struct wal_decoder *d, struct cohort *c)
{
    for (uint32_t i = 0; i < c->shapes_count; i++) {
        d->stats.state_bytes -= c->shapes[i].n * sizeof *c->shapes[i].members;
        mem_free(c->shapes[i].members);
    }
    c->shapes_count = 0;
}

void wal_decoder_begin(struct wal_decoder *d)
{
    for (size_t i = 0; i < d->cohorts.pages_count * WAL_TABLE_PAGE; i++) {
        struct cohort *c = wal_table_get(&d->cohorts, (uint32_t)i);
        if (!c)
            continue;
        drop_shapes(d, c);
        mem_free(c->shapes);
        mem_free(c->bits);
        mem_free(c->starts);
        mem_free(c);
    }
    wal_table_deinit(&d->cohorts);
    wal_layouts_reset(&d->layouts);
    d->stats.state_bytes = 0;
}

void wal_decoder_destroy(struct wal_decoder *d)
{
    if (!d)
        return;
    wal_decoder_begin(d);
    buf_deinit(&d->labels[0]);
    buf_deinit(&d->labels[1]);
    mem_free(d->members);
    mem_free(d->changed);
    mem_free(d->bits);
    mem_free(d->handles);
    mem_free(d->starts);
    mem_free(d->histograms);
    buf_deinit(&d->packed);
    wal_layouts_deinit(&d->layouts);
    mem_free(d);
}

const struct wal_decoder_stats *wal_decoder_stats(const struct wal_decoder *d)
{
    return &d->stats;
}

static bool take_varint(struct input *in, uint64_t *out)
{
    const size_t n = varint_load(in->p, in->end, out);
    in->p += n;
    return n > 0;
}

// A varint that is at most max.
static bool take_u32(struct input *in, uint32_t max, uint32_t *out)
{
    uint64_t v;
    if (!take_varint(in, &v) || v > max)
        return false;
    *out = (uint32_t)v;
    return true;
}

// ---- definitions

static void cohort_grow(struct wal_decoder *d, struct cohort *c, uint32_t need)
{
    if (need > c->capacity) {
        uint32_t capacity = c->capacity + c->capacity / 2;
        capacity = capacity > need ? capacity : need;
        uint64_t *bits = mem_alloc_array(capacity, DEFINED_BYTES);
        uint64_t *handles = bits + capacity, *hashes = handles + capacity;
        uint8_t *modes = (uint8_t *)(hashes + capacity);
        if (c->known > 0) {
            memcpy(bits, c->bits, c->known * sizeof *bits);
            memcpy(handles, c->handles, c->known * sizeof *handles);
            memcpy(hashes, c->hashes, c->known * sizeof *hashes);
            memcpy(modes, c->modes, c->known);
        }
        mem_free(c->bits);
        if (c->starts) {
            c->starts = mem_realloc(c->starts, capacity * sizeof *c->starts);
            d->stats.state_bytes += (size_t)(capacity - c->capacity) * sizeof *c->starts;
        }
        d->stats.state_bytes += (size_t)(capacity - c->capacity) * DEFINED_BYTES;
        c->bits = bits;
        c->handles = handles;
        c->hashes = hashes;
        c->modes = modes;
        c->capacity = capacity;
    }
    if (need > d->scratch_count) {
        const size_t count = need + need / 2;
        d->members = mem_realloc(d->members, count * sizeof *d->members);
        d->changed = mem_realloc(d->changed, count * sizeof *d->changed);
        d->bits = mem_realloc(d->bits, count * sizeof *d->bits);
        d->handles = mem_realloc(d->handles, count * sizeof *d->handles);
        d->starts = mem_realloc(d->starts, count * sizeof *d->starts);
        d->scratch_count = count;
    }
}

// The next labels: those before them, changed in the middle.
static bool take_labels(struct input *in, struct str before, struct buf *out)
{
    uint32_t prefix, suffix, middle;
    if (!take_u32(in, WAL_LABELS_BYTES_MAX, &prefix) ||
        !take_u32(in, WAL_LABELS_BYTES_MAX, &suffix) ||
        !take_u32(in, WAL_LABELS_BYTES_MAX, &middle) || (size_t)prefix + suffix > before.n ||
        (size_t)prefix + suffix + middle > WAL_LABELS_BYTES_MAX ||
        middle > (size_t)(in->end - in->p))
        return false;
    buf_reset(out);
    buf_put(out, before.p, prefix);
    buf_put(out, in->p, middle);
    buf_put(out, before.p + (before.n - suffix), suffix);
    in->p += middle;
    return out->n == 0 || labels_check(buf_str(out));
}

// The member's handle; of one that is defined again with the same labels the one it has.
static err take_handle(struct wal_decoder *d, struct cohort *c, uint32_t number, struct str labels,
                       struct errmsg *e)
{
    const uint32_t at = c->defined;
    const uint64_t hash = hash64(labels.p, labels.n, d->seed);
    if (at < c->known && c->hashes[at] == hash)
        return ERR_OK;
    uint64_t handle = 0;
    if (labels.n > 0)
        TRY(d->ops->define(d->arg, &c->info, number, labels, &handle, e));
    c->handles[at] = handle;
    c->hashes[at] = hash;
    if (c->known <= at)
        c->known = at + 1;
    return ERR_OK;
}

static err take_members(struct wal_decoder *d, struct cohort *c, uint32_t number, uint32_t count,
                        struct input *in, bool *out_good, struct errmsg *e)
{
    cohort_grow(d, c, c->defined + count);
    buf_reset(&d->labels[0]);
    for (uint32_t i = 0; i < count; i++) {
        struct buf *labels = &d->labels[(i + 1) % 2];
        if (!take_labels(in, buf_str(&d->labels[i % 2]), labels))
            return ERR_OK;
        TRY(take_handle(d, c, number, buf_str(labels), e));
        c->bits[c->defined] = 0;
        c->modes[c->defined] = 0;
        if (c->starts)
            c->starts[c->defined] = 0;
        c->defined++;
    }
    *out_good = in->p == in->end;
    return ERR_OK;
}

static struct cohort *cohort_renew(struct wal_decoder *d, uint32_t number)
{
    void **at = wal_table_at(&d->cohorts, number);
    struct cohort *c = *at;
    if (c) {
        drop_shapes(d, c);
    } else {
        *at = c = mem_zalloc(sizeof *c);
        d->stats.state_bytes += sizeof *c;
    }
    c->defined = c->whole = 0;
    c->memo = 0;
    return c;
}

static err read_define(struct wal_decoder *d, uint64_t seq, uint8_t flags, struct input *in,
                       bool *out_good, struct errmsg *e)
{
    uint32_t number, partition = 0, first, count;
    uint64_t source = 0, back = 0, new_back = 0;
    const bool is_new = flags & WAL_DEFINE_NEW;
    if (!take_u32(in, WAL_COHORTS_MAX - 1, &number))
        return ERR_OK;
    if (is_new) {
        if (!take_u32(in, UINT32_MAX, &partition) || in->end - in->p < 8)
            return ERR_OK;
        source = load_le64(in->p);
        in->p += 8;
    } else if (!take_varint(in, &back) || !take_varint(in, &new_back)) {
        return ERR_OK;
    }
    if (!take_u32(in, WAL_MEMBERS_MAX, &first) || !take_u32(in, WAL_MEMBERS_MAX - first, &count) ||
        count > (size_t)(in->end - in->p) / 3 || (is_new && first != 0))
        return ERR_OK;
    struct cohort *c;
    if (is_new) {
        c = cohort_renew(d, number);
        if (c->info.partition != partition || c->info.source != source)
            c->known = 0;
        c->info = (struct wal_cohort_info){partition, source};
        c->new_seq = c->last_seq = seq;
    } else {
        c = wal_table_get(&d->cohorts, number);
        if (!c || seq - new_back != c->new_seq || first != c->defined) {
            *out_good = true; // understood, but what it adds to was lost
            return ERR_OK;
        }
        c->last_seq = seq - back == c->last_seq ? seq : 0;
    }
    const err code = take_members(d, c, number, count, in, out_good, e);
    if (!*out_good) {
        c->new_seq = c->last_seq = 0; // what it stands for is not known any more
        c->defined = c->known = 0;
    }
    return code;
}

// ---- rows

// A list of members into d->members.
static bool take_list(struct wal_decoder *d, const struct cohort *c, struct input *in,
                      uint32_t *out_n)
{
    uint32_t n, at = 0, filled = 0;
    if (!take_u32(in, c->defined, &n) || n == 0)
        return false;
    while (filled < n) {
        uint64_t x, run = 1;
        if (!take_varint(in, &x) || (x >> 1) >= c->defined - at)
            return false;
        at += (uint32_t)(x >> 1);
        if (x & 1) {
            if (!take_varint(in, &run) || run > c->defined)
                return false;
            run += 2;
        }
        if (run > c->defined - at || run > n - filled)
            return false;
        for (uint64_t i = 0; i < run; i++)
            d->members[filled++] = at++;
    }
    *out_n = n;
    return true;
}

static bool keep_shape(struct wal_decoder *d, struct cohort *c, uint32_t n)
{
    if (c->shapes_count == WAL_SHAPES_MAX)
        return false;
    if (!c->shapes)
        c->shapes = mem_alloc_array(WAL_SHAPES_MAX, sizeof *c->shapes);
    struct shape *s = &c->shapes[c->shapes_count++];
    *s = (struct shape){n, mem_alloc_array(n, sizeof *s->members)};
    memcpy(s->members, d->members, n * sizeof *s->members);
    d->stats.state_bytes += n * sizeof *s->members;
    return true;
}

// Who is in the row; members NULL: all that are defined.
static bool take_presence(struct wal_decoder *d, struct cohort *c, uint8_t flags, struct input *in,
                          const uint32_t **out_members, uint32_t *out_n)
{
    const unsigned presence = flags & WAL_FLAG_PRESENCE;
    if (presence == WAL_PRESENCE_FULL) {
        *out_members = NULL;
        *out_n = c->defined;
        return c->defined > 0;
    }
    if (presence == WAL_PRESENCE_SHAPE) {
        uint32_t shape;
        if (!take_u32(in, UINT32_MAX, &shape) || shape >= c->shapes_count)
            return false;
        *out_members = c->shapes[shape].members;
        *out_n = c->shapes[shape].n;
        return true;
    }
    *out_members = d->members;
    return take_list(d, c, in, out_n) &&
           (presence == WAL_PRESENCE_ONCE || keep_shape(d, c, *out_n));
}

// The size of the delta that follows and the mode it is in; false: no such mode.
static inline bool take_kind(struct input *in, uint8_t control, uint8_t *mode, unsigned *out_bytes)
{
    *out_bytes = (control >> 5) + 1u;
    if (*out_bytes < 8)
        return true;
    if (in->p == in->end)
        return false;
    const uint8_t escape = *in->p++;
    *mode = escape & 31;
    *out_bytes = (escape >> 5) + 1u;
    if (*mode == WAL_MODE_STALE)
        return (*out_bytes)-- == 1;
    return *mode <= WAL_MODE_DECIMAL_MAX || *mode == WAL_MODE_RAW;
}

static inline uint64_t load_bytes(const struct input *in, unsigned bytes)
{
    uint64_t z = 0;
    if (in->end - in->p >= 8) {
        z = load_le64(in->p);
        return bytes < 8 ? z & ((1ull << 8 * bytes) - 1) : z;
    }
    memcpy(&z, in->p, bytes);
    return z;
}

// Applies the changes. Member i of the row has its last value at bits[m], its mode at modes[m], m
// being members[i], or i where there are none. The modes stay as they are when late. changed gets
// which they are.
static bool take_changes(struct input *in, const uint32_t *members, uint32_t n, uint64_t *bits,
                         uint8_t *modes, uint32_t *changed, uint32_t *out_changed_n)
{
    uint32_t at = 0, changed_n = 0;
    while (in->p < in->end) {
        const uint8_t control = *in->p++;
        uint32_t skip = control & 31, more = 0;
        if (skip == 31 && !take_u32(in, WAL_MEMBERS_MAX, &more))
            return false;
        skip += more;
        if (skip >= n - at)
            return false;
        at += skip;
        const uint32_t m = members ? members[at] : at;
        changed[changed_n++] = at++;
        uint8_t mode = modes[m];
        unsigned bytes;
        if (!take_kind(in, control, &mode, &bytes) || (size_t)(in->end - in->p) < bytes)
            return false;
        if (mode == WAL_MODE_STALE) {
            bits[m] = VALUE_STALE_BITS;
            continue;
        }
        const uint64_t delta = (uint64_t)unzigzag(load_bytes(in, bytes));
        const uint64_t sum = wal_base(bits[m], mode) + delta;
        bits[m] = mode == WAL_MODE_RAW ? sum : wal_decimal((int64_t)sum, mode);
        modes[m] = mode;
        in->p += bytes;
    }
    *out_changed_n = changed_n;
    return true;
}

// Of a late row, whose last values were copied to bits: the modes are the cohort's, and stay.
static bool take_changes_late(struct input *in, const struct cohort *c, const uint32_t *members,
                              uint32_t n, uint64_t *bits, uint32_t *changed)
{
    uint32_t changed_n;
    uint8_t *modes = mem_alloc(n);
    for (uint32_t i = 0; i < n; i++)
        modes[i] = c->modes[members ? members[i] : i];
    const bool good = take_changes(in, NULL, n, bits, modes, changed, &changed_n);
    mem_free(modes);
    return good;
}

static void reset_bases(struct wal_decoder *d, struct cohort *c)
{
    drop_shapes(d, c);
    c->t_ms = c->step_ms = 0;
    memset(c->bits, 0, c->defined * sizeof *c->bits);
    memset(c->modes, 0, c->defined);
    if (c->starts)
        memset(c->starts, 0, c->defined * sizeof *c->starts);
}

// Of the row's n members, into d->starts; those of a row that is not late are remembered.
static bool take_starts(struct wal_decoder *d, struct cohort *c, const uint32_t *members,
                        const struct wal_replay_row *row, struct input *in)
{
    uint32_t runs, skip, more, at = 0;
    uint64_t last = (uint64_t)row->t_ms, z;
    const bool late = row->flags & WAL_ROW_LATE;
    if (!take_u32(in, row->n, &runs))
        return false;
    if (!c->starts) {
        c->starts = mem_zalloc(c->capacity * sizeof *c->starts);
        d->stats.state_bytes += c->capacity * sizeof *c->starts;
        memset(d->starts, 0, row->n * sizeof *d->starts);
    }
    for (; runs > 0; runs--) {
        if (!take_u32(in, row->n, &skip) || !take_u32(in, row->n, &more) || !take_varint(in, &z) ||
            skip >= row->n - at || more >= row->n - at - skip)
            return false;
        last += (uint64_t)unzigzag(z);
        for (at += skip, more++; more > 0; more--, at++) {
            d->starts[at] = (int64_t)last;
            if (!late)
                c->starts[members ? members[at] : at] = (int64_t)last;
        }
    }
    return true;
}

static void inherit_starts(struct wal_decoder *d, const struct cohort *c, const uint32_t *members,
                           uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        d->starts[i] = c->starts[members ? members[i] : i];
}

// The row's cohort, with its bases as they were when the row was written; NULL: something it builds
// on was lost. false: the bytes make no sense.
static bool take_base(struct wal_decoder *d, uint64_t seq, uint8_t flags, struct input *in,
                      uint32_t *out_number, struct cohort **out)
{
    uint64_t back, members = 0;
    if (!take_u32(in, WAL_COHORTS_MAX - 1, out_number) || !take_varint(in, &back))
        return false;
    const bool absolute = flags & WAL_FLAG_ABSOLUTE;
    if (absolute && !take_varint(in, &members))
        return false;
    struct cohort *c = wal_table_get(&d->cohorts, *out_number);
    const uint64_t base = seq - back;
    *out = NULL;
    if (!c || base == 0)
        return true;
    if (absolute) {
        if (base != c->new_seq || members != c->defined)
            return true;
        reset_bases(d, c);
    } else if (base != c->last_seq) {
        return true;
    }
    *out = c;
    return true;
}

static err hand_over(struct wal_decoder *d, uint64_t seq, const struct wal_replay_row *row,
                     struct errmsg *e)
{
    if (seq < d->seq_min)
        return ERR_OK;
    d->stats.rows++;
    d->stats.samples += row->n;
    return d->ops->row(d->arg, row, e);
}

static err read_row(struct wal_decoder *d, uint64_t seq, uint8_t flags, bool has_starts,
                    struct input *in, bool *out_good, struct errmsg *e)
{
    const bool late = flags & WAL_FLAG_LATE;
    struct wal_replay_row row = {.flags = late ? WAL_ROW_LATE : 0, .seq = seq};
    struct cohort *c;
    if (!take_base(d, seq, flags, in, &row.cohort, &c))
        return ERR_OK;
    if (!c) {
        d->stats.rows_skipped++;
        *out_good = true;
        return ERR_OK;
    }
    const uint64_t last_seq = late && !(flags & WAL_FLAG_ABSOLUTE) ? c->last_seq : seq;
    c->last_seq = 0; // until all of it was understood
    uint64_t z;
    const uint32_t *members;
    if (!take_varint(in, &z) || !take_presence(d, c, flags, in, &members, &row.n))
        return ERR_OK;
    const uint64_t step = (uint64_t)unzigzag(z) + (late ? 0 : (uint64_t)c->step_ms);
    row.t_ms = (int64_t)((uint64_t)c->t_ms + step);
    if (c->starts)
        inherit_starts(d, c, members, row.n);
    if (has_starts && !take_starts(d, c, members, &row, in))
        return ERR_OK;
    row.starts = c->starts ? d->starts : NULL;
    const bool follows = !late && !members && c->whole == row.n && !(flags & WAL_FLAG_ABSOLUTE);
    if (!late) {
        c->whole = 0;
        if (!take_changes(in, members, row.n, c->bits, c->modes, d->changed, &row.changed_n))
            return ERR_OK;
        row.changed = follows ? d->changed : NULL;
        row.memo = &c->memo;
    }
    for (uint32_t i = 0; members && i < row.n; i++)
        d->handles[i] = c->handles[members[i]];
    for (uint32_t i = 0; (members || late) && i < row.n; i++)
        d->bits[i] = c->bits[members ? members[i] : i];
    row.handles = members ? d->handles : c->handles;
    row.bits = members || late ? d->bits : c->bits;
    if (late && !take_changes_late(in, c, members, row.n, d->bits, d->changed))
        return ERR_OK;
    if (!late) {
        c->t_ms = row.t_ms;
        c->step_ms = (int64_t)step;
        c->whole = !members && seq >= d->seq_min ? row.n : 0;
    }
    c->last_seq = last_seq;
    *out_good = true;
    return hand_over(d, seq, &row, e);
}

// What of a record's histograms has a layout that is known, in row.
static bool take_histograms(struct wal_decoder *d, const struct cohort *c, uint64_t seq,
                            bool has_starts, struct input *in, struct wal_replay_row *row)
{
    uint32_t n, kept = 0;
    uint64_t start = 0, z;
    if (!take_list(d, c, in, &n))
        return false;
    d->histograms = mem_grow(d->histograms, &d->histograms_capacity, n, sizeof *d->histograms);
    buf_reset(&d->packed);
    for (uint32_t i = 0; i < n; i++) {
        const size_t from = d->packed.n;
        if (has_starts && !take_varint(in, &z))
            return false;
        start += has_starts ? (uint64_t)unzigzag(z) : 0;
        if (!wal_layouts_take(&d->layouts, seq, &in->p, in->end, &d->packed))
            return false;
        if (d->packed.n == from)
            continue;
        d->histograms[kept].n = d->packed.n - from;
        d->handles[kept] = c->handles[d->members[i]];
        d->starts[kept] = (int64_t)start;
        d->bits[kept++] = 0;
    }
    const char *p = d->packed.p;
    for (uint32_t i = 0; i < kept; p += d->histograms[i++].n)
        d->histograms[i].p = p;
    d->stats.rows_skipped += kept < n;
    row->n = kept;
    row->handles = d->handles;
    row->bits = d->bits;
    row->histograms = d->histograms;
    row->starts = has_starts ? d->starts : NULL;
    return in->p == in->end;
}

static err read_histograms(struct wal_decoder *d, uint64_t seq, uint8_t flags, struct input *in,
                           bool *out_good, struct errmsg *e)
{
    struct wal_replay_row row = {.flags = flags & WAL_HISTOGRAMS_LATE ? WAL_ROW_LATE : 0,
                                 .seq = seq};
    uint64_t back, members, z;
    if (flags & ~(WAL_HISTOGRAMS_LATE | WAL_HISTOGRAMS_STARTS) ||
        !take_u32(in, WAL_COHORTS_MAX - 1, &row.cohort) || !take_varint(in, &back) ||
        !take_varint(in, &members) || !take_varint(in, &z))
        return ERR_OK;
    const struct cohort *c = wal_table_get(&d->cohorts, row.cohort);
    if (!c || !c->new_seq || seq - back != c->new_seq || members != c->defined) {
        d->stats.rows_skipped++;
        *out_good = true;
        return ERR_OK;
    }
    row.t_ms = unzigzag(z);
    if (!take_histograms(d, c, seq, flags & WAL_HISTOGRAMS_STARTS, in, &row))
        return ERR_OK;
    *out_good = true;
    return row.n ? hand_over(d, seq, &row, e) : ERR_OK;
}

static err read_notes(struct wal_decoder *d, uint64_t seq, enum wal_record_type type,
                      struct input in, bool *out_good, struct errmsg *e)
{
    while (in.p < in.end) {
        uint64_t size;
        if (!take_varint(&in, &size) || size > (size_t)(in.end - in.p))
            return ERR_OK;
        if (seq >= d->seq_min && d->ops->note)
            TRY(d->ops->note(d->arg, type, str_make((const char *)in.p, size), e));
        in.p += size;
    }
    *out_good = true;
    return ERR_OK;
}

static err read_record(struct wal_decoder *d, uint64_t seq, struct input in, bool *out_good,
                       struct errmsg *e)
{
    *out_good = false;
    if (in.p == in.end)
        return ERR_OK;
    const uint8_t first = *in.p++;
    const uint8_t flags = first & 0xf0;
    const enum wal_record_type type = first & 0x0f;
    switch (type) {
    case WAL_RECORD_DEFINE:
        return read_define(d, seq, flags, &in, out_good, e);
    case WAL_RECORD_ROW:
    case WAL_RECORD_ROW_STARTS:
        return read_row(d, seq, flags, type == WAL_RECORD_ROW_STARTS, &in, out_good, e);
    case WAL_RECORD_HISTOGRAMS:
        return read_histograms(d, seq, flags, &in, out_good, e);
    case WAL_RECORD_EXEMPLARS:
    case WAL_RECORD_METADATA:
        return read_notes(d, seq, type, in, out_good, e);
    }
    return ERR_OK;
}

err wal_decoder_frame(struct wal_decoder *d, const struct wal_frame *frame, const uint8_t *p,
                      uint32_t *out_bad, struct errmsg *e)
{
    struct input in = {p, p + frame->size};
    *out_bad = 0;
    for (uint32_t i = 0; i < frame->records; i++) {
        uint64_t size;
        if (!take_varint(&in, &size) || size > (size_t)(in.end - in.p)) {
            *out_bad += frame->records - i;
            return ERR_OK;
        }
        bool good;
        TRY(read_record(d, frame->first_seq + i, (struct input){in.p, in.p + size}, &good, e));
        *out_bad += !good;
        in.p += size;
    }
    return ERR_OK;
}
