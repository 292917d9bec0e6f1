#include <criterion/criterion.h>

#include "engine/base/util.h"
#include "engine/promql/function_table.h"
#include "engine/promql/parser.h"

static void dump_shift(const struct promql_shift *s, struct buf *out)
{
    if (s->offset_ns)
        buf_printf(out, " offset=%jd", (intmax_t)(s->offset_ns / 1000000));
    if (s->at == PROMQL_AT_TIME)
        buf_printf(out, " at=%jd", (intmax_t)s->at_ms);
    else if (s->at != PROMQL_AT_NONE)
        buf_put_str(out, s->at == PROMQL_AT_START ? STR(" at=start") : STR(" at=end"));
}

static void dump_matching(const struct promql_matching *m, struct buf *out)
{
    static const char *const cards[] = {"1-1", "n-1", "1-n", "n-n"};
    if (!m)
        return;
    buf_printf(out, " %s", cards[m->card]);
    if (m->on || m->labels_count)
        buf_put_str(out, m->on ? STR(" on") : STR(" ignoring"));
    for (size_t i = 0; i < m->labels_count; i++)
        buf_printf(out, " %.*s", STR_ARG(m->labels[i]));
    for (size_t i = 0; i < m->include_count; i++)
        buf_printf(out, " +%.*s", STR_ARG(m->include[i]));
    if (m->has_fill_left)
        buf_printf(out, " left=%g", m->fill_left);
    if (m->has_fill_right)
        buf_printf(out, " right=%g", m->fill_right);
}

static void dump_own(const struct promql_expr *e, struct buf *out)
{
    switch (e->kind) {
    case PROMQL_AGGREGATE:
        buf_put_str(out, str_from_c(promql_aggregate_text(e->aggregate.op)));
        for (size_t i = 0; i < e->aggregate.grouping_count; i++)
            buf_printf(out, " %s%.*s", e->aggregate.without ? "-" : "",
                       STR_ARG(e->aggregate.grouping[i]));
        break;
    case PROMQL_BINARY:
        buf_printf(out, "%s%s", promql_op_text(e->binary.op), e->binary.return_bool ? " bool" : "");
        dump_matching(e->binary.matching, out);
        break;
    case PROMQL_CALL:
        buf_printf(out, "%.*s()", STR_ARG(e->call.function->name));
        break;
    case PROMQL_MATRIX:
        buf_printf(out, "[%jd]", (intmax_t)e->matrix.range_ms);
        break;
    case PROMQL_NUMBER:
        buf_printf(out, "%.17g%s", e->number.value, e->number.is_duration ? "s" : "");
        break;
    case PROMQL_PAREN:
        buf_put_str(out, STR("()"));
        break;
    case PROMQL_STRING:
        buf_printf(out, "'%.*s'", STR_ARG(e->string));
        break;
    case PROMQL_SUBQUERY:
        buf_printf(out, "[%jd:%jd]", (intmax_t)e->subquery.range_ms, (intmax_t)e->subquery.step_ms);
        dump_shift(&e->subquery.shift, out);
        break;
    case PROMQL_UNARY:
        buf_printf(out, "unary%s", promql_op_text(e->unary.op));
        break;
    case PROMQL_VECTOR:
        for (size_t i = 0; i < e->vector.matchers_count; i++) {
            buf_put_str(out, i ? STR(",") : STR("{"));
            buf_put_str(out, e->vector.matchers[i].name);
            buf_put_str(out, str_from_c(matcher_kind_text(e->vector.matchers[i].kind)));
            buf_put_str(out, e->vector.matchers[i].value);
        }
        buf_put_str(out, STR("}"));
        dump_shift(&e->vector.shift, out);
        break;
    case PROMQL_DURATION:
        buf_printf(out, "d%s%s", promql_op_text(e->duration.op), e->duration.wrapped ? "w" : "");
        break;
    }
}

