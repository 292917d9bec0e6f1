#include <criterion/criterion.h>
#include <stdio.h>

#include "engine/base/quote.h"
#include "engine/base/rng.h"
#include "engine/base/util.h"
#include "engine/model/labels.h"
#include "engine/model/matcher.h"

// "a=1,b=2" in that order through the builder.
static struct str make(struct arena *a, const char *text)
{
    struct labels_builder b = {0};
    struct str rest = str_from_c(text), part;
    while (rest.n && str_split(&rest, ',', &part)) {
        struct str value = part, name;
        cr_assert(str_split(&value, '=', &name));
        labels_builder_set(&b, name, value);
    }
    const struct str l = labels_builder_finish(&b, a);
    labels_builder_deinit(&b);
    cr_assert(labels_check(l), "%s", text);
    return l;
}

static const struct {
    const char *labels, *all, *metric;
} formats[] = {
    {"", "{}", "{}"},
    {"__name__=up", "{__name__=\"up\"}", "up"},
    {"job=x,__name__=up,a=1", "{__name__=\"up\", a=\"1\", job=\"x\"}", "up{a=\"1\", job=\"x\"}"},
    {"a=1,b=2,a=3", "{a=\"3\", b=\"2\"}", "{a=\"3\", b=\"2\"}"},
    {"a=1,b=2,a=", "{b=\"2\"}", "{b=\"2\"}"},
    {"a.b=1,__name__=x.y", "{__name__=\"x.y\", \"a.b\"=\"1\"}", "{\"x.y\", \"a.b\"=\"1\"}"},
    {"__name__=a:b,c:d=\n\"\\", "{__name__=\"a:b\", \"c:d\"=\"\\n\\\"\\\\\"}",
     "a:b{\"c:d\"=\"\\n\\\"\\\\\"}"},
    {"\xc3\xa9=\xff", "{\"\xc3\xa9\"=\"\\xff\"}", "{\"\xc3\xa9\"=\"\\xff\"}"},
};

Test(labels, formats_as_prometheus_prints)
{
    struct arena a;
    arena_init(&a, 0);
    for (size_t i = 0; i < countof(formats); i++) {
        const struct str l = make(&a, formats[i].labels);
        struct buf b = {0};
        labels_format(l, &b);
        cr_assert(str_eq(buf_str(&b), str_from_c(formats[i].all)), "row %zu: %.*s", i,
                  STR_ARG(buf_str(&b)));
        buf_reset(&b);
        labels_format_metric(l, &b);
        cr_assert(str_eq(buf_str(&b), str_from_c(formats[i].metric)), "row %zu: %.*s", i,
                  STR_ARG(buf_str(&b)));
        buf_deinit(&b);
    }
    arena_deinit(&a);
}

// In Prometheus's order.
static const char *const ordered[] = {
    "",
    "__name__=up",
    "__name__=up,a=1",
    "__name__=up,a=1,b=2",
    "__name__=up,a=10",
    "__name__=v",
    "a=1",
    "a=1,b=1",
    "a=1,c=0",
    "a=2",
    "aa=1",
    "b=1",
};

Test(labels, are_ordered_by_pairs)
{
    struct arena a;
    arena_init(&a, 0);
    for (size_t i = 0; i < countof(ordered); i++) {
        for (size_t j = 0; j < countof(ordered); j++) {
            const int got = labels_cmp(make(&a, ordered[i]), make(&a, ordered[j]));
            cr_assert_eq((got > 0) - (got < 0), (i > j) - (i < j), "%s, %s", ordered[i],
                         ordered[j]);
        }
    }
    arena_deinit(&a);
}

Test(labels, hash_is_prometheus)
{
    struct arena a;
    arena_init(&a, 0);
    // XXH64 of the bytes with their separators, computed by another implementation.
    const struct str l = make(&a, "job=prometheus,instance=localhost:9090,__name__=up");
    cr_assert_eq(labels_hash_prometheus(l), 0xf28c8afcd224e55fu);
    cr_assert_eq(labels_hash_prometheus(make(&a, "")), 0xef46db3751d8e999u);
    char text[3003] = "a=";
    memset(text + 2, 'v', 3000);
    cr_assert_eq(labels_hash_prometheus(make(&a, text)), 0xa09a207b1c04ff35u);
    cr_assert(!hash128_eq(labels_hash(l, 1), labels_hash(l, 2)));
    arena_deinit(&a);
}

