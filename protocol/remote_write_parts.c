// Both messages of remote_write:
//
//     Histogram { 1: uint64 count_int | 2: double count_float, 3: double sum, 4: sint32 schema,
//                 5: double zero_threshold, 6: uint64 zero_count_int | 7: double zero_count_float,
//                 8: repeated BucketSpan negative_spans, 9: repeated sint64 negative_deltas,
//                 10: repeated double negative_counts, 11, 12, 13: the same for positive,
//                 14: enum reset_hint, 15: int64 timestamp, 16: repeated double custom_values,
//                 17: int64 start_timestamp (of 2.0) }
//     BucketSpan { 1: sint32 offset, 2: uint32 length }
//     Exemplar { 1: repeated Label (1.0) | repeated uint32 label references (2.0),
//                2: double value, 3: int64 timestamp }
//     Label { 1: string name, 2: string value }
//     MetricMetadata { 1: enum type, 2: string metric_family_name, 4: string help, 5: string unit }
#include "protocol/remote_write_parts.h"

#include <assert.h>

enum {
    COUNT_INT = 1,
    COUNT_FLOAT,
    SUM,
    SCHEMA,
    ZERO_THRESHOLD,
    ZERO_COUNT_INT,
    ZERO_COUNT_FLOAT,
    NEGATIVE_SPANS,
    NEGATIVE_DELTAS,
    NEGATIVE_COUNTS,
    POSITIVE_SPANS,
    POSITIVE_DELTAS,
    POSITIVE_COUNTS,
    RESET_HINT,
    TIMESTAMP,
    CUSTOM_VALUES,
    START_TIMESTAMP,
};

static const struct {
    const char *name;
    enum pb_type type;
} fields[] = {
    [COUNT_INT] = {"CountInt", PB_VARINT},
    [COUNT_FLOAT] = {"CountFloat", PB_FIXED64},
    [SUM] = {"Sum", PB_FIXED64},
    [SCHEMA] = {"Schema", PB_VARINT},
    [ZERO_THRESHOLD] = {"ZeroThreshold", PB_FIXED64},
    [ZERO_COUNT_INT] = {"ZeroCountInt", PB_VARINT},
    [ZERO_COUNT_FLOAT] = {"ZeroCountFloat", PB_FIXED64},
    [NEGATIVE_SPANS] = {"NegativeSpans", PB_BYTES},
    [NEGATIVE_DELTAS] = {"NegativeDeltas", PB_VARINT},
    [NEGATIVE_COUNTS] = {"NegativeCounts", PB_FIXED64},
    [POSITIVE_SPANS] = {"PositiveSpans", PB_BYTES},
    [POSITIVE_DELTAS] = {"PositiveDeltas", PB_VARINT},
    [POSITIVE_COUNTS] = {"PositiveCounts", PB_FIXED64},
    [RESET_HINT] = {"ResetHint", PB_VARINT},
    [TIMESTAMP] = {"Timestamp", PB_VARINT},
    [CUSTOM_VALUES] = {"CustomValues", PB_FIXED64},
    [START_TIMESTAMP] = {"StartTimestamp", PB_VARINT},
};

static err parse_span(struct str message, struct remote_write_span *out, struct errmsg *e)
{
    *out = (struct remote_write_span){0};
    for (struct pb m = pb_of(message); m.at < m.end;) {
        struct pb_field field;
        uint64_t n;
        TRY(pb_tag(&m, "BucketSpan", &field, e));
        if (field.number > 2) {
            TRY(pb_skip(&m, &field, e));
            continue;
        }
        TRY(pb_want(&field, PB_VARINT, field.number == 1 ? "Offset" : "Length", e));
        TRY(pb_varint(&m, &n, e));
        if (field.number == 1)
            out->offset = pb_zigzag32(n);
        else
            out->length = (uint32_t)n;
    }
    return ERR_OK;
}

// The list that a field adds to, NULL: it is a single number.
static uint32_t *list_of(struct remote_write_histogram *h, uint32_t number)
{
    switch (number) {
    case NEGATIVE_SPANS:
        return &h->negative.spans;
    case NEGATIVE_DELTAS:
        return &h->negative.deltas;
    case NEGATIVE_COUNTS:
        return &h->negative.counts;
    case POSITIVE_SPANS:
        return &h->positive.spans;
    case POSITIVE_DELTAS:
        return &h->positive.deltas;
    case POSITIVE_COUNTS:
        return &h->positive.counts;
    case CUSTOM_VALUES:
        return &h->custom;
    default:
        return NULL;
    }
}

