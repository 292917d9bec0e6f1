// Answers do not depend on how the data is cut, bit for bit; limits and cancellation end a query
// with Prometheus's words.
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

#include "engine/base/rng.h"
#include "engine/base/util.h"
#include "engine/model/labels.h"
#include "engine/model/value.h"
#include "engine/promql/fragment.h"
#include "engine/promql/parser.h"
#include "engine/promql/query.h"
#include "engine/shard/shard.h"
#include "tests/lib/in_loop.h"
#include "tests/lib/oracle.h"

enum { MINUTE = 60000, PARTS_MAX = 256 };

static const char *const queries[] = {
    "x_total",
    "x_total offset 3m",
    "x_total @ 600",
    "y > 1",
    "sum(x_total)",
    "sum(rate(x_total[5m]))",
    "sum by (job) (rate(x_total[5m]))",
    "sum without (instance, cpu) (increase(x_total[4m]))",
    "avg(y)",
    "avg by (instance) (y)",
    "stddev by (cpu) (y)",
    "stdvar(y)",
    "min(y)",
    "max by (job, cpu) (y)",
    "count(y)",
    "group by (cpu) (y)",
    "topk(3, y)",
    "bottomk by (job) (2, x_total)",
    "quantile(0.3, y)",
    "quantile by (job) (0.9, x_total)",
    "count_values(\"value\", round(y, 100))",
    "limitk(2, y)",
    "limit_ratio(0.4, y)",
    "avg_over_time(y[7m])",
    "sum_over_time(y[7m])",
    "stddev_over_time(y[7m])",
    "quantile_over_time(0.7, y[7m])",
    "sum by (job) (quantile_over_time(scalar(count(y)) / 100, y[7m]))",
    "max(predict_linear(y[7m], 60))",
    "irate(x_total[5m])",
    "delta(y[6m])",
    "sum(rate(x_total[5m])) / sum(y)",
    "x_total / on (job, instance, cpu) y",
    "x_total * on (job, instance) group_left avg by (job, instance) (y)",
    "x_total > 100 and y < 0",
    "x_total or y",
    "y unless x_total",
    "sum(rate(x_total[2m])) by (job) > bool 3",
    "max_over_time(sum by (job) (rate(x_total[3m]))[10m:1m])",
    "sum(deriv(sum by (job) (rate(x_total[3m]))[4d:1s]))",
    "rate({job=\"j1\",__name__=~\"x.*\"}[5m])",
    "sum(-{job=~\"j[12]\",__name__!=\"x_total\"})",
    "scalar(sum(y)) + time()",
    "absent(x_total{job=\"none\"})",
    "label_replace(sum by (job) (y), \"new\", \"$1!\", \"job\", \"j(.*)\")",
};

static struct str make_labels(struct arena *a, const char *name, unsigned job, unsigned instance,
                              unsigned cpu)
{
    struct labels_builder b = {0};
    labels_builder_set(&b, LABEL_NAME, str_from_c(name));
    labels_builder_set(&b, STR("job"), arena_printf(a, "j%u", job));
    labels_builder_set(&b, STR("instance"), arena_printf(a, "host-%u", instance));
    labels_builder_set(&b, STR("cpu"), arena_printf(a, "%u", cpu));
    const struct str labels = labels_builder_finish(&b, a);
    labels_builder_deinit(&b);
    return labels;
}

static void fill(struct oracle *o, uint64_t seed)
{
    struct rng rng;
    rng_init(&rng, seed);
    struct arena a;
    arena_init(&a, 0);
    for (unsigned target = 0; target < 24; target++)
        for (unsigned cpu = 0; cpu < 3; cpu++) {
            const struct str x = make_labels(&a, "x_total", target % 3, target / 3, cpu);
            const struct str y = make_labels(&a, "y", target % 3, target / 3, cpu);
            double counter = 0;
            for (int64_t t = (int64_t)rng_below(&rng, 15000); t < 40 * MINUTE; t += 15000) {
                counter = rng_below(&rng, 60) ? counter + rng_double(&rng) * 100 : 0;
                const bool stale = rng_below(&rng, 50) == 0;
                if (rng_below(&rng, 20))
                    oracle_append(o, x, t, stale ? double_from_bits(VALUE_STALE_BITS) : counter);
                const double far = pow(10, (double)rng_below(&rng, 12));
                oracle_append(o, y, t, (rng_double(&rng) - 0.5) * far);
            }
        }
    arena_deinit(&a);
}

