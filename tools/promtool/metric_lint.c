#include "tools/promtool/metric_lint.h"

#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/base/util.h"

// Units, and the base unit to use instead.
static const struct {
    const char *unit, *base;
} units[] = {
    {"amperes", "amperes"},    {"bytes", "bytes"},     {"celsius", "celsius"}, {"grams", "grams"},
    {"joules", "joules"},      {"kelvin", "kelvin"},   {"meters", "meters"},   {"metres", "metres"},
    {"seconds", "seconds"},    {"volts", "volts"},     {"minutes", "seconds"}, {"hours", "seconds"},
    {"days", "seconds"},       {"weeks", "seconds"},   {"kelvins", "kelvin"},  {"inches", "meters"},
    {"fahrenheit", "celsius"}, {"rankine", "celsius"}, {"yards", "meters"},    {"miles", "meters"},
    {"bits", "bytes"},         {"calories", "joules"}, {"pounds", "grams"},    {"ounces", "grams"},
};
static const char *const prefixes[] = {"",     "pico",  "nano", "micro", "milli", "centi", "deci",
                                       "deca", "hecto", "kilo", "kibi",  "mega",  "mibi",  "giga",
                                       "gibi", "tera",  "tebi", "peta",  "pebi"};
static const char *const abbreviations[] = {"s",  "ms", "us", "ns", "sec", "b", "kb",
                                            "mb", "gb", "tb", "pb", "m",   "h", "d"};

struct linter {
    struct arena *arena;
    const struct metric_family *family;
    struct str lower; // its name
    struct metric_problems *out;
};

void metric_problems_deinit(struct metric_problems *p)
{
    mem_free(p->items);
}

static void say(struct linter *l, struct str text)
{
    struct metric_problems *const p = l->out;
    p->items = mem_grow(p->items, &p->capacity, p->n + 1, sizeof *p->items);
    p->items[p->n++] = (struct metric_problem){l->family->name, text};
}

static struct str to_lower(struct str s, struct arena *a)
{
    char *const p = arena_alloc(a, s.n + 1, 1);
    for (size_t i = 0; i < s.n; i++)
        p[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] | 0x20) : s.p[i];
    return str_make(p, s.n);
}

// "_word_" in the name, or "_word" at its end.
static bool has_word(const struct linter *l, struct str word)
{
    const struct str with = arena_printf(l->arena, "_%.*s_", STR_ARG(word));
    return str_contains(l->lower, with) || str_has_suffix(l->lower, str_until(with, with.n - 1));
}

static bool is_camel_case(struct str s)
{
    for (size_t i = 1; i < s.n; i++)
        if (s.p[i - 1] >= 'a' && s.p[i - 1] <= 'z' && s.p[i] >= 'A' && s.p[i] <= 'Z')
            return true;
    return false;
}

static const char *base_unit(struct str word) // NULL: no unit
{
    for (size_t u = 0; u < countof(units); u++) {
        const struct str unit = str_from_c(units[u].unit);
        if (!str_has_suffix(word, unit))
            continue;
        const struct str prefix = str_until(word, word.n - unit.n);
        for (size_t i = 0; i < countof(prefixes); i++)
            if (str_eq(prefix, str_from_c(prefixes[i])))
                return units[u].base;
    }
    return NULL;
}

static void lint_units(struct linter *l)
{
    struct str rest = l->family->name, word;
    while (str_split(&rest, '_', &word)) {
        const char *const base = base_unit(word);
        if (!base)
            continue;
        if (!str_eq(word, str_from_c(base)))
            say(l, arena_printf(l->arena, "use base unit \"%s\" instead of \"%.*s\"", base,
                                STR_ARG(word)));
        return;
    }
}

