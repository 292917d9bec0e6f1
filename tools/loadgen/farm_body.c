// The messages of protobuf, in the order of their fields (tag bytes in hexadecimal):
//
//   MetricFamily  0a name  12 help  18 type  22 Metric ...
//   Metric        0a { 0a name 12 value } ...  and one of
//                 12 { 09 value8 } gauge, 1a { 09 value8 } counter, 2a { 09 value8 } untyped,
//                 22 Summary, 3a Histogram
//   Summary       08 count  11 sum8  1a { 09 quantile8 11 value8 } ...
//   Histogram     08 count  11 sum8  1a { 08 count 11 bound8 } ...  28 schema  31 threshold8  38 00
//                 62 { 08 offset 10 length }  6a { delta ... }
#include "tools/loadgen/farm_body.h"

#include <assert.h>

#include "engine/base/bits.h"
#include "engine/base/mem.h"
#include "engine/base/number.h"
#include "engine/model/labels.h"
#include "tools/loadgen/load_capture.h"
#include "tools/loadgen/load_histogram.h"

// A line's text, with the bytes of a generation as themselves: labels are printed in quotes.
static struct str text_of(struct str labels, struct arena *a)
{
    static const char printed[] = "\\x01\\x01\\x01\\x01", bytes[] = {1, 1, 1, 1};
    static_assert(sizeof bytes == LOAD_GENERATION_DIGITS, "a byte for each digit");
    struct buf text = {0};
    labels_format_metric(labels, &text);
    buf_put_char(&text, ' ');
    char *at;
    while ((at = memmem(text.p, text.n, printed, sizeof printed - 1))) {
        char *const rest = at + sizeof printed - 1;
        memcpy(at, bytes, sizeof bytes);
        memmove(at + sizeof bytes, rest, (size_t)(text.p + text.n - rest));
        text.n -= sizeof printed - 1 - sizeof bytes;
    }
    const struct str copy = arena_str(a, buf_str(&text));
    buf_deinit(&text);
    return copy;
}

static void put_field(struct buf *out, char tag, struct str bytes)
{
    buf_put_char(out, tag);
    buf_put_varint(out, bytes.n);
    buf_put_str(out, bytes);
}

static void put_double(struct buf *out, char tag, double value)
{
    uint8_t bytes[8];
    store_le64(bytes, bits_from_double(value));
    buf_put_char(out, tag);
    buf_put(out, bytes, sizeof bytes);
}

// apart: a name that is left out.
static struct str pairs_of(struct str labels, struct str apart, struct arena *a)
{
    struct buf all = {0}, pair = {0};
    struct label one;
    for (struct labels_iter i = labels_iter(labels); labels_next(&i, &one);) {
        if (str_eq(one.name, LABEL_NAME) || str_eq(one.name, apart))
            continue;
        buf_reset(&pair);
        put_field(&pair, 0x0a, one.name);
        put_field(&pair, 0x12, one.value);
        put_field(&all, 0x0a, buf_str(&pair));
    }
    const struct str copy = arena_str(a, buf_str(&all));
    buf_deinit(&pair);
    buf_deinit(&all);
    return copy;
}

enum family_type { // of a MetricFamily
    TYPE_COUNTER,
    TYPE_GAUGE,
    TYPE_SUMMARY,
    TYPE_UNTYPED,
    TYPE_HISTOGRAM,
};

static void add_family(struct farm_lines *l, struct str name, enum family_type type)
{
    static const char *const words[] = {"counter", "gauge", "summary", "untyped", "histogram"};
    static const char help[] = "As an exporter would show it.";
    struct buf head = {0};
    put_field(&head, 0x0a, name);
    put_field(&head, 0x12, str_from_c(help));
    buf_put_char(&head, 0x18);
    buf_put_char(&head, (char)type);
    l->families =
        mem_grow(l->families, &l->families_capacity, l->families_n + 1, sizeof *l->families);
    l->families[l->families_n++] = (struct farm_family){
        .comment = arena_printf(&l->arena, "# HELP %.*s %s\n# TYPE %.*s %s\n", STR_ARG(name), help,
                                STR_ARG(name), words[type]),
        .head = arena_str(&l->arena, buf_str(&head)),
        .name = arena_str(&l->arena, name),
        .type = (int)type};
    buf_deinit(&head);
}

static enum family_type type_of(const struct captured_series *s)
{
    static const enum family_type types[EXPOSITION_TYPES] = {
        [EXPOSITION_UNKNOWN] = TYPE_UNTYPED,
        [EXPOSITION_COUNTER] = TYPE_COUNTER,
        [EXPOSITION_GAUGE] = TYPE_GAUGE,
        [EXPOSITION_HISTOGRAM] = TYPE_HISTOGRAM,
        [EXPOSITION_GAUGE_HISTOGRAM] = TYPE_UNTYPED,
        [EXPOSITION_SUMMARY] = TYPE_SUMMARY,
        [EXPOSITION_INFO] = TYPE_GAUGE,
        [EXPOSITION_STATESET] = TYPE_GAUGE};
    return types[s->type];
}

