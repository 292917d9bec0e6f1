#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/base/util.h"
#include "engine/promql/function_table.h"
#include "engine/promql/parser.h"
#include "engine/promql/printer.h"
#include "tests/unit/promql/parse_rows.h"

static const struct promql_options everything = {
    .experimental_functions = true,
    .extended_range_selectors = true,
    .binop_fill_modifiers = true,
};

// The canonical form, or the error behind a '!'. The query stands in a block of its exact size.
static void parse(const char *query, const struct promql_options *options, struct buf *out)
{
    const size_t n = strlen(query);
    char *text = malloc(n ? n : 1);
    struct arena a;
    struct promql_query q;
    struct errmsg e;
    arena_init(&a, 0);
    memcpy(text, query, n);
    buf_reset(out);
    if (promql_parse(str_make(text, n), options, &a, &q, &e) == ERR_OK) {
        promql_print(q.expr, out);
        promql_parse_done(&q);
    } else {
        buf_printf(out, "!%s", e.text);
    }
    buf_put_char(out, '\0');
    arena_deinit(&a);
    free(text);
}

static void check_rows(const struct parse_row *rows, size_t count,
                       const struct promql_options *options)
{
    struct buf got = {0}, again = {0};
    for (size_t i = 0; i < count; i++) {
        parse(rows[i].query, options, &got);
        cr_expect_str_eq(got.p, rows[i].want ? rows[i].want : rows[i].query,
                         "%s\n  got  %s\n  want %s", rows[i].query, got.p,
                         rows[i].want ? rows[i].want : "the same");
        if (got.p[0] == '!' || strstr(got.p, ", )")) // an error; the {} of info(), as Prometheus
            continue;
        parse(got.p, options, &again);
        cr_expect_str_eq(again.p, got.p, "%s is not stable", rows[i].query);
    }
    buf_deinit(&got);
    buf_deinit(&again);
}

Test(parse, rows)
{
    cr_assert_gt(parse_rows_count, 600);
    check_rows(parse_rows, parse_rows_count, &everything);
}

// Without the features: what they would allow is refused.
static const struct parse_row plain[] = {
    {"limitk(1, a)", "!1:1: parse error: limitk() is experimental and must be enabled with "
                     "--enable-feature=promql-experimental-functions"},
    {"sum(limit_ratio(1, a))", "!1:5: parse error: limit_ratio() is experimental and must be "
                               "enabled with --enable-feature=promql-experimental-functions"},
    {"mad_over_time(a[5m])", "!1:1: parse error: function \"mad_over_time\" is not enabled"},
    {"1 + info(a)", "!1:5: parse error: function \"info\" is not enabled"},
    {"start()", "!1:1: parse error: function \"start\" is not enabled"},
    {"a + fill(0) b", "!1:1: parse error: binop fill modifiers are experimental and not enabled"},
    {"x + a * fill_left(0) b",
     "!1:5: parse error: binop fill modifiers are experimental and not enabled"},
    {"fill + fill_left", NULL},
    {"a[5m] anchored", "!1:1: parse error: anchored modifier is experimental and not enabled"},
    {"b + a smoothed", "!1:5: parse error: smoothed modifier is experimental and not enabled"},
    {"anchored{a=\"b\"}", NULL},
    {"a[5m + 1m]", NULL},
    {"rate(a[5m])", NULL},
};

Test(parse, features_are_off)
{
    check_rows(plain, countof(plain), &(struct promql_options){0});
}

static const struct parse_row no_durations[] = {
    {"a[5m + 1m]", "!1:3: parse error: experimental duration expression is not enabled"},
    {"a[2 * (5m + 1m)]", "!1:8: parse error: experimental duration expression is not enabled"},
    {"a offset (5m)", "!1:11: parse error: experimental duration expression is not enabled"},
    {"a[step()]", "!1:3: parse error: experimental duration expression is not enabled"},
    {"a[min_of(1m, 2m)]", "!1:3: parse error: experimental duration expression is not enabled"},
    {"a[-5m]", "!1:3: parse error: duration must be greater than 0"},
    {"a[5m:1m] offset -5m", NULL},
};

Test(parse, duration_expressions_are_off)
{
    check_rows(no_durations, countof(no_durations),
               &(struct promql_options){.no_duration_expressions = true});
}

