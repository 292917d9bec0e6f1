// io.prometheus.write.v2.Request, protobuf 3:
//
//     Request    { 4: repeated string symbols, 5: repeated TimeSeries }
//     TimeSeries { 1: repeated uint32 label references, 2: repeated Sample, 3: repeated Histogram,
//                  4: repeated Exemplar, 5: Metadata, 6: int64 created_timestamp }
//     Sample     { 1: double value, 2: int64 timestamp, 3: int64 start_timestamp }
//     Metadata   { 1: enum type, 3: uint32 help reference, 4: uint32 unit reference }
//
// Times are milliseconds. Field 6 of a series is what senders of 2024 and 2025 write; later ones
// say it with each sample and histogram.
#include "protocol/remote_write2.h"

#include <assert.h>

#include "engine/base/util.h"

enum { REQUEST_SYMBOL = 4, REQUEST_SERIES };
enum { SAMPLE_OF_TODAY = 18 }; // bytes of the field
enum {
    SERIES_REFS = 1,
    SERIES_SAMPLE,
    SERIES_HISTOGRAM,
    SERIES_EXEMPLAR,
    SERIES_METADATA,
    SERIES_CREATED
};

static err parse_sample(struct str message, struct remote_write2_sample *out, struct errmsg *e)
{
    enum { VALUE = 1, TIME, START };
    *out = (struct remote_write2_sample){0};
    for (struct pb m = pb_of(message); m.at < m.end;) {
        struct pb_field field;
        uint64_t time;
        TRY(pb_tag(&m, "Sample", &field, e));
        switch (field.number) {
        case VALUE:
            TRY(pb_want(&field, PB_FIXED64, "Value", e));
            TRY(pb_fixed64(&m, &out->bits, e));
            break;
        case TIME:
            TRY(pb_want(&field, PB_VARINT, "Timestamp", e));
            TRY(pb_varint(&m, &time, e));
            out->time_ms = (int64_t)time;
            break;
        case START:
            TRY(pb_want(&field, PB_VARINT, "StartTimestamp", e));
            TRY(pb_varint(&m, &time, e));
            out->start_ms = (int64_t)time;
            break;
        default:
            TRY(pb_skip(&m, &field, e));
        }
    }
    return ERR_OK;
}

static err parse_metadata(struct str message, struct remote_write2_metadata *out, struct errmsg *e)
{
    enum { TYPE = 1, HELP = 3, UNIT = 4 };
    for (struct pb m = pb_of(message); m.at < m.end;) {
        struct pb_field field;
        uint64_t n;
        TRY(pb_tag(&m, "Metadata", &field, e));
        if (field.number != TYPE && field.number != HELP && field.number != UNIT) {
            TRY(pb_skip(&m, &field, e));
            continue;
        }
        const char *const name = field.number == TYPE   ? "Type"
                                 : field.number == HELP ? "HelpRef"
                                                        : "UnitRef";
        TRY(pb_want(&field, PB_VARINT, name, e));
        TRY(pb_varint(&m, &n, e));
        *(field.number == TYPE   ? &out->type
          : field.number == HELP ? &out->help
                                 : &out->unit) = (uint32_t)n;
    }
    return ERR_OK;
}

// A varint of nine bytes at most that ends before end.
static inline bool take_varint(const uint8_t **at, const uint8_t *end, int64_t *out)
{
    uint64_t n = 0;
    const uint8_t *p = *at;
    for (unsigned shift = 0; p < end && shift < 63; shift += 7) {
        n |= (uint64_t)(*p & 0x7f) << shift;
        if (*p++ < 0x80) {
            *at = p;
            *out = (int64_t)n;
            return true;
        }
    }
    return false;
}

// The same for a Sample field: value unless it is 0, timestamp, perhaps a start timestamp.
static inline size_t take_usual_sample(const struct pb *m, struct remote_write2_sample *out)
{
    enum { TAG = SERIES_SAMPLE << 3 | PB_BYTES, VALUE_TAG = 0x09, TIME_TAG = 0x10 };
    enum { START_TAG = 0x18, VALUE = 9 };
    const uint8_t *const p = m->at;
    if (pb_left(m) < 2 || p[0] != TAG || p[1] >= 0x80 || pb_left(m) - 2 < p[1])
        return 0;
    const uint8_t *const end = p + 2 + p[1], *at = p + 2;
    out->bits = 0;
    if (end - at > VALUE && *at == VALUE_TAG) {
        out->bits = load_le64(at + 1);
        at += VALUE;
    }
    if (at == end || *at++ != TIME_TAG)
        return 0;
    out->start_ms = 0;
    if (end - at == 6 && remote_write_time_of_six(end, &out->time_ms))
        return (size_t)p[1] + 2;
    if (!take_varint(&at, end, &out->time_ms))
        return 0;
    if (at < end && (*at++ != START_TAG || !take_varint(&at, end, &out->start_ms)))
        return 0;
    return at == end ? (size_t)p[1] + 2 : 0;
}

