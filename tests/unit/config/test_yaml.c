#include <criterion/criterion.h>

#include "engine/base/rng.h"
#include "engine/base/util.h"
#include "engine/config/yaml_encode.h"

// What is not YAML, with the texts of go-yaml v2 as promtool shows them.
static const struct {
    const char *text, *want; // want NULL: fine
} documents[] = {
    {"", NULL},
    {"# nothing\n", NULL},
    {"a: b\nc: [1, {d: e}]\n", NULL},
    {"a: &x {b: c}\nd: *x\n", NULL},
    {"a: b\n c: d\n", "yaml: line 2: mapping values are not allowed in this context"},
    {"a: [b\n", "yaml: line 1: did not find expected ',' or ']'"},
    {"a: \"b\n", "yaml: line 2: found unexpected end of stream"},
    {"\ta: b\n", "yaml: found character that cannot start any token"},
    {"a: *x\n", "yaml: unknown anchor 'x' referenced"},
    {"a: b: c\n", "yaml: mapping values are not allowed in this context"},
    {"%FOO\n", "yaml: found unknown directive name"},
    {"a: &x [*x]\n", "yaml: anchor 'x' value contains itself"},
    {"a: {<<: [1]}\n", "yaml: map merge requires map or sequence of maps as the value"},
    {"a: {<<: 1}\n", "yaml: map merge requires map or sequence of maps as the value"},
    {"a: \xff\n", "yaml: invalid leading UTF-8 octet"},
    {"a: \x01\n", "yaml: control characters are not allowed"},
};

Test(yaml, documents)
{
    for (size_t i = 0; i < countof(documents); i++) {
        struct arena a;
        arena_init(&a, 0);
        struct errmsg e = {0};
        const struct yaml_node *root;
        const err code = yaml_parse(&a, str_from_c(documents[i].text), &root, &e);
        cr_assert_eq(!code, !documents[i].want, "row %zu: %s", i, e.text);
        if (code)
            cr_assert_str_eq(e.text, documents[i].want);
        arena_deinit(&a);
    }
}

static void parse_deep(size_t depth, err want)
{
    struct buf text = {0};
    for (size_t i = 0; i < depth; i++)
        buf_put_char(&text, '[');
    for (size_t i = 0; i < depth; i++)
        buf_put_char(&text, ']');
    struct arena a;
    arena_init(&a, 0);
    const struct yaml_node *root;
    cr_assert_eq(yaml_parse(&a, buf_str(&text), &root, NULL), want, "depth %zu", depth);
    arena_deinit(&a);
    buf_deinit(&text);
}

Test(yaml, limits)
{
    parse_deep(YAML_DEPTH_MAX, ERR_OK);
    parse_deep(YAML_DEPTH_MAX + 1, ERR_LIMIT);
    parse_deep(50000, ERR_LIMIT);
    struct buf text = {0}; // each line names the line before it ten times
    buf_put_str(&text, STR("a0: &a0 [1]\n"));
    for (int i = 1; i < 12; i++) {
        buf_printf(&text, "a%d: &a%d [", i, i);
        for (int k = 0; k < 10; k++)
            buf_printf(&text, "*a%d,", i - 1);
        buf_put_str(&text, STR("]\n"));
    }
    struct arena a;
    arena_init(&a, 0);
    struct errmsg e = {0};
    const struct yaml_node *root;
    cr_assert_eq(yaml_parse(&a, buf_str(&text), &root, &e), ERR_INVALID);
    cr_assert_str_eq(e.text, "yaml: document contains excessive aliasing");
    buf_reset(&text);
    for (int i = 0; i <= YAML_ANCHORS_MAX; i++)
        buf_printf(&text, "- &a%d x\n", i);
    cr_assert_eq(yaml_parse(&a, buf_str(&text), &root, &e), ERR_LIMIT);
    arena_deinit(&a);
    buf_deinit(&text);
}

