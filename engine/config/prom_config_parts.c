#include "engine/config/prom_config_parts.h"

#include "engine/base/mem.h"
#include "engine/base/util.h"
#include "engine/config/yaml_encode.h"

static const struct yaml_field retention_fields[] = {
    {"time", YAML_FIELD_DURATION, YAML_AT(retention_config, time_ms)},
    {"size", YAML_FIELD_SIZE, YAML_AT(retention_config, size_bytes)},
    {"percentage", YAML_FIELD_FLOAT, YAML_AT(retention_config, percentage)},
};

static err check_retention(struct yaml_decoder *d, const struct yaml_node *n, void *object)
{
    const struct retention_config *const r = object;
    if (r->size_bytes < 0)
        return yaml_fail(d, n, "'storage.tsdb.retention.size' must be greater than or equal to 0");
    if (!(r->percentage >= 0 && r->percentage <= 100))
        return yaml_fail(d, n, "'storage.tsdb.retention.percentage' must be in the range [0, 100]");
    return ERR_OK;
}

static const struct yaml_struct retention_type = {.go = "config.plain",
                                                  .size = sizeof(struct retention_config),
                                                  .fields = retention_fields,
                                                  .n = countof(retention_fields),
                                                  .check = check_retention};

static const struct yaml_field chunk_encoding_fields[] = {
    {"floats", YAML_FIELD_STR, YAML_AT(chunk_encoding_config, floats)},
};
static const struct yaml_struct chunk_encoding_type = {.go = "config.plain",
                                                       .size = sizeof(struct chunk_encoding_config),
                                                       .fields = chunk_encoding_fields,
                                                       .n = countof(chunk_encoding_fields)};

static const struct yaml_field tsdb_fields[] = {
    {"outofordertimewindow", YAML_FIELD_INT, YAML_AT(tsdb_config, out_of_order_ms), .always = true,
     .go = "int64"},
    {"out_of_order_time_window", YAML_FIELD_DURATION,
     YAML_AT(tsdb_config, out_of_order_time_window_ms)},
    {"stale_series_compaction_threshold", YAML_FIELD_FLOAT,
     YAML_AT(tsdb_config, stale_series_compaction_threshold)},
    {"chunk_encoding", YAML_FIELD_STRUCT, YAML_AT(tsdb_config, chunk_encoding),
     .of = &chunk_encoding_type},
    {"retention", YAML_FIELD_POINTER, YAML_AT(tsdb_config, retention), .of = &retention_type},
};

static err check_tsdb(struct yaml_decoder *d, const struct yaml_node *n, void *object)
{
    struct tsdb_config *const t = object;
    t->out_of_order_ms = t->out_of_order_time_window_ms;
    const struct str floats = t->chunk_encoding.floats;
    if (!(t->stale_series_compaction_threshold >= 0 && t->stale_series_compaction_threshold <= 1))
        return yaml_fail(d, n,
                         "'storage.tsdb.stale_series_compaction_threshold' must be in the "
                         "range [0, 1]");
    if (floats.n && !str_eq(floats, STR("xor")) && !str_eq(floats, STR("xor2")))
        return yaml_fail(d, n, "'storage.tsdb.chunk_encoding.floats' must be xor or xor2, got %.*s",
                         STR_ARG(config_quote(d->arena, floats)));
    return ERR_OK;
}

static const struct yaml_struct tsdb_type = {.go = "config.plain",
                                             .size = sizeof(struct tsdb_config),
                                             .fields = tsdb_fields,
                                             .n = countof(tsdb_fields),
                                             .check = check_tsdb};

static const struct yaml_field exemplars_fields[] = {
    {"max_exemplars", YAML_FIELD_INT, YAML_AT(exemplars_config, max_exemplars), .go = "int64"},
};

static const struct yaml_struct exemplars_type = {.go = "config.ExemplarsConfig",
                                                  .size = sizeof(struct exemplars_config),
                                                  .fields = exemplars_fields,
                                                  .n = countof(exemplars_fields)};

static const struct yaml_field storage_fields[] = {
    {"tsdb", YAML_FIELD_POINTER, YAML_AT(storage_config, tsdb), .of = &tsdb_type},
    {"exemplars", YAML_FIELD_POINTER, YAML_AT(storage_config, exemplars), .of = &exemplars_type},
};
const struct yaml_struct storage_config_type = {.go = "config.StorageConfig",
                                                .size = sizeof(struct storage_config),
                                                .fields = storage_fields,
                                                .n = countof(storage_fields)};

static const struct yaml_field runtime_fields[] = {
    {"gogc", YAML_FIELD_INT, YAML_AT(runtime_config, gogc)},
};
const struct yaml_struct runtime_config_type = {.go = "config.RuntimeConfig",
                                                .size = sizeof(struct runtime_config),
                                                .fields = runtime_fields,
                                                .n = countof(runtime_fields)};