// Everything of an answer as text, with the bits of the values.
static void print_result(const struct query_result *r, struct buf *out)
{
    if (r->kind == QUERY_SCALAR)
        buf_printf(out, "%016llx\n", (unsigned long long)bits_from_double(r->scalar));
    for (size_t i = 0; i < r->series_count; i++) {
        labels_format(r->series[i].labels, out);
        struct query_points p = {0};
        int64_t t;
        double v;
        while (query_points_next(r, &r->series[i], &p, &t, &v))
            buf_printf(out, " %lld:%016llx", (long long)t, (unsigned long long)bits_from_double(v));
        buf_put_char(out, '\n');
    }
    for (size_t i = 0; i < r->notes_count; i++) {
        buf_put_str(out, r->notes[i].text);
        buf_put_char(out, '\n');
    }
}

// bytes_max: 0 is none. Whatever comes of it, all memory is given back.
static void run_within(const struct query_source *source, const char *text, size_t bytes_max,
                       const struct query_options *options, struct buf *out)
{
    const struct promql_options syntax = {.experimental_functions = true};
    struct arena_budget budget = {.limit_bytes = bytes_max};
    struct arena a;
    arena_init_within(&a, &budget);
    struct promql_query parsed;
    struct errmsg e = {0};
    struct query_result r;
    if (promql_parse(str_from_c(text), &syntax, &a, &parsed, &e)) {
        buf_printf(out, "%s\n", e.text);
    } else {
        if (promql_exec(source, options, parsed.expr, str_from_c(text), &a, &r, &e)) {
            buf_printf(out, "%s\n", e.text);
        } else {
            print_result(&r, out);
            query_done(source, &r);
        }
        promql_parse_done(&parsed);
    }
    cr_expect(!bytes_max || budget.used_bytes < bytes_max + 16384, "%s: %zu of %zu bytes", text,
              (size_t)budget.used_bytes, bytes_max);
    arena_deinit(&a);
    cr_expect_eq(budget.used_bytes, 0, "%s: %zu bytes are left", text, (size_t)budget.used_bytes);
}

static void run_query(const struct query_source *source, const char *text,
                      const struct query_options *options, struct buf *out)
{
    run_within(source, text, 0, options, out);
}

static struct query_options options_of(bool is_range)
{
    return (struct query_options){
        .start_ms = is_range ? 5 * MINUTE : 30 * MINUTE,
        .end_ms = is_range ? 38 * MINUTE : 30 * MINUTE,
        .step_ms = is_range ? 25000 : 0,
        .lookback_ms = 5 * MINUTE,
        .subquery_step_ms = MINUTE,
    };
}

// The oracle cut in count parts of about equal numbers of partitions.
struct cut {
    struct oracle_view views[PARTS_MAX];
    struct storage parts[PARTS_MAX];
    struct query_source source;
};

static void cut_make(struct cut *c, struct oracle *o, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        c->views[i] = (struct oracle_view){o, 256 * i / count, 256 * (i + 1) / count};
        c->parts[i] = oracle_storage(&c->views[i]);
    }
    c->source = (struct query_source){c->parts, count, false};
}

Test(promql_eval, same_bits_however_the_data_is_cut)
{
    const uint32_t counts[] = {3, 2, 7, 256};
    static struct cut whole, cut;
    struct oracle *o = oracle_create(NULL);
    const uint64_t seed = 20261122;
    fill(o, seed);
    cut_make(&whole, o, 1);
    for (size_t q = 0; q < 2 * countof(queries); q++) {
        const struct query_options options = options_of(q % 2);
        struct buf want = {0}, got = {0};
        run_query(&whole.source, queries[q / 2], &options, &want);
        cr_expect(want.n > 0 && !str_contains(buf_str(&want), STR("unsupported")), "%s: %.*s",
                  queries[q / 2], STR_ARG(buf_str(&want)));
        for (size_t i = 0; i < countof(counts); i++) {
            cut_make(&cut, o, counts[i]);
            buf_reset(&got);
            run_query(&cut.source, queries[q / 2], &options, &got);
            cr_expect(str_eq(buf_str(&want), buf_str(&got)), "%s in %u parts:\n%.600s\n%.600s",
                      queries[q / 2], counts[i], want.p, got.p);
        }
        buf_deinit(&want);
        buf_deinit(&got);
    }
    oracle_destroy(o);
}