// Which part of a histogram or a summary the line is; the name of the label that says of which
// bucket or quantile.
static struct str set_captured(struct farm_line *line, enum family_type type, struct str suffix,
                               struct str labels)
{
    const struct str apart = type == TYPE_HISTOGRAM ? STR("le") : STR("quantile");
    if (type != TYPE_HISTOGRAM && type != TYPE_SUMMARY)
        return LABEL_NAME;
    line->captured = str_eq(suffix, STR("_sum"))     ? FARM_SUM
                     : str_eq(suffix, STR("_count")) ? FARM_COUNT
                                                     : FARM_BUCKET;
    if (number_parse(labels_value(labels, apart), &line->bound) != ERR_OK)
        line->bound = INFINITY;
    return apart;
}

static void add_line(void *arg, uint32_t key, struct str labels, const struct load_motion *motion)
{
    struct farm_lines *const l = arg;
    const struct str name = labels_value(labels, LABEL_NAME);
    const struct farm_line *const last = l->n ? &l->items[l->n - 1] : NULL;
    struct farm_line line = {.key = key};
    if (last) { // rows come one behind the other
        line.row = last->row;
        line.series = last->series + 1;
    }
    if (last && line.series == load_shape_row_series(&l->shape, line.row)) {
        line.row++;
        line.series = 0;
    }
    const struct load_capture *const capture = l->shape.capture;
    const struct str family = capture ? capture->items[line.row].family : name;
    const enum family_type type = capture ? type_of(&capture->items[line.row])
                                  : load_shape_is_counter(&l->shape, line.row) ? TYPE_COUNTER
                                                                               : TYPE_GAUGE;
    if (!last || !str_eq(l->families[l->families_n - 1].name, family))
        add_family(l, family, type);
    line.family = (uint32_t)l->families_n - 1;
    line.text = text_of(labels, &l->arena);
    const struct str apart = set_captured(&line, type, str_from(name, family.n), labels);
    line.pairs = pairs_of(labels, apart, &l->arena);
    l->items = mem_grow(l->items, &l->capacity, l->n + 1, sizeof *l->items);
    l->items[l->n++] = line;
    (void)motion;
}

// One line of a histogram: name + suffix, and le where it is not empty.
static void add_part(struct farm_lines *l, struct str labels, const char *suffix, struct str le,
                     struct farm_line line)
{
    struct labels_builder b = {0};
    struct label one;
    struct buf encoded = {0};
    for (struct labels_iter i = labels_iter(labels); labels_next(&i, &one);)
        labels_builder_push(&b, one.name,
                            str_eq(one.name, LABEL_NAME)
                                ? arena_printf(&l->arena, "%.*s%s", STR_ARG(one.value), suffix)
                                : one.value);
    if (le.n)
        labels_builder_push(&b, STR("le"), le);
    labels_builder_encode(&b, &encoded);
    line.text = text_of(buf_str(&encoded), &l->arena);
    l->items = mem_grow(l->items, &l->capacity, l->n + 1, sizeof *l->items);
    l->items[l->n++] = line;
    labels_builder_deinit(&b);
    buf_deinit(&encoded);
}

static void add_histogram(void *arg, uint32_t key, struct str labels,
                          const struct load_motion *motion)
{
    struct farm_lines *const l = arg;
    const struct str name = labels_value(labels, LABEL_NAME);
    const bool is_new = !l->n || l->items[l->n - 1].part == FARM_VALUE;
    struct farm_line line = {.key = key, .part = FARM_BUCKET};
    if (!is_new)
        line.series = l->items[l->n - 1].series + 1;
    if (is_new)
        add_family(l, name, TYPE_HISTOGRAM);
    line.family = (uint32_t)l->families_n - 1;
    line.pairs = pairs_of(labels, LABEL_NAME, &l->arena);
    for (; line.bucket <= LOAD_BUCKETS_N; line.bucket++) {
        const struct str le = line.bucket < LOAD_BUCKETS_N
                                  ? arena_printf(&l->arena, "%.6g", load_bucket_bound(line.bucket))
                                  : STR("+Inf");
        add_part(l, labels, "_bucket", le, line);
    }
    line.part = FARM_SUM;
    add_part(l, labels, "_sum", (struct str){0}, line);
    line.part = FARM_COUNT;
    add_part(l, labels, "_count", (struct str){0}, line);
    (void)motion;
}

void farm_lines_init(struct farm_lines *l, const struct load_shape *shape)
{
    *l = (struct farm_lines){.shape = *shape};
    l->shape.is_bare = true;
    arena_init(&l->arena, 0);
    load_shape_target(&l->shape, 0, add_line, l);
    load_shape_histograms(&l->shape, 0, add_histogram, l);
}

