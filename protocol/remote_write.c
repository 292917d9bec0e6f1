// prometheus.WriteRequest, protobuf 3:
//
//     WriteRequest { 1: repeated TimeSeries, 3: repeated MetricMetadata }
//     TimeSeries   { 1: repeated Label, 2: repeated Sample, 3: repeated Exemplar,
//                    4: repeated Histogram }
//     Label        { 1: string name, 2: string value }
//     Sample       { 1: double value (fixed64), 2: int64 timestamp (varint), milliseconds }
//
// A field is a varint (number << 3 | wire type) and its content; of fields that are given twice the
// last one counts.
#include "protocol/remote_write.h"

#include <assert.h>

#include "engine/base/bits.h"

enum wire_type {
    WIRE_VARINT = 0,
    WIRE_FIXED64 = 1,
    WIRE_BYTES = 2,
    WIRE_GROUP = 3,
    WIRE_GROUP_END = 4,
    WIRE_FIXED32 = 5,
};

enum { SERIES_LABEL = 1, SERIES_SAMPLE, SERIES_EXEMPLAR, SERIES_HISTOGRAM };

struct wire {
    const uint8_t *at, *end;
};

struct field {
    uint32_t number;
    enum wire_type type;
    const uint8_t *start; // of its tag
};

static size_t left(const struct wire *w)
{
    return (size_t)(w->end - w->at);
}

static err fail_eof(struct errmsg *e)
{
    return err_set(e, ERR_INVALID, "unexpected EOF");
}

// Ten bytes at most; bits beyond the 64th are lost, as in Go's decoder.
static err read_varint(struct wire *w, uint64_t *out, struct errmsg *e)
{
    if (w->at < w->end && *w->at < 0x80) {
        *out = *w->at++;
        return ERR_OK;
    }
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (w->at == w->end)
            return fail_eof(e);
        const uint8_t byte = *w->at++;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = v;
            return ERR_OK;
        }
    }
    return err_set(e, ERR_INVALID, "proto: integer overflow");
}

static err read_bytes(struct wire *w, struct str *out, struct errmsg *e)
{
    uint64_t n;
    TRY(read_varint(w, &n, e));
    if (n > INT64_MAX)
        return err_set(e, ERR_INVALID, "proto: negative length found during unmarshaling");
    if (n > left(w))
        return fail_eof(e);
    *out = str_make((const char *)w->at, (size_t)n);
    w->at += n;
    return ERR_OK;
}

static err read_field(struct wire *w, const char *message, struct field *out, struct errmsg *e)
{
    uint64_t tag;
    out->start = w->at;
    TRY(read_varint(w, &tag, e));
    const int32_t number = (int32_t)(uint32_t)(tag >> 3);
    out->type = (enum wire_type)(tag & 7);
    if (out->type == WIRE_GROUP_END)
        return err_set(e, ERR_INVALID, "proto: %s: wiretype end group for non-group", message);
    if (number <= 0)
        return err_set(e, ERR_INVALID, "proto: %s: illegal tag %d (wire type %d)", message, number,
                       (int)out->type);
    out->number = (uint32_t)number;
    return ERR_OK;
}

static err skip_fixed(struct wire *w, size_t n, struct errmsg *e)
{
    if (left(w) < n)
        return fail_eof(e);
    w->at += n;
    return ERR_OK;
}

// Over a field of any kind, groups with all they hold, from its tag on.
static err skip_field(struct wire *w, const struct field *field, struct errmsg *e)
{
    uint64_t depth = 0, tag, ignored;
    struct str bytes;
    w->at = field->start;
    do {
        if (w->at == w->end)
            return fail_eof(e);
        TRY(read_varint(w, &tag, e));
        switch ((enum wire_type)(tag & 7)) {
        case WIRE_VARINT:
            TRY(read_varint(w, &ignored, e));
            break;
        case WIRE_FIXED64:
            TRY(skip_fixed(w, 8, e));
            break;
        case WIRE_BYTES:
            TRY(read_bytes(w, &bytes, e));
            break;
        case WIRE_GROUP:
            depth++;
            break;
        case WIRE_GROUP_END:
            if (depth == 0)
                return err_set(e, ERR_INVALID, "proto: unexpected end of group");
            depth--;
            break;
        case WIRE_FIXED32:
            TRY(skip_fixed(w, 4, e));
            break;
        default:
            return err_set(e, ERR_INVALID, "proto: illegal wireType %d", (int)(tag & 7));
        }
    } while (depth > 0);
    return ERR_OK;
}