// Type, help, unit, each at most once, in this order, which is all there is up to end.
static inline bool read_usual_metadata(const uint8_t *at, const uint8_t *end,
                                       struct remote_write2_metadata *out)
{
    static const uint8_t tags[] = {1 << 3, 3 << 3, 4 << 3};
    int64_t numbers[countof(tags)] = {out->type, out->help, out->unit};
    for (size_t i = 0; i < countof(tags); i++)
        if (at < end && *at == tags[i] && (at++, !take_varint(&at, end, &numbers[i])))
            return false;
    if (at < end)
        return false;
    *out = (struct remote_write2_metadata){(uint32_t)numbers[0], (uint32_t)numbers[1],
                                           (uint32_t)numbers[2]};
    return true;
}

// The same for a Metadata field.
static inline size_t take_usual_metadata(const struct pb *m, struct remote_write2_metadata *out)
{
    enum { TAG = SERIES_METADATA << 3 | PB_BYTES };
    const uint8_t *const p = m->at;
    if (pb_left(m) < 2 || p[0] != TAG || p[1] >= 0x80 || pb_left(m) - 2 < p[1])
        return 0;
    return read_usual_metadata(p + 2, p + 2 + p[1], out) ? (size_t)p[1] + 2 : 0;
}

// A field of the request as every sender writes it, of less than 16 KiB. Its number, 0: it is of
// another form, or cut off; nothing is done then.
static inline uint32_t take_usual_field(struct pb *m, struct str *out)
{
    const uint8_t *p = m->at;
    if (pb_left(m) < 3 || p[0] >= 0x80 || (p[0] & 7) != PB_BYTES || p[0] < 1 << 3)
        return 0;
    const uint32_t number = p[0] >> 3;
    size_t n = p[1];
    p += 2;
    if (n >= 0x80) {
        if (*p >= 0x80)
            return 0;
        n = (n & 0x7f) | (size_t)*p++ << 7;
    }
    if (n > (size_t)(m->end - p))
        return 0;
    *out = str_make((const char *)p, n);
    m->at = p + n;
    return number;
}

bool remote_write2_next_symbol(struct pb *m, struct str *out)
{
    while (m->at < m->end) {
        struct pb_field field;
        const uint32_t usual = take_usual_field(m, out);
        if (usual == REQUEST_SYMBOL)
            return true;
        if (usual)
            continue;
        if (pb_tag(m, "", &field, NULL) != ERR_OK)
            return false;
        if (field.number == REQUEST_SYMBOL && field.type == PB_BYTES)
            return pb_bytes(m, out, NULL) == ERR_OK;
        if (pb_skip(m, &field, NULL) != ERR_OK)
            return false;
    }
    return false;
}

size_t remote_write2_leading_symbols(struct str request, uint32_t *out_count)
{
    struct pb m = pb_of(request);
    const uint8_t *const begin = m.at, *end = m.at;
    struct str ignored;
    for (*out_count = 0; take_usual_field(&m, &ignored) == REQUEST_SYMBOL; ++*out_count)
        end = m.at;
    return (size_t)(end - begin);
}

static err parse_refs(struct pb *m, const struct pb_field *field, uint32_t *count, struct errmsg *e)
{
    struct pb_numbers numbers;
    uint64_t ignored;
    TRY(pb_numbers(m, field, PB_VARINT, "LabelsRefs", &numbers, e));
    for (; numbers.in.at < numbers.in.end; ++*count)
        TRY(pb_number(&numbers, &ignored, e));
    return ERR_OK;
}