static err check_list(struct pb *m, const struct pb_field *field, uint32_t *count, struct errmsg *e)
{
    const char *const name = fields[field->number].name;
    if (field->number == NEGATIVE_SPANS || field->number == POSITIVE_SPANS) {
        struct str content;
        struct remote_write_span span;
        TRY(pb_want(field, PB_BYTES, name, e));
        TRY(pb_bytes(m, &content, e));
        TRY(parse_span(content, &span, e));
        ++*count;
        return ERR_OK;
    }
    struct pb_numbers numbers;
    uint64_t ignored;
    TRY(pb_numbers(m, field, fields[field->number].type, name, &numbers, e));
    for (; numbers.in.at < numbers.in.end; ++*count)
        TRY(pb_number(&numbers, &ignored, e));
    return ERR_OK;
}

// A number's place in the histogram; the kinds of the two counts are noted.
struct kinds {
    bool zero_is_float;
};

static void set_number(struct remote_write_histogram *h, uint32_t number, uint64_t n,
                       struct kinds *kinds)
{
    switch (number) {
    case COUNT_INT:
    case COUNT_FLOAT:
        h->count = n;
        h->is_float = number == COUNT_FLOAT;
        break;
    case SUM:
        h->sum_bits = n;
        break;
    case SCHEMA:
        h->schema = pb_zigzag32(n);
        break;
    case ZERO_THRESHOLD:
        h->zero_threshold_bits = n;
        break;
    case ZERO_COUNT_INT:
    case ZERO_COUNT_FLOAT:
        h->zero_count = n;
        kinds->zero_is_float = number == ZERO_COUNT_FLOAT;
        break;
    case RESET_HINT:
        h->hint = (uint32_t)n;
        break;
    case TIMESTAMP:
        h->time_ms = (int64_t)n;
        break;
    default:
        assert(number == START_TIMESTAMP);
        h->start_ms = (int64_t)n;
    }
}

err remote_write_histogram_parse(struct str message, enum remote_write_version version,
                                 struct remote_write_histogram *out, struct errmsg *e)
{
    struct remote_write_histogram h = {.message = message};
    const uint32_t last = version == REMOTE_WRITE_V1 ? CUSTOM_VALUES : START_TIMESTAMP;
    struct kinds kinds = {0};
    for (struct pb m = pb_of(message); m.at < m.end;) {
        struct pb_field field;
        uint64_t n;
        TRY(pb_tag(&m, "Histogram", &field, e));
        if (field.number > last) {
            TRY(pb_skip(&m, &field, e));
            continue;
        }
        uint32_t *const list = list_of(&h, field.number);
        if (list) {
            TRY(check_list(&m, &field, list, e));
            continue;
        }
        const enum pb_type type = fields[field.number].type;
        TRY(pb_want(&field, type, fields[field.number].name, e));
        TRY(type == PB_VARINT ? pb_varint(&m, &n, e) : pb_fixed64(&m, &n, e));
        set_number(&h, field.number, n, &kinds);
    }
    if (kinds.zero_is_float != h.is_float)
        h.zero_count = 0; // of the other kind: as if it had not been sent
    *out = h;
    return ERR_OK;
}

void remote_write_histogram_spans(const struct remote_write_histogram *h, bool negative,
                                  struct remote_write_span *out)
{
    const uint32_t number = negative ? NEGATIVE_SPANS : POSITIVE_SPANS;
    struct pb m = pb_of(h->message);
    for (struct str content; pb_next(&m, number, &content); out++) {
        const err code = parse_span(content, out, NULL);
        assert(code == ERR_OK);
    }
}

// The next field of a repeated number in a message that was checked; false: there is none.
static bool next_numbers(struct pb *m, uint32_t number, struct pb_numbers *out)
{
    while (m->at < m->end) {
        struct pb_field field;
        err code = pb_tag(m, "", &field, NULL);
        assert(code == ERR_OK);
        if (field.number == number) {
            code = pb_numbers(m, &field, fields[number].type, "", out, NULL);
            assert(code == ERR_OK);
            return true;
        }
        code = pb_skip(m, &field, NULL);
        assert(code == ERR_OK);
    }
    return false;
}

static uint64_t next_number(struct pb_numbers *numbers)
{
    uint64_t n = 0;
    const err code = pb_number(numbers, &n, NULL);
    assert(code == ERR_OK);
    return n;
}

void remote_write_histogram_counts(const struct remote_write_histogram *h, bool negative,
                                   uint64_t *out)
{
    const uint32_t deltas = negative ? NEGATIVE_DELTAS : POSITIVE_DELTAS;
    const uint32_t counts = negative ? NEGATIVE_COUNTS : POSITIVE_COUNTS;
    struct pb m = pb_of(h->message);
    uint64_t sum = 0;
    for (struct pb_numbers list; next_numbers(&m, h->is_float ? counts : deltas, &list);)
        while (list.in.at < list.in.end) {
            const uint64_t n = next_number(&list);
            sum += (uint64_t)unzigzag(n);
            *out++ = h->is_float ? n : sum;
        }
}