static void lint_suffixes(struct linter *l)
{
    const enum metric_type type = l->family->type;
    const struct str name = l->family->name;
    const bool total = str_has_suffix(name, STR("_total"));
    if (type == METRIC_COUNTER && !total)
        say(l, STR("counter metrics should have \"_total\" suffix"));
    if (type == METRIC_UNTYPED)
        return;
    if (type != METRIC_COUNTER && total)
        say(l, STR("non-counter metrics should not have \"_total\" suffix"));
    const bool histogram = type == METRIC_HISTOGRAM, summary = type == METRIC_SUMMARY;
    if (!histogram && str_has_suffix(name, STR("_bucket")))
        say(l, STR("non-histogram metrics should not have \"_bucket\" suffix"));
    if (!histogram && !summary && str_has_suffix(name, STR("_count")))
        say(l, STR("non-histogram and non-summary metrics should not have \"_count\" suffix"));
    if (!histogram && !summary && str_has_suffix(name, STR("_sum")))
        say(l, STR("non-histogram and non-summary metrics should not have \"_sum\" suffix"));
}

static void lint_name(struct linter *l)
{
    const struct str type = metric_type_names[l->family->type];
    if (l->family->type != METRIC_UNTYPED && has_word(l, type))
        say(l, arena_printf(l->arena, "metric name should not include type '%.*s'", STR_ARG(type)));
    if (str_find(l->family->name, ':', 0) != STR_NONE)
        say(l, STR("metric names should not contain ':'"));
    if (is_camel_case(l->family->name))
        say(l, STR("metric names should be written in 'snake_case' not 'camelCase'"));
    for (size_t i = 0; i < countof(abbreviations); i++)
        if (has_word(l, str_from_c(abbreviations[i])))
            say(l, STR("metric names should not contain abbreviated units"));
}

static void lint_labels(struct linter *l)
{
    const enum metric_type type = l->family->type;
    for (size_t i = 0; i < l->family->n; i++) {
        const struct family_metric *const m = &l->family->metrics[i];
        for (size_t k = 0; k < m->labels_n; k++) {
            const struct str name = m->label_names[k];
            if (type != METRIC_UNTYPED && type != METRIC_HISTOGRAM && str_eq(name, STR("le")))
                say(l, STR("non-histogram metrics should not have \"le\" label"));
            if (type != METRIC_UNTYPED && type != METRIC_SUMMARY && str_eq(name, STR("quantile")))
                say(l, STR("non-summary metrics should not have \"quantile\" label"));
            if (is_camel_case(name))
                say(l, STR("label names should be written in 'snake_case' not 'camelCase'"));
        }
    }
}

static int cmp_hashes(const void *a, const void *b)
{
    const struct hash128 *const x = a, *const y = b;
    if (x->hi != y->hi)
        return x->hi < y->hi ? -1 : 1;
    return (x->lo > y->lo) - (x->lo < y->lo);
}

// One problem for each metric that comes again later.
static void lint_duplicates(struct linter *l)
{
    const size_t n = l->family->n;
    struct hash128 *const all = mem_alloc_array(n, sizeof *all);
    for (size_t i = 0; i < n; i++)
        all[i] = l->family->metrics[i].labels_hash;
    qsort(all, n, sizeof *all, cmp_hashes);
    for (size_t i = 1; i < n; i++)
        if (hash128_eq(all[i - 1], all[i]))
            say(l, STR("metric not unique"));
    mem_free(all);
}

static int cmp_problems(const void *a, const void *b)
{
    const struct metric_problem *const x = a, *const y = b;
    const int order = str_cmp(x->metric, y->metric);
    return order ? order : str_cmp(x->text, y->text);
}

void metric_lint(struct metric_families *families, struct metric_problems *out)
{
    for (size_t i = 0; i < families->n; i++) {
        struct linter l = {.arena = &families->arena, .family = &families->items[i], .out = out};
        if (!l.family->n)
            continue;
        l.lower = to_lower(l.family->name, l.arena);
        if (!l.family->has_help)
            say(&l, STR("no help text"));
        lint_units(&l);
        lint_suffixes(&l);
        lint_name(&l);
        lint_labels(&l);
        lint_duplicates(&l);
    }
    if (out->n)
        qsort(out->items, out->n, sizeof *out->items, cmp_problems);
}