// ---- partial results of many partitions are merged as soon as they can be

static uint32_t partition_by_instance(struct str labels)
{
    uint32_t partition = 0;
    const struct str instance = labels_value(labels, STR("instance"));
    for (size_t i = 0; i < instance.n; i++)
        partition = partition * 10 + (uint32_t)(instance.p[i] - '0');
    return partition;
}

Test(promql_eval, a_group_has_few_parts)
{
    enum { PARTITIONS = 256, LEVELS = 8 };
    struct oracle *o = oracle_create(partition_by_instance);
    struct arena a;
    arena_init(&a, 0);
    for (unsigned i = 0; i < PARTITIONS; i++) {
        struct labels_builder b = {0};
        labels_builder_set(&b, STR("instance"), arena_printf(&a, "%u", i));
        labels_builder_set(&b, LABEL_NAME, STR("x"));
        oracle_append(o, labels_builder_finish(&b, &a), 0, 1);
        labels_builder_deinit(&b);
    }
    arena_deinit(&a);
    const struct matcher name = {MATCHER_EQ, LABEL_NAME, STR("x"), NULL};
    const struct steps steps = {1000, 1000, 20};
    const struct fragment f = {
        .kind = FRAGMENT_NEWEST,
        .matchers = &name,
        .matchers_count = 1,
        .times = {.asked = steps, .at = steps, .range_ms = 5 * MINUTE},
        .aggregates = true,
        .op = PROMQL_SUM,
    };
    for (uint32_t from = 0; from < PARTITIONS; from += 85) {
        struct oracle_view view = {o, from, PARTITIONS};
        const struct storage storage = oracle_storage(&view);
        struct fragment_result r;
        fragment_run(&f, &storage, &r);
        cr_assert_eq(r.code, ERR_OK);
        double sum = 0;
        for (size_t i = 0; i < r.n; i++) {
            cr_expect(i == 0 || r.series[i].partition > r.series[i - 1].partition);
            sum += r.series[i].state.sum[19];
        }
        cr_expect_eq(sum, PARTITIONS - from);
        cr_expect_leq(r.n, 2 * LEVELS + 1, "%zu parts from %u", r.n, from);
        fragment_result_done(&r);
    }
    oracle_destroy(o);
}

// ---- depth is the text's alone

Test(promql_eval, queries_may_be_deep)
{
    static const struct {
        const char *before, *middle, *behind;
        unsigned count;
        double want;
    } rows[] = {
        {"", "vector(1)", " + 1", 10000, 10001},
        {"", "1", " + 1", 10000, 10001},
        {"", "time()", " - 1", 10000, 1800 - 10000},
        {"(", "vector(3)", ")", 20000, 3},
        {"-(", "vector(3)", ")", 20001, -3},
        {"sum(", "vector(3)", ")", 5000, 3},
        {"2 ^ ", "1", "", 10000, 0},
        {"scalar(vector(", "4", "))", 5000, 4},
    };
    static struct cut whole;
    struct oracle *o = oracle_create(NULL);
    cut_make(&whole, o, 1);
    for (size_t i = 0; i < countof(rows); i++) {
        struct buf text = {0}, got = {0}, want = {0};
        for (size_t n = 0; n < rows[i].count; n++)
            buf_put_str(&text, str_from_c(rows[i].before));
        buf_put_str(&text, str_from_c(rows[i].middle));
        for (size_t n = 0; n < rows[i].count; n++)
            buf_put_str(&text, str_from_c(rows[i].behind));
        buf_put_char(&text, '\0');
        const struct query_options options = options_of(false);
        run_query(&whole.source, text.p, &options, &got);
        const double wanted = rows[i].before[0] == '2' ? INFINITY : rows[i].want;
        buf_printf(&want, "%016llx\n", (unsigned long long)bits_from_double(wanted));
        cr_expect(str_has_suffix(buf_str(&got), buf_str(&want)), "%s: %.*s", rows[i].before,
                  STR_ARG(buf_str(&got)));
        buf_deinit(&text);
        buf_deinit(&got);
        buf_deinit(&want);
    }
    oracle_destroy(o);
}