static const struct yaml_field otlp_fields[] = {
    {"promote_all_resource_attributes", YAML_FIELD_BOOL,
     YAML_AT(otlp_config, promote_all_resource_attributes)},
    {"promote_resource_attributes", YAML_FIELD_STRS,
     YAML_AT(otlp_config, promote_resource_attributes)},
    {"ignore_resource_attributes", YAML_FIELD_STRS,
     YAML_AT(otlp_config, ignore_resource_attributes)},
    {"translation_strategy", YAML_FIELD_STR, YAML_AT(otlp_config, translation_text)},
    {"keep_identifying_resource_attributes", YAML_FIELD_BOOL,
     YAML_AT(otlp_config, keep_identifying_resource_attributes)},
    {"convert_histograms_to_nhcb", YAML_FIELD_BOOL,
     YAML_AT(otlp_config, convert_histograms_to_nhcb)},
    {"promote_scope_metadata", YAML_FIELD_BOOL, YAML_AT(otlp_config, promote_scope_metadata)},
    {"label_name_underscore_sanitization", YAML_FIELD_BOOL,
     YAML_AT(otlp_config, label_name_underscore_sanitization)},
    {"label_name_preserve_multiple_underscores", YAML_FIELD_BOOL,
     YAML_AT(otlp_config, label_name_preserve_multiple_underscores)},
};

static const char *const translations[] = {
    [OTLP_TRANSLATION_UNSET] = "",
    [OTLP_TRANSLATION_UNDERSCORES_SUFFIXES] = "UnderscoreEscapingWithSuffixes",
    [OTLP_TRANSLATION_UNDERSCORES] = "UnderscoreEscapingWithoutSuffixes",
    [OTLP_TRANSLATION_UTF8_SUFFIXES] = "NoUTF8EscapingWithSuffixes",
    [OTLP_TRANSLATION_NONE] = "NoTranslation",
};

void otlp_config_init(struct otlp_config *o)
{
    *o = (struct otlp_config){
        .translation = OTLP_TRANSLATION_UNDERSCORES_SUFFIXES,
        .translation_text = str_from_c(translations[OTLP_TRANSLATION_UNDERSCORES_SUFFIXES]),
        .label_name_underscore_sanitization = true,
        .label_name_preserve_multiple_underscores = true,
    };
}

static void init_otlp(void *object)
{
    otlp_config_init(object);
}

static bool otlp_is_default(const struct otlp_config *o)
{
    struct otlp_config defaults;
    otlp_config_init(&defaults);
    return !o->promote_all_resource_attributes && !o->promote_resource_attributes.n &&
           !o->ignore_resource_attributes.n &&
           str_eq(o->translation_text, defaults.translation_text) &&
           !o->keep_identifying_resource_attributes && !o->convert_histograms_to_nhcb &&
           !o->promote_scope_metadata && o->label_name_underscore_sanitization &&
           o->label_name_preserve_multiple_underscores;
}

// Each once, none empty, without the spaces around them.
static err check_attributes(struct yaml_decoder *d, const struct yaml_node *n,
                            struct yaml_strs *names, const char *field, const char *adjective)
{
    for (size_t i = 0; i < names->n; i++) {
        names->items[i] = str_trim(names->items[i]);
        if (!names->items[i].n)
            return yaml_fail(d, n, "invalid '%s': empty %s OTel resource attribute", field,
                             adjective);
        for (size_t k = 0; k < i; k++)
            if (str_eq(names->items[i], names->items[k]))
                return yaml_fail(d, n, "invalid '%s': duplicated %s OTel resource attribute %.*s",
                                 field, adjective,
                                 STR_ARG(config_quote(d->arena, names->items[i])));
    }
    return ERR_OK;
}

static err check_otlp(struct yaml_decoder *d, const struct yaml_node *n, void *object)
{
    enum { ATTRIBUTES_MAX = 4096 };
    struct otlp_config *const o = object;
    if (o->promote_resource_attributes.n > ATTRIBUTES_MAX ||
        o->ignore_resource_attributes.n > ATTRIBUTES_MAX)
        return yaml_fail(d, n, "more than %d resource attributes", ATTRIBUTES_MAX);
    if (o->promote_all_resource_attributes && o->promote_resource_attributes.n)
        return yaml_fail(d, n,
                         "'promote_all_resource_attributes' and "
                         "'promote_resource_attributes' cannot be configured simultaneously");
    if (!o->promote_all_resource_attributes && o->ignore_resource_attributes.n)
        return yaml_fail(d, n,
                         "'ignore_resource_attributes' cannot be configured unless "
                         "'promote_all_resource_attributes' is true");
    TRY(check_attributes(d, n, &o->ignore_resource_attributes, "ignore_resource_attributes",
                         "ignored"));
    TRY(check_attributes(d, n, &o->promote_resource_attributes, "promote_resource_attributes",
                         "promoted"));
    if (!otlp_is_default(o))
        yaml_note_unsupported(d, n, "otlp");
    return ERR_OK;
}