static err parse_part(struct pb *m, const struct pb_field *field, struct remote_write2_series *s,
                      struct errmsg *e)
{
    static const char *const names[] = {
        [SERIES_SAMPLE] = "Samples",
        [SERIES_HISTOGRAM] = "Histograms",
        [SERIES_EXEMPLAR] = "Exemplars",
        [SERIES_METADATA] = "Metadata",
    };
    struct str content;
    struct remote_write2_sample sample;
    struct remote_write_histogram histogram;
    struct remote_write_exemplar exemplar;
    TRY(pb_want(field, PB_BYTES, names[field->number], e));
    TRY(pb_bytes(m, &content, e));
    switch (field->number) {
    case SERIES_SAMPLE:
        TRY(parse_sample(content, &sample, e));
        remote_write_extend(&s->samples, field->start, m->at);
        s->has_starts |= sample.start_ms != 0;
        s->samples_count++;
        break;
    case SERIES_HISTOGRAM:
        TRY(remote_write_histogram_parse(content, REMOTE_WRITE_V2, &histogram, e));
        remote_write_extend(&s->histograms, field->start, m->at);
        s->histograms_count++;
        break;
    case SERIES_EXEMPLAR:
        TRY(remote_write_exemplar_parse(content, REMOTE_WRITE_V2, &exemplar, e));
        remote_write_extend(&s->exemplars, field->start, m->at);
        s->exemplars_count++;
        break;
    default:
        TRY(parse_metadata(content, &s->metadata, e));
    }
    return ERR_OK;
}

// A field of a TimeSeries in any form.
static err parse_series_field(struct pb *m, struct remote_write2_series *s, struct errmsg *e)
{
    struct pb_field field;
    uint64_t created;
    TRY(pb_tag(m, "TimeSeries", &field, e));
    if (field.number > SERIES_CREATED)
        return pb_skip(m, &field, e);
    if (field.number == SERIES_REFS) {
        TRY(parse_refs(m, &field, &s->refs_count, e));
        remote_write_extend(&s->refs, field.start, m->at);
        return ERR_OK;
    }
    if (field.number == SERIES_CREATED) {
        TRY(pb_want(&field, PB_VARINT, "CreatedTimestamp", e));
        TRY(pb_varint(m, &created, e));
        s->start_ms = (int64_t)created;
        return ERR_OK;
    }
    return parse_part(m, &field, s, e);
}

static err parse_series(struct str message, struct remote_write2_series *out, struct errmsg *e)
{
    struct remote_write2_series s = {
        .refs = {"", 0}, .samples = {"", 0}, .exemplars = {"", 0}, .histograms = {"", 0}};
    struct pb m = pb_of(message);
    while (m.at < m.end) {
        struct remote_write2_sample sample;
        const size_t size = take_usual_sample(&m, &sample);
        if (size > 0) {
            remote_write_extend(&s.samples, m.at, m.at + size);
            s.has_starts |= sample.start_ms != 0;
            s.samples_count++;
            m.at += size;
            continue;
        }
        const size_t metadata = take_usual_metadata(&m, &s.metadata);
        m.at += metadata;
        if (!metadata)
            TRY(parse_series_field(&m, &s, e));
    }
    *out = s;
    return ERR_OK;
}

// A Sample field as nearly all are: a value, and a time of six bytes.
static inline bool is_sample_of_today(const uint8_t *p, const uint8_t *end,
                                      struct remote_write_sample *out)
{
    enum { TAG = SERIES_SAMPLE << 3 | PB_BYTES, CONTENT = 16, VALUE_TAG = 0x09, TIME_TAG = 0x10 };
    if (end - p < SAMPLE_OF_TODAY || load_le16(p) != (TAG | CONTENT << 8) || p[2] != VALUE_TAG ||
        p[11] != TIME_TAG || !remote_write_time_of_six(p + SAMPLE_OF_TODAY, &out->time_ms))
        return false;
    out->bits = load_le64(p + 3);
    return true;
}