static const struct {
    const char *text;
    enum yaml_type v2, v3;
    double number;
} scalars[] = {
    {"", YAML_NULL, YAML_NULL, 0},
    {"~", YAML_NULL, YAML_NULL, 0},
    {"Null", YAML_NULL, YAML_NULL, 0},
    {"nUll", YAML_STR, YAML_STR, 0},
    {"yes", YAML_BOOL, YAML_STR, 1},
    {"y", YAML_BOOL, YAML_STR, 1},
    {"Off", YAML_BOOL, YAML_STR, 0},
    {"true", YAML_BOOL, YAML_BOOL, 1},
    {"False", YAML_BOOL, YAML_BOOL, 0},
    {"tRue", YAML_STR, YAML_STR, 0},
    {"0", YAML_INT, YAML_INT, 0},
    {"-12", YAML_INT, YAML_INT, -12},
    {"+12", YAML_INT, YAML_INT, 12},
    {"0777", YAML_INT, YAML_INT, 511},
    {"0o17", YAML_INT, YAML_INT, 15},
    {"0x1F", YAML_INT, YAML_INT, 31},
    {"-0b11", YAML_INT, YAML_INT, -3},
    {"1_000", YAML_INT, YAML_INT, 1000},
    {"08", YAML_FLOAT, YAML_FLOAT, 8},
    {"1e3", YAML_FLOAT, YAML_FLOAT, 1000},
    {".5", YAML_FLOAT, YAML_FLOAT, 0.5},
    {"5.", YAML_FLOAT, YAML_FLOAT, 5},
    {"-1.5E-1", YAML_FLOAT, YAML_FLOAT, -0.15},
    {"9223372036854775807", YAML_INT, YAML_INT, 0x1p63},
    {"9223372036854775808", YAML_UINT, YAML_UINT, 0x1p63},
    {"18446744073709551616", YAML_FLOAT, YAML_FLOAT, 0x1p64},
    {"-9223372036854775808", YAML_INT, YAML_INT, -0x1p63},
    {"1.2.3", YAML_STR, YAML_STR, 0},
    {"1m", YAML_STR, YAML_STR, 0},
    {"-", YAML_STR, YAML_STR, 0},
    {".", YAML_STR, YAML_STR, 0},
    {"1e", YAML_STR, YAML_STR, 0},
    {"0x", YAML_STR, YAML_STR, 0},
    {"2001-01-02", YAML_TIME, YAML_TIME, 0},
    {"2001-1-2T3:4:5Z", YAML_TIME, YAML_TIME, 0},
    {"2001-01-02x", YAML_STR, YAML_STR, 0},
    {"a", YAML_STR, YAML_STR, 0},
};

Test(yaml, scalars_mean_what_they_mean_to_go_yaml)
{
    for (size_t i = 0; i < countof(scalars); i++) {
        const struct str text = str_from_c(scalars[i].text);
        cr_assert_eq(yaml_type_of(text, YAML_V2), scalars[i].v2, "%s", scalars[i].text);
        cr_assert_eq(yaml_type_of(text, YAML_V3), scalars[i].v3, "%s", scalars[i].text);
        const struct yaml_node node = {.kind = YAML_SCALAR, .plain = true, .value = text};
        struct yaml_value v;
        cr_assert_eq(yaml_resolve(&node, YAML_V2, &v), ERR_OK);
        const double got = v.type == YAML_BOOL    ? v.boolean
                           : v.type == YAML_INT   ? (double)v.number
                           : v.type == YAML_UINT  ? (double)v.natural
                           : v.type == YAML_FLOAT ? v.fraction
                                                  : 0;
        cr_assert_eq(got, scalars[i].number, "%s: %g", scalars[i].text, got);
        const struct yaml_node quoted = {.kind = YAML_SCALAR, .value = text};
        cr_assert_eq(yaml_resolve(&quoted, YAML_V2, &v), ERR_OK);
        cr_assert_eq(v.type, YAML_STR);
        const struct yaml_node tagged = {.kind = YAML_SCALAR, .value = text, .tag = STR("!!int")};
        cr_assert_eq(!yaml_resolve(&tagged, YAML_V2, &v),
                     scalars[i].v2 == YAML_INT || scalars[i].v2 == YAML_UINT, "%s",
                     scalars[i].text);
    }
}

struct point {
    int64_t x, timeout_ms;
    struct str name;
    int8_t visible;
};
struct shape {
    struct str title, secret;
    bool closed;
    uint64_t count;
    double ratio;
    int64_t size_bytes;
    struct yaml_strs tags;
    struct yaml_pairs labels;
    struct point center, *other;
    struct {
        struct point *items;
        size_t n;
    } points;
};

static const struct yaml_field point_fields[] = {
    {"x", YAML_FIELD_INT, .offset = offsetof(struct point, x), .always = true},
    {"timeout", YAML_FIELD_DURATION, .offset = offsetof(struct point, timeout_ms)},
    {"name", YAML_FIELD_STR, .offset = offsetof(struct point, name)},
    {"visible", YAML_FIELD_SWITCH, .offset = offsetof(struct point, visible)},
};

static void point_init(void *object)
{
    ((struct point *)object)->timeout_ms = 60000;
}

static err point_check(struct yaml_decoder *d, const struct yaml_node *n, void *object)
{
    const struct point *p = object;
    return p->x < 0 ? yaml_fail(d, n, "x is negative") : ERR_OK;
}

