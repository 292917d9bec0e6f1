#include "engine/base/regex.h"

#include <criterion/criterion.h>

#include "engine/base/mem.h"
#include "engine/base/rng.h"
#include "engine/base/utf8.h"
#include "engine/base/util.h"
#include "tests/unit/base/regex_rows.h"

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
    {"\\Qa", "error parsing regexp: missing closing ): `^(?s:\\Qa)$`"}, // the quote does not end
    {"\\C", "error parsing regexp: invalid escape sequence: `\\C`"},
    {"a{2000}", "error parsing regexp: invalid repeat count: `{2000}`"},
    {"[b-a]", "error parsing regexp: invalid character class range: `b-a`"},
    {"a\xc3\xbc\xff.b", "error parsing regexp: invalid UTF-8: `\xff.b)$`"},
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

Test(regex, matchers_answer_as_prometheus_s)
{
    for (size_t i = 0; i < regex_rows_count; i++) {
        const struct regex_row *row = &regex_rows[i];
        struct regex *r;
        struct errmsg e = {0};
        if (regex_create(str_from_c(row->pattern), REGEX_MATCHER, &r, &e)) {
            cr_assert(row->wrong, "%s: %s", row->pattern, e.text);
            cr_assert_str_eq(e.text + strlen("error parsing regexp: "), row->wrong);
            continue;
        }
        cr_assert(!row->wrong, "%s is accepted", row->pattern);
        for (size_t k = 0; k < REGEX_TEXTS_COUNT; k++)
            cr_assert_eq(regex_matches(r, str_from_c(regex_texts[k])), row->matches >> k & 1,
                         "%s on \"%s\"", row->pattern, regex_texts[k]);
        regex_destroy(r);
    }
}

// What is told without the engine, or by a smaller program, is what the engine says: groups ask for
// it. Texts are made of the pieces that letters has.
static void compare_with_engine(const char *const *parts, size_t parts_n,
                                const char *const *letters, size_t letters_n, unsigned patterns)
{
    const uint64_t seed = 4;
    struct rng rng;
    rng_init(&rng, seed);
    for (unsigned i = 0; i < patterns; i++) {
        struct buf pattern = {0};
        for (uint64_t k = rng_below(&rng, 6); k < 6; k++)
            buf_put_str(&pattern, str_from_c(parts[rng_below(&rng, parts_n)]));
        struct regex *quick = NULL, *engine = NULL;
        struct buf grouped = {0};
        buf_printf(&grouped, "(%.*s)", STR_ARG(buf_str(&pattern)));
        if (regex_create(buf_str(&pattern), REGEX_MATCHER, &quick, NULL) == ERR_OK &&
            regex_create(buf_str(&grouped), REGEX_ANCHORED, &engine, NULL) == ERR_OK)
            for (unsigned t = 0; t < 40; t++) {
                struct buf text = {0};
                for (uint64_t k = rng_below(&rng, 8); k > 0; k--)
                    buf_put_str(&text, str_from_c(letters[rng_below(&rng, letters_n)]));
                struct str groups[2];
                cr_assert_eq(regex_matches(quick, buf_str(&text)),
                             regex_match_groups(engine, buf_str(&text), groups, 2), "%.*s on %.*s",
                             STR_ARG(buf_str(&pattern)), STR_ARG(buf_str(&text)));
                buf_deinit(&text);
            }
        regex_destroy(quick);
        regex_destroy(engine);
        buf_deinit(&pattern);
        buf_deinit(&grouped);
    }
}

Test(regex, shortcuts_say_what_the_engine_says)
{
    static const char *const parts[] = {
        "a",    "b", "ab", ".*", ".+",    "(a|b)", "(ab|)",  "a?",       "[ab]",     "(.*)", "x|",
        "|b.*", "^", "$",  "b*", "[^a]+", "a{2}",  "(?i:a)", "(?-s:.*)", "(?-s:.+)", "."};
    static const char *const letters[] = {"a", "b", "A", "x", "\n"};
    compare_with_engine(parts, countof(parts), letters, countof(letters), 4000);
}

// Of Unicode's classes a smaller program decides for ASCII, the whole one for other texts. K and s
// have a third form, the sign of Kelvin and the long s, which are not ASCII.
Test(regex, large_classes_say_what_the_engine_says)
{
    static const char *const parts[] = {"\\pL",       "\\p{Lu}", "[\\pL\\-]{2}", "(?i:\\p{Lu})",
                                        "\\PL",       "[^\\pL]", "(?i:[^\\pL])", "\\p{Ll}?",
                                        "\\p{Greek}", "a?",      "[\\pL\\d]*",   "(?i:k)",
                                        "\\b",        "(\\pN|-)"};
    static const char *const letters[] = {"a",
                                          "k",
                                          "S",
                                          "-",
                                          "7",
                                          "\n",
                                          "\xc3\xa9",
                                          "\xce\xa9",
                                          "\xe2\x84\xaa",
                                          "\xc5\xbf",
                                          "\xf0\x9d\x94\xb8",
                                          "\xff"};
    compare_with_engine(parts, countof(parts), letters, 6, 100); // of ASCII alone
    compare_with_engine(parts, countof(parts), letters, countof(letters), 100);
}