static err want_type(const struct field *field, enum wire_type type, const char *name,
                     struct errmsg *e)
{
    if (field->type != type)
        return err_set(e, ERR_INVALID, "proto: wrong wireType = %d for field %s", (int)field->type,
                       name);
    return ERR_OK;
}

static struct wire wire_of(struct str message)
{
    const uint8_t *const p = (const uint8_t *)(message.n ? message.p : "");
    return (struct wire){p, p + message.n};
}

static err parse_label(struct str message, struct str *out_name, struct str *out_value,
                       struct errmsg *e)
{
    *out_name = *out_value = (struct str){0};
    for (struct wire w = wire_of(message); w.at < w.end;) {
        struct field field;
        TRY(read_field(&w, "Label", &field, e));
        if (field.number > 2) {
            TRY(skip_field(&w, &field, e));
            continue;
        }
        TRY(want_type(&field, WIRE_BYTES, field.number == 1 ? "Name" : "Value", e));
        TRY(read_bytes(&w, field.number == 1 ? out_name : out_value, e));
    }
    return ERR_OK;
}

static err parse_sample(struct str message, struct remote_write_sample *out, struct errmsg *e)
{
    *out = (struct remote_write_sample){0};
    for (struct wire w = wire_of(message); w.at < w.end;) {
        struct field field;
        uint64_t time;
        TRY(read_field(&w, "Sample", &field, e));
        if (field.number == 1) {
            TRY(want_type(&field, WIRE_FIXED64, "Value", e));
            TRY(skip_fixed(&w, 8, e));
            out->bits = load_le64(w.at - 8);
        } else if (field.number == 2) {
            TRY(want_type(&field, WIRE_VARINT, "Timestamp", e));
            TRY(read_varint(&w, &time, e));
            out->time_ms = (int64_t)time;
        } else {
            TRY(skip_field(&w, &field, e));
        }
    }
    return ERR_OK;
}

// Messages whose content nobody reads yet: only their shape is checked.
static err check_message(struct str message, const char *name, struct errmsg *e)
{
    for (struct wire w = wire_of(message); w.at < w.end;) {
        struct field field;
        TRY(read_field(&w, name, &field, e));
        TRY(skip_field(&w, &field, e));
    }
    return ERR_OK;
}