static const struct yaml_struct point_type = {
    "test.Point", sizeof(struct point), point_fields,          countof(point_fields),
    point_init,   point_check,          "empty or null point", NULL};

static const struct yaml_field shape_fields[] = {
    {"title", YAML_FIELD_STR, .offset = offsetof(struct shape, title)},
    {"secret", YAML_FIELD_SECRET, .offset = offsetof(struct shape, secret)},
    {"closed", YAML_FIELD_BOOL, .offset = offsetof(struct shape, closed)},
    {"count", YAML_FIELD_UINT, .offset = offsetof(struct shape, count)},
    {"ratio", YAML_FIELD_FLOAT, .offset = offsetof(struct shape, ratio)},
    {"size", YAML_FIELD_SIZE, .offset = offsetof(struct shape, size_bytes)},
    {"tags", YAML_FIELD_STRS, .offset = offsetof(struct shape, tags)},
    {"labels", YAML_FIELD_PAIRS, .offset = offsetof(struct shape, labels)},
    {"", YAML_FIELD_INLINE, .offset = offsetof(struct shape, center), .of = &point_type},
    {"other", YAML_FIELD_POINTER, .offset = offsetof(struct shape, other), .of = &point_type},
    {"points", YAML_FIELD_LIST, .offset = offsetof(struct shape, points), .go = "[]*test.Point",
     .of = &point_type},
};
static const struct yaml_struct shape_type = {.go = "test.Shape",
                                              .size = sizeof(struct shape),
                                              .fields = shape_fields,
                                              .n = countof(shape_fields)};

// A good document and how it is printed, or a bad one and the error behind "!".
static const struct {
    const char *text, *want;
} shapes[] = {
    {"", "x: 0\n"},
    {"title: a\nsecret: b\nclosed: yes\n", "title: a\nsecret: <secret>\nclosed: true\nx: 0\n"},
    {"title: null\nx: 3\nvisible: no\n", "x: 3\nvisible: false\n"},
    {"title: 'yes'\nsecret: ''\n", "title: \"yes\"\nx: 0\n"},
    {"title: 'a: b'\nname: 0x10\n", "title: 'a: b'\nx: 0\nname: \"0x10\"\n"},
    {"title: \"1:20\"\nname: a b\n", "title: \"1:20\"\nx: 0\nname: a b\n"},
    {"title: \"a\\nb\"\n", "title: |-\n  a\n  b\nx: 0\n"},
    {"count: 0x10\nratio: 0.5\nsize: 1MB\n", "count: 16\nratio: 0.5\nsize: 1MiB\nx: 0\n"},
    {"count: 1.9\nratio: 2\n", "count: 1\nratio: 2\nx: 0\n"},
    {"tags: [a, 1, ~]\nlabels: {b: c, a: 1}\n",
     "tags:\n- a\n- \"1\"\n- \"\"\nlabels:\n  a: \"1\"\n  b: c\nx: 0\n"},
    {"points: [{x: 1}, {timeout: 0s}]\n", "x: 0\npoints:\n- x: 1\n  timeout: 1m\n- x: 0\n"},
    {"other: {}\n", "x: 0\nother:\n  x: 0\n  timeout: 1m\n"},
    {"other:\n", "x: 0\n"},
    {"other: &o {x: 5}\npoints: [*o, {<<: *o, name: n}]\n",
     "x: 0\nother:\n  x: 5\n  timeout: 1m\npoints:\n- x: 5\n  timeout: 1m\n- x: 5\n"
     "  timeout: 1m\n  name: \"n\"\n"},
    {"other: {<<: [{x: 1}, {x: 2, name: b}]}\n",
     "x: 0\nother:\n  x: 1\n  timeout: 1m\n  name: b\n"},
    {"[1]", "!yaml: unmarshal errors:\n  line 1: cannot unmarshal !!seq into test.Shape"},
    {"abc", "!yaml: unmarshal errors:\n  line 1: cannot unmarshal !!str `abc` into test.Shape"},
    {"foo: 1\nbar: 2\n", "!yaml: unmarshal errors:\n  line 1: field foo not found in type "
                         "test.Shape\n  line 2: field bar not found in type test.Shape"},
    {"x: 1\nx: 2\n", "!yaml: unmarshal errors:\n  line 2: field x already set in type test.Shape"},
    {"labels: {a: b, a: c}", "!yaml: unmarshal errors:\n  line 1: key \"a\" already set in map"},
    {"labels: [a]",
     "!yaml: unmarshal errors:\n  line 1: cannot unmarshal !!seq into map[string]string"},
    {"labels: {a: [b]}", "!yaml: unmarshal errors:\n  line 1: cannot unmarshal !!seq into string"},
    {"closed: maybe",
     "!yaml: unmarshal errors:\n  line 1: cannot unmarshal !!str `maybe` into bool"},
    {"closed: \"true\"",
     "!yaml: unmarshal errors:\n  line 1: cannot unmarshal !!str `true` into bool"},
    {"count: -1", "!yaml: unmarshal errors:\n  line 1: cannot unmarshal !!int `-1` into uint"},
    {"count: abcdefghijkl",
     "!yaml: unmarshal errors:\n  line 1: cannot unmarshal !!str `abcdefg...` into uint"},
    {"size: 5foo", "!line 1: units: unknown unit foo in 5foo"},
    {"size: [1]",
     "!yaml: unmarshal errors:\n  line 1: cannot unmarshal !!seq into units.Base2Bytes"},
    {"other:\n  timeout: 10\n", "!line 2: not a valid duration string: \"10\""},
    {"other:\n  timeout: [10]\n",
     "!yaml: unmarshal errors:\n  line 2: cannot unmarshal !!seq into string"},
    {"other: {x: -1}", "!line 1: x is negative"},
    {"points: {a: b}",
     "!yaml: unmarshal errors:\n  line 1: cannot unmarshal !!map into []*test.Point"},
    {"points:\n- a\n",
     "!yaml: unmarshal errors:\n  line 2: cannot unmarshal !!str `a` into test.Point"},
    {"points:\n- x: 1\n-\n", "!line 3: empty or null point"},
    {"points:\n-\nfoo: 1\n",
     "!yaml: unmarshal errors:\n  line 3: field foo not found in type test.Shape"},
};