bool remote_write2_peek(const struct remote_write2 *w, struct remote_write2_usual *out)
{
    enum { REFS_TAG = SERIES_REFS << 3 | PB_BYTES, METADATA_TAG = SERIES_METADATA << 3 | PB_BYTES };
    struct pb m = w->in;
    struct str content;
    struct remote_write2_sample sample;
    if (take_usual_field(&m, &content) != REQUEST_SERIES)
        return false;
    out->end = m.at;
    m = pb_of(content);
    if (pb_left(&m) < 2 || m.at[0] != REFS_TAG || m.at[1] > REMOTE_WRITE2_USUAL_REFS ||
        pb_left(&m) - 2 < m.at[1])
        return false;
    out->refs = m.at + 2;
    out->refs_n = m.at[1];
    m.at += 2 + out->refs_n;
    const uint8_t *const samples = m.at;
    out->samples_count = is_sample_of_today(m.at, m.end, &out->first);
    m.at += out->samples_count * SAMPLE_OF_TODAY;
    while (m.at < m.end && *m.at != METADATA_TAG) {
        const size_t size = take_usual_sample(&m, &sample);
        if (!size || sample.start_ms)
            return false;
        if (!out->samples_count++)
            out->first = (struct remote_write_sample){sample.bits, sample.time_ms};
        m.at += size;
    }
    out->samples = str_make((const char *)samples, (size_t)(m.at - samples));
    out->metadata_n = 0;
    out->metadata = 0;
    if (m.at < m.end) {
        const size_t n = pb_left(&m) - 2; // wraps where its size is missing
        if (n > REMOTE_WRITE2_USUAL_METADATA || m.at[1] != n)
            return false;
        out->metadata_n = (uint32_t)n;
        out->metadata = n ? load_le64(m.end - 8) >> (64 - 8 * n) : 0; // more lies before it
    }
    return out->samples_count > 0;
}

bool remote_write2_usual_metadata(const struct remote_write2_usual *s,
                                  struct remote_write2_metadata *out)
{
    uint8_t bytes[REMOTE_WRITE2_USUAL_METADATA];
    struct remote_write2_metadata m = {0};
    store_le64(bytes, s->metadata);
    if (!read_usual_metadata(bytes, bytes + s->metadata_n, &m))
        return false;
    *out = m;
    return true;
}

void remote_write2_init(struct remote_write2 *w, struct str request)
{
    assert(request.n <= REMOTE_WRITE_MAX);
    w->in = pb_of(request);
}

err remote_write2_next(struct remote_write2 *w, struct remote_write2_series *out, bool *out_more,
                       struct errmsg *e)
{
    struct pb m = w->in;
    while (m.at < m.end) {
        struct pb_field field;
        struct str content;
        const uint32_t usual = take_usual_field(&m, &content);
        if (usual == REQUEST_SERIES) {
            TRY(parse_series(content, out, e));
            w->in = m;
            *out_more = true;
            return ERR_OK;
        }
        if (usual)
            continue; // a symbol, or a field nobody knows
        TRY(pb_tag(&m, "Request", &field, e));
        if (field.number != REQUEST_SYMBOL && field.number != REQUEST_SERIES) {
            TRY(pb_skip(&m, &field, e));
            continue;
        }
        const bool is_series = field.number == REQUEST_SERIES;
        TRY(pb_want(&field, PB_BYTES, is_series ? "Timeseries" : "Symbols", e));
        TRY(pb_bytes(&m, &content, e));
        if (!is_series)
            continue;
        TRY(parse_series(content, out, e));
        w->in = m;
        *out_more = true;
        return ERR_OK;
    }
    w->in = m;
    *out_more = false;
    return ERR_OK;
}

bool remote_write2_refs_field(struct remote_write2_refs *i)
{
    while (i->region.at < i->region.end) {
        struct pb_field field;
        err code = pb_tag(&i->region, "", &field, NULL);
        assert(code == ERR_OK);
        if (field.number == SERIES_REFS) {
            code = pb_numbers(&i->region, &field, PB_VARINT, "", &i->packed, NULL);
            assert(code == ERR_OK);
            return true;
        }
        code = pb_skip(&i->region, &field, NULL);
        assert(code == ERR_OK);
    }
    return false;
}

bool remote_write2_samples_next(struct pb *i, struct remote_write2_sample *out)
{
    struct str content;
    const size_t usual = take_usual_sample(i, out);
    i->at += usual;
    if (usual > 0)
        return true;
    if (!pb_next(i, SERIES_SAMPLE, &content))
        return false;
    const err code = parse_sample(content, out, NULL);
    assert(code == ERR_OK);
    return true;
}

bool remote_write2_exemplars_next(struct pb *i, struct remote_write_exemplar *out)
{
    struct str content;
    if (!pb_next(i, SERIES_EXEMPLAR, &content))
        return false;
    const err code = remote_write_exemplar_parse(content, REMOTE_WRITE_V2, out, NULL);
    assert(code == ERR_OK);
    return true;
}

bool remote_write2_histograms_next(struct pb *i, struct remote_write_histogram *out)
{
    struct str content;
    if (!pb_next(i, SERIES_HISTOGRAM, &content))
        return false;
    const err code = remote_write_histogram_parse(content, REMOTE_WRITE_V2, out, NULL);
    assert(code == ERR_OK);
    return true;
}
