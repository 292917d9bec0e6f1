#include "engine/config/relabel_config.h"

#include <assert.h>

#include "engine/base/mem.h"
#include "engine/base/util.h"
#include "engine/config/yaml_encode.h"

static_assert(offsetof(struct relabel_rule, sources_n) - offsetof(struct relabel_rule, sources) ==
                  offsetof(struct yaml_strs, n),
              "sources are a yaml_strs");

static err decode_sources(struct yaml_decoder *d, const struct yaml_node *n, void *field)
{
    struct yaml_strs names = {0};
    const size_t errors = d->errors_count;
    TRY(yaml_decode_strs(d, n, "model.LabelNames", &names));
    for (size_t i = 0; i < names.n && errors == d->errors_count; i++)
        if (!name_is_utf8(names.items[i]))
            return yaml_fail(d, n->items[i], "%.*s is not a valid label name",
                             STR_ARG(config_quote(d->arena, names.items[i])));
    memcpy(field, &names, sizeof names);
    return ERR_OK;
}

static void encode_sources(struct yaml_writer *w, const void *field)
{
    yaml_put_flow_strs(w, field);
}

static bool sources_are_zero(const void *field)
{
    return !((const struct yaml_strs *)field)->n;
}

static void zero_sources(void *field)
{
    memset(field, 0, sizeof(struct yaml_strs));
}

static const struct yaml_custom sources_field = {decode_sources, encode_sources, sources_are_zero,
                                                 zero_sources};

static err new_regex(struct yaml_decoder *d, struct str pattern, const struct regex **out,
                     struct errmsg *why)
{
    struct config_load *const load = d->user;
    if (load->regexes_n == CONFIG_REGEXES_MAX)
        return err_set(why, ERR_LIMIT, "more than %d regular expressions", CONFIG_REGEXES_MAX);
    struct regex *made;
    TRY(regex_create(pattern, REGEX_ANCHORED, &made, why));
    load->regexes = mem_grow(load->regexes, &load->regexes_capacity, load->regexes_n + 1,
                             sizeof *load->regexes);
    load->regexes[load->regexes_n++] = made;
    *out = made;
    return ERR_OK;
}

static err decode_regex(struct yaml_decoder *d, const struct yaml_node *n, void *field)
{
    struct str pattern;
    if (!yaml_decode_str(d, n, &pattern))
        return ERR_OK;
    struct errmsg why;
    if (new_regex(d, pattern, field, &why))
        return yaml_fail(d, n, "%s", why.text);
    return ERR_OK;
}

static void encode_regex(struct yaml_writer *w, const void *field)
{
    const struct str pattern = regex_pattern(*(const struct regex *const *)field);
    if (pattern.n)
        yaml_put_str(w, pattern);
    else
        yaml_put_plain(w, STR("null"));
}

static bool regex_is_zero(const void *field)
{
    const struct relabel_rule *const rule = container_of(field, const struct relabel_rule, regex);
    return rule->default_regex;
}

static void zero_regex(void *field)
{
    struct relabel_rule *const rule = container_of(field, struct relabel_rule, regex);
    rule->regex = NULL;
    rule->default_regex = false;
}

static const struct yaml_custom regex_field = {decode_regex, encode_regex, regex_is_zero,
                                               zero_regex};

static err decode_action(struct yaml_decoder *d, const struct yaml_node *n, void *field)
{
    struct str text;
    if (!yaml_decode_str(d, n, &text) || relabel_action_parse(text, field))
        return ERR_OK;
    return yaml_fail(d, n, "unknown relabel action %.*s", STR_ARG(config_quote(d->arena, text)));
}

static void encode_action(struct yaml_writer *w, const void *field)
{
    yaml_put_str(w, str_from_c(relabel_action_text(*(const enum relabel_action *)field)));
}

static bool action_is_zero(const void *field)
{
    return *(const enum relabel_action *)field == RELABEL_NONE;
}

static void zero_action(void *field)
{
    *(enum relabel_action *)field = RELABEL_NONE;
}

static const struct yaml_custom action_field = {decode_action, encode_action, action_is_zero,
                                                zero_action};

static const struct yaml_field fields[] = {
    {"source_labels", YAML_FIELD_CUSTOM, YAML_AT(relabel_rule, sources), .custom = &sources_field},
    {"separator", YAML_FIELD_STR, YAML_AT(relabel_rule, separator)},
    {"regex", YAML_FIELD_CUSTOM, YAML_AT(relabel_rule, regex), .custom = &regex_field},
    {"modulus", YAML_FIELD_UINT, YAML_AT(relabel_rule, modulus), .go = "uint64"},
    {"target_label", YAML_FIELD_STR, YAML_AT(relabel_rule, target)},
    {"replacement", YAML_FIELD_STR, YAML_AT(relabel_rule, replacement)},
    {"action", YAML_FIELD_CUSTOM, YAML_AT(relabel_rule, action), .custom = &action_field},
};

static void init(void *object)
{
    struct relabel_rule *const rule = object;
    rule->action = RELABEL_REPLACE;
    rule->separator = STR(";");
    rule->replacement = STR("$1");
    rule->default_regex = true;
}

// Fills in the regex: the shared one, or an empty one for a null.
static err complete(struct yaml_decoder *d, const struct yaml_node *n, void *object)
{
    struct relabel_rule *const rule = object;
    const struct config_load *const load = d->user;
    rule->line = n->line;
    rule->default_regex &= !rule->regex;
    if (rule->default_regex)
        rule->regex = load->default_regex;
    if (rule->regex)
        return ERR_OK;
    struct errmsg why;
    return new_regex(d, STR(""), &rule->regex, &why) ? yaml_fail(d, n, "%s", why.text) : ERR_OK;
}