// ---- a range query is an instant query at each step

static void print_at(const struct query_result *r, int64_t at_ms, struct buf *out)
{
    if (r->kind == QUERY_SCALAR)
        buf_printf(out, "{} %016llx\n", (unsigned long long)bits_from_double(r->scalar));
    for (size_t i = 0; i < r->series_count; i++) {
        struct query_points p = {0};
        int64_t t;
        double v;
        while (query_points_next(r, &r->series[i], &p, &t, &v))
            if (t == at_ms) {
                labels_format(r->series[i].labels, out);
                buf_printf(out, " %016llx\n", (unsigned long long)bits_from_double(v));
            }
    }
}

static void compare_steps(const struct query_source *source, struct arena *a,
                          const struct promql_expr *expr, const char *text,
                          const struct query_options *options)
{
    struct query_result range, one;
    struct errmsg e = {0};
    if (promql_exec(source, options, expr, str_from_c(text), a, &range, &e)) {
        cr_expect_fail("%s: %s", text, e.text);
        return;
    }
    for (size_t k = 0; k < range.steps.n; k += 1 + range.steps.n / 40) {
        struct query_options instant = *options;
        instant.start_ms = instant.end_ms = steps_time(&range.steps, k);
        instant.step_ms = 0;
        struct buf want = {0}, got = {0};
        if (promql_exec(source, &instant, expr, str_from_c(text), a, &one, &e)) {
            cr_expect_fail("%s: %s", text, e.text);
            break;
        }
        print_at(&one, instant.start_ms, &want);
        print_at(&range, instant.start_ms, &got);
        cr_expect(str_eq(buf_str(&want), buf_str(&got)), "%s at %lld:\n%.600s\n%.600s", text,
                  (long long)instant.start_ms, want.n ? want.p : "", got.n ? got.p : "");
        query_done(source, &one);
        buf_deinit(&want);
        buf_deinit(&got);
    }
    query_done(source, &range);
}

Test(promql_eval, range_queries_are_instant_queries_step_by_step)
{
    static const char *const more[] = {"sum_over_time(y[35m])", "rate(x_total[38m])",
                                       "avg_over_time(y[36m])", "changes(x_total[33m])"};
    static struct cut whole;
    struct oracle *o = oracle_create(NULL);
    fill(o, 99);
    cut_make(&whole, o, 3);
    for (size_t q = 0; q < countof(queries) + countof(more); q++) {
        const char *text = q < countof(queries) ? queries[q] : more[q - countof(queries)];
        if (str_contains(str_from_c(text), STR("topk")) ||
            str_contains(str_from_c(text), STR("bottomk")))
            continue; // sorted by value in instant queries
        const struct promql_options syntax = {.experimental_functions = true};
        struct query_options options = options_of(true);
        options.step_ms = q < countof(queries) ? 50000 : 1000;
        options.delayed_name_removal = q % 2;
        struct arena a;
        arena_init(&a, 0);
        struct promql_query parsed;
        cr_assert_eq(promql_parse(str_from_c(text), &syntax, &a, &parsed, NULL), ERR_OK);
        compare_steps(&whole.source, &a, parsed.expr, text, &options);
        promql_parse_done(&parsed);
        arena_deinit(&a);
    }
    oracle_destroy(o);
}

// ---- on shards of their own threads

struct on_shards {
    struct shards *all;
    struct oracle *oracle;
    struct oracle_view views[3];
    struct storage storage; // asks the calling shard's view
    struct buf texts[2 * countof(queries)];
};

static struct storage own_view(void *self)
{
    struct on_shards *s = self;
    return oracle_storage(&s->views[shard_index(shard_self())]);
}

static err own_select(void *self, const struct matcher *ms, size_t n, int64_t mint, int64_t maxt,
                      const struct storage_want *want, struct arena *a, struct storage_set *out,
                      struct errmsg *e)
{
    const struct storage s = own_view(self);
    fiber_yield();
    return s.ops->select(s.self, ms, n, mint, maxt, want, a, out, e);
}

static err own_read(void *self, const struct storage_set *set, const struct storage_series *series,
                    size_t n, int64_t mint, int64_t maxt, struct arena *a, struct column *out,
                    struct errmsg *e)
{
    const struct storage s = own_view(self);
    fiber_yield();
    return s.ops->read(s.self, set, series, n, mint, maxt, a, out, e);
}

