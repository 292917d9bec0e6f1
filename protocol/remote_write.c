// prometheus.WriteRequest, protobuf 3:
//
//     WriteRequest { 1: repeated TimeSeries, 3: repeated MetricMetadata }
//     TimeSeries   { 1: repeated Label, 2: repeated Sample, 3: repeated Exemplar,
//                    4: repeated Histogram }
//     Label        { 1: string name, 2: string value }
//     Sample       { 1: double value (fixed64), 2: int64 timestamp (varint), milliseconds }
#include "protocol/remote_write.h"

#include <assert.h>

#include "protocol/remote_write_parts.h"

enum { REQUEST_SERIES = 1, REQUEST_METADATA = 3 };
enum { SERIES_LABEL = 1, SERIES_EXEMPLAR = 3, SERIES_HISTOGRAM };

static err parse_sample(struct str message, struct remote_write_sample *out, struct errmsg *e)
{
    *out = (struct remote_write_sample){0};
    for (struct pb w = pb_of(message); w.at < w.end;) {
        struct pb_field field;
        uint64_t time;
        TRY(pb_tag(&w, "Sample", &field, e));
        if (field.number == 1) {
            TRY(pb_want(&field, PB_FIXED64, "Value", e));
            TRY(pb_fixed64(&w, &out->bits, e));
        } else if (field.number == 2) {
            TRY(pb_want(&field, PB_VARINT, "Timestamp", e));
            TRY(pb_varint(&w, &time, e));
            out->time_ms = (int64_t)time;
        } else {
            TRY(pb_skip(&w, &field, e));
        }
    }
    return ERR_OK;
}

// A Label field as every sender writes it: name, value, nothing else, sizes of one byte. How many
// bytes it takes with its tag, 0: it is of another form.
static inline size_t take_usual_label(const uint8_t *p, const uint8_t *end, struct str *out_name,
                                      struct str *out_value)
{
    enum { LABEL_TAG = SERIES_LABEL << 3 | PB_BYTES, NAME_TAG = 0x0a, VALUE_TAG = 0x12 };
    if (end - p < 6 || p[0] != LABEL_TAG || p[1] >= 0x80 || end - p - 2 < p[1] || p[1] < 4)
        return 0;
    const size_t size = p[1], name = p[3];
    if (p[2] != NAME_TAG || name + 4 > size || p[4 + name] != VALUE_TAG)
        return 0;
    const size_t value = p[5 + name];
    if (name + value + 4 != size)
        return 0;
    *out_name = str_make((const char *)p + 4, name);
    *out_value = str_make((const char *)p + 6 + name, value);
    return size + 2;
}

// A field of a TimeSeries in any form.
static err parse_series_field(struct pb *w, struct remote_write_series *s, struct errmsg *e)
{
    static const char *const names[] = {"", "Labels", "Samples", "Exemplars", "Histograms"};
    struct pb_field field;
    struct str content, name, value;
    struct remote_write_sample sample;
    struct remote_write_exemplar exemplar;
    struct remote_write_histogram histogram;
    TRY(pb_tag(w, "TimeSeries", &field, e));
    if (field.number > SERIES_HISTOGRAM)
        return pb_skip(w, &field, e);
    TRY(pb_want(&field, PB_BYTES, names[field.number], e));
    TRY(pb_bytes(w, &content, e));
    switch (field.number) {
    case SERIES_LABEL:
        TRY(remote_write_label_parse(content, &name, &value, e));
        remote_write_extend(&s->labels, field.start, w->at);
        s->labels_count++;
        break;
    case REMOTE_WRITE_SAMPLE:
        TRY(parse_sample(content, &sample, e));
        remote_write_extend(&s->samples, field.start, w->at);
        s->samples_count++;
        break;
    case SERIES_EXEMPLAR:
        TRY(remote_write_exemplar_parse(content, REMOTE_WRITE_V1, &exemplar, e));
        remote_write_extend(&s->exemplars, field.start, w->at);
        s->exemplars_count++;
        break;
    default:
        TRY(remote_write_histogram_parse(content, REMOTE_WRITE_V1, &histogram, e));
        remote_write_extend(&s->histograms, field.start, w->at);
        s->histograms_count++;
    }
    return ERR_OK;
}

