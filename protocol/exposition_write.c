#include "protocol/exposition_write.h"

#include <math.h>
#include <stdlib.h>

#include "engine/base/number.h"
#include "engine/base/util.h"

// ---- negotiation

enum { ACCEPTS_MAX = 64 };

struct accept {
    struct str type, subtype, parameters;
    double q;
    size_t place;
};

static struct str unquote(struct str s)
{
    const bool quoted = s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"';
    return quoted ? str_make(s.p + 1, s.n - 2) : s;
}

static struct str parameter(struct str parameters, struct str name)
{
    struct str part, found = {0};
    while (str_split(&parameters, ';', &part)) {
        const ptrdiff_t equals = str_find(part, '=', 0);
        if (equals != STR_NONE && str_eq(str_trim(str_until(part, (size_t)equals)), name))
            found = unquote(str_trim(str_from(part, (size_t)equals + 1)));
    }
    return found;
}

// The most wanted first; of equal ones the more specific, then as written.
static int compare_accepts(const void *a, const void *b)
{
    const struct accept *x = a, *y = b;
    if (x->q != y->q)
        return x->q > y->q ? -1 : 1;
    const bool any_x = str_eq(x->type, STR("*")), any_y = str_eq(y->type, STR("*"));
    if (any_x != any_y)
        return any_x ? 1 : -1;
    const bool part_x = str_eq(x->subtype, STR("*")), part_y = str_eq(y->subtype, STR("*"));
    if (part_x != part_y)
        return part_x ? 1 : -1;
    return x->place < y->place ? -1 : 1;
}

static size_t read_accepts(struct str header, struct accept accepts[static ACCEPTS_MAX])
{
    struct str part;
    size_t n = 0;
    while (n < ACCEPTS_MAX && str_split(&header, ',', &part)) {
        struct str rest = str_trim(part), media;
        str_split(&rest, ';', &media);
        media = str_trim(media);
        const ptrdiff_t slash = str_find(media, '/', 0);
        if (slash == STR_NONE && !str_eq(media, STR("*")))
            continue;
        struct accept *a = &accepts[n];
        *a = (struct accept){.type = media, .subtype = media, .parameters = rest, .q = 1};
        if (slash != STR_NONE) {
            a->type = str_trim(str_until(media, (size_t)slash));
            a->subtype = str_trim(str_from(media, (size_t)slash + 1));
        }
        const struct str q = parameter(rest, STR("q"));
        double value;
        if (q.p && number_parse(q, &value) == ERR_OK)
            a->q = value;
        else if (q.p)
            a->q = 1;
        a->place = n++;
    }
    if (n)
        qsort(accepts, n, sizeof *accepts, compare_accepts);
    return n;
}

struct exposition_style exposition_negotiate(struct str accept)
{
    static const struct {
        const char *encoding;
        enum exposition_format format;
    } encodings[] = {{"delimited", EXPOSITION_PROTOBUF},
                     {"text", EXPOSITION_PROTOBUF_TEXT},
                     {"compact-text", EXPOSITION_PROTOBUF_COMPACT}};
    struct exposition_style style = {EXPOSITION_TEXT, ESCAPE_UNDERSCORES};
    struct accept accepts[ACCEPTS_MAX];
    const size_t n = read_accepts(accept, accepts);
    for (size_t i = 0; i < n; i++) {
        const struct accept *a = &accepts[i];
        const struct str version = parameter(a->parameters, STR("version"));
        escape_scheme_parse(parameter(a->parameters, STR("escaping")), &style.escaping);
        if (str_eq(a->type, STR("application")) && str_eq(a->subtype, STR("vnd.google.protobuf")) &&
            str_eq(parameter(a->parameters, STR("proto")),
                   STR("io.prometheus.client.MetricFamily")))
            for (size_t k = 0; k < countof(encodings); k++)
                if (str_eq(parameter(a->parameters, STR("encoding")),
                           str_from_c(encodings[k].encoding))) {
                    style.format = encodings[k].format;
                    return style;
                }
        if (str_eq(a->type, STR("text")) && str_eq(a->subtype, STR("plain")) &&
            (!version.n || str_eq(version, STR("0.0.4"))))
            return style;
    }
    return style;
}

void exposition_put_content_type(struct exposition_style style, struct buf *out)
{
    static const char *const encodings[] = {[EXPOSITION_PROTOBUF] = "delimited",
                                            [EXPOSITION_PROTOBUF_TEXT] = "text",
                                            [EXPOSITION_PROTOBUF_COMPACT] = "compact-text"};
    if (style.format == EXPOSITION_TEXT)
        buf_put_str(out, STR("text/plain; version=0.0.4; charset=utf-8"));
    else
        buf_printf(out,
                   "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
                   "encoding=%s",
                   encodings[style.format]);
    buf_printf(out, "; escaping=%s", escape_scheme_text(style.escaping));
}

// ---- text