// (start-end what children), duration expressions behind a colon.
static void dump(const struct promql_expr *e, struct buf *out)
{
    const struct promql_expr *child;
    buf_printf(out, "(%u-%u ", e->start, e->end);
    dump_own(e, out);
    for (size_t i = 0; (child = promql_child(e, i)); i++) {
        cr_assert_lt(child->size, e->size);
        buf_put_char(out, ' ');
        dump(child, out);
    }
    const struct promql_expr *durations[] = {
        e->kind == PROMQL_MATRIX ? e->matrix.range_expr : NULL,
        e->kind == PROMQL_SUBQUERY ? e->subquery.range_expr : NULL,
        e->kind == PROMQL_SUBQUERY ? e->subquery.step_expr : NULL,
        e->kind == PROMQL_SUBQUERY ? e->subquery.shift.offset_expr : NULL,
        e->kind == PROMQL_VECTOR ? e->vector.shift.offset_expr : NULL,
    };
    for (size_t i = 0; i < countof(durations); i++)
        if (durations[i]) {
            buf_put_str(out, STR(" :"));
            dump(durations[i], out);
        }
    buf_put_char(out, ')');
}

// Positions and contents as in Prometheus's own parser tests, or by the grammar's rules.
static const struct {
    const char *query, *want;
} rows[] = {
    {"1 + 2 * 3", "(0-9 + (0-1 1) (4-9 * (4-5 2) (8-9 3)))"},
    {"1 * 2 + 3", "(0-9 + (0-5 * (0-1 1) (4-5 2)) (8-9 3))"},
    {"2 ^ 3 ^ 2", "(0-9 ^ (0-1 2) (4-9 ^ (4-5 3) (8-9 2)))"},
    {"-2^2", "(0-4 unary- (1-4 ^ (1-2 2) (3-4 2)))"},
    {"-2*3", "(0-4 * (0-2 -2) (3-4 3))"},
    {"2^-3^2", "(0-6 ^ (0-1 2) (2-6 unary- (3-6 ^ (3-4 3) (5-6 2))))"},
    {"2^-3*4", "(0-6 * (0-4 ^ (0-1 2) (2-4 -3)) (5-6 4))"},
    {"- -5m", "(0-5 300s)"},
    {"-1 < bool 2 - 1", "(0-15 < bool (0-2 -1) (10-15 - (10-11 2) (14-15 1)))"},
    {"1ms", "(0-3 0.001s)"},
    {"1h30m", "(0-5 5400s)"},
    {"0x1f + 017 + 08", "(0-15 + (0-10 + (0-4 31) (7-10 15)) (13-15 8))"},
    {"a or b and c unless d",
     "(0-21 or n-n (0-1 {__name__=a}) (5-21 unless n-n (5-12 and n-n (5-6 {__name__=b}) "
     "(11-12 {__name__=c})) (20-21 {__name__=d})))"},
    {"a == b > c", "(0-10 > 1-1 (0-6 == 1-1 (0-1 {__name__=a}) (5-6 {__name__=b})) "
                   "(9-10 {__name__=c}))"},
    {"foo * on(test,blub) group_left(bar) bar",
     "(0-39 * n-1 on test blub +bar (0-3 {__name__=foo}) (36-39 {__name__=bar}))"},
    {"a + ignoring(x,) group_right b",
     "(0-30 + 1-n ignoring x (0-1 {__name__=a}) (29-30 {__name__=b}))"},
    {"a + fill_left(1) fill_right(-2) b",
     "(0-33 + 1-1 left=1 right=-2 (0-1 {__name__=a}) (32-33 {__name__=b}))"},
    {"a + 1", "(0-5 + (0-1 {__name__=a}) (4-5 1))"},
    {"sum by (foo)(some_metric)", "(0-25 sum foo (13-24 {__name__=some_metric}))"},
    {"sum by (anchored)(some_metric)", "(0-30 sum anchored (18-29 {__name__=some_metric}))"},
    {"sum by (\"foo bar\")({\"some.metric\"})",
     "(0-35 sum foo bar (19-34 {__name__=some.metric}))"},
    {"avg by (foo)(a) + 1", "(0-19 + (0-15 avg foo (13-14 {__name__=a})) (18-19 1))"},
    {"sum (a) without (foo, bar) * 2",
     "(0-30 * (0-26 sum -foo -bar (5-6 {__name__=a})) (29-30 2))"},
    {"(sum(a ) )", "(0-10 () (1-8 sum (5-6 {__name__=a})))"},
    {"topk(5, a)", "(0-10 topk (5-6 5) (8-9 {__name__=a}))"},
    {"count_values(\"v\", a)", "(0-20 count_values (13-16 'v') (18-19 {__name__=a}))"},
    {"foo{a=\"b\", foo!=\"bar\", test=~\"test\", bar!~\"baz\"}",
     "(0-48 {a=b,foo!=bar,test=~test,bar!~baz,__name__=foo})"},
    {"{\"foo\", \"a b\"='\\x41\\u00e9\\101\\n'}", "(0-33 {__name__=foo,a b=A\303\251A\n})"},
    {"test{a=\"b\"}[5y] OFFSET 3d",
     "(0-25 [157680000000] (0-11 {a=b,__name__=test} offset=259200000))"},
    {"foo[3ms] @ 2.345", "(0-16 [3] (0-3 {__name__=foo} at=2345))"},
    {"foo[4.18] @ 2.345", "(0-17 [4180] (0-3 {__name__=foo} at=2345))"},
    {"some_metric[5m] @ 1m", "(0-20 [300000] (0-11 {__name__=some_metric} at=60000))"},
    {"test{a=\"b\"}[5m] OFFSET 3600", "(0-27 [300000] (0-11 {a=b,__name__=test} offset=3600000))"},
    {"foo @ start() offset -1w", "(0-24 {__name__=foo} offset=-604800000 at=start)"},
    {"foo offset 5m @ -1.5", "(0-20 {__name__=foo} offset=300000 at=-1500)"},
    {"-foo offset 5m", "(0-14 unary- (1-14 {__name__=foo} offset=300000))"},
    {"foo[10m:6s]", "(0-11 [600000:6000] (0-3 {__name__=foo}))"},
    {"rate(foo[2m])[5m:] @ end() offset 4m",
     "(0-36 [300000:0] offset=240000 at=end (0-13 rate() (5-12 [120000] (5-8 {__name__=foo}))))"},
    {"foo[5m + 3 * step()]",
     "(0-20 [0] (0-3 {__name__=foo}) :(4-19 d+ (4-6 300s) (9-19 d* (9-10 3) (13-19 dstep))))"},
    {"foo offset -(5 ^ 2)", "(0-19 {__name__=foo} :(11-18 d- (13-18 d^w (13-14 5) (17-18 2))))"},
    {"foo offset min_of(1m, 2m) * 2",
     "(0-29 * (0-25 {__name__=foo} :(11-25 dmin_of (18-20 60s) (22-24 120s))) (28-29 2))"},
    {"foo[(5m)]", "(0-9 [0] (0-3 {__name__=foo}) :(4-8 d+w (5-7 300s)))"},
    {"label_replace(a, \"b\", `c\\d`, '', \"(.*)\")",
     "(0-40 label_replace() (14-15 {__name__=a}) (17-20 'b') (22-27 'c\\d') (29-31 '') "
     "(33-39 '(.*)'))"},
    {"time( # the time\n)", "(0-18 time())"},
};

Test(tree, rows)
{
    const struct promql_options options = {.binop_fill_modifiers = true};
    struct buf got = {0};
    for (size_t i = 0; i < countof(rows); i++) {
        struct arena a;
        struct promql_query q;
        struct errmsg e;
        arena_init(&a, 0);
        cr_assert_eq(promql_parse(str_from_c(rows[i].query), &options, &a, &q, &e), ERR_OK,
                     "%s: %s", rows[i].query, e.text);
        buf_reset(&got);
        dump(q.expr, &got);
        buf_put_char(&got, '\0');
        cr_expect_str_eq(got.p, rows[i].want, "%s\n  got  %s\n  want %s", rows[i].query, got.p,
                         rows[i].want);
        promql_parse_done(&q);
        arena_deinit(&a);
    }
    buf_deinit(&got);
}