const struct yaml_struct relabel_target_type = {
    .go = "relabel.plain",
    .size = sizeof(struct relabel_rule),
    .fields = fields,
    .n = countof(fields),
    .init = init,
    .check = complete,
    .null_text = "empty or null target relabeling rule in scrape config",
};
const struct yaml_struct relabel_metric_type = {
    .go = "relabel.plain",
    .size = sizeof(struct relabel_rule),
    .fields = fields,
    .n = countof(fields),
    .init = init,
    .check = complete,
    .null_text = "empty or null metric relabeling rule in scrape config",
};

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// ^(?:(?:[a-zA-Z_]|\$(?:\{\w+\}|\w+))+\w*)+$: a legacy name with variables in it.
static bool is_legacy_template(struct str s)
{
    bool may_digit = false; // behind a letter or a variable
    for (size_t i = 0; i < s.n;) {
        if (s.p[i] != '$') {
            const bool digit = s.p[i] >= '0' && s.p[i] <= '9';
            if (!is_word(s.p[i]) || (digit && !may_digit))
                return false;
            may_digit = true;
            i++;
            continue;
        }
        i++;
        const bool braced = i < s.n && s.p[i] == '{';
        i += braced;
        const size_t from = i;
        while (i < s.n && is_word(s.p[i]))
            i++;
        if (i == from || (braced && (i == s.n || s.p[i++] != '}')))
            return false;
        may_digit = true;
    }
    return s.n;
}

static bool is_name(struct str s, bool legacy)
{
    return legacy ? label_name_is_legacy(s) : name_is_utf8(s);
}

static bool is_template(struct str s, bool legacy)
{
    return legacy ? is_legacy_template(s) : name_is_utf8(s);
}

static bool is_default(struct str s, const char *text)
{
    return str_eq(s, str_from_c(text));
}

// What is wrong with a rule's target and replacement; NULL: nothing. "%q" is what is bad.
static const char *find_bad_name(const struct relabel_rule *r, struct str *out_bad)
{
    const bool variable = str_find(r->target, '$', 0) != STR_NONE;
    *out_bad = r->target;
    switch (r->action) {
    case RELABEL_REPLACE:
        if (variable ? !is_template(r->target, r->legacy_names)
                     : !is_name(r->target, r->legacy_names))
            return "target_label";
        return NULL;
    case RELABEL_LOWERCASE:
    case RELABEL_UPPERCASE:
    case RELABEL_KEEPEQUAL:
    case RELABEL_DROPEQUAL:
    case RELABEL_HASHMOD:
        return is_name(r->target, r->legacy_names) ? NULL : "target_label";
    case RELABEL_LABELMAP:
        *out_bad = r->replacement;
        return is_template(r->replacement, r->legacy_names) ? NULL : "replacement";
    case RELABEL_NONE:
    case RELABEL_KEEP:
    case RELABEL_DROP:
    case RELABEL_LABELDROP:
    case RELABEL_LABELKEEP:
        return NULL;
    }
    return NULL;
}

static err check_rule(struct relabel_rule *r, struct arena *a, struct errmsg *why)
{
    const enum relabel_action action = r->action;
    if (action == RELABEL_NONE)
        return err_set(why, ERR_INVALID, "relabel action cannot be empty");
    const char *const name = relabel_action_text(action);
    const bool cases = action == RELABEL_LOWERCASE || action == RELABEL_UPPERCASE;
    const bool equals = action == RELABEL_KEEPEQUAL || action == RELABEL_DROPEQUAL;
    if (action == RELABEL_HASHMOD && !r->modulus)
        return err_set(why, ERR_INVALID,
                       "relabel configuration for hashmod requires non-zero modulus");
    if ((action == RELABEL_REPLACE || action == RELABEL_HASHMOD || cases || equals) && !r->target.n)
        return err_set(why, ERR_INVALID,
                       "relabel configuration for %s action requires 'target_label' value", name);
    struct str bad;
    const char *const field = find_bad_name(r, &bad);
    if (field && action != RELABEL_LABELMAP && action != RELABEL_HASHMOD)
        return err_set(why, ERR_INVALID, "%.*s is invalid '%s' for %s action",
                       STR_ARG(config_quote(a, bad)), field, name);
    if ((cases || equals) && !is_default(r->replacement, "$1"))
        return err_set(why, ERR_INVALID, "'replacement' can not be set for %s action", name);
    if (field)
        return err_set(why, ERR_INVALID, "%.*s is invalid '%s' for %s action",
                       STR_ARG(config_quote(a, bad)), field, name);
    if (equals && (!r->default_regex || r->modulus || !is_default(r->separator, ";")))
        return err_set(why, ERR_INVALID,
                       "%s action requires only 'source_labels' and `target_label`, and no other "
                       "fields",
                       name);
    if ((action == RELABEL_LABELDROP || action == RELABEL_LABELKEEP) &&
        (r->sources || r->target.n || r->modulus || !is_default(r->separator, ";") ||
         !is_default(r->replacement, "$1")))
        return err_set(why, ERR_INVALID, "%s action requires only 'regex', and no other fields",
                       name);
    return ERR_OK;
}

err relabel_rules_check(struct yaml_decoder *d, struct relabel_rules *rules, bool legacy_names)
{
    for (size_t i = 0; i < rules->n; i++) {
        struct relabel_rule *const r = &rules->items[i];
        r->legacy_names = legacy_names;
        struct errmsg why;
        if (check_rule(r, d->arena, &why)) {
            const struct yaml_node at = {.line = r->line};
            return yaml_fail(d, &at, "%s", why.text);
        }
        relabel_prepare(r);
    }
    return ERR_OK;
}