void remote_write_histogram_custom(const struct remote_write_histogram *h, double *out)
{
    struct pb m = pb_of(h->message);
    for (struct pb_numbers list; next_numbers(&m, CUSTOM_VALUES, &list);)
        while (list.in.at < list.in.end)
            *out++ = double_from_bits(next_number(&list));
}

err remote_write_label_parse(struct str message, struct str *out_name, struct str *out_value,
                             struct errmsg *e)
{
    *out_name = *out_value = (struct str){0};
    for (struct pb m = pb_of(message); m.at < m.end;) {
        struct pb_field field;
        TRY(pb_tag(&m, "Label", &field, e));
        if (field.number > 2) {
            TRY(pb_skip(&m, &field, e));
            continue;
        }
        TRY(pb_want(&field, PB_BYTES, field.number == 1 ? "Name" : "Value", e));
        TRY(pb_bytes(&m, field.number == 1 ? out_name : out_value, e));
    }
    return ERR_OK;
}

// The labels of an exemplar: one more of 1.0, one or many references of 2.0.
static err check_exemplar_labels(struct pb *m, const struct pb_field *field,
                                 enum remote_write_version version,
                                 struct remote_write_exemplar *out, struct errmsg *e)
{
    if (version == REMOTE_WRITE_V1) {
        struct str content, name, value;
        TRY(pb_want(field, PB_BYTES, "Labels", e));
        TRY(pb_bytes(m, &content, e));
        TRY(remote_write_label_parse(content, &name, &value, e));
        out->labels_count++;
    } else {
        struct pb_numbers numbers;
        uint64_t ignored;
        TRY(pb_numbers(m, field, PB_VARINT, "LabelsRefs", &numbers, e));
        for (; numbers.in.at < numbers.in.end; out->labels_count++)
            TRY(pb_number(&numbers, &ignored, e));
    }
    remote_write_extend(&out->labels, field->start, m->at);
    return ERR_OK;
}

err remote_write_exemplar_parse(struct str message, enum remote_write_version version,
                                struct remote_write_exemplar *out, struct errmsg *e)
{
    enum { LABELS = 1, VALUE, TIME };
    struct remote_write_exemplar exemplar = {.labels = {"", 0}};
    for (struct pb m = pb_of(message); m.at < m.end;) {
        struct pb_field field;
        uint64_t time;
        TRY(pb_tag(&m, "Exemplar", &field, e));
        switch (field.number) {
        case LABELS:
            TRY(check_exemplar_labels(&m, &field, version, &exemplar, e));
            break;
        case VALUE:
            TRY(pb_want(&field, PB_FIXED64, "Value", e));
            TRY(pb_fixed64(&m, &exemplar.bits, e));
            break;
        case TIME:
            TRY(pb_want(&field, PB_VARINT, "Timestamp", e));
            TRY(pb_varint(&m, &time, e));
            exemplar.time_ms = (int64_t)time;
            break;
        default:
            TRY(pb_skip(&m, &field, e));
        }
    }
    *out = exemplar;
    return ERR_OK;
}

err remote_write_metadata_parse(struct str message, struct remote_write_metadata *out,
                                struct errmsg *e)
{
    enum { TYPE = 1, FAMILY = 2, HELP = 4, UNIT = 5 };
    struct remote_write_metadata metadata = {0};
    for (struct pb m = pb_of(message); m.at < m.end;) {
        struct pb_field field;
        uint64_t type;
        TRY(pb_tag(&m, "MetricMetadata", &field, e));
        switch (field.number) {
        case TYPE:
            TRY(pb_want(&field, PB_VARINT, "Type", e));
            TRY(pb_varint(&m, &type, e));
            metadata.type = (uint32_t)type;
            break;
        case FAMILY:
            TRY(pb_want(&field, PB_BYTES, "MetricFamilyName", e));
            TRY(pb_bytes(&m, &metadata.family, e));
            break;
        case HELP:
            TRY(pb_want(&field, PB_BYTES, "Help", e));
            TRY(pb_bytes(&m, &metadata.help, e));
            break;
        case UNIT:
            TRY(pb_want(&field, PB_BYTES, "Unit", e));
            TRY(pb_bytes(&m, &metadata.unit, e));
            break;
        default:
            TRY(pb_skip(&m, &field, e));
        }
    }
    *out = metadata;
    return ERR_OK;
}
