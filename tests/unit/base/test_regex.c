#include "engine/base/regex.h"

#include <criterion/criterion.h>

#include "engine/base/util.h"

static const struct {
    const char *pattern, *text;
    bool match;
} rows[] = {
    {"", "", true},           {"", "a", false},
    {"a|b", "b", true},       {"a|b", "ab", false},
    {"a.c", "a\nc", true},    {"foo.*", "foobar", true},
    {"foo.*", "xfoo", false}, {"(?i:PRO).*", "production", true},
    {"fo?", "f", true},       {"a{2}", "aa", true},
    {"a{2}", "a", false},     {"a\\.b", "a.b", true},
    {"a\\.b", "axb", false},  {"\xc3\xa9*", "", true},
    {"(?<x>a)b", "ab", true}, {"|a", "", true},
};

Test(regex, matches_anchored)
{
    for (size_t i = 0; i < countof(rows); i++) {
        struct regex *r;
        struct errmsg e = {0};
        cr_assert_eq(regex_create(str_from_c(rows[i].pattern), REGEX_ANCHORED, &r, &e), ERR_OK,
                     "%s", e.text);
        cr_assert_eq(regex_matches(r, str_from_c(rows[i].text)), rows[i].match, "%s on %s",
                     rows[i].pattern, rows[i].text);
        regex_destroy(r);
    }
}

// Texts of Go 1.22's regexp.Compile.
static const struct {
    const char *pattern, *want;
} bad[] = {
    {"a(", "error parsing regexp: missing closing ): `^(?s:a()$`"},
    {"a)", "error parsing regexp: unexpected ): `^(?s:a))$`"},
    {"[a", "error parsing regexp: missing closing ]: `[a)$`"},
    {"*a", "error parsing regexp: missing argument to repetition operator: `*`"},
    {"a**", "error parsing regexp: invalid nested repetition operator: `**`"},
    {"\\C", "error parsing regexp: invalid escape sequence: `\\C`"},
    {"a{2000}", "error parsing regexp: invalid repeat count: `{2000}`"},
    {"[b-a]", "error parsing regexp: invalid character class range: `b-a`"},
    {"(?z)", "error parsing regexp: invalid or unsupported Perl syntax: `(?z`"},
};

Test(regex, errors_read_as_go_s)
{
    for (size_t i = 0; i < countof(bad); i++) {
        struct regex *r;
        struct errmsg e = {0};
        cr_assert_eq(regex_create(str_from_c(bad[i].pattern), REGEX_ANCHORED, &r, &e), ERR_INVALID);
        cr_assert_str_eq(e.text, bad[i].want);
    }
}

Test(regex, expands_templates)
{
    struct regex *r;
    cr_assert_eq(regex_create(STR("(?P<host>[^:]+):(\\d+)"), REGEX_ANCHORED, &r, NULL), ERR_OK);
    struct str groups[3];
    cr_assert(regex_match_groups(r, STR("db1:9100"), groups, 3));
    struct buf out = {0};
    regex_expand(r, STR("$1-${2}x-$host-$$-$9-$1x-$"), groups, 3, &out);
    cr_assert(str_eq(buf_str(&out), STR("db1-9100x-db1-$---$")), "%.*s", STR_ARG(buf_str(&out)));
    buf_deinit(&out);
    regex_destroy(r);
}

Test(regex, knows_its_literals_and_prefix)
{
    struct regex *r;
    struct str out[4];
    cr_assert_eq(regex_create(STR("a\\.b|cd"), REGEX_ANCHORED, &r, NULL), ERR_OK);
    cr_assert_eq(regex_literals(r, out, 4), 2);
    cr_assert(str_eq(out[0], STR("a.b")) && str_eq(out[1], STR("cd")));
    regex_destroy(r);
    cr_assert_eq(regex_create(STR("node_.*|x"), REGEX_ANCHORED, &r, NULL), ERR_OK);
    cr_assert_eq(regex_literals(r, out, 4), 0);
    cr_assert_eq(regex_prefix(r).n, 0);
    regex_destroy(r);
    cr_assert_eq(regex_create(STR("node_c?.*"), REGEX_ANCHORED, &r, NULL), ERR_OK);
    cr_assert(str_eq(regex_prefix(r), STR("node_")));
    regex_destroy(r);
}