// However many there are, and whatever they are asked: bounded, and answered.
Test(regex, many_hostile_ones_live_together)
{
    enum { MANY = 1000 };
    static const char *const hostile[] = {"[\\pL%c-]{100}", "(.*%c){20}", "(a|b|%c)*a(a|b|%c){14}",
                                          "(x+x+)+%c", "((%ca?){30}){30}"};
    static struct regex *all[MANY];
    for (size_t i = 0; i < MANY; i++) {
        struct buf text = {0};
        const int letter = 'a' + (int)(i % 26);
        for (const char *p = hostile[i % countof(hostile)]; *p; p++)
            if (p[0] == '%' && p[1] == 'c')
                buf_put_char(&text, (char)letter), p++;
            else
                buf_put_char(&text, *p);
        cr_assert_eq(regex_create_beside(buf_str(&text), REGEX_MATCHER, i, &all[i], NULL), ERR_OK);
        buf_deinit(&text);
    }
    struct rng rng;
    rng_init(&rng, 5);
    for (size_t i = 0; i < MANY; i++)
        for (unsigned k = 0; k < 8; k++) {
            char text[100];
            for (size_t n = 0; n < sizeof text; n++)
                text[n] = (char)('a' + rng_below(&rng, 2));
            const bool matches = regex_matches(all[i], str_make(text, sizeof text));
            if (i % countof(hostile) == 0)
                cr_assert(matches, "letters are letters");
            if (i % countof(hostile) == 3)
                cr_assert(!matches, "it does not end so");
        }
    for (size_t i = 0; i < MANY; i++)
        regex_destroy(all[i]);
}

Test(regex, long_lists_are_sets)
{
    struct buf list = {0}, escaped = {0};
    for (unsigned i = 0; i < 9000; i++) {
        buf_printf(&list, "%snode%u", i ? "|" : "", i);
        buf_printf(&escaped, "%snode\\.%u:9100", i ? "|" : "", i);
    }
    struct regex *r;
    struct str *texts = mem_alloc_array(9000, sizeof *texts);
    cr_assert_eq(regex_create(buf_str(&list), REGEX_MATCHER, &r, NULL), ERR_OK);
    cr_assert_eq(regex_literals(r, texts, 9000), 9000);
    cr_assert(regex_matches(r, STR("node8999")) && !regex_matches(r, STR("node9000")));
    regex_destroy(r);
    cr_assert_eq(regex_create(buf_str(&escaped), REGEX_MATCHER, &r, NULL), ERR_OK);
    cr_assert_eq(regex_literals(r, texts, 9000), 9000);
    cr_assert(regex_matches(r, STR("node.8999:9100")) && !regex_matches(r, STR("nodex1:9100")));
    regex_destroy(r);
    mem_free(texts);
    buf_deinit(&list);
    buf_deinit(&escaped);
}

// Names given twice: Go takes the first that took part.
// How many runes a class has in Unicode 17.0: summed up from DerivedGeneralCategory.txt and
// Scripts.txt, without the 2048 surrogates, which are no text.
static const struct {
    const char *pattern;
    size_t runes;
} classes[] = {
    {"\\p{Cn}", 814730}, {"[\\p{Cn}a]", 814731},  {"[^\\p{Cn}]", 297334},   {"\\PC", 159631},
    {"\\p{LC}", 4200},   {"[\\p{Han}b]", 103352}, {"\\P{Common}", 1102941}, {"\\p{^L}", 966392},
};

Test(regex, classes_of_unicode)
{
    for (size_t i = 0; i < countof(classes); i++) {
        struct regex *r;
        size_t runes = 0;
        cr_assert_eq(regex_create(str_from_c(classes[i].pattern), REGEX_ANCHORED, &r, NULL), ERR_OK,
                     "%s", classes[i].pattern);
        for (uint32_t rune = 0; rune <= 0x10ffff; rune++) {
            char text[UTF8_MAX];
            if (rune < 0xd800 || rune > 0xdfff)
                runes += regex_matches(r, str_make(text, utf8_encode(text, rune)));
        }
        cr_assert_eq(runes, classes[i].runes, "%s: %zu, not %zu", classes[i].pattern, runes,
                     classes[i].runes);
        regex_destroy(r);
    }
}

Test(regex, equal_names)
{
    struct regex *r;
    struct str groups[3];
    struct buf out = {0};
    cr_assert_eq(regex_create(STR("(?P<n>a)|(?<n>b)"), REGEX_ANCHORED, &r, NULL), ERR_OK);
    cr_assert(regex_match_groups(r, STR("b"), groups, 3));
    regex_expand(r, STR("$n-${m}"), groups, 3, &out);
    cr_assert(str_eq(buf_str(&out), STR("b-")));
    buf_deinit(&out);
    regex_destroy(r);
}