static void own_release(void *self, struct storage_set *set)
{
    const struct storage s = own_view(self);
    s.ops->release(s.self, set);
}

static const struct storage_ops own_ops = {
    .select = own_select,
    .read = own_read,
    .release = own_release,
};

static void query_on_shards(void *arg)
{
    struct on_shards *s = arg;
    if (shard_index(shard_self()) != 1)
        return;
    const struct query_source source = {&s->storage, 1, true};
    for (size_t q = 0; q < 2 * countof(queries); q++) {
        const struct query_options options = options_of(q % 2);
        run_query(&source, queries[q / 2], &options, &s->texts[q]);
    }
    shards_stop(shard_all());
}

Test(promql_eval, same_bits_on_three_shards)
{
    static struct on_shards s;
    static struct cut whole;
    s.oracle = oracle_create(NULL);
    fill(s.oracle, 7);
    cut_make(&whole, s.oracle, 1);
    for (uint32_t i = 0; i < 3; i++)
        s.views[i] = (struct oracle_view){s.oracle, 256 * i / 3, 256 * (i + 1) / 3};
    s.storage = (struct storage){&own_ops, &s};
    const struct shards_options options = {.count = 3};
    struct errmsg e = {0};
    cr_assert_eq(shards_create(&options, query_on_shards, &s, &s.all, &e), ERR_OK, "%s", e.text);
    shards_destroy(s.all);
    for (size_t q = 0; q < 2 * countof(queries); q++) {
        const struct query_options o = options_of(q % 2);
        struct buf want = {0};
        run_query(&whole.source, queries[q / 2], &o, &want);
        cr_expect(str_eq(buf_str(&want), buf_str(&s.texts[q])), "%s:\n%.600s\n%.600s",
                  queries[q / 2], want.p, s.texts[q].n ? s.texts[q].p : "");
        buf_deinit(&want);
        buf_deinit(&s.texts[q]);
    }
    oracle_destroy(s.oracle);
}

// ---- limits

Test(promql_eval, limits_end_in_prometheus_words)
{
    static struct cut whole;
    struct oracle *o = oracle_create(NULL);
    fill(o, 3);
    cut_make(&whole, o, 1);
    static const char *const many[] = {"x_total",
                                       "sum(x_total)",
                                       "rate(x_total[10m])",
                                       "x_total + x_total",
                                       "sum_over_time(y[30m:1s])",
                                       "sum_over_time(y[4d:1s])"};
    for (size_t i = 0; i < countof(many); i++)
        for (int by_bytes = 0; by_bytes < 2; by_bytes++) {
            struct query_options options = options_of(true);
            options.samples_max = by_bytes ? 0 : 100;
            struct buf got = {0};
            run_within(&whole.source, many[i], by_bytes ? 10000 : 0, &options, &got);
            const bool names = str_contains( // the selector that took the memory
                buf_str(&got), STR("of --query.max-bytes, for the selector {__name__=\""));
            cr_expect((by_bytes && names) ||
                          str_eq(buf_str(&got), STR("query processing would load too many samples "
                                                    "into memory in query execution\n")),
                      "%s: %.*s", many[i], STR_ARG(buf_str(&got)));
            buf_deinit(&got);
        }
    oracle_destroy(o);
}

