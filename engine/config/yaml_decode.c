#include "engine/config/yaml_decode.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "engine/base/duration.h"
#include "engine/base/mem.h"

enum {
    ERRORS_MAX = 10000, // collected in one document; more are counted only
    TEXT_MAX = 512,
    UNSUPPORTED_MAX = 4096,
};

void yaml_decoder_deinit(struct yaml_decoder *d)
{
    buf_deinit(&d->errors);
    buf_deinit(&d->cause);
    mem_free(d->unsupported);
    d->unsupported = NULL;
    d->unsupported_n = d->unsupported_capacity = 0;
}

static void __attribute__((format(printf, 2, 0)))
put_text(struct buf *b, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, format, again);
    va_end(again);
    assert(n >= 0);
    char *const at = buf_reserve(b, (size_t)n + 1);
    vsnprintf(at, (size_t)n + 1, format, args);
    b->n += (size_t)n;
}

void yaml_collect(struct yaml_decoder *d, const struct yaml_node *n, const char *format, ...)
{
    if (++d->errors_count > ERRORS_MAX)
        return;
    va_list args;
    va_start(args, format);
    buf_printf(&d->errors, "\n  line %u: ", n->line);
    put_text(&d->errors, format, args);
    va_end(args);
}

void yaml_type_error(struct yaml_decoder *d, const struct yaml_node *n, const char *go)
{
    const struct str tag = yaml_tag(n, d->version);
    if (n->kind != YAML_SCALAR)
        yaml_collect(d, n, "cannot unmarshal %.*s into %s", STR_ARG(tag), go);
    else if (n->value.n > 10)
        yaml_collect(d, n, "cannot unmarshal %.*s `%.*s...` into %s", STR_ARG(tag), 7, n->value.p,
                     go);
    else
        yaml_collect(d, n, "cannot unmarshal %.*s `%.*s` into %s", STR_ARG(tag), STR_ARG(n->value),
                     go);
}

err yaml_fail(struct yaml_decoder *d, const struct yaml_node *n, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    buf_reset(&d->cause);
    if (!d->no_lines)
        buf_printf(&d->cause, "line %u: ", n->line);
    put_text(&d->cause, format, args);
    va_end(args);
    return err_set(d->e, ERR_INVALID, "%.*s", STR_ARG(buf_str(&d->cause)));
}