void farm_lines_deinit(struct farm_lines *l)
{
    mem_free(l->items);
    mem_free(l->families);
    arena_deinit(&l->arena);
}

// With the generation in it. Sizes of protobuf may be that byte, too, but not four in a row.
static void put_text(struct str text, unsigned generation, struct buf *out)
{
    static const char digits[] = "0123456789abcdef";
    static const char bytes[] = {LOAD_GENERATION_BYTE, LOAD_GENERATION_BYTE, LOAD_GENERATION_BYTE,
                                 LOAD_GENERATION_BYTE};
    static_assert(sizeof bytes == LOAD_GENERATION_DIGITS, "a byte for each digit");
    const size_t from = out->n;
    buf_put_str(out, text);
    char *at = out->p + from;
    while ((at = memmem(at, (size_t)(out->p + out->n - at), bytes, sizeof bytes))) {
        unsigned rest = generation;
        for (int i = LOAD_GENERATION_DIGITS; i-- > 0; rest >>= 4)
            at[i] = digits[rest & 15];
        at += LOAD_GENERATION_DIGITS;
    }
}

static double part_value(const struct farm_line *line, uint32_t target, uint64_t step)
{
    const struct load_motion m = load_shape_histogram(line->series, target);
    const int end = line->part == FARM_BUCKET && line->bucket < LOAD_BUCKETS_N ? line->bucket + 1
                                                                               : LOAD_BUCKETS_N;
    double value = 0;
    for (int i = 0; i < end; i++) {
        const uint64_t n = load_bucket(&m, i, step);
        value += line->part == FARM_SUM ? load_bucket_sum(i, n) : (double)n;
    }
    return value;
}

static unsigned generation_of(const struct farm_lines *l, const struct farm_line *line,
                              uint32_t target, const struct farm_moment *moment)
{
    const uint32_t unit = (line->key ^ target * 0x9e3779b1U) | LOAD_UNIT;
    return line->key & LOAD_UNIT ? load_generation(unit, load_unit_share(&l->shape), moment->hours)
                                 : moment->generation;
}

static size_t line_of_family(const struct farm_lines *l, size_t family)
{
    size_t i = 0;
    while (i < l->n && l->items[i].family != family)
        i++;
    return i;
}

static struct load_motion motion_of(const struct farm_lines *l, const struct farm_line *line,
                                    uint32_t target)
{
    return line->part == FARM_VALUE ? load_shape_motion(&l->shape, line->row, line->series, target)
                                    : load_shape_histogram(line->series, target);
}

size_t farm_body(const struct farm_lines *l, uint32_t target, const struct farm_moment *moment,
                 size_t first, struct buf *out)
{
    const size_t begin = line_of_family(l, first);
    size_t said = SIZE_MAX, n = 0; // said: the family whose comment was last
    for (size_t i = 0; i < l->n; i++) {
        const struct farm_line *const line = &l->items[(begin + i) % l->n];
        const struct load_motion motion = motion_of(l, line, target);
        if (!load_is_there(&motion, moment->step))
            continue;
        if (line->family != said)
            buf_put_str(out, l->families[line->family].comment);
        said = line->family;
        put_text(line->text, generation_of(l, line, target, moment), out);
        buf_put_double_g(out, line->part == FARM_VALUE ? load_value(&motion, moment->step)
                                                       : part_value(line, target, moment->step));
        buf_put_char(out, '\n');
        n++;
    }
    return n;
}

// ---- protobuf

static void put_count(struct buf *out, char tag, uint64_t n)
{
    buf_put_char(out, tag);
    buf_put_varint(out, n);
}

// The classic buckets up to the last bound (+Inf is implied), then the native ones.
static void put_histogram(const struct load_motion *m, uint64_t step, struct buf *out)
{
    struct buf classic = {0}, one = {0}, deltas = {0}, span = {0};
    uint64_t total = 0, before = 0;
    double sum = 0;
    for (int i = 0; i < LOAD_BUCKETS_N; i++) {
        const uint64_t n = load_bucket(m, i, step);
        total += n;
        sum += load_bucket_sum(i, n);
        buf_put_varint(&deltas, zigzag((int64_t)(n - before)));
        before = n;
        buf_reset(&one);
        put_count(&one, 0x08, total);
        put_double(&one, 0x11, load_bucket_bound(i));
        put_field(&classic, 0x1a, buf_str(&one));
    }
    put_count(&span, 0x08, zigzag(LOAD_BUCKETS_OFFSET));
    put_count(&span, 0x10, LOAD_BUCKETS_N);
    put_count(out, 0x08, total);
    put_double(out, 0x11, sum);
    buf_put_str(out, buf_str(&classic));
    put_count(out, 0x28, zigzag(LOAD_BUCKETS_SCHEMA));
    put_double(out, 0x31, 0x1p-128);
    put_count(out, 0x38, 0);
    put_field(out, 0x62, buf_str(&span));
    put_field(out, 0x6a, buf_str(&deltas));
    buf_deinit(&classic);
    buf_deinit(&one);
    buf_deinit(&deltas);
    buf_deinit(&span);
}

