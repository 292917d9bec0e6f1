#include <criterion/criterion.h>

#include "engine/base/bits.h"
#include "engine/base/mem.h"
#include "engine/base/util.h"
#include "engine/tsdb/wal_decode.h"
#include "engine/tsdb/wal_encode.h"
#include "tests/unit/wal/wal_traffic.h"

static const struct wal_segment SEGMENT = {
    .stream = {.epoch = 7, .shard = 3},
    .number = 12,
    .salt = 0x0123456789abcdefu,
    .first_seq = 1000,
    .synced = 900,
    .previous_end = 4096,
    .created_ms = 1700000000000,
};

// Encodes count rows of traffic as one segment, header excluded: out begins at its offset 128.
static void encode(struct traffic *t, size_t count, struct buf *out)
{
    const struct wal_source source = traffic_source(t);
    struct wal_encoder *enc = wal_encoder_create(&source);
    wal_encoder_begin(enc, &SEGMENT, WAL_SEGMENT_HEADER_BYTES);
    for (size_t i = 0; i < count; i++) {
        struct wal_row row;
        if (traffic_row(t, &row))
            wal_encoder_forget(enc, row.cohort);
        wal_encode(enc, &row, 1);
        traffic_keep(t, &row, wal_encoder_next_seq(enc) - 1);
        wal_encoder_set_synced(enc, wal_encoder_next_seq(enc) - 1 - (i % 3));
    }
    cr_assert_eq(wal_encoder_take(enc, out), WAL_SEGMENT_HEADER_BYTES);
    wal_encoder_destroy(enc);
}

// Decodes frames until one is bad; the offset of the end of the last good one.
static size_t decode(const struct wal_segment *s, const struct buf *in, struct wal_decoder *d)
{
    size_t at = 0;
    uint64_t expected = s->first_seq;
    for (;;) {
        struct wal_frame f;
        uint8_t *p = (uint8_t *)in->p + at;
        uint32_t bad;
        struct errmsg e;
        if (!wal_frame_load(s, WAL_SEGMENT_HEADER_BYTES + at, p, in->n - at, &f))
            return at;
        cr_assert_eq(f.first_seq, expected);
        cr_assert_lt(f.synced, f.first_seq);
        const err code = wal_decoder_frame(d, &f, p + WAL_FRAME_HEADER_BYTES, &bad, &e);
        cr_assert_eq(code, ERR_OK, "%s", e.text);
        cr_assert_eq(bad, 0);
        expected += f.records;
        at += WAL_FRAME_HEADER_BYTES + f.size;
    }
}

Test(wal_record, random_traffic_comes_back_bit_for_bit)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct traffic *t = mem_alloc(sizeof *t);
        traffic_init(t, seed);
        struct buf bytes = {0};
        encode(t, 1500, &bytes);
        struct traffic_receiver r = {0};
        struct wal_decoder *d = wal_decoder_create(&traffic_ops, &r, 0, 1);
        cr_assert_eq(decode(&SEGMENT, &bytes, d), bytes.n, "seed %lu", seed);
        cr_assert_eq(r.list.n, t->sent.n, "seed %lu: %zu of %zu", seed, r.list.n, t->sent.n);
        cr_assert(traffic_equal(&t->sent, 0, &r.list), "seed %lu", seed);
        cr_assert_eq(wal_decoder_stats(d)->rows_skipped, 0);
        wal_decoder_destroy(d);
        traffic_list_deinit(&r.list);
        traffic_deinit(t);
        buf_deinit(&bytes);
        mem_free(t);
    }
}

Test(wal_record, rows_below_the_mark_are_decoded_and_not_handed_over)
{
    struct traffic *t = mem_alloc(sizeof *t);
    traffic_init(t, 99);
    struct buf bytes = {0};
    encode(t, 1000, &bytes);
    const uint64_t mark = t->sent.items[t->sent.n / 2].seq;
    size_t from = 0;
    while (t->sent.items[from].seq < mark)
        from++;
    struct traffic_receiver r = {0};
    struct wal_decoder *d = wal_decoder_create(&traffic_ops, &r, mark, 1);
    cr_assert_eq(decode(&SEGMENT, &bytes, d), bytes.n);
    cr_assert_eq(r.list.n, t->sent.n - from);
    cr_assert(traffic_equal(&t->sent, from, &r.list));
    wal_decoder_destroy(d);
    traffic_list_deinit(&r.list);
    traffic_deinit(t);
    buf_deinit(&bytes);
    mem_free(t);
}