// Decodes; prints into out, or the error.
static err run(struct str text, struct buf *out, struct errmsg *e)
{
    struct arena a;
    arena_init(&a, 0);
    struct yaml_decoder d = {.arena = &a, .e = e};
    const struct yaml_node *root;
    struct shape s;
    err code = yaml_parse(&a, text, &root, e);
    if (!code)
        code = yaml_decode(&d, root, &shape_type, &s);
    if (!code)
        yaml_encode(&shape_type, &s, out);
    yaml_decoder_deinit(&d);
    arena_deinit(&a);
    return code;
}

Test(yaml, structs)
{
    for (size_t i = 0; i < countof(shapes); i++) {
        struct buf out = {0};
        struct errmsg e = {0};
        const err code = run(str_from_c(shapes[i].text), &out, &e);
        const char *want = shapes[i].want;
        if (want[0] == '!') {
            cr_assert_eq(code, ERR_INVALID, "row %zu", i);
            cr_assert_str_eq(e.text, want + 1, "row %zu: %s", i, e.text);
        } else {
            cr_assert_eq(code, ERR_OK, "row %zu: %s", i, e.text);
            cr_assert(str_eq(buf_str(&out), str_from_c(want)), "row %zu:\n%.*s", i,
                      STR_ARG(buf_str(&out)));
        }
        buf_deinit(&out);
    }
}

// Whatever is accepted is printed so that it reads back. A zero that is left out comes back as its
// default, so the second print is what stays.
Test(yaml, damaged_documents_are_refused_or_survive_a_round)
{
    struct rng r;
    rng_init(&r, 3);
    size_t accepted = 0;
    for (size_t round = 0; round < 20000; round++) {
        char text[128] = "";
        const char *from = shapes[rng_below(&r, countof(shapes))].text;
        const size_t n = strlen(from);
        memcpy(text, from, n + 1);
        for (size_t k = rng_below(&r, 3); n && k > 0; k--)
            text[rng_below(&r, n)] = " \n:-[]{}*&!'\"~x0\xff,<|>#"[rng_below(&r, 23)];
        struct buf one = {0}, two = {0};
        struct errmsg e;
        if (!run(str_make(text, n), &one, &e)) {
            accepted++;
            struct buf three = {0};
            cr_assert_eq(run(buf_str(&one), &two, &e), ERR_OK, "%s\n%.*s: %s", text,
                         STR_ARG(buf_str(&one)), e.text);
            cr_assert_eq(run(buf_str(&two), &three, &e), ERR_OK);
            cr_assert(str_eq(buf_str(&two), buf_str(&three)), "%s\n%.*s", text,
                      STR_ARG(buf_str(&two)));
            buf_deinit(&three);
        }
        buf_deinit(&one);
        buf_deinit(&two);
    }
    cr_assert_gt(accepted, 2000);
}
