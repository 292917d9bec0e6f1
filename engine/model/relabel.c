#include "engine/model/relabel.h"

#include <assert.h>
#include <openssl/evp.h>

#include "engine/base/casemap.h"
#include "engine/base/util.h"

static const char *const actions[] = {
    [RELABEL_NONE] = "",
    [RELABEL_REPLACE] = "replace",
    [RELABEL_KEEP] = "keep",
    [RELABEL_DROP] = "drop",
    [RELABEL_KEEPEQUAL] = "keepequal",
    [RELABEL_DROPEQUAL] = "dropequal",
    [RELABEL_HASHMOD] = "hashmod",
    [RELABEL_LABELMAP] = "labelmap",
    [RELABEL_LABELDROP] = "labeldrop",
    [RELABEL_LABELKEEP] = "labelkeep",
    [RELABEL_LOWERCASE] = "lowercase",
    [RELABEL_UPPERCASE] = "uppercase",
};

const char *relabel_action_text(enum relabel_action action)
{
    return actions[action];
}

bool relabel_action_parse(struct str text, enum relabel_action *out)
{
    for (size_t i = RELABEL_REPLACE; i < countof(actions); i++) {
        if (str_eq_nocase(text, str_from_c(actions[i]))) {
            *out = (enum relabel_action)i;
            return true;
        }
    }
    return false;
}

void relabel_prepare(struct relabel_rule *rule)
{
    rule->takes_all = rule->regex && str_eq(regex_pattern(rule->regex), STR("(.*)"));
    rule->plain_target = str_find(rule->target, '$', 0) == STR_NONE;
    rule->plain_replace = str_find(rule->replacement, '$', 0) == STR_NONE;
    rule->whole_value = rule->takes_all && (str_eq(rule->replacement, STR("$1")) ||
                                            str_eq(rule->replacement, STR("${1}")));
}

// The source values joined: a slice of the builder's where there is one, else in scratch.
static struct str join_sources(const struct relabel_rule *rule, const struct labels_builder *b,
                               struct buf *scratch, bool *out_in_scratch)
{
    *out_in_scratch = rule->sources_n > 1;
    if (!rule->sources_n)
        return STR("");
    if (rule->sources_n == 1) {
        const struct str value = labels_builder_get(b, rule->sources[0]);
        return value.n ? value : STR("");
    }
    buf_reset(scratch);
    buf_reserve(scratch, 1);
    for (size_t i = 0; i < rule->sources_n; i++) {
        if (i)
            buf_put_str(scratch, rule->separator);
        buf_put_str(scratch, labels_builder_get(b, rule->sources[i]));
    }
    return buf_str(scratch);
}

static struct str keep(struct arena *a, struct str s, bool in_scratch)
{
    return in_scratch ? arena_str(a, s) : s;
}

// The template with its $1 and ${name} filled in, in the arena.
static struct str expand(const struct relabel_rule *rule, struct str template,
                         const struct str *groups, size_t n, struct arena *a)
{
    struct buf text = {0};
    regex_expand(rule->regex, template, groups, n, &text);
    const struct str made = arena_str(a, buf_str(&text));
    buf_deinit(&text);
    return made;
}

static void replace(const struct relabel_rule *rule, struct labels_builder *b, struct str value,
                    bool in_scratch, struct arena *a)
{
    struct str groups[REGEX_GROUPS_MAX + 1];
    size_t n = regex_groups_count(rule->regex) + 1;
    if (n > countof(groups))
        n = countof(groups);
    if (rule->takes_all) {
        groups[0] = groups[1] = value;
    } else if (rule->plain_target && rule->plain_replace) {
        if (!regex_matches(rule->regex, value))
            return;
    } else if (!regex_match_groups(rule->regex, value, groups, n)) {
        return;
    }
    struct str target = rule->target;
    if (!rule->plain_target) {
        target = expand(rule, rule->target, groups, n, a);
        if (rule->legacy_names ? !label_name_is_legacy(target) : !name_is_utf8(target))
            return;
    }
    if (rule->plain_replace)
        labels_builder_set(b, target, rule->replacement);
    else if (rule->whole_value)
        labels_builder_set(b, target, keep(a, value, in_scratch));
    else
        labels_builder_set(b, target, expand(rule, rule->replacement, groups, n, a));
}