// Under every limit the answer is that without any, or the error; under some it is each.
Test(promql_eval, memory_ends_in_an_error_or_not_at_all)
{
    static const char *const texts[] = {
        "x_total",
        "count(x_total)",
        "sum by (job) (rate(x_total[5m]))",
        "sum without (cpu) (y) / on (job, instance) group_left avg by (job, instance) (y)",
        "x_total + ignoring (nope) y",
        "x_total and y or y unless x_total",
        "count_values(\"v\", y)",
        "topk(1000, y)",
        "quantile by (job) (0.3, y)",
        "label_replace(x_total, \"long\", \"$1$1$1$1$1$1$1$1\", \"instance\", \"(.*)\")",
        "label_join(x_total, \"all\", \"-\", \"job\", \"instance\", \"cpu\", \"job\")",
        "histogram_quantile(0.5, label_replace(y, \"le\", \"$1\", \"cpu\", \"(.*)\"))",
        "max_over_time(y[30m:7s])",
        "quantile_over_time(0.2, y[20m])",
        "absent(nothing) or -x_total",
        "sort_by_label(y, \"instance\")",
        "limit_ratio(0.5, y)",
        "{__name__=~\".+\"}",
    };
    static struct cut cut;
    struct oracle *o = oracle_create(NULL);
    fill(o, 5);
    cut_make(&cut, o, 3);
    for (size_t i = 0; i < countof(texts); i++) {
        size_t right = 0, refused = 0;
        for (int range = 0; range < 2; range++) {
            const struct query_options options = options_of(range);
            struct buf whole = {0}, got = {0};
            run_query(&cut.source, texts[i], &options, &whole);
            for (size_t limit = 8192; limit < (size_t)1 << 26; limit += limit / 7) {
                buf_reset(&got);
                run_within(&cut.source, texts[i], limit, &options, &got);
                const bool is_error =
                    str_eq(buf_str(&got), STR("query processing would load too many samples into "
                                              "memory in query execution\n")) ||
                    str_has_prefix(buf_str(&got), STR("query needs too much memory, more than "));
                cr_expect(is_error || str_eq(buf_str(&got), buf_str(&whole)), "%s within %zu: %.*s",
                          texts[i], limit, STR_ARG(buf_str(&got)));
                right += !is_error;
                refused += is_error;
            }
            buf_deinit(&whole);
            buf_deinit(&got);
        }
        cr_expect(right && refused, "%s: %zu right, %zu refused", texts[i], right, refused);
    }
    oracle_destroy(o);
}

struct ended {
    struct query_source source;
    const char *text;
    int64_t deadline_ns;
    bool cancel;
    struct fiber *victim;
    struct buf got;
};

static void run_ended(void *arg)
{
    struct ended *x = arg;
    const struct query_options options = options_of(true);
    fiber_set_deadline(x->deadline_ns);
    if (x->cancel)
        fiber_cancel(fiber_self());
    run_query(&x->source, x->text, &options, &x->got);
}

Test(promql_eval, deadline_and_cancel_end_a_query)
{
    static struct cut whole;
    struct oracle *o = oracle_create(NULL);
    fill(o, 3);
    cut_make(&whole, o, 1);
    for (int cancel = 0; cancel < 2; cancel++) {
        struct ended x = {.source = whole.source,
                          .text = "quantile(0.5, y) + on () sum(rate(x_total[5m]))",
                          .deadline_ns = cancel ? INT64_MAX : 1,
                          .cancel = cancel};
        in_loop(IN_LOOP_POLL, run_ended, &x);
        const char *want = cancel ? "query was canceled in expression evaluation\n"
                                  : "query timed out in expression evaluation\n";
        cr_expect(str_eq(buf_str(&x.got), str_from_c(want)), "%.*s", STR_ARG(buf_str(&x.got)));
        buf_deinit(&x.got);
    }
    oracle_destroy(o);
}

// A tree as deep as the parser allows, on a fiber's stack.
Test(promql_eval, deep_trees_fit_a_stack)
{
    static struct cut whole;
    struct oracle *o = oracle_create(NULL);
    fill(o, 3);
    cut_make(&whole, o, 1);
    static const char *const shapes[][3] = {
        {"sum(", "y", ")"},
        {"label_replace(", "y", ",\"a\",\"$1\",\"b\",\"(.*)\")"},
        {"-", "y", ""},
        {"y or ", "y", ""},
        {"1 + ", "sum(y)", ""}};
    for (size_t i = 0; i < countof(shapes); i++) {
        struct buf text = {0};
        for (int k = 0; k < 90; k++)
            buf_put_str(&text, str_from_c(shapes[i][0]));
        buf_put_str(&text, str_from_c(shapes[i][1]));
        for (int k = 0; k < 90; k++)
            buf_put_str(&text, str_from_c(shapes[i][2]));
        buf_put_char(&text, 0);
        struct ended x = {.source = whole.source, .text = text.p, .deadline_ns = INT64_MAX};
        in_loop(IN_LOOP_POLL, run_ended, &x);
        cr_expect(x.got.n > 0 && !str_contains(buf_str(&x.got), STR("error")), "%s: %.*s",
                  shapes[i][0], STR_ARG(buf_str(&x.got)));
        buf_deinit(&x.got);
        buf_deinit(&text);
    }
    oracle_destroy(o);
}