// A part of a captured histogram or summary.
static void put_captured(const struct farm_line *line, bool is_histogram, double value,
                         struct buf *out)
{
    struct buf part = {0};
    const uint64_t whole = value > 0 && value < 0x1p63 ? (uint64_t)value : 0;
    switch (line->captured) {
    case FARM_SUM:
        put_double(out, 0x11, value);
        break;
    case FARM_COUNT:
        put_count(out, 0x08, whole);
        break;
    case FARM_VALUE:
    case FARM_BUCKET:
        if (is_histogram)
            put_count(&part, 0x08, whole);
        else
            put_double(&part, 0x09, line->bound);
        put_double(&part, 0x11, is_histogram ? line->bound : value);
        put_field(out, 0x1a, buf_str(&part));
    }
    buf_deinit(&part);
}

// The parts of a captured one stand together: the metric ends with the last of its labels.
static bool is_metric_end(const struct farm_line *line, const struct farm_line *next)
{
    if (line->captured)
        return next->family != line->family || !str_eq(line->pairs, next->pairs);
    return line->part == FARM_VALUE || line->part == FARM_COUNT;
}

static void put_value(const struct farm_lines *l, const struct farm_line *line,
                      const struct load_motion *motion, uint64_t step, struct buf *out)
{
    if (line->captured)
        put_captured(line, l->families[line->family].type == TYPE_HISTOGRAM,
                     load_value(motion, step), out);
    else if (line->part == FARM_COUNT)
        put_histogram(motion, step, out);
    else if (line->part == FARM_VALUE)
        put_double(out, 0x09, load_value(motion, step));
}

size_t farm_body_protobuf(const struct farm_lines *l, uint32_t target,
                          const struct farm_moment *moment, size_t first, struct buf *out)
{
    static const char tags[] = {
        [TYPE_COUNTER] = 0x1a, [TYPE_GAUGE] = 0x12,     [TYPE_SUMMARY] = 0x22,
        [TYPE_UNTYPED] = 0x2a, [TYPE_HISTOGRAM] = 0x3a,
    };
    const size_t begin = line_of_family(l, first);
    struct buf family = {0}, metric = {0}, value = {0};
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++) {
        const struct farm_line *const line = &l->items[(begin + i) % l->n];
        const struct farm_line *const next = &l->items[(begin + i + 1) % l->n];
        const struct farm_family *const of = &l->families[line->family];
        const struct load_motion motion = motion_of(l, line, target);
        if (load_is_there(&motion, moment->step)) {
            put_value(l, line, &motion, moment->step, &value);
            n++;
        }
        if (value.n && (i + 1 == l->n || is_metric_end(line, next))) {
            buf_reset(&metric);
            put_text(line->pairs, generation_of(l, line, target, moment), &metric);
            put_field(&metric, tags[of->type], buf_str(&value));
            put_field(&family, 0x22, buf_str(&metric));
            buf_reset(&value);
        }
        if (i + 1 < l->n && next->family == line->family)
            continue;
        if (family.n) {
            buf_put_varint(out, of->head.n + family.n);
            buf_put_str(out, of->head);
            buf_put_str(out, buf_str(&family));
        }
        buf_reset(&family);
    }
    buf_deinit(&family);
    buf_deinit(&metric);
    buf_deinit(&value);
    return n;
}

// ---- which one

bool farm_wants_protobuf(struct str accept)
{
    double protobuf = 0, text = 0;
    struct str one, part;
    while (accept.n && str_split(&accept, ',', &one)) {
        double q = 1;
        bool is_first = true, is_family = false, is_delimited = false;
        struct str type = {0};
        for (; one.n && str_split(&one, ';', &part); is_first = false) {
            part = str_trim(part);
            type = is_first ? part : type;
            is_family |= str_eq(part, STR("proto=io.prometheus.client.MetricFamily"));
            is_delimited |= str_eq(part, STR("encoding=delimited"));
            if (str_has_prefix(part, STR("q=")) && number_parse(str_from(part, 2), &q))
                q = 0;
        }
        if (str_eq(type, STR("application/vnd.google.protobuf")) && is_family && is_delimited)
            protobuf = q > protobuf ? q : protobuf;
        else if (str_has_prefix(type, STR("text/")) || str_eq(type, STR("*/*")))
            text = q > text ? q : text;
    }
    return protobuf > 0 && protobuf >= text;
}
