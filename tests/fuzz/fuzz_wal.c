// Arbitrary bytes as a segment give no row without a good checksum; as records behind one they give
// rows of defined members, or none; and rows made of them come back as they were.
#include "engine/base/bits.h"
#include "engine/base/mem.h"
#include "engine/model/histogram.h"
#include "engine/tsdb/wal_decode.h"
#include "engine/tsdb/wal_encode.h"
#include "tests/fuzz/fuzz.h"

enum { MEMBERS = 40, COHORTS = 4, ROWS_MAX = 64 };

static const struct wal_segment SEGMENT = {.number = 1, .salt = 42, .first_seq = 1};

struct seen {
    uint64_t rows, sum;
    uint64_t defined;
    const struct wal_row *wanted; // NULL: anything
};

static err on_define(void *arg, const struct wal_cohort_info *info, uint32_t cohort,
                     struct str labels, uint64_t *out_handle, struct errmsg *e)
{
    struct seen *seen = arg;
    (void)info, (void)cohort, (void)e;
    fuzz_must(labels.n > 0);
    *out_handle = ++seen->defined;
    return ERR_OK;
}

static err on_row(void *arg, const struct wal_replay_row *row, struct errmsg *e)
{
    struct seen *seen = arg;
    (void)e;
    fuzz_must(row->n > 0);
    for (uint32_t i = 0; i < row->n; i++) {
        fuzz_must(row->handles[i] <= seen->defined);
        seen->sum += row->bits[i] + (row->starts ? (uint64_t)row->starts[i] : 0);
        fuzz_must(!row->histograms || histogram_is_packed(row->histograms[i]));
    }
    if (seen->wanted) {
        const struct wal_row *w = &seen->wanted[seen->rows];
        fuzz_must(row->n == w->n && row->t_ms == w->t_ms && row->flags == w->flags);
        fuzz_must(memcmp(row->bits, w->bits, w->n * sizeof *w->bits) == 0);
        for (uint32_t i = 0; i < row->n; i++)
            fuzz_must((row->starts ? row->starts[i] : 0) == (w->starts ? w->starts[i] : 0));
    }
    seen->rows++;
    return ERR_OK;
}

static const struct wal_replay_ops ops = {.define = on_define, .row = on_row};

// As a file: only what the checksum covers, of which arbitrary bytes have none.
static void as_segment(struct str in)
{
    struct wal_segment header;
    struct wal_frame frame;
    const uint8_t *p = (const uint8_t *)in.p;
    (void)wal_segment_load(p, in.n, &header, NULL);
    for (size_t at = 0; at + WAL_FRAME_HEADER_BYTES <= in.n; at += WAL_FRAME_ALIGN) {
        const size_t size = wal_frame_measure(p + at, 1);
        if (wal_frame_load(&SEGMENT, at, p + at, in.n - at, &frame))
            fuzz_must(size == WAL_FRAME_HEADER_BYTES + frame.size && size <= in.n - at);
    }
}

// As records whose checksum is good: pieces of 16 bits of size, 8 of count, and bytes.
static void as_records(struct str in)
{
    struct seen seen = {0};
    struct wal_decoder *d = wal_decoder_create(&ops, &seen, 0, 1);
    uint64_t seq = 1;
    for (size_t at = 0; in.n - at >= 3;) {
        const size_t left = in.n - at - 3;
        const size_t wanted = load_le16(in.p + at);
        const size_t size = wanted < left ? wanted : left;
        const struct wal_frame frame = {
            .size = (uint32_t)size, .records = (uint8_t)in.p[at + 2], .first_seq = seq};
        const struct str piece = fuzz_exact((const uint8_t *)in.p + at + 3, size);
        uint32_t bad;
        fuzz_must(wal_decoder_frame(d, &frame, (const uint8_t *)piece.p, &bad, NULL) == ERR_OK);
        fuzz_must(bad <= frame.records);
        fuzz_release(piece);
        seq += frame.records;
        at += 3 + size;
    }
    wal_decoder_destroy(d);
}