void yaml_note_unsupported(struct yaml_decoder *d, const struct yaml_node *n, const char *format,
                           ...)
{
    if (d->unsupported_n == UNSUPPORTED_MAX) {
        d->unsupported_more++;
        return;
    }
    char text[TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    d->unsupported = mem_grow(d->unsupported, &d->unsupported_capacity, d->unsupported_n + 1,
                              sizeof *d->unsupported);
    size_t at = d->unsupported_n++;
    for (; at && d->unsupported[at - 1].line > n->line &&
           str_eq(d->unsupported[at - 1].file, d->file);
         at--)
        d->unsupported[at] = d->unsupported[at - 1];
    d->unsupported[at] = (struct yaml_unsupported){
        .file = d->file, .what = arena_str(d->arena, str_from_c(text)), .line = n->line};
}

void yaml_note_field(struct yaml_decoder *d, const struct yaml_node *mapping, const char *name)
{
    for (size_t i = 0; i < mapping->n; i += 2) {
        if (str_eq(mapping->items[i]->value, str_from_c(name))) {
            yaml_note_unsupported(d, mapping->items[i], "%s", name);
            return;
        }
    }
}

// A text whose type Go calls so.
static bool decode_text(struct yaml_decoder *d, const struct yaml_node *n, const char *go,
                        struct str *out)
{
    struct yaml_value value;
    if (n->kind != YAML_SCALAR || yaml_resolve(n, d->version, &value)) {
        yaml_type_error(d, n, go);
        return false;
    }
    *out = value.type == YAML_NULL ? STR("") : arena_str(d->arena, n->value);
    return true;
}

bool yaml_decode_str(struct yaml_decoder *d, const struct yaml_node *n, struct str *out)
{
    return decode_text(d, n, "string", out);
}

// Secrets decode themselves, as a type that is named so.
static const char *element_go(const char *go)
{
    if (!strcmp(go, "[]config.Secret"))
        return "config.plain";
    return !strcmp(go, "[]config.ScrapeProtocol") ? go + 2 : "string";
}

err yaml_decode_strs(struct yaml_decoder *d, const struct yaml_node *n, const char *go,
                     struct yaml_strs *out)
{
    if (n->kind != YAML_SEQUENCE) {
        yaml_type_error(d, n, go);
        return ERR_OK;
    }
    struct yaml_strs all = {arena_array(d->arena, n->n, struct str), 0};
    if (!all.items)
        return yaml_fail(d, n, "too many items");
    for (size_t i = 0; i < n->n; i++)
        if (decode_text(d, n->items[i], element_go(go), &all.items[all.n]))
            all.n++;
    *out = all;
    return ERR_OK;
}

static void insert_pair(struct yaml_pairs *all, struct yaml_pair pair)
{
    size_t at = all->n++;
    for (; at && str_cmp(all->items[at - 1].key, pair.key) > 0; at--)
        all->items[at] = all->items[at - 1];
    all->items[at] = pair;
}

static err decode_pairs(struct yaml_decoder *d, const struct yaml_node *n, const char *go,
                        struct yaml_pairs *out)
{
    enum { PAIRS_MAX = 4096 }; // insertion below is quadratic
    if (n->kind != YAML_MAPPING) {
        yaml_type_error(d, n, go ? go : "map[string]string");
        return ERR_OK;
    }
    if (n->n > 2 * PAIRS_MAX)
        return yaml_fail(d, n, "more than %d keys", PAIRS_MAX);
    struct yaml_pairs all = {arena_array(d->arena, n->n / 2, struct yaml_pair), 0};
    assert(all.items || !n->n);
    for (size_t i = 0; i < n->n; i += 2) {
        struct yaml_pair pair;
        if (!yaml_decode_str(d, n->items[i], &pair.key) ||
            !decode_text(d, n->items[i + 1], go ? "model.LabelValue" : "string", &pair.value))
            continue;
        bool seen = false;
        for (size_t k = 0; k < all.n && !seen; k++)
            seen = str_eq(all.items[k].key, pair.key);
        if (seen)
            yaml_collect(d, n->items[i + 1], "key \"%.*s\" already set in map", STR_ARG(pair.key));
        else
            insert_pair(&all, pair);
    }
    *out = all;
    return ERR_OK;
}

// Go's zero value: bytes of 0, but a switch is unset.
static void zero_object(const struct yaml_struct *type, char *object)
{
    for (size_t i = 0; i < type->n; i++) {
        const struct yaml_field *const f = &type->fields[i];
        if (f->kind == YAML_FIELD_SWITCH)
            *(int8_t *)(object + f->offset) = YAML_UNSET;
        else if (f->kind == YAML_FIELD_STRUCT || f->kind == YAML_FIELD_INLINE)
            zero_object(f->of, object + f->offset);
    }
}

static void zero_struct(const struct yaml_struct *type, void *object)
{
    memset(object, 0, type->size);
    zero_object(type, object);
}

err yaml_decode_list(struct yaml_decoder *d, const struct yaml_node *n, const char *go,
                     const struct yaml_struct *of, struct yaml_list *out)
{
    if (n->kind != YAML_SEQUENCE) {
        yaml_type_error(d, n, go);
        return ERR_OK;
    }
    char *const items = arena_try_zeroed(d->arena, n->n, of->size, 16);
    if (!items)
        return yaml_fail(d, n, "too many items");
    for (size_t i = 0; i < n->n; i++) {
        const struct yaml_node *const item = n->items[i];
        if (yaml_is_null(item)) {
            if (!d->late) {
                d->late = item;
                d->late_text = of->null_text ? of->null_text : "empty or null section";
            }
            continue;
        }
        zero_struct(of, items + i * of->size);
        TRY(yaml_decode_struct(d, item, of, items + i * of->size));
    }
    *out = (struct yaml_list){items, n->n};
    return ERR_OK;
}

static err decode_integer(struct yaml_decoder *d, const struct yaml_node *n, bool is_unsigned,
                          const char *go, void *field)
{
    struct yaml_value v;
    if (n->kind != YAML_SCALAR || yaml_resolve(n, d->version, &v))
        v.type = YAML_STR;
    // A float is cut, as Go converts it.
    if (v.type == YAML_FLOAT && v.fraction > -0x1p63 && v.fraction < 0x1p63) {
        v.type = YAML_INT;
        v.number = (int64_t)v.fraction;
    }
    if (v.type == YAML_INT && (!is_unsigned || v.number >= 0))
        memcpy(field, &v.number, sizeof v.number);
    else if (v.type == YAML_UINT && is_unsigned)
        memcpy(field, &v.natural, sizeof v.natural);
    else
        yaml_type_error(d, n, go);
    return ERR_OK;
}

static err decode_bool(struct yaml_decoder *d, const struct yaml_node *n, bool is_switch,
                       void *field)
{
    struct yaml_value v;
    // A boolean is wanted: the words of YAML 1.1 are taken by every version.
    if (n->kind != YAML_SCALAR || yaml_resolve(n, YAML_V2, &v) || v.type != YAML_BOOL) {
        yaml_type_error(d, n, "bool");
        return ERR_OK;
    }
    if (is_switch)
        *(int8_t *)field = v.boolean;
    else
        *(bool *)field = v.boolean;
    return ERR_OK;
}

static err decode_float(struct yaml_decoder *d, const struct yaml_node *n, double *field)
{
    struct yaml_value v;
    if (n->kind != YAML_SCALAR || yaml_resolve(n, d->version, &v))
        v.type = YAML_STR;
    if (v.type == YAML_FLOAT)
        *field = v.fraction;
    else if (v.type == YAML_INT)
        *field = (double)v.number;
    else if (v.type == YAML_UINT)
        *field = (double)v.natural;
    else
        yaml_type_error(d, n, "float64");
    return ERR_OK;
}

static err decode_quantity(struct yaml_decoder *d, const struct yaml_node *n, bool is_size,
                           int64_t *field)
{
    struct str text;
    if (is_size && n->kind != YAML_SCALAR) {
        yaml_type_error(d, n, "units.Base2Bytes");
        return ERR_OK;
    }
    if (!yaml_decode_str(d, n, &text))
        return ERR_OK;
    struct errmsg why;
    const err code = is_size ? size_parse(text, field, &why) : duration_parse(text, field, &why);
    return code ? yaml_fail(d, n, "%s", why.text) : ERR_OK;
}

static void set_zero(const struct yaml_field *f, void *field)
{
    static const size_t sizes[] = {
        [YAML_FIELD_BOOL] = sizeof(bool),
        [YAML_FIELD_SWITCH] = sizeof(int8_t),
        [YAML_FIELD_INT] = sizeof(int64_t),
        [YAML_FIELD_UINT] = sizeof(uint64_t),
        [YAML_FIELD_FLOAT] = sizeof(double),
        [YAML_FIELD_STR] = sizeof(struct str),
        [YAML_FIELD_SECRET] = sizeof(struct str),
        [YAML_FIELD_DURATION] = sizeof(int64_t),
        [YAML_FIELD_SIZE] = sizeof(int64_t),
        [YAML_FIELD_STRS] = sizeof(struct yaml_strs),
        [YAML_FIELD_PAIRS] = sizeof(struct yaml_pairs),
        [YAML_FIELD_POINTER] = sizeof(void *),
        [YAML_FIELD_LIST] = sizeof(struct yaml_list),
    };
    if (f->kind == YAML_FIELD_STRUCT) {
        zero_struct(f->of, field);
    } else if (f->kind == YAML_FIELD_CUSTOM) {
        f->custom->zero(field);
    } else if (f->kind == YAML_FIELD_SWITCH) {
        *(int8_t *)field = YAML_UNSET;
    } else {
        memset(field, 0, sizes[f->kind]);
    }
}

static err decode_field(struct yaml_decoder *d, const struct yaml_node *n,
                        const struct yaml_field *f, void *field)
{
    if (yaml_is_null(n)) {
        set_zero(f, field);
        return ERR_OK;
    }
    switch (f->kind) {
    case YAML_FIELD_BOOL:
    case YAML_FIELD_SWITCH:
        return decode_bool(d, n, f->kind == YAML_FIELD_SWITCH, field);
    case YAML_FIELD_INT:
        return decode_integer(d, n, false, f->go ? f->go : "int", field);
    case YAML_FIELD_UINT:
        return decode_integer(d, n, true, f->go ? f->go : "uint", field);
    case YAML_FIELD_FLOAT:
        return decode_float(d, n, field);
    case YAML_FIELD_STR:
        (void)decode_text(d, n, f->go ? f->go : "string", field);
        return ERR_OK;
    case YAML_FIELD_SECRET:
        (void)decode_text(d, n, "config.plain", field);
        return ERR_OK;
    case YAML_FIELD_DURATION:
    case YAML_FIELD_SIZE:
        return decode_quantity(d, n, f->kind == YAML_FIELD_SIZE, field);
    case YAML_FIELD_STRS:
        return yaml_decode_strs(d, n, f->go ? f->go : "[]string", field);
    case YAML_FIELD_PAIRS:
        return decode_pairs(d, n, f->go, field);
    case YAML_FIELD_STRUCT:
        return yaml_decode_struct(d, n, f->of, field);
    case YAML_FIELD_POINTER: {
        void *const object = arena_alloc(d->arena, f->of->size, 16);
        zero_struct(f->of, object);
        *(void **)field = object;
        return yaml_decode_struct(d, n, f->of, object);
    }
    case YAML_FIELD_LIST:
        return yaml_decode_list(d, n, f->go, f->of, field);
    case YAML_FIELD_INLINE:
        break;
    case YAML_FIELD_CUSTOM:
        return f->custom->decode(d, n, field);
    }
    assert(f->kind != YAML_FIELD_INLINE); // it has no key of its own
    return ERR_INVALID;
}

// The row of a key, and where its value lives; looks into inline structs. *number counts all rows
// before it.
static const struct yaml_field *find_field(const struct yaml_struct *type, struct str key,
                                           char *object, void **out_field, size_t *number)
{
    for (size_t i = 0; i < type->n; i++, (*number)++) {
        const struct yaml_field *const f = &type->fields[i];
        char *const field = object + f->offset;
        if (f->kind == YAML_FIELD_INLINE) {
            const struct yaml_field *const inner = find_field(f->of, key, field, out_field, number);
            if (inner)
                return inner;
        } else if (str_eq(key, str_from_c(f->name))) {
            *out_field = field;
            return f;
        }
    }
    return NULL;
}

static err decode_pair(struct yaml_decoder *d, const struct yaml_node *key,
                       const struct yaml_node *value, const struct yaml_struct *type, void *object,
                       uint64_t seen[static 2])
{
    struct str name;
    if (!yaml_decode_str(d, key, &name))
        return ERR_OK;
    size_t number = 0;
    void *field;
    const struct yaml_field *const f = find_field(type, name, object, &field, &number);
    if (!f) {
        err code = ERR_OK;
        if (!type->other || !type->other(d, key, value, object, &code))
            yaml_collect(d, key, "field %.*s not found in type %s", STR_ARG(name), type->go);
        return code;
    }
    assert(number < 128);
    const uint64_t bit = 1ull << (number % 64);
    if (seen[number / 64] & bit) {
        yaml_collect(d, key, "field %.*s already set in type %s", STR_ARG(name), type->go);
        return ERR_OK;
    }
    seen[number / 64] |= bit;
    return decode_field(d, value, f, field);
}

err yaml_decode_struct(struct yaml_decoder *d, const struct yaml_node *n,
                       const struct yaml_struct *type, void *object)
{
    if (type->init) {
        zero_struct(type, object);
        type->init(object);
    }
    if (n->kind != YAML_MAPPING) {
        yaml_type_error(d, n, type->go);
        return ERR_OK;
    }
    const size_t errors_before = d->errors_count;
    uint64_t seen[2] = {0};
    for (size_t i = 0; i < n->n; i += 2)
        TRY(decode_pair(d, n->items[i], n->items[i + 1], type, object, seen));
    if (d->errors_count != errors_before || !type->check)
        return ERR_OK;
    if (d->late && !d->errors_count)
        return yaml_fail(d, d->late, "%s", d->late_text);
    return type->check(d, n, object);
}

err yaml_decode(struct yaml_decoder *d, const struct yaml_node *root,
                const struct yaml_struct *type, void *object)
{
    zero_struct(type, object);
    if (!root || yaml_is_null(root)) {
        if (type->init)
            type->init(object);
        return ERR_OK;
    }
    TRY(yaml_decode_struct(d, root, type, object));
    if (d->errors_count > ERRORS_MAX)
        buf_printf(&d->errors, "\n  and %zu more", d->errors_count - ERRORS_MAX);
    if (d->errors_count) {
        buf_reset(&d->cause);
        buf_printf(&d->cause, "yaml: unmarshal errors:%.*s", STR_ARG(buf_str(&d->errors)));
        return err_set(d->e, ERR_INVALID, "%.*s", STR_ARG(buf_str(&d->cause)));
    }
    if (d->late)
        return yaml_fail(d, d->late, "%s", d->late_text);
    return ERR_OK;
}

bool yaml_field_is_zero(const struct yaml_field *f, const void *object)
{
    const void *const field = (const char *)object + f->offset;
    switch (f->kind) {
    case YAML_FIELD_BOOL:
        return !*(const bool *)field;
    case YAML_FIELD_SWITCH:
        return *(const int8_t *)field == YAML_UNSET;
    case YAML_FIELD_INT:
    case YAML_FIELD_DURATION:
    case YAML_FIELD_SIZE:
        return !*(const int64_t *)field;
    case YAML_FIELD_UINT:
        return !*(const uint64_t *)field;
    case YAML_FIELD_FLOAT:
        return *(const double *)field == 0;
    case YAML_FIELD_STR:
    case YAML_FIELD_SECRET:
        return !((const struct str *)field)->n;
    case YAML_FIELD_STRS:
        return !((const struct yaml_strs *)field)->n;
    case YAML_FIELD_PAIRS:
        return !((const struct yaml_pairs *)field)->n;
    case YAML_FIELD_POINTER:
        return !*(void *const *)field;
    case YAML_FIELD_LIST:
        return !((const struct yaml_list *)field)->n;
    case YAML_FIELD_STRUCT:
    case YAML_FIELD_INLINE:
        for (size_t i = 0; i < f->of->n; i++)
            if (!yaml_field_is_zero(&f->of->fields[i], field))
                return false;
        return true;
    case YAML_FIELD_CUSTOM:
        return f->custom->is_zero(field);
    }
    return true;
}