static const struct parse_row selectors[] = {
    {"up", NULL},
    {"{a=\"b\"}", NULL},
    {"up{a=~\"b\"}", NULL},
    {"{}", ""}, // whether it selects too much is the API's question
    {"sum", NULL},
    {"up[5m]", "!1:3: parse error: unexpected \"[\""},
    {"up + 1", "!1:4: parse error: unexpected <op:+>"},
    {"sum(up)", "!1:4: parse error: unexpected \"(\""},
    {"1", "!1:1: parse error: unexpected number \"1\""},
    {"", "!unknown position: parse error: unexpected end of input"},
    {"up{", "!1:4: parse error: unexpected end of input inside braces"},
    {"up offset 5m", "!1:4: parse error: unexpected <offset>"},
};

Test(parse, selectors_alone)
{
    struct buf got = {0};
    for (size_t i = 0; i < countof(selectors); i++) {
        struct arena a;
        struct promql_query q;
        struct errmsg e;
        arena_init(&a, 0);
        buf_reset(&got);
        if (promql_parse_selector(str_from_c(selectors[i].query), &everything, &a, &q, &e)) {
            buf_printf(&got, "!%s", e.text);
        } else {
            promql_print(q.expr, &got);
            promql_parse_done(&q);
        }
        buf_put_char(&got, '\0');
        cr_expect_str_eq(got.p, selectors[i].want ? selectors[i].want : selectors[i].query);
        arena_deinit(&a);
    }
    buf_deinit(&got);
}

// n times before, the middle, n times behind.
static err parse_nested(size_t n, const char *before, const char *middle, const char *behind,
                        size_t limit_bytes)
{
    struct buf text = {0};
    struct arena a;
    struct promql_query q;
    for (size_t i = 0; i < n; i++)
        buf_put_str(&text, str_from_c(before));
    buf_put_str(&text, str_from_c(middle));
    for (size_t i = 0; i < n; i++)
        buf_put_str(&text, str_from_c(behind));
    arena_init(&a, limit_bytes);
    const err code = promql_parse(buf_str(&text), &everything, &a, &q, NULL);
    if (code == ERR_OK) {
        struct buf out = {0};
        promql_print(q.expr, &out);
        promql_print_json(q.expr, &out);
        if (n < 2000)
            cr_assert_eq(promql_print_pretty(q.expr, &out), ERR_OK);
        buf_deinit(&out);
        promql_parse_done(&q);
    }
    arena_deinit(&a);
    buf_deinit(&text);
    return code;
}

Test(parse, depth_is_not_bounded)
{
    static const struct {
        const char *before, *middle, *behind;
        err want;
    } rows[] = {
        {"(", "a", ")", ERR_OK},
        {"-", "a", "", ERR_OK},
        {"abs(", "a", ")", ERR_OK},
        {"sum(", "a", ")", ERR_OK},
        {"", "a", "+a", ERR_OK},
        {"1+", "1", "", ERR_OK},
        {"a^", "a", "", ERR_OK},
        {"a or (", "a", ")", ERR_OK},
        {"topk(1,", "a", ")", ERR_OK},
        {"sum by(a)(", "a", ")", ERR_OK},
        {"- -", "1", "", ERR_OK},
        {"", "a", "[1m:1m]", ERR_INVALID},
        {"a[1m:", "", "", ERR_INVALID},
        {"a offset (", "", "", ERR_INVALID},
        {"a[min_of(", "", "", ERR_INVALID},
        {"{a=\"", "", "", ERR_INVALID},
        {"a offset - -", "", "", ERR_INVALID},
        {"a[", "1m", "]", ERR_INVALID},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        const err code = parse_nested(20000, rows[i].before, rows[i].middle, rows[i].behind, 0);
        cr_expect_eq(code, rows[i].want, "%s: %d", rows[i].before, code);
        cr_expect_eq(parse_nested(1000, rows[i].before, rows[i].middle, rows[i].behind, 0),
                     rows[i].want);
    }
}