Test(labels, any_order_and_number_gives_one_encoding)
{
    static const size_t counts[] = {0, 1, 2, 3, 14, 31, 32, 33, 64, 65, 97, 1000};
    struct rng r;
    rng_init(&r, 7);
    struct arena a;
    arena_init(&a, 0);
    for (size_t c = 0; c < countof(counts); c++) {
        const size_t n = counts[c];
        static char names[1000][32];
        size_t order[1000];
        for (size_t i = 0; i < n; i++) {
            snprintf(names[i], sizeof names[i], c % 2 ? "label_n%05zu" : "n%04zu", i);
            order[i] = i;
        }
        struct labels_builder sorted = {0}, mixed = {0};
        for (size_t i = n; i > 1; i--) {
            const size_t j = rng_below(&r, i), kept = order[i - 1];
            order[i - 1] = order[j];
            order[j] = kept;
        }
        for (size_t i = 0; i < n; i++) {
            labels_builder_push(&sorted, str_from_c(names[i]), str_from_c(names[i] + 1));
            labels_builder_push(&mixed, str_from_c(names[order[i]]),
                                str_from_c(names[order[i]] + 1));
        }
        cr_assert(!labels_builder_has_duplicates(&mixed));
        const struct str want = labels_builder_finish(&sorted, &a);
        cr_assert(labels_check(want));
        cr_assert_eq(labels_count(want), n);
        struct buf got = {0};
        labels_builder_encode(&mixed, &got);
        cr_assert(str_eq(buf_str(&got), want), "%zu labels", n);
        if (n) {
            labels_builder_push(&mixed, str_from_c(names[n / 2]), STR("later"));
            cr_assert(labels_builder_has_duplicates(&mixed));
            cr_assert(
                str_eq(labels_value(labels_builder_finish(&mixed, &a), str_from_c(names[n / 2])),
                       STR("later")));
        }
        buf_deinit(&got);
        labels_builder_deinit(&sorted);
        labels_builder_deinit(&mixed);
    }
    arena_deinit(&a);
}

Test(labels, builder)
{
    struct arena a;
    arena_init(&a, 0);
    struct labels_builder b = {0};
    labels_builder_load(&b, make(&a, "b=2,a=1,c=3"));
    labels_builder_del(&b, STR("b"));
    labels_builder_del(&b, STR("nothing"));
    labels_builder_set(&b, STR("a0"), STR("x"));
    cr_assert(str_eq(labels_builder_get(&b, STR("a0")), STR("x")));
    cr_assert_eq(labels_builder_get(&b, STR("b")).n, 0);
    cr_assert_eq(labels_cmp(labels_builder_finish(&b, &a), make(&a, "a=1,a0=x,c=3")), 0);
    labels_builder_reset(&b);
    labels_builder_push(&b, STR("x"), STR(""));
    cr_assert_eq(labels_builder_finish(&b, &a).n, 0);
    labels_builder_deinit(&b);
    struct str value;
    cr_assert(!labels_get(make(&a, "a=1"), STR("b"), &value));
    arena_deinit(&a);
}

Test(labels, check_refuses_what_is_not_an_encoding)
{
    static const struct {
        struct str bytes;
        bool good;
    } rows[] = {
        {{"", 0}, true},
        {{"\1a\1b", 4}, true},
        {{"\1a\1b\1b\1c", 8}, true},
        {{"\1a\1b\1a\1c", 8}, false}, // the same name
        {{"\1b\1b\1a\1c", 8}, false}, // not sorted
        {{"\1a\0", 3}, false},        // an empty value
        {{"\0\1a", 3}, false},        // an empty name
        {{"\1a", 2}, false},          // no value
        {{"\1a\2b", 4}, false},       // short
        {{"\x81\0a\1b", 5}, false},   // a size in two ways
        {{"\1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", 12}, false},
        {{"\1a\x80", 3}, false},
    };
    for (size_t i = 0; i < countof(rows); i++)
        cr_assert_eq(labels_check(rows[i].bytes), rows[i].good, "row %zu", i);
    struct rng r;
    rng_init(&r, 11);
    for (size_t i = 0; i < 100000; i++) {
        char bytes[16];
        const size_t n = rng_below(&r, sizeof bytes + 1);
        for (size_t k = 0; k < n; k++)
            bytes[k] = (char)rng_below(&r, 4);
        const struct str l = str_make(bytes, n);
        if (labels_check(l) && labels_count(l)) {
            struct labels_builder b = {0};
            struct buf back = {0};
            labels_builder_load(&b, l);
            labels_builder_encode(&b, &back);
            cr_assert(str_eq(buf_str(&back), l));
            buf_deinit(&back);
            labels_builder_deinit(&b);
        }
    }
}