static err parse_series(struct str message, struct remote_write_series *out, struct errmsg *e)
{
    struct remote_write_series s = {
        .labels = {"", 0}, .samples = {"", 0}, .exemplars = {"", 0}, .histograms = {"", 0}};
    for (struct pb w = pb_of(message); w.at < w.end;) {
        struct str name, value;
        struct remote_write_sample sample;
        const uint8_t *const first = w.at;
        uint32_t n = 0;
        for (size_t size; (size = take_usual_label(w.at, w.end, &name, &value)); n++)
            w.at += size;
        if (n > 0) {
            remote_write_extend(&s.labels, first, w.at);
            s.labels_count += n;
            continue;
        }
        for (size_t size; (size = remote_write_usual_sample(w.at, w.end, &sample)); n++)
            w.at += size;
        if (n > 0) {
            remote_write_extend(&s.samples, first, w.at);
            s.samples_count += n;
            continue;
        }
        TRY(parse_series_field(&w, &s, e));
    }
    *out = s;
    return ERR_OK;
}

void remote_write_init(struct remote_write *w, struct str request)
{
    assert(request.n <= REMOTE_WRITE_MAX);
    const struct pb wire = pb_of(request);
    *w = (struct remote_write){.at = wire.at, .end = wire.end};
}

err remote_write_next(struct remote_write *w, struct remote_write_series *out, bool *out_more,
                      struct errmsg *e)
{
    struct pb wire = {w->at, w->end};
    while (wire.at < wire.end) {
        struct pb_field field;
        struct str content;
        struct remote_write_metadata metadata;
        TRY(pb_tag(&wire, "WriteRequest", &field, e));
        if (field.number != REQUEST_SERIES && field.number != REQUEST_METADATA) {
            TRY(pb_skip(&wire, &field, e));
            continue;
        }
        const bool is_series = field.number == REQUEST_SERIES;
        TRY(pb_want(&field, PB_BYTES, is_series ? "Timeseries" : "Metadata", e));
        TRY(pb_bytes(&wire, &content, e));
        if (!is_series) {
            TRY(remote_write_metadata_parse(content, &metadata, e));
            w->metadata_count++;
            continue;
        }
        TRY(parse_series(content, out, e));
        w->at = wire.at;
        *out_more = true;
        return ERR_OK;
    }
    w->at = wire.at;
    *out_more = false;
    return ERR_OK;
}

static bool next(const uint8_t **at, const uint8_t *end, uint32_t number, struct str *out)
{
    struct pb m = {*at, end};
    const bool found = pb_next(&m, number, out);
    *at = m.at;
    return found;
}

bool remote_write_labels_next(struct remote_write_labels *i, struct str *out_name,
                              struct str *out_value)
{
    struct str content;
    const size_t usual = take_usual_label(i->at, i->end, out_name, out_value);
    i->at += usual;
    if (usual > 0)
        return true;
    if (!next(&i->at, i->end, SERIES_LABEL, &content))
        return false;
    const err code = remote_write_label_parse(content, out_name, out_value, NULL);
    assert(code == ERR_OK);
    return true;
}

bool remote_write_samples_rest(struct remote_write_samples *i, struct remote_write_sample *out)
{
    struct str content;
    if (!next(&i->at, i->end, REMOTE_WRITE_SAMPLE, &content))
        return false;
    const err code = parse_sample(content, out, NULL);
    assert(code == ERR_OK);
    return true;
}

bool remote_write_exemplars_next(struct pb *i, struct remote_write_exemplar *out)
{
    struct str content;
    if (!pb_next(i, SERIES_EXEMPLAR, &content))
        return false;
    const err code = remote_write_exemplar_parse(content, REMOTE_WRITE_V1, out, NULL);
    assert(code == ERR_OK);
    return true;
}

bool remote_write_histograms_next(struct pb *i, struct remote_write_histogram *out)
{
    struct str content;
    if (!pb_next(i, SERIES_HISTOGRAM, &content))
        return false;
    const err code = remote_write_histogram_parse(content, REMOTE_WRITE_V1, out, NULL);
    assert(code == ERR_OK);
    return true;
}

bool remote_write_metadata_next(struct pb *i, struct remote_write_metadata *out)
{
    struct str content;
    if (!pb_next(i, REQUEST_METADATA, &content))
        return false;
    const err code = remote_write_metadata_parse(content, out, NULL);
    assert(code == ERR_OK);
    return true;
}