// The last 8 bytes of the MD5 as a big-endian number, modulo the modulus.
static struct str hash_mod(struct str value, uint64_t modulus, struct arena *a)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    const int done = EVP_Digest(value.p, value.n, digest, &size, EVP_md5(), NULL);
    assert(done && size == 16);
    uint64_t sum = 0;
    for (size_t i = 8; i < 16; i++)
        sum = sum << 8 | digest[i];
    return arena_printf(a, "%llu", (unsigned long long)(sum % modulus));
}

// Copies labels whose names match to the names that the replacement makes of them. What a copy
// overwrites keeps its old value for copies of its own.
static void map_labels(const struct relabel_rule *rule, struct labels_builder *b, struct arena *a)
{
    const size_t n = b->n;
    struct label *const before = arena_alloc(a, n * sizeof *before, _Alignof(struct label));
    if (n)
        memcpy(before, b->items, n * sizeof *before);
    struct str groups[REGEX_GROUPS_MAX + 1];
    size_t groups_n = regex_groups_count(rule->regex) + 1;
    if (groups_n > countof(groups))
        groups_n = countof(groups);
    for (size_t i = 0; i < n; i++)
        if (regex_match_groups(rule->regex, before[i].name, groups, groups_n))
            labels_builder_set(b, expand(rule, rule->replacement, groups, groups_n, a),
                               before[i].value);
}

// Removes the labels whose names match, or those whose names do not.
static void remove_labels(const struct relabel_rule *rule, struct labels_builder *b, bool matching)
{
    size_t kept = 0;
    for (size_t i = 0; i < b->n; i++)
        if (regex_matches(rule->regex, b->items[i].name) != matching)
            b->items[kept++] = b->items[i];
    b->n = kept;
}

static struct str change_case(struct str value, bool upper, struct arena *a)
{
    struct buf text = {0};
    casemap_put(value, upper, &text);
    const struct str made = arena_str(a, buf_str(&text));
    buf_deinit(&text);
    return made;
}

static bool apply(const struct relabel_rule *rule, struct labels_builder *b, struct arena *a,
                  struct buf *scratch)
{
    bool in_scratch;
    const struct str value = join_sources(rule, b, scratch, &in_scratch);
    switch (rule->action) {
    case RELABEL_NONE:
        return true;
    case RELABEL_DROP:
        return !regex_matches(rule->regex, value);
    case RELABEL_KEEP:
        return regex_matches(rule->regex, value);
    case RELABEL_DROPEQUAL:
        return !str_eq(labels_builder_get(b, rule->target), value);
    case RELABEL_KEEPEQUAL:
        return str_eq(labels_builder_get(b, rule->target), value);
    case RELABEL_REPLACE:
        replace(rule, b, value, in_scratch, a);
        return true;
    case RELABEL_LOWERCASE:
    case RELABEL_UPPERCASE:
        labels_builder_set(b, rule->target,
                           change_case(value, rule->action == RELABEL_UPPERCASE, a));
        return true;
    case RELABEL_HASHMOD:
        labels_builder_set(b, rule->target, hash_mod(value, rule->modulus, a));
        return true;
    case RELABEL_LABELMAP:
        map_labels(rule, b, a);
        return true;
    case RELABEL_LABELDROP:
    case RELABEL_LABELKEEP:
        remove_labels(rule, b, rule->action == RELABEL_LABELDROP);
        return true;
    }
    return true;
}

bool relabel_apply(const struct relabel_rule *rules, size_t n, struct labels_builder *b,
                   struct arena *a, struct buf *scratch)
{
    for (size_t i = 0; i < n; i++)
        if (!apply(&rules[i], b, a, scratch))
            return false;
    return true;
}

static bool rule_equal(const struct relabel_rule *a, const struct relabel_rule *b)
{
    bool equal = a->action == b->action && a->sources_n == b->sources_n &&
                 a->modulus == b->modulus && a->legacy_names == b->legacy_names &&
                 str_eq(a->separator, b->separator) && str_eq(a->target, b->target) &&
                 str_eq(a->replacement, b->replacement) && !a->regex == !b->regex;
    for (size_t i = 0; equal && i < a->sources_n; i++)
        equal = str_eq(a->sources[i], b->sources[i]);
    return equal && (!a->regex || str_eq(regex_pattern(a->regex), regex_pattern(b->regex)));
}

bool relabel_rules_equal(const struct relabel_rule *a, size_t a_n, const struct relabel_rule *b,
                         size_t b_n)
{
    bool equal = a_n == b_n;
    for (size_t i = 0; equal && i < a_n; i++)
        equal = rule_equal(&a[i], &b[i]);
    return equal;
}