Test(wal_record, every_length_gives_a_prefix)
{
    struct traffic *t = mem_alloc(sizeof *t);
    traffic_init(t, 5);
    struct buf bytes = {0};
    encode(t, 300, &bytes);
    for (size_t n = 0; n < bytes.n; n += n + 200 < bytes.n ? 37 : 1) {
        struct buf cut = {0};
        buf_put(&cut, bytes.p, n); // of its exact size: the sanitizer sees a read beyond
        struct traffic_receiver r = {0};
        struct wal_decoder *d = wal_decoder_create(&traffic_ops, &r, 0, 1);
        cr_assert_leq(decode(&SEGMENT, &cut, d), n);
        cr_assert_lt(r.list.n, t->sent.n);
        cr_assert(traffic_equal(&t->sent, 0, &r.list), "cut at %zu", n);
        wal_decoder_destroy(d);
        traffic_list_deinit(&r.list);
        buf_deinit(&cut);
    }
    traffic_deinit(t);
    buf_deinit(&bytes);
    mem_free(t);
}

Test(wal_record, every_flipped_bit_is_found)
{
    struct traffic *t = mem_alloc(sizeof *t);
    traffic_init(t, 6);
    struct buf bytes = {0};
    encode(t, 3, &bytes);
    struct wal_frame f;
    uint8_t *p = (uint8_t *)bytes.p;
    cr_assert(wal_frame_load(&SEGMENT, WAL_SEGMENT_HEADER_BYTES, p, bytes.n, &f));
    const size_t size = WAL_FRAME_HEADER_BYTES + f.size;
    for (size_t i = 0; i < size; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            p[i] ^= (uint8_t)(1u << bit);
            cr_assert_not(wal_frame_load(&SEGMENT, WAL_SEGMENT_HEADER_BYTES, p, bytes.n, &f),
                          "byte %zu bit %u", i, bit);
            p[i] ^= (uint8_t)(1u << bit);
        }
    }
    traffic_deinit(t);
    buf_deinit(&bytes);
    mem_free(t);
}

// A good checksum is not enough: the frame must be at its place, in its segment, of its epoch.
Test(wal_record, frames_of_other_places_are_refused)
{
    struct traffic *t = mem_alloc(sizeof *t);
    traffic_init(t, 6);
    struct buf bytes = {0};
    encode(t, 20, &bytes);
    struct wal_segment others[5];
    for (size_t i = 0; i < countof(others); i++)
        others[i] = SEGMENT;
    others[0].stream.epoch++;
    others[1].stream.shard++;
    others[2].number++;
    others[3].salt++;
    struct wal_frame f;
    const uint8_t *p = (const uint8_t *)bytes.p;
    for (size_t i = 0; i < 4; i++)
        cr_assert_not(wal_frame_load(&others[i], WAL_SEGMENT_HEADER_BYTES, p, bytes.n, &f));
    cr_assert_not(wal_frame_load(&SEGMENT, WAL_SEGMENT_HEADER_BYTES + 8, p, bytes.n, &f));
    cr_assert(wal_frame_load(&others[4], WAL_SEGMENT_HEADER_BYTES, p, bytes.n, &f));
    traffic_deinit(t);
    buf_deinit(&bytes);
    mem_free(t);
}

// With a frame missing, what is handed over was sent, in order; and cohorts recover.
Test(wal_record, a_lost_frame_invents_nothing)
{
    uint64_t recovered = 0, skipped = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct traffic *t = mem_alloc(sizeof *t);
        traffic_init(t, seed);
        struct buf bytes = {0};
        encode(t, 2500, &bytes);
        struct traffic_receiver r = {0};
        struct wal_decoder *d = wal_decoder_create(&traffic_ops, &r, 0, 1);
        struct rng rng;
        rng_init(&rng, seed);
        size_t frames = 0;
        for (size_t at = 0; at < bytes.n;) {
            struct wal_frame f;
            uint8_t *p = (uint8_t *)bytes.p + at;
            uint32_t bad;
            cr_assert(wal_frame_load(&SEGMENT, WAL_SEGMENT_HEADER_BYTES + at, p, bytes.n - at, &f));
            if (frames++ == 0 || rng_below(&rng, 6) != 0)
                cr_assert_eq(wal_decoder_frame(d, &f, p + WAL_FRAME_HEADER_BYTES, &bad, NULL),
                             ERR_OK);
            at += WAL_FRAME_HEADER_BYTES + f.size;
        }
        cr_assert_gt(frames, 10);
        cr_assert(traffic_is_subsequence(&t->sent, &r.list), "seed %lu", seed);
        recovered += r.list.n;
        skipped += wal_decoder_stats(d)->rows_skipped;
        wal_decoder_destroy(d);
        traffic_list_deinit(&r.list);
        traffic_deinit(t);
        buf_deinit(&bytes);
        mem_free(t);
    }
    cr_assert_gt(recovered, 0);
    cr_assert_gt(skipped, 0);
}