Test(names, legacy_and_utf8)
{
    static const struct {
        const char *name;
        bool metric, label, utf8;
    } rows[] = {
        {"", false, false, false},     {"a", true, true, true},
        {"_a9", true, true, true},     {"9a", false, false, true},
        {"a:b", true, false, true},    {":", true, false, true},
        {"a.b", false, false, true},   {"\xc3\xa9", false, false, true},
        {"\xc3", false, false, false},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        const struct str name = str_from_c(rows[i].name);
        cr_assert_eq(metric_name_is_legacy(name), rows[i].metric, "%s", rows[i].name);
        cr_assert_eq(label_name_is_legacy(name), rows[i].label, "%s", rows[i].name);
        cr_assert_eq(name_is_utf8(name), rows[i].utf8, "%s", rows[i].name);
    }
}

Test(quote, as_strconv)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"", "\"\""},
        {"\a\b\f\n\r\t\v\"\\'", "\"\\a\\b\\f\\n\\r\\t\\v\\\"\\\\'\""},
        {"abc\xff", "\"abc\\xff\""},
        {"\x7f\x01", "\"\\x7f\\x01\""},
        {"\xe2\x98\xba", "\"\xe2\x98\xba\""},
        {"\xc2\x85\xc2\xa0\xc2\xad", "\"\\u0085\\u00a0\\u00ad\""},
        {"\xf3\xa0\x80\x81", "\"\\U000e0001\""},
        {"\xef\xbf\xbd", "\"\xef\xbf\xbd\""},
        {"\xea\x9f\x8b\xcd\xb8", "\"\xea\x9f\x8b\\u0378\""}, // new in Unicode 16; unassigned
        {"\xf4\x8f\xbf\xbf", "\"\\U0010ffff\""},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct buf b = {0};
        buf_put_quoted(&b, str_from_c(rows[i].text));
        cr_assert(str_eq(buf_str(&b), str_from_c(rows[i].want)), "row %zu: %.*s", i,
                  STR_ARG(buf_str(&b)));
        buf_deinit(&b);
    }
}

Test(matcher, kinds)
{
    struct regex *regex;
    cr_assert_eq(regex_create(STR("a.*|"), REGEX_ANCHORED, &regex, NULL), ERR_OK);
    static const struct {
        enum matcher_kind kind;
        const char *value, *text;
        bool match, match_empty;
    } rows[] = {
        {MATCHER_EQ, "ab", "job=\"ab\"", true, false},
        {MATCHER_EQ, "", "job=\"\"", false, true},
        {MATCHER_NE, "ab", "job!=\"ab\"", false, true},
        {MATCHER_RE, "a.*|", "job=~\"a.*|\"", true, true},
        {MATCHER_NRE, "a.*|", "job!~\"a.*|\"", false, false},
    };
    struct arena a;
    arena_init(&a, 0);
    const struct str with = make(&a, "job=ab,x=y"), without = make(&a, "x=y");
    for (size_t i = 0; i < countof(rows); i++) {
        const struct matcher m = {rows[i].kind, STR("job"), str_from_c(rows[i].value), regex};
        struct buf b = {0};
        matcher_format(&m, &b);
        cr_assert(str_eq(buf_str(&b), str_from_c(rows[i].text)), "row %zu", i);
        cr_assert_eq(matchers_match(&m, 1, with), rows[i].match, "row %zu", i);
        cr_assert_eq(matchers_match(&m, 1, without), rows[i].match_empty, "row %zu", i);
        cr_assert_eq(matcher_matches_empty(&m), rows[i].match_empty, "row %zu", i);
        buf_deinit(&b);
    }
    cr_assert(matchers_match(NULL, 0, with));
    regex_destroy(regex);
    arena_deinit(&a);
}
