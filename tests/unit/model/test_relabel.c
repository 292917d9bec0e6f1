#include <criterion/criterion.h>

#include "engine/base/casemap.h"
#include "engine/base/util.h"
#include "engine/model/relabel.h"

// Labels and sources: "a=1,b=2" and "a,b". regex NULL is (.*), replacement NULL is $1. want NULL:
// dropped.
static const struct {
    const char *labels;
    enum relabel_action action;
    const char *sources, *regex, *target, *replacement;
    uint64_t modulus;
    bool legacy;
    const char *want;
} rows[] = {
    {"a=foo,b=bar,c=baz", RELABEL_REPLACE, "a", "f(.*)", "d", "ch${1}-ch${1}", 0, false,
     "a=foo,b=bar,c=baz,d=choo-choo"},
    {"a=foo,b=bar,c=baz", RELABEL_REPLACE, "a,b", "f(.*);(.*)r", "a", "b${1}${2}m", 0, false,
     "a=boobam,b=bar,c=baz"},
    {"a=foo", RELABEL_DROP, "a", ".*o.*", "", NULL, 0, false, NULL},
    {"a=foo,b=bar", RELABEL_DROP, "a", ".*b.*", "", NULL, 0, false, "a=foo,b=bar"},
    {"a=foo", RELABEL_DROP, "a", "no-match", "", NULL, 0, false, "a=foo"},
    {"a=foo", RELABEL_DROP, "a", "f|o", "", NULL, 0, false, "a=foo"},
    {"a=foo", RELABEL_KEEP, "a", "no-match", "", NULL, 0, false, NULL},
    {"a=foo", RELABEL_KEEP, "a", "f.*", "", NULL, 0, false, "a=foo"},
    {"a=foo", RELABEL_KEEP, "missing", "", "", NULL, 0, false, "a=foo"},
    {"a=b\n", RELABEL_KEEP, "a", "b.", "", NULL, 0, false, "a=b\n"},
    {"a=foo", RELABEL_REPLACE, "a", "no-match", "b", "bar", 0, false, "a=foo"},
    {"a=foo", RELABEL_REPLACE, "a", "(f).*", "b", "$2", 0, false, "a=foo"},
    {"a=foo,b=x", RELABEL_REPLACE, "a", "(f).*", "b", "", 0, false, "a=foo"},
    {"a=foo", RELABEL_REPLACE, "a", NULL, "b", NULL, 0, false, "a=foo,b=foo"},
    {"a=foo,b=bar", RELABEL_REPLACE, "a,b", NULL, "c", NULL, 0, false, "a=foo,b=bar,c=foo;bar"},
    {"a=foo", RELABEL_REPLACE, "", NULL, "b", "fixed", 0, false, "a=foo,b=fixed"},
    {"a=foo", RELABEL_REPLACE, "missing", NULL, "a", NULL, 0, false, ""},
    {"a=foo", RELABEL_REPLACE, "missing", NULL, "a", "", 0, false, ""},
    {"a=foo", RELABEL_REPLACE, "a", "f(?P<x>.*)", "b", "${x}!", 0, false, "a=foo,b=oo!"},
    {"a=foo", RELABEL_REPLACE, "a", "(f)(.*)", "b", "$$1$2", 0, false, "a=foo,b=$1oo"},
    {"a=some-name-value,b=x", RELABEL_REPLACE, "a", "some-([^-]+)-([^,]+)", "${1}", "${2}", 0, true,
     "a=some-name-value,b=x,name=value"},
    {"a=some-name-0", RELABEL_REPLACE, "a", "some-([^-]+)-([^,]+)", "${3}", "${1}", 0, true,
     "a=some-name-0"},
    {"a=some-name-0", RELABEL_REPLACE, "a", "some-([^-]+)-([^,]+)", "0${1}", "${1}", 0, true,
     "a=some-name-0"},
    {"a=some-name-0", RELABEL_REPLACE, "a", "some-([^-]+)-([^,]+)", "0${1}", "${1}", 0, false,
     "0name=name,a=some-name-0"},
    {"a=x", RELABEL_REPLACE, "a", "(.*)", "b.$1", "y", 0, false, "a=x,b.x=y"},
    {"c=baz", RELABEL_HASHMOD, "c", NULL, "d", NULL, 1000, false, "c=baz,d=976"},
    {"a=foo,b=bar", RELABEL_HASHMOD, "a,b", NULL, "d", NULL, 1000, false, "a=foo,b=bar,d=750"},
    {"a=foo,b1=bar,b2=baz", RELABEL_LABELMAP, "", "(b.*)", "", "bar_${1}", 0, false,
     "a=foo,b1=bar,b2=baz,bar_b1=bar,bar_b2=baz"},
    {"a=foo,__meta_my_bar=aaa,__meta_my_baz=bbb,__meta_other=ccc", RELABEL_LABELMAP, "",
     "__meta_(my.*)", "", "${1}", 0, false,
     "__meta_my_bar=aaa,__meta_my_baz=bbb,__meta_other=ccc,a=foo,my_bar=aaa,my_baz=bbb"},
    {"a=1,b=2", RELABEL_LABELMAP, "", "a", "", "b", 0, false, "a=1,b=1"},
    {"a=1,ab=2", RELABEL_LABELMAP, "", "(a+)", "", "${1}b", 0, false, "a=1,ab=1"},
    {"a=foo,b1=bar,b2=baz", RELABEL_LABELDROP, "", "(b.*)", "", NULL, 0, false, "a=foo"},
    {"a=foo,b1=bar,b2=baz", RELABEL_LABELKEEP, "", "(b.*)", "", NULL, 0, false, "b1=bar,b2=baz"},
    {"foo=bAr123Foo", RELABEL_LOWERCASE, "foo", NULL, "foo", NULL, 0, false, "foo=bar123foo"},
    {"foo=bAr123Foo", RELABEL_UPPERCASE, "foo", NULL, "up", NULL, 0, false,
     "foo=bAr123Foo,up=BAR123FOO"},
    {"a=x,b=x", RELABEL_KEEPEQUAL, "a", NULL, "b", NULL, 0, false, "a=x,b=x"},
    {"a=x,b=y", RELABEL_KEEPEQUAL, "a", NULL, "b", NULL, 0, false, NULL},
    {"a=x,b=x", RELABEL_DROPEQUAL, "a", NULL, "b", NULL, 0, false, NULL},
    {"a=x,b=y", RELABEL_DROPEQUAL, "a", NULL, "b", NULL, 0, false, "a=x,b=y"},
    {"a=x", RELABEL_DROPEQUAL, "missing", NULL, "absent", NULL, 0, false, NULL},
};