static void cohort_info(void *arg, uint32_t cohort, struct wal_cohort_info *out)
{
    (void)arg;
    *out = (struct wal_cohort_info){cohort, cohort};
}

static struct str member_labels(void *arg, uint32_t cohort, uint32_t member)
{
    static char labels[] = "\1a\2xx";
    (void)arg;
    labels[3] = (char)('a' + cohort);
    labels[4] = (char)('0' + member);
    return str_make(labels, 5);
}

// A row from some bytes: cohort and flags, time, a mask of members, their values.
static size_t make_row(struct str in, struct wal_row *row, uint32_t *members, uint64_t *bits)
{
    if (in.n < 16)
        return 0;
    const uint8_t kind = (uint8_t)in.p[0];
    *row = (struct wal_row){
        .cohort = kind % COHORTS,
        .flags = kind & 16 ? WAL_ROW_LATE : 0,
        .t_ms = (int64_t)load_le64(in.p + 1) >> (kind & 32 ? 0 : 40),
        .members = members,
        .bits = bits,
    };
    const uint64_t mask = load_le64(in.p + 8) % ((uint64_t)1 << MEMBERS);
    size_t at = 16;
    for (uint32_t m = 0; m < MEMBERS && in.n - at >= 8; m++) {
        if (!(mask >> m & 1))
            continue;
        members[row->n] = m;
        const uint64_t value = load_le64(in.p + at);
        bits[row->n++] = kind & 64 ? bits_from_double((double)(int16_t)value / 100) : value;
        at += kind & 64 ? 2 : 8;
    }
    if (kind & 128) // any will do
        row->starts = (const int64_t *)bits;
    return at;
}

static void as_rows(struct str in)
{
    const struct wal_source source = {cohort_info, member_labels, NULL};
    struct wal_row *rows = mem_alloc_array(ROWS_MAX, sizeof *rows);
    uint32_t(*members)[MEMBERS] = mem_alloc_array(ROWS_MAX, sizeof *members);
    uint64_t(*bits)[MEMBERS] = mem_alloc_array(ROWS_MAX, sizeof *bits);
    struct wal_encoder *enc = wal_encoder_create(&source);
    struct seen seen = {.wanted = rows};
    struct wal_decoder *d = wal_decoder_create(&ops, &seen, 0, 1);
    struct buf bytes = {0};
    size_t n = 0, used;
    wal_encoder_begin(enc, &SEGMENT, WAL_SEGMENT_HEADER_BYTES);
    while (n < ROWS_MAX && (used = make_row(in, &rows[n], members[n], bits[n])) > 0) {
        in = str_from(in, used);
        n += rows[n].n > 0;
    }
    wal_encode(enc, rows, n);
    wal_encoder_take(enc, &bytes);
    for (size_t at = 0; at < bytes.n;) {
        struct wal_frame frame;
        const uint8_t *p = (const uint8_t *)bytes.p + at;
        uint32_t bad;
        fuzz_must(wal_frame_load(&SEGMENT, WAL_SEGMENT_HEADER_BYTES + at, p, bytes.n - at, &frame));
        fuzz_must(wal_decoder_frame(d, &frame, p + WAL_FRAME_HEADER_BYTES, &bad, NULL) == ERR_OK);
        fuzz_must(bad == 0);
        at += WAL_FRAME_HEADER_BYTES + frame.size;
    }
    fuzz_must(seen.rows == n);
    buf_deinit(&bytes);
    wal_decoder_destroy(d);
    wal_encoder_destroy(enc);
    mem_free(bits);
    mem_free(members);
    mem_free(rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const struct str in = fuzz_exact(data + 1, size - 1);
    if (data[0] % 3 == 0)
        as_segment(in);
    else if (data[0] % 3 == 1)
        as_records(in);
    else
        as_rows(in);
    fuzz_release(in);
    return 0;
}