// A Label field as every sender writes it: name, value, nothing else, sizes of one byte. How many
// bytes it takes with its tag, 0: it is of another form.
static inline size_t take_usual_label(const uint8_t *p, const uint8_t *end, struct str *out_name,
                                      struct str *out_value)
{
    enum { LABEL_TAG = SERIES_LABEL << 3 | WIRE_BYTES, NAME_TAG = 0x0a, VALUE_TAG = 0x12 };
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

// The same for a Sample field: value, timestamp.
static inline size_t take_usual_sample(const uint8_t *p, const uint8_t *end,
                                       struct remote_write_sample *out)
{
    enum { SAMPLE_TAG = SERIES_SAMPLE << 3 | WIRE_BYTES, VALUE_TAG = 0x09, TIME_TAG = 0x10 };
    enum { FIXED = 10, SIZE_MAX_USUAL = FIXED + 9 }; // of nine bytes a varint has 63 bits at most
    if (end - p < 2 + FIXED + 1 || p[0] != SAMPLE_TAG || p[1] > SIZE_MAX_USUAL ||
        end - p - 2 < p[1] || p[1] <= FIXED || p[2] != VALUE_TAG || p[11] != TIME_TAG)
        return 0;
    const uint8_t *const last = p + 1 + p[1];
    uint64_t time = 0;
    unsigned shift = 0;
    const uint8_t *at = p + 2 + FIXED;
    for (; at < last && *at >= 0x80; at++, shift += 7)
        time |= (uint64_t)(*at & 0x7f) << shift;
    if (at != last || *at >= 0x80)
        return 0;
    out->bits = load_le64(p + 3);
    out->time_ms = (int64_t)(time | (uint64_t)*at << shift);
    return (size_t)p[1] + 2;
}

// Grows region to end where these fields do; it starts with the first ones.
static void extend(struct str *region, const uint8_t *start, const uint8_t *end)
{
    if (region->n == 0)
        region->p = (const char *)start;
    region->n = (size_t)((const char *)end - region->p);
}

// A field of a TimeSeries in any form.
static err parse_series_field(struct wire *w, struct remote_write_series *s, struct errmsg *e)
{
    static const char *const names[] = {"", "Labels", "Samples", "Exemplars", "Histograms"};
    struct field field;
    struct str content, name, value;
    struct remote_write_sample sample;
    TRY(read_field(w, "TimeSeries", &field, e));
    if (field.number > SERIES_HISTOGRAM)
        return skip_field(w, &field, e);
    TRY(want_type(&field, WIRE_BYTES, names[field.number], e));
    TRY(read_bytes(w, &content, e));
    switch (field.number) {
    case SERIES_LABEL:
        TRY(parse_label(content, &name, &value, e));
        extend(&s->labels, field.start, w->at);
        s->labels_count++;
        break;
    case SERIES_SAMPLE:
        TRY(parse_sample(content, &sample, e));
        extend(&s->samples, field.start, w->at);
        s->samples_count++;
        break;
    case SERIES_EXEMPLAR:
        TRY(check_message(content, "Exemplar", e));
        s->exemplars_count++;
        break;
    default:
        TRY(check_message(content, "Histogram", e));
        s->histograms_count++;
    }
    return ERR_OK;
}

static err parse_series(struct str message, struct remote_write_series *out, struct errmsg *e)
{
    struct remote_write_series s = {.labels = {"", 0}, .samples = {"", 0}};
    for (struct wire w = wire_of(message); w.at < w.end;) {
        struct str name, value;
        struct remote_write_sample sample;
        const uint8_t *const first = w.at;
        uint32_t n = 0;
        for (size_t size; (size = take_usual_label(w.at, w.end, &name, &value)); n++)
            w.at += size;
        if (n > 0) {
            extend(&s.labels, first, w.at);
            s.labels_count += n;
            continue;
        }
        for (size_t size; (size = take_usual_sample(w.at, w.end, &sample)); n++)
            w.at += size;
        if (n > 0) {
            extend(&s.samples, first, w.at);
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
    const struct wire wire = wire_of(request);
    *w = (struct remote_write){.at = wire.at, .end = wire.end};
}

err remote_write_next(struct remote_write *w, struct remote_write_series *out, bool *out_more,
                      struct errmsg *e)
{
    enum { REQUEST_SERIES = 1, REQUEST_METADATA = 3 };
    struct wire wire = {w->at, w->end};
    while (wire.at < wire.end) {
        struct field field;
        struct str content;
        TRY(read_field(&wire, "WriteRequest", &field, e));
        if (field.number != REQUEST_SERIES && field.number != REQUEST_METADATA) {
            TRY(skip_field(&wire, &field, e));
            continue;
        }
        const bool is_series = field.number == REQUEST_SERIES;
        TRY(want_type(&field, WIRE_BYTES, is_series ? "Timeseries" : "Metadata", e));
        TRY(read_bytes(&wire, &content, e));
        if (!is_series) {
            TRY(check_message(content, "MetricMetadata", e));
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

// The content of the next field of this number in a region that was checked; false at its end.
static bool next_content(const uint8_t **at, const uint8_t *end, uint32_t number, struct str *out)
{
    struct wire w = {*at, end};
    while (w.at < w.end) {
        struct field field;
        err code = read_field(&w, "", &field, NULL);
        assert(code == ERR_OK);
        if (field.number == number) {
            code = read_bytes(&w, out, NULL);
            assert(code == ERR_OK);
            *at = w.at;
            return true;
        }
        code = skip_field(&w, &field, NULL);
        assert(code == ERR_OK);
    }
    *at = w.at;
    return false;
}

bool remote_write_labels_next(struct remote_write_labels *i, struct str *out_name,
                              struct str *out_value)
{
    struct str content;
    const size_t usual = take_usual_label(i->at, i->end, out_name, out_value);
    i->at += usual;
    if (usual > 0)
        return true;
    if (!next_content(&i->at, i->end, SERIES_LABEL, &content))
        return false;
    const err code = parse_label(content, out_name, out_value, NULL);
    assert(code == ERR_OK);
    return true;
}

bool remote_write_samples_next(struct remote_write_samples *i, struct remote_write_sample *out)
{
    struct str content;
    const size_t usual = take_usual_sample(i->at, i->end, out);
    i->at += usual;
    if (usual > 0)
        return true;
    if (!next_content(&i->at, i->end, SERIES_SAMPLE, &content))
        return false;
    const err code = parse_sample(content, out, NULL);
    assert(code == ERR_OK);
    return true;
}