static void load(struct labels_builder *b, const char *text)
{
    labels_builder_reset(b);
    struct str rest = str_from_c(text), part;
    while (rest.n && str_split(&rest, ',', &part)) {
        struct str value = part, name;
        cr_assert(str_split(&value, '=', &name));
        labels_builder_set(b, name, value);
    }
}

Test(relabel, each_action)
{
    for (size_t i = 0; i < countof(rows); i++) {
        struct arena a;
        arena_init(&a, 0);
        struct str sources[8], rest = str_from_c(rows[i].sources), part;
        size_t sources_n = 0;
        while (rest.n && str_split(&rest, ',', &part))
            sources[sources_n++] = part;
        struct regex *regex;
        const char *pattern = rows[i].regex ? rows[i].regex : "(.*)";
        cr_assert_eq(regex_create(str_from_c(pattern), REGEX_ANCHORED, &regex, NULL), ERR_OK);
        struct relabel_rule rule = {
            .action = rows[i].action,
            .sources = sources,
            .sources_n = sources_n,
            .separator = STR(";"),
            .regex = regex,
            .modulus = rows[i].modulus,
            .target = str_from_c(rows[i].target),
            .replacement = str_from_c(rows[i].replacement ? rows[i].replacement : "$1"),
            .legacy_names = rows[i].legacy,
        };
        relabel_prepare(&rule);
        struct labels_builder b = {0}, want = {0};
        struct buf scratch = {0};
        load(&b, rows[i].labels);
        const bool kept = relabel_apply(&rule, 1, &b, &a, &scratch);
        cr_assert_eq(kept, rows[i].want != NULL, "row %zu", i);
        if (kept) {
            load(&want, rows[i].want);
            struct buf text = {0};
            labels_format(labels_builder_finish(&b, &a), &text);
            cr_assert_eq(
                labels_cmp(labels_builder_finish(&b, &a), labels_builder_finish(&want, &a)), 0,
                "row %zu: %.*s", i, STR_ARG(buf_str(&text)));
            buf_deinit(&text);
        }
        labels_builder_deinit(&b);
        labels_builder_deinit(&want);
        buf_deinit(&scratch);
        regex_destroy(regex);
        arena_deinit(&a);
    }
}

Test(relabel, names_of_actions)
{
    enum relabel_action action;
    cr_assert(relabel_action_parse(STR("LabelMap"), &action));
    cr_assert_eq(action, RELABEL_LABELMAP);
    cr_assert_str_eq(relabel_action_text(action), "labelmap");
    cr_assert(!relabel_action_parse(STR("label"), &action));
}

Test(casemap, as_go)
{
    static const struct {
        const char *text, *upper, *lower;
    } words[] = {
        {"", "", ""},
        {"aZ09_", "AZ09_", "az09_"},
        {"\xc3\xa9\xc3\x89", "\xc3\x89\xc3\x89", "\xc3\xa9\xc3\xa9"}, // e acute
        {"\xc4\x80\xc4\x81", "\xc4\x80\xc4\x80", "\xc4\x81\xc4\x81"}, // a macron
        {"\xc3\x9f", "\xc3\x9f", "\xc3\x9f"},                         // sharp s has no simple one
        {"\xc3\xbf", "\xc5\xb8", "\xc3\xbf"},                         // y diaeresis
        {"\xd0\xb0\xd0\x90", "\xd0\x90\xd0\x90", "\xd0\xb0\xd0\xb0"}, // Cyrillic a
        {"\xf0\x90\x90\xa8", "\xf0\x90\x90\x80", "\xf0\x90\x90\xa8"}, // Deseret
        {"\xff", "\xef\xbf\xbd", "\xef\xbf\xbd"},
    };
    for (size_t i = 0; i < countof(words); i++) {
        for (int upper = 0; upper < 2; upper++) {
            struct buf b = {0};
            casemap_put(str_from_c(words[i].text), upper, &b);
            const char *want = upper ? words[i].upper : words[i].lower;
            cr_assert(str_eq(buf_str(&b), str_from_c(want)), "row %zu: %.*s", i,
                      STR_ARG(buf_str(&b)));
            buf_deinit(&b);
        }
    }
}