static void put_escaped(struct buf *out, struct str s)
{
    size_t from = 0;
    for (size_t i = 0; i < s.n; i++) {
        const char c = s.p[i];
        if (c != '\\' && c != '"' && c != '\n')
            continue;
        buf_put(out, s.p + from, i - from);
        buf_put_char(out, '\\');
        buf_put_char(out, c == '\n' ? 'n' : c);
        from = i + 1;
    }
    if (s.n > from)
        buf_put(out, s.p + from, s.n - from);
}

static void put_quoted_name(struct buf *out, struct str name)
{
    if (escape_is_legal(name)) {
        buf_put_str(out, name);
        return;
    }
    buf_put_char(out, '"');
    put_escaped(out, name);
    buf_put_char(out, '"');
}

static void put_value(struct buf *out, double value)
{
    if (value == 0)
        buf_put_char(out, '0'); // also for -0, as there
    else
        buf_put_double_g(out, value);
}

// The name as it leaves; legal ones stay as they are in every scheme.
static struct str escaped(struct exposition_writer *w, struct str name)
{
    if (escape_is_legal(name))
        return name;
    buf_reset(&w->scratch);
    escape_name(name, w->style.escaping, &w->scratch);
    return buf_str(&w->scratch);
}

static void put_line(struct exposition_writer *w, const struct exposition_label *labels, size_t n,
                     double value, int64_t t_ms)
{
    struct buf *out = w->out;
    const struct str name = buf_str(&w->name);
    char separator = '{';
    if (escape_is_legal(name)) {
        buf_put_str(out, name);
    } else {
        buf_put_char(out, '{');
        put_quoted_name(out, name);
        separator = ',';
    }
    for (size_t i = 0; i < n; i++) {
        buf_put_char(out, separator);
        put_quoted_name(out, escaped(w, labels[i].name));
        buf_put_str(out, STR("=\""));
        put_escaped(out, labels[i].value);
        buf_put_char(out, '"');
        separator = ',';
    }
    if (separator == ',')
        buf_put_char(out, '}');
    buf_put_char(out, ' ');
    put_value(out, value);
    buf_put_char(out, ' ');
    buf_put_i64(out, t_ms);
    buf_put_char(out, '\n');
}

// ---- protobuf: MetricFamily{name = 1, type = 3, metric = 4}, Metric{label = 1, untyped = 5,
// timestamp_ms = 6}, LabelPair{name = 1, value = 2}, Untyped{value = 1}

enum { TYPE_UNTYPED = 3, VARINT = 0, FIXED64 = 1, BYTES = 2 };

static void put_key(struct buf *out, unsigned field, unsigned wire)
{
    buf_put_varint(out, field << 3 | wire);
}

static void put_bytes(struct buf *out, unsigned field, struct str s)
{
    put_key(out, field, BYTES);
    buf_put_varint(out, s.n);
    buf_put_str(out, s);
}

static size_t varint_size(uint64_t v)
{
    size_t n = 1;
    while (v >>= 7)
        n++;
    return n;
}

static size_t bytes_size(struct str s) // of a field whose number is below 16
{
    return 1 + varint_size(s.n) + s.n;
}

static void put_metric(struct exposition_writer *w, const struct exposition_label *labels, size_t n,
                       double value, int64_t t_ms)
{
    struct buf *out = &w->message;
    uint64_t bits;
    size_t size = 2 + 9 + 1 + varint_size((uint64_t)t_ms);
    for (size_t i = 0; i < n; i++) {
        const size_t pair = bytes_size(escaped(w, labels[i].name)) + bytes_size(labels[i].value);
        size += 1 + varint_size(pair) + pair;
    }
    put_key(out, 4, BYTES);
    buf_put_varint(out, size);
    for (size_t i = 0; i < n; i++) {
        const struct str name = escaped(w, labels[i].name);
        put_key(out, 1, BYTES);
        buf_put_varint(out, bytes_size(name) + bytes_size(labels[i].value));
        put_bytes(out, 1, name);
        put_bytes(out, 2, labels[i].value);
    }
    put_key(out, 5, BYTES);
    buf_put_varint(out, 9);
    put_key(out, 1, FIXED64);
    memcpy(&bits, &value, sizeof bits);
    buf_put_le64(out, bits);
    put_key(out, 6, VARINT);
    buf_put_varint(out, (uint64_t)t_ms);
}

static void put_message(struct exposition_writer *w)
{
    const struct str name = buf_str(&w->name);
    buf_put_varint(w->out, bytes_size(name) + 2 + w->message.n);
    put_bytes(w->out, 1, name);
    put_key(w->out, 3, VARINT);
    buf_put_varint(w->out, TYPE_UNTYPED);
    buf_put_str(w->out, buf_str(&w->message));
    buf_reset(&w->message);
}

// ---- protobuf as text