Test(parse, size_and_memory_are_bounded)
{
    cr_assert_eq(parse_nested(5u << 20, " ", "a", "", 0), ERR_OK);
    cr_assert_eq(parse_nested(1, "topk(", "a", "", 100000), ERR_INVALID);
    cr_assert_eq(parse_nested(100000, "1,", "", "", 100000), ERR_INVALID);
    struct buf text = {0};
    for (int i = 0; i < 100000; i++)
        buf_put_str(&text, i ? STR(",1") : STR("label_join(a"));
    struct arena a;
    struct promql_query q;
    struct errmsg e;
    arena_init(&a, 0); // nothing of what is too long is read
    const struct str too_long = str_make(text.p, PROMQL_TEXT_MAX + (size_t)1);
    cr_assert_eq(promql_parse(too_long, &(struct promql_options){0}, &a, &q, &e), ERR_LIMIT);
    cr_assert_str_eq(e.text, "query of 1073741825 bytes is longer than 1073741824");
    arena_deinit(&a);
    arena_init(&a, 1 << 20);
    cr_assert_eq(promql_parse(buf_str(&text), &everything, &a, &q, NULL), ERR_LIMIT);
    arena_deinit(&a);
    buf_deinit(&text);
}

// Any bytes, and any cut of a query that is right, end in a tree or an error with a position.
Test(parse, hostile_input)
{
    struct buf got = {0};
    for (size_t i = 0; i < parse_rows_count; i++) {
        char query[256];
        const size_t n = strlen(parse_rows[i].query);
        if (n >= sizeof query)
            continue;
        memcpy(query, parse_rows[i].query, n);
        for (size_t cut = 0; cut <= n; cut++) {
            query[cut] = '\0';
            parse(query, &everything, &got);
            query[cut] = parse_rows[i].query[cut];
        }
    }
    static const char bytes[] = "\x80\xff\xc3\x28\xf8\x01\x7f\x1b";
    for (size_t i = 0; i < sizeof bytes - 1; i++) {
        parse((char[]){bytes[i], '\0'}, &everything, &got);
        cr_assert_eq(got.p[0], '!');
        parse((char[]){'{', 'a', '=', '"', bytes[i], '"', '}', '\0'}, &everything, &got);
    }
    buf_deinit(&got);
}

Test(parse, functions_are_found)
{
    for (size_t i = 0; i < PROMQL_FN_COUNT; i++) {
        const struct promql_function *f = promql_function_at((enum promql_function_id)i);
        cr_assert_eq(f->id, i);
        cr_assert_eq(promql_function_find(f->name), f, "%.*s", STR_ARG(f->name));
        cr_assert_leq(f->args_count, PROMQL_ARGS_MAX);
    }
    cr_assert_null(promql_function_find(STR("")));
    cr_assert_null(promql_function_find(STR("abss")));
    cr_assert_null(promql_function_find(STR("zzz")));
}

// The query of an eval line, or an empty slice.
static struct str eval_query(char *line)
{
    char *at = line + strspn(line, " \t");
    if (strncmp(at, "eval", 4) != 0)
        return str_make(NULL, 0);
    const bool is_range = strstr(at, " range ") && strstr(at, " step ");
    char *from = is_range ? strstr(at, " step ") : strstr(at, " at ");
    if (!from)
        return str_make(NULL, 0);
    from += is_range ? 6 : 4;
    from += strspn(from, " \t");
    from += strcspn(from, " \t\n"); // the time
    return str_trim(str_from_c(from));
}

static size_t parse_script(const char *path)
{
    char line[8192];
    size_t count = 0;
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f);
    while (fgets(line, sizeof line, f)) {
        const struct str query = eval_query(line);
        struct arena a;
        struct promql_query q;
        struct errmsg e;
        if (!query.n || strncmp(line, "eval_fail", 9) == 0)
            continue;
        arena_init(&a, 0);
        cr_expect_eq(promql_parse(query, &everything, &a, &q, &e), ERR_OK, "%s: %.*s: %s", path,
                     STR_ARG(query), e.text);
        promql_parse_done(&q);
        arena_deinit(&a);
        count++;
    }
    fclose(f);
    return count;
}

// All queries of Prometheus's own scripts, those that fail too: they fail when they run.
Test(parse, scripts)
{
    static const char *const folders[] = {SOURCE_ROOT "/../shared/promqltest",
                                          SOURCE_ROOT "/../../shared/promqltest"};
    size_t count = 0;
    DIR *folder = NULL;
    const char *path = NULL;
    for (size_t i = 0; i < countof(folders) && !folder; i++)
        folder = opendir(path = folders[i]);
    if (!folder)
        cr_skip_test("Prometheus's scripts are not beside the tree");
    for (struct dirent *entry; (entry = readdir(folder));) {
        char name[1024];
        if (!str_has_suffix(str_from_c(entry->d_name), STR(".test")))
            continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        count += parse_script(name);
    }
    closedir(folder);
    cr_assert_gt(count, 1000);
}
