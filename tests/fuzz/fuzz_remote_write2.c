// The input as a Request of remote_write 2.0, as a WriteRequest of 1.0 with its parts, and as zstd
// of either. What is written from a request that was accepted reads back as the same, and is its
// own second writing.
#include "engine/base/buf.h"
#include "protocol/remote_write2.h"
#include "protocol/zstd_frames.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/pb_put.h"

static void put_refs(struct buf *out, struct str region, uint32_t wanted)
{
    struct remote_write2_refs refs = remote_write2_refs(region);
    uint32_t n = 0;
    for (uint32_t ref; remote_write2_refs_next(&refs, &ref); n++)
        pb_put_varint(out, 1, ref);
    fuzz_must(n == wanted);
}

static void put_side(struct buf *out, const struct remote_write_histogram *h, bool negative)
{
    const struct remote_write_side *const side = negative ? &h->negative : &h->positive;
    const unsigned first = negative ? 8 : 11;
    const uint32_t n = remote_write_buckets(h, side);
    // Of their exact sizes, so that a sanitizer sees one too many.
    struct remote_write_span *spans = calloc(side->spans + !side->spans, sizeof *spans);
    uint64_t *counts = calloc(n + !n, sizeof *counts), last = 0;
    struct buf span = {0};
    remote_write_histogram_spans(h, negative, spans);
    remote_write_histogram_counts(h, negative, counts);
    for (uint32_t i = 0; i < side->spans; i++) {
        buf_reset(&span);
        pb_put_varint(&span, 1, zigzag(spans[i].offset) & UINT32_MAX);
        pb_put_varint(&span, 2, spans[i].length);
        pb_put_bytes(out, first, buf_str(&span));
    }
    for (uint32_t i = 0; i < n; last = counts[i++])
        if (h->is_float)
            pb_put_fixed64(out, first + 2, counts[i]);
        else
            pb_put_varint(out, first + 1, zigzag((int64_t)(counts[i] - last)));
    buf_deinit(&span);
    free(spans);
    free(counts);
}

static void put_histogram(struct buf *out, unsigned number, const struct remote_write_histogram *h)
{
    struct buf m = {0};
    double *custom = calloc(h->custom + !h->custom, sizeof *custom);
    remote_write_histogram_custom(h, custom);
    if (h->is_float) {
        pb_put_fixed64(&m, 2, h->count);
        pb_put_fixed64(&m, 7, h->zero_count);
    } else {
        pb_put_varint(&m, 1, h->count);
        pb_put_varint(&m, 6, h->zero_count);
    }
    pb_put_fixed64(&m, 3, h->sum_bits);
    pb_put_varint(&m, 4, zigzag(h->schema) & UINT32_MAX);
    pb_put_fixed64(&m, 5, h->zero_threshold_bits);
    put_side(&m, h, true);
    put_side(&m, h, false);
    pb_put_varint(&m, 14, h->hint);
    pb_put_varint(&m, 15, (uint64_t)h->time_ms);
    pb_put_varint(&m, 17, (uint64_t)h->start_ms);
    for (uint32_t i = 0; i < h->custom; i++)
        pb_put_fixed64(&m, 16, bits_from_double(custom[i]));
    pb_put_bytes(out, number, buf_str(&m));
    buf_deinit(&m);
    free(custom);
}

static void put_series(const struct remote_write2_series *s, struct buf *out)
{
    struct buf series = {0}, item = {0};
    struct remote_write2_sample sample;
    struct remote_write_histogram histogram;
    struct remote_write_exemplar exemplar;
    uint32_t n = 0;
    put_refs(&series, s->refs, s->refs_count);
    for (struct pb i = pb_of(s->samples); remote_write2_samples_next(&i, &sample); n++) {
        buf_reset(&item);
        pb_put_fixed64(&item, 1, sample.bits);
        pb_put_varint(&item, 2, (uint64_t)sample.time_ms);
        pb_put_varint(&item, 3, (uint64_t)sample.start_ms);
        pb_put_bytes(&series, 2, buf_str(&item));
        fuzz_must(s->has_starts || sample.start_ms == 0);
    }
    fuzz_must(n == s->samples_count);
    n = 0;
    for (struct pb i = pb_of(s->histograms); remote_write2_histograms_next(&i, &histogram); n++)
        put_histogram(&series, 3, &histogram);
    fuzz_must(n == s->histograms_count);
    n = 0;
    for (struct pb i = pb_of(s->exemplars); remote_write2_exemplars_next(&i, &exemplar); n++) {
        buf_reset(&item);
        put_refs(&item, exemplar.labels, exemplar.labels_count);
        pb_put_fixed64(&item, 2, exemplar.bits);
        pb_put_varint(&item, 3, (uint64_t)exemplar.time_ms);
        pb_put_bytes(&series, 4, buf_str(&item));
    }
    fuzz_must(n == s->exemplars_count);
    buf_reset(&item);
    pb_put_varint(&item, 1, s->metadata.type);
    pb_put_varint(&item, 3, s->metadata.help);
    pb_put_varint(&item, 4, s->metadata.unit);
    pb_put_bytes(&series, 5, buf_str(&item));
    pb_put_varint(&series, 6, (uint64_t)s->start_ms);
    pb_put_bytes(out, 5, buf_str(&series));
    buf_deinit(&series);
    buf_deinit(&item);
}