const struct yaml_struct otlp_config_type = {.go = "config.plain",
                                             .size = sizeof(struct otlp_config),
                                             .fields = otlp_fields,
                                             .n = countof(otlp_fields),
                                             .init = init_otlp,
                                             .check = check_otlp};

err otlp_config_check_names(struct otlp_config *o, enum name_validation v, struct errmsg *e)
{
    size_t i = 0;
    while (i < countof(translations) && !str_eq(o->translation_text, str_from_c(translations[i])))
        i++;
    if (i == countof(translations))
        return err_set(e, ERR_INVALID, "unsupported OTLP translation strategy \"%.*s\"",
                       STR_ARG(o->translation_text));
    o->translation = (enum otlp_translation)i;
    if (v == NAME_VALIDATION_LEGACY && (o->translation == OTLP_TRANSLATION_NONE ||
                                        o->translation == OTLP_TRANSLATION_UTF8_SUFFIXES))
        return err_set(e, ERR_INVALID,
                       "OTLP translation strategy \"%.*s\" is not allowed when UTF8 is disabled",
                       STR_ARG(o->translation_text));
    return ERR_OK;
}

static bool is_var_byte(char c, bool first)
{
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (!first && c >= '0' && c <= '9');
}

// The name behind the $ at s.p[at - 1], and how many bytes it takes; 0 bytes: the $ stays text.
static size_t take_var(struct str s, size_t at, struct str *out)
{
    if (at == s.n)
        return 0;
    if (s.p[at] == '{') {
        const ptrdiff_t end = str_find(s, '}', at);
        // "${" alone and "${}" are eaten.
        const size_t n = end == STR_NONE ? 0 : (size_t)end - at - 1;
        *out = str_make(s.p + at + 1, n);
        return end == STR_NONE ? 1 : n + 2;
    }
    *out = str_make(s.p + at, 1);
    if (memchr("*#$@!?-0123456789", s.p[at], 17))
        return 1;
    size_t n = 0;
    while (at + n < s.n && is_var_byte(s.p[at + n], false))
        n++;
    out->n = n;
    return n;
}

struct str config_expand(const struct prom_config_source *source, struct arena *a, struct str text)
{
    if (str_find(text, '$', 0) == STR_NONE)
        return text;
    struct buf out = {0};
    for (size_t at = 0; at < text.n;) {
        if (text.p[at] != '$') {
            buf_put_char(&out, text.p[at++]);
            continue;
        }
        struct str name = {0};
        const size_t n = take_var(text, ++at, &name);
        if (!n)
            buf_put_char(&out, '$');
        else if (str_eq(name, STR("$")))
            buf_put_char(&out, '$');
        else if (name.n && source->env)
            buf_put_str(&out, source->env(source->arg, name));
        at += n;
    }
    const struct str made = arena_str(a, buf_str(&out));
    buf_deinit(&out);
    return made;
}

err config_glob(const struct prom_config_source *source, struct arena *a, struct str pattern,
                struct yaml_strs *out, struct errmsg *e)
{
    *out = (struct yaml_strs){0};
    if (!config_glob_is_valid(pattern))
        return err_set(e, ERR_INVALID, "syntax error in pattern");
    const ptrdiff_t slash = str_find_last(pattern, '/');
    const struct str last = str_from(pattern, slash == STR_NONE ? 0 : (size_t)slash + 1);
    const struct str dir = slash == STR_NONE ? STR(".") : str_until(pattern, (size_t)slash);
    if (!source->list)
        return ERR_OK;
    struct buf names = {0};
    size_t count = 0;
    const struct str dir_c = arena_printf(a, "%.*s", STR_ARG(dir.n ? dir : STR("/")));
    err code = source->list(source->arg, dir_c.p, &names, &count, e);
    if (code == ERR_NOTFOUND) {
        code = ERR_OK;
        count = 0;
    }
    struct str rest = buf_str(&names), name;
    if (!code)
        out->items = arena_array(a, count, struct str);
    for (size_t i = 0; !code && i < count && str_split(&rest, '\0', &name); i++)
        if (config_glob_matches(last, name))
            out->items[out->n++] = slash == STR_NONE
                                       ? arena_str(a, name)
                                       : arena_printf(a, "%.*s/%.*s", STR_ARG(dir), STR_ARG(name));
    buf_deinit(&names);
    return code;
}
