#include "engine/config/yaml_encode.h"

#include <assert.h>
#include <math.h>
#include <yaml.h>

#include "engine/base/duration.h"
#include "engine/base/mem.h"
#include "engine/base/number.h"
#include "engine/base/utf8.h"

struct yaml_writer {
    yaml_emitter_t emitter;
    struct buf *out;
};

static int put_bytes(void *cookie, unsigned char *p, size_t n)
{
    struct yaml_writer *w = cookie;
    buf_put(w->out, p, n);
    return 1;
}

// libyaml fails only for want of memory or for events out of order.
static void emit(struct yaml_writer *w, yaml_event_t *ev, int made)
{
    const int emitted = made && yaml_emitter_emit(&w->emitter, ev);
    assert(emitted);
}

static void put_scalar(struct yaml_writer *w, struct str text, yaml_scalar_style_t style)
{
    yaml_event_t ev;
    assert(text.n < INT32_MAX);
    const int made = yaml_scalar_event_initialize(
        &ev, NULL, NULL, (const yaml_char_t *)(text.n ? text.p : ""), (int)text.n, 1, 1, style);
    emit(w, &ev, made);
}

void yaml_put_plain(struct yaml_writer *w, struct str text)
{
    put_scalar(w, text, YAML_PLAIN_SCALAR_STYLE);
}

// 1:20 and the like were numbers once.
static bool is_base60(struct str s)
{
    size_t at = s.n && (s.p[0] == '-' || s.p[0] == '+'), colons = 0;
    if (at == s.n || s.p[at] < '0' || s.p[at] > '9')
        return false;
    for (; at < s.n && s.p[at] != '.'; at++) {
        const char c = s.p[at];
        colons += c == ':';
        if (c != ':' && c != '_' && (c < '0' || c > '9'))
            return false;
        // Behind a colon stands one digit below 6 or none, then one digit.
        if (c == ':') {
            size_t n = at + 1;
            while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
                n++;
            const size_t digits = n - at - 1;
            if (!digits || digits > 2 || (digits == 2 && s.p[at + 1] > '5'))
                return false;
        }
    }
    for (at += at < s.n; at < s.n; at++)
        if (s.p[at] != '_' && (s.p[at] < '0' || s.p[at] > '9'))
            return false;
    return colons;
}

void yaml_put_str(struct yaml_writer *w, struct str text)
{
    assert(utf8_is_valid(text)); // libyaml let it in as UTF-8
    yaml_scalar_style_t style = YAML_PLAIN_SCALAR_STYLE;
    if (str_find(text, '\n', 0) != STR_NONE)
        style = YAML_LITERAL_SCALAR_STYLE;
    else if (yaml_type_of(text, YAML_V2) != YAML_STR || is_base60(text) || str_eq(text, STR("<<")))
        style = YAML_DOUBLE_QUOTED_SCALAR_STYLE;
    put_scalar(w, text, style);
}

void yaml_put_secret(struct yaml_writer *w, struct str secret)
{
    yaml_put_str(w, secret.n ? STR("<secret>") : STR(""));
}

void yaml_put_map(struct yaml_writer *w)
{
    yaml_event_t ev;
    emit(w, &ev, yaml_mapping_start_event_initialize(&ev, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE));
}

void yaml_put_map_end(struct yaml_writer *w)
{
    yaml_event_t ev;
    emit(w, &ev, yaml_mapping_end_event_initialize(&ev));
}

static void put_seq(struct yaml_writer *w, yaml_sequence_style_t style)
{
    yaml_event_t ev;
    emit(w, &ev, yaml_sequence_start_event_initialize(&ev, NULL, NULL, 1, style));
}

void yaml_put_seq(struct yaml_writer *w)
{
    put_seq(w, YAML_BLOCK_SEQUENCE_STYLE);
}