static void put_text_string(struct buf *out, struct str s)
{
    buf_put_char(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        const unsigned char c = (unsigned char)s.p[i];
        if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (c == '\n' || c == '\r' || c == '\t')
            buf_put_str(out, c == '\n' ? STR("\\n") : c == '\r' ? STR("\\r") : STR("\\t"));
        else if (c < 0x20 || c == 0x7f)
            buf_printf(out, "\\x%02x", c);
        else
            buf_put_char(out, (char)c);
    }
    buf_put_char(out, '"');
}

static void put_text_value(struct buf *out, double value)
{
    if (isfinite(value))
        buf_put_double_g(out, value);
    else
        buf_put_str(out, isnan(value) ? STR("nan") : value > 0 ? STR("inf") : STR("-inf"));
}

// Lines of a depth, or, compact, words behind each other.
static void put_break(const struct exposition_writer *w, int depth)
{
    if (w->style.format == EXPOSITION_PROTOBUF_COMPACT) {
        buf_put_char(w->out, ' ');
        return;
    }
    buf_put_char(w->out, '\n');
    for (int i = 0; i < depth; i++)
        buf_put_str(w->out, STR("  "));
}

static void put_open(const struct exposition_writer *w, const char *name, int depth)
{
    if (w->style.format == EXPOSITION_PROTOBUF_COMPACT) {
        buf_printf(w->out, "%s:{", name);
    } else {
        buf_printf(w->out, "%s: {", name);
        put_break(w, depth + 1);
    }
}

static void put_close(const struct exposition_writer *w, int depth)
{
    if (w->style.format != EXPOSITION_PROTOBUF_COMPACT)
        put_break(w, depth);
    buf_put_char(w->out, '}');
}

static void put_field(const struct exposition_writer *w, const char *name)
{
    buf_printf(w->out, w->style.format == EXPOSITION_PROTOBUF_COMPACT ? "%s:" : "%s: ", name);
}

static void put_text_metric(struct exposition_writer *w, const struct exposition_label *labels,
                            size_t n, double value, int64_t t_ms)
{
    put_break(w, 0);
    put_open(w, "metric", 0);
    for (size_t i = 0; i < n; i++) {
        put_open(w, "label", 1);
        put_field(w, "name");
        put_text_string(w->out, escaped(w, labels[i].name));
        put_break(w, 2);
        put_field(w, "value");
        put_text_string(w->out, labels[i].value);
        put_close(w, 1);
        put_break(w, 1);
    }
    put_open(w, "untyped", 1);
    put_field(w, "value");
    put_text_value(w->out, value);
    put_close(w, 1);
    put_break(w, 1);
    put_field(w, "timestamp_ms");
    buf_put_i64(w->out, t_ms);
    put_close(w, 0);
}

// ---- the writer

void exposition_writer_init(struct exposition_writer *w, struct exposition_style style,
                            struct buf *out)
{
    *w = (struct exposition_writer){.style = style, .out = out};
}

void exposition_writer_deinit(struct exposition_writer *w)
{
    buf_deinit(&w->name);
    buf_deinit(&w->message);
    buf_deinit(&w->scratch);
}

void exposition_finish(struct exposition_writer *w)
{
    if (!w->is_open)
        return;
    w->is_open = false;
    if (w->style.format == EXPOSITION_PROTOBUF && w->message.n)
        put_message(w);
    else if (w->style.format == EXPOSITION_PROTOBUF_TEXT)
        buf_put_str(w->out, STR("\n\n"));
    else if (w->style.format == EXPOSITION_PROTOBUF_COMPACT)
        buf_put_char(w->out, '\n');
}

void exposition_family(struct exposition_writer *w, struct str name)
{
    exposition_finish(w);
    w->is_open = true;
    buf_reset(&w->name);
    buf_put_str(&w->name, escaped(w, name));
    const struct str shown = buf_str(&w->name);
    if (w->style.format == EXPOSITION_TEXT) {
        buf_put_str(w->out, STR("# TYPE "));
        put_quoted_name(w->out, shown);
        buf_put_str(w->out, STR(" untyped\n"));
    } else if (w->style.format != EXPOSITION_PROTOBUF) {
        put_field(w, "name");
        put_text_string(w->out, shown);
        put_break(w, 0);
        put_field(w, "type");
        buf_put_str(w->out, STR("UNTYPED"));
    }
}

void exposition_sample(struct exposition_writer *w, const struct exposition_label *labels, size_t n,
                       double value, int64_t t_ms)
{
    switch (w->style.format) {
    case EXPOSITION_TEXT:
        put_line(w, labels, n, value, t_ms);
        break;
    case EXPOSITION_PROTOBUF:
        put_metric(w, labels, n, value, t_ms);
        if (w->message.n >= EXPOSITION_MESSAGE_BYTES)
            put_message(w);
        break;
    case EXPOSITION_PROTOBUF_TEXT:
    case EXPOSITION_PROTOBUF_COMPACT:
        put_text_metric(w, labels, n, value, t_ms);
        break;
    }
}