// The request written anew; false when it is refused.
static bool rewrite(struct str request, struct buf *out)
{
    struct remote_write2 w;
    struct remote_write2_series s;
    struct errmsg e;
    struct pb in = pb_of(request);
    const uint8_t *const begin = in.at;
    uint32_t leading, n = 0;
    const size_t leading_bytes = remote_write2_leading_symbols(request, &leading);
    fuzz_must(leading > 0 || leading_bytes == 0);
    for (struct str symbol; remote_write2_next_symbol(&in, &symbol);) {
        pb_put_bytes(out, 4, symbol);
        fuzz_must(++n != leading || in.at == begin + leading_bytes);
    }
    fuzz_must(n >= leading);
    remote_write2_init(&w, request);
    for (bool more = true;;) {
        struct remote_write2_usual usual;
        struct remote_write2_metadata told;
        const bool is_usual = remote_write2_peek(&w, &usual);
        if (remote_write2_next(&w, &s, &more, &e) != ERR_OK)
            return false;
        if (!more)
            return true;
        fuzz_must(!is_usual ||
                  (usual.end == w.in.at && usual.samples_count == s.samples_count &&
                   usual.samples.p == s.samples.p && usual.samples.n == s.samples.n &&
                   (!remote_write2_usual_metadata(&usual, &told) ||
                    (told.help == s.metadata.help && told.unit == s.metadata.unit &&
                     told.type == s.metadata.type)) &&
                   !s.has_starts && !s.histograms_count && !s.exemplars_count && !s.start_ms));
        put_series(&s, out);
    }
}

// The parts of 1.0: walked to their end, as often as they were counted.
static void check_v1(struct str request)
{
    struct remote_write w;
    struct remote_write_series s;
    struct remote_write_exemplar exemplar;
    struct remote_write_histogram histogram;
    struct remote_write_metadata metadata;
    struct buf ignored = {0};
    struct str name, value;
    remote_write_init(&w, request);
    for (bool more = true; remote_write_next(&w, &s, &more, NULL) == ERR_OK;) {
        uint32_t n = 0;
        if (!more) {
            for (struct pb i = pb_of(request); remote_write_metadata_next(&i, &metadata); n++)
                continue;
            fuzz_must(n == w.metadata_count);
            break;
        }
        for (struct pb i = pb_of(s.histograms); remote_write_histograms_next(&i, &histogram); n++)
            put_histogram(&ignored, 4, &histogram);
        fuzz_must(n == s.histograms_count);
        n = 0;
        for (struct pb i = pb_of(s.exemplars); remote_write_exemplars_next(&i, &exemplar); n++) {
            const struct pb in = pb_of(exemplar.labels);
            struct remote_write_labels labels = {in.at, in.end};
            while (remote_write_labels_next(&labels, &name, &value))
                exemplar.labels_count--;
            fuzz_must(exemplar.labels_count == 0);
        }
        fuzz_must(n == s.exemplars_count);
    }
    buf_deinit(&ignored);
}

static void check_request(struct str request)
{
    struct buf once = {0}, twice = {0};
    check_v1(request);
    if (rewrite(request, &once)) {
        fuzz_must(rewrite(buf_str(&once), &twice));
        fuzz_must(str_eq(buf_str(&once), buf_str(&twice)));
    }
    buf_deinit(&once);
    buf_deinit(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { LIMIT = 1 << 16 };
    const struct str input = fuzz_exact(data, size);
    struct zstd_reader *r = zstd_reader_create();
    struct buf plain = {0}, packed = {0}, again = {0};
    check_request(input);
    if (zstd_decompress(r, input, LIMIT, &plain, NULL) == ERR_OK) {
        fuzz_must(plain.n <= LIMIT && zstd_decoded_size(input, LIMIT) >= plain.n);
        check_request(buf_str(&plain));
    } else {
        fuzz_must(plain.n == 0);
    }
    zstd_compress(input, &packed);
    fuzz_must(zstd_decompress(r, buf_str(&packed), input.n, &again, NULL) == ERR_OK);
    fuzz_must(str_eq(buf_str(&again), input));
    buf_deinit(&plain);
    buf_deinit(&packed);
    buf_deinit(&again);
    zstd_reader_destroy(r);
    fuzz_release(input);
    return 0;
}