void yaml_put_seq_end(struct yaml_writer *w)
{
    yaml_event_t ev;
    emit(w, &ev, yaml_sequence_end_event_initialize(&ev));
}

void yaml_put_strs(struct yaml_writer *w, const struct yaml_strs *all)
{
    yaml_put_seq(w);
    for (size_t i = 0; i < all->n; i++)
        yaml_put_str(w, all->items[i]);
    yaml_put_seq_end(w);
}

void yaml_put_flow_strs(struct yaml_writer *w, const struct yaml_strs *all)
{
    put_seq(w, YAML_FLOW_SEQUENCE_STYLE);
    for (size_t i = 0; i < all->n; i++)
        yaml_put_str(w, all->items[i]);
    yaml_put_seq_end(w);
}

void yaml_put_secrets(struct yaml_writer *w, const struct yaml_strs *all)
{
    yaml_put_seq(w);
    for (size_t i = 0; i < all->n; i++)
        yaml_put_secret(w, all->items[i]);
    yaml_put_seq_end(w);
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// The number that starts at s.p[*at], moved behind it; a long one is cut off at 64 bits.
static uint64_t take_number(struct str s, size_t *at, uint64_t sum)
{
    for (; *at < s.n && is_digit(s.p[*at]); ++*at)
        sum = sum * 10 + (uint64_t)(s.p[*at] - '0');
    return sum;
}

int yaml_key_cmp(struct str a, struct str b)
{
    size_t i = 0;
    while (i < a.n && i < b.n && a.p[i] == b.p[i])
        i++;
    if (i == a.n || i == b.n)
        return (a.n > b.n) - (a.n < b.n);
    const bool a_letter = is_letter(a.p[i]), b_letter = is_letter(b.p[i]);
    const int by_byte = (unsigned char)a.p[i] < (unsigned char)b.p[i] ? -1 : 1;
    if (a_letter && b_letter)
        return by_byte;
    if (a_letter || b_letter)
        return b_letter ? -1 : 1;
    // A zero within a number is a digit of it, in front of one it is not.
    bool within = false;
    if (a.p[i] == '0' || b.p[i] == '0')
        for (size_t k = i; k > 0 && is_digit(a.p[k - 1]) && !within; k--)
            within = a.p[k - 1] != '0';
    size_t a_at = i, b_at = i;
    const uint64_t a_number = take_number(a, &a_at, within);
    const uint64_t b_number = take_number(b, &b_at, within);
    if (a_number != b_number)
        return a_number < b_number ? -1 : 1;
    if (a_at != b_at)
        return a_at < b_at ? -1 : 1;
    return by_byte;
}

static void put_pairs(struct yaml_writer *w, const struct yaml_pairs *all)
{
    struct yaml_pair *const sorted = mem_alloc_array(all->n, sizeof *sorted);
    for (size_t i = 0; i < all->n; i++) {
        size_t at = i;
        for (; at && yaml_key_cmp(sorted[at - 1].key, all->items[i].key) > 0; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = all->items[i];
    }
    yaml_put_map(w);
    for (size_t i = 0; i < all->n; i++) {
        yaml_put_str(w, sorted[i].key);
        yaml_put_str(w, sorted[i].value);
    }
    yaml_put_map_end(w);
    mem_free(sorted);
}

static void put_list(struct yaml_writer *w, const struct yaml_struct *of,
                     const struct yaml_list *all)
{
    yaml_put_seq(w);
    for (size_t i = 0; i < all->n; i++) {
        yaml_put_map(w);
        yaml_put_fields(w, of, (const char *)all->items + i * of->size);
        yaml_put_map_end(w);
    }
    yaml_put_seq_end(w);
}

static void put_struct(struct yaml_writer *w, const struct yaml_struct *type, const void *object)
{
    yaml_put_map(w);
    yaml_put_fields(w, type, object);
    yaml_put_map_end(w);
}

static void put_fraction(double d, struct buf *out)
{
    if (isfinite(d))
        buf_put_double_g(out, d);
    else
        buf_put_str(out, isnan(d) ? STR(".nan") : d > 0 ? STR(".inf") : STR("-.inf"));
}

static void put_number(struct yaml_writer *w, const struct yaml_field *f, const void *field)
{
    struct buf text = {0};
    if (f->kind == YAML_FIELD_INT)
        buf_put_i64(&text, *(const int64_t *)field);
    else if (f->kind == YAML_FIELD_UINT)
        buf_put_u64(&text, *(const uint64_t *)field);
    else if (f->kind == YAML_FIELD_FLOAT)
        put_fraction(*(const double *)field, &text);
    else if (f->kind == YAML_FIELD_DURATION)
        duration_format(*(const int64_t *)field, &text);
    else
        size_format(*(const int64_t *)field, &text);
    yaml_put_plain(w, buf_str(&text));
    buf_deinit(&text);
}

static void put_field(struct yaml_writer *w, const struct yaml_field *f, const void *field)
{
    switch (f->kind) {
    case YAML_FIELD_BOOL:
        yaml_put_plain(w, *(const bool *)field ? STR("true") : STR("false"));
        return;
    case YAML_FIELD_SWITCH:
        yaml_put_plain(w, *(const int8_t *)field == 1 ? STR("true") : STR("false"));
        return;
    case YAML_FIELD_INT:
    case YAML_FIELD_UINT:
    case YAML_FIELD_FLOAT:
    case YAML_FIELD_DURATION:
    case YAML_FIELD_SIZE:
        put_number(w, f, field);
        return;
    case YAML_FIELD_STR:
        yaml_put_str(w, *(const struct str *)field);
        return;
    case YAML_FIELD_SECRET:
        yaml_put_secret(w, *(const struct str *)field);
        return;
    case YAML_FIELD_STRS:
        yaml_put_strs(w, field);
        return;
    case YAML_FIELD_PAIRS:
        put_pairs(w, field);
        return;
    case YAML_FIELD_STRUCT:
        put_struct(w, f->of, field);
        return;
    case YAML_FIELD_POINTER:
        put_struct(w, f->of, *(void *const *)field);
        return;
    case YAML_FIELD_LIST:
        put_list(w, f->of, field);
        return;
    case YAML_FIELD_CUSTOM:
        f->custom->encode(w, field);
        return;
    case YAML_FIELD_INLINE:
        break;
    }
    assert(f->kind != YAML_FIELD_INLINE); // put by its fields
}

void yaml_put_fields(struct yaml_writer *w, const struct yaml_struct *type, const void *object)
{
    for (size_t i = 0; i < type->n; i++) {
        const struct yaml_field *const f = &type->fields[i];
        const void *const field = (const char *)object + f->offset;
        if (f->kind == YAML_FIELD_INLINE) {
            yaml_put_fields(w, f->of, field);
        } else if (f->always || !yaml_field_is_zero(f, object)) {
            yaml_put_str(w, str_from_c(f->name));
            put_field(w, f, field);
        }
    }
}

void yaml_encode(const struct yaml_struct *type, const void *object, struct buf *out)
{
    struct yaml_writer w = {.out = out};
    yaml_event_t ev;
    const int ready = yaml_emitter_initialize(&w.emitter);
    assert(ready);
    yaml_emitter_set_output(&w.emitter, put_bytes, &w);
    yaml_emitter_set_unicode(&w.emitter, 1);
    emit(&w, &ev, yaml_stream_start_event_initialize(&ev, YAML_UTF8_ENCODING));
    emit(&w, &ev, yaml_document_start_event_initialize(&ev, NULL, NULL, NULL, 1));
    put_struct(&w, type, object);
    emit(&w, &ev, yaml_document_end_event_initialize(&ev, 1));
    emit(&w, &ev, yaml_stream_end_event_initialize(&ev));
    yaml_emitter_delete(&w.emitter);
}