Test(wal_record, segment_headers)
{
    uint8_t p[WAL_SEGMENT_HEADER_BYTES];
    wal_segment_store(&SEGMENT, p);
    struct wal_segment s;
    struct errmsg e;
    cr_assert_eq(wal_segment_load(p, sizeof p, &s, &e), ERR_OK);
    uint8_t again[WAL_SEGMENT_HEADER_BYTES];
    wal_segment_store(&s, again);
    cr_assert_eq(memcmp(p, again, sizeof p), 0);
    cr_assert_eq(s.stream.epoch, SEGMENT.stream.epoch);
    cr_assert_eq(s.previous_end, SEGMENT.previous_end);
    cr_assert_eq(s.created_ms, SEGMENT.created_ms);
    for (size_t n = 0; n < sizeof p; n++)
        cr_assert_eq(wal_segment_load(p, n, &s, &e), ERR_CORRUPT);
    for (size_t i = 0; i < 8 * sizeof p; i++) {
        p[i / 8] ^= (uint8_t)(1u << i % 8);
        cr_assert_neq(wal_segment_load(p, sizeof p, &s, &e), ERR_OK, "bit %zu", i);
        p[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    p[8] = 3;
    cr_assert_eq(wal_segment_load(p, sizeof p, &s, &e), ERR_INVALID);
    cr_assert_str_eq(e.text, "write-ahead log format 3 is newer than this program's 2");
}

Test(wal_record, names_of_files)
{
    char path[128];
    wal_segment_path("d/wal", &SEGMENT.stream, SEGMENT.number, path, sizeof path);
    cr_assert_str_eq(path, "d/wal/0000000000000007-0003-000000000000000c.wal");
    struct wal_stream stream;
    uint64_t number;
    cr_assert(wal_segment_parse_name(str_from_c(path + 6), &stream, &number));
    cr_assert_eq(stream.epoch, 7);
    cr_assert_eq(stream.shard, 3);
    cr_assert_eq(number, 12);
    static const char *const bad[] = {
        "",
        "0000000000000007-0003-000000000000000c.wa",
        "0000000000000007-0003-000000000000000c.walx",
        "0000000000000007-0003-000000000000000C.wal",
        "0000000000000007_0003-000000000000000c.wal",
        "000000000000000g-0003-000000000000000c.wal",
    };
    for (size_t i = 0; i < countof(bad); i++)
        cr_assert_not(wal_segment_parse_name(str_from_c(bad[i]), &stream, &number), "%s", bad[i]);
}

static struct str big_member(void *arg, uint32_t cohort, uint32_t member)
{
    static char text[32];
    (void)arg;
    (void)cohort;
    text[0] = 2;
    memcpy(text + 1, "id", 2);
    text[3] = 8;
    for (int i = 0; i < 8; i++, member /= 10)
        text[11 - i] = (char)('0' + member % 10);
    return str_make(text, 12);
}

static void big_cohort(void *arg, uint32_t cohort, struct wal_cohort_info *out)
{
    (void)arg;
    *out = (struct wal_cohort_info){cohort * 3, cohort + 1000000007ull};
}

// A row larger than a record, with and without a list of its members.
Test(wal_record, giant_rows_are_split)
{
    enum { N = 3 * WAL_ROW_MEMBERS_MAX + 5 };
    uint64_t *bits = mem_alloc_array(N, sizeof *bits);
    uint32_t *members = mem_alloc_array(N, sizeof *members);
    struct rng rng;
    rng_init(&rng, 8);
    const struct wal_source source = {big_cohort, big_member, NULL};
    struct wal_encoder *enc = wal_encoder_create(&source);
    wal_encoder_begin(enc, &SEGMENT, WAL_SEGMENT_HEADER_BYTES);
    for (uint32_t i = 0; i < N; i++) {
        bits[i] = rng_u64(&rng);
        members[i] = 2 * i;
    }
    const struct wal_row rows[] = {
        {.cohort = WAL_COHORTS_MAX - 1, .t_ms = INT64_MIN, .bits = bits, .n = N},
        {.cohort = WAL_COHORTS_MAX - 1, .t_ms = INT64_MAX, .bits = bits, .n = N},
        {.cohort = 0, .t_ms = 5, .members = members, .bits = bits, .n = N},
        {.cohort = 0, .t_ms = 6, .bits = bits, .n = 17},
    };
    wal_encode(enc, rows, countof(rows));
    struct buf bytes = {0};
    wal_encoder_take(enc, &bytes);
    struct traffic_receiver r = {0};
    struct wal_decoder *d = wal_decoder_create(&traffic_ops, &r, 0, 1);
    cr_assert_eq(decode(&SEGMENT, &bytes, d), bytes.n);
    cr_assert_eq(r.list.n, 3 * N + 17);
    for (size_t i = 0; i < r.list.n; i++) {
        const struct traffic_sample *s = &r.list.items[i];
        const size_t row = i / N, at = i % N;
        cr_assert_eq(s->t_ms, rows[row].t_ms);
        cr_assert_eq(s->bits, bits[at]);
        cr_assert_eq(s->series, (row == 2 ? 2 * at : at) + 1);
    }
    wal_decoder_destroy(d);
    wal_encoder_destroy(enc);
    traffic_list_deinit(&r.list);
    buf_deinit(&bytes);
    mem_free(bits);
    mem_free(members);
}

// A cohort whose definitions are lost comes back with the next one, which every 128 full rows or an
// hour brings; when nothing is lost, nobody is asked twice who a member is.
Test(wal_record, lost_definitions_come_again)
{
    static const struct {
        int64_t step_ms;
        uint32_t first_row; // that is there when the first frame is lost
    } rows[] = {{1000, 128}, {15000, 128}, {37 * 1000, 98}, {600 * 1000, 66}};
    enum { N = 300, COUNT = 400 };
    const struct wal_source source = {big_cohort, big_member, NULL};
    for (size_t i = 0; i < countof(rows); i++) {
        struct wal_encoder *enc = wal_encoder_create(&source);
        struct buf frames[COUNT] = {0};
        uint64_t bits[N];
        wal_encoder_begin(enc, &SEGMENT, WAL_SEGMENT_HEADER_BYTES);
        for (uint32_t k = 0; k < COUNT; k++) {
            for (uint32_t m = 0; m < N; m++)
                bits[m] = bits_from_double(m % 3 ? m : m * k);
            const struct wal_row row = {
                .cohort = 4, .t_ms = k * rows[i].step_ms, .bits = bits, .n = N};
            wal_encode(enc, &row, 1);
            wal_encoder_take(enc, &frames[k]);
        }
        for (uint32_t lost = 0; lost < 2;
             lost++) { // nothing, then the first row with what it needs
            struct traffic_receiver r = {0};
            struct wal_decoder *d = wal_decoder_create(&traffic_ops, &r, 0, 1);
            uint64_t offset = WAL_SEGMENT_HEADER_BYTES;
            for (uint32_t k = 0; k < COUNT; k++) {
                for (size_t at = 0; at < frames[k].n;) {
                    struct wal_frame f;
                    uint32_t bad = 0;
                    const uint8_t *p = (const uint8_t *)frames[k].p + at;
                    cr_assert(wal_frame_load(&SEGMENT, offset, p, frames[k].n - at, &f));
                    if (k >= lost)
                        cr_assert_eq(
                            wal_decoder_frame(d, &f, p + WAL_FRAME_HEADER_BYTES, &bad, NULL),
                            ERR_OK);
                    cr_assert_eq(bad, 0);
                    at += WAL_FRAME_HEADER_BYTES + f.size;
                    offset += WAL_FRAME_HEADER_BYTES + f.size;
                }
            }
            const uint32_t first = lost ? rows[i].first_row : 0;
            cr_assert_eq(r.list.n, (COUNT - first) * N, "step %lld: %zu samples",
                         (long long)rows[i].step_ms, r.list.n);
            cr_assert_eq(r.list.items[0].t_ms, first * rows[i].step_ms);
            cr_assert_eq(r.defined, N);
            for (size_t k = 0; k < r.list.n; k++) {
                const uint64_t row = first + k / N, m = k % N;
                cr_assert_eq(r.list.items[k].series, m + 1);
                cr_assert_eq(r.list.items[k].bits, bits_from_double((double)(m % 3 ? m : m * row)));
            }
            wal_decoder_destroy(d);
            traffic_list_deinit(&r.list);
        }
        for (size_t k = 0; k < COUNT; k++)
            buf_deinit(&frames[k]);
        wal_encoder_destroy(enc);
    }
}
