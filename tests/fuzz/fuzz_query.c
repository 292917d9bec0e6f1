// Evaluates any query over a small oracle: whole and cut in three it answers the same, bit for bit,
// or the same error. The first byte chooses range or instant and when names are removed.
#include <stdint.h>

#include "engine/model/labels.h"
#include "engine/model/value.h"
#include "engine/promql/parser.h"
#include "engine/promql/query.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/oracle.h"

enum { MINUTE = 60000, BYTES_MAX = 32 << 20 };

static void add_series(struct oracle *o, const char *name, const char *job, const char *le,
                       int64_t gap_ms, double step)
{
    struct arena a;
    arena_init(&a, 0);
    struct labels_builder b = {0};
    labels_builder_set(&b, LABEL_NAME, str_from_c(name));
    labels_builder_set(&b, STR("job"), str_from_c(job));
    labels_builder_set(&b, STR("le"), str_from_c(le));
    const struct str labels = labels_builder_finish(&b, &a);
    for (int64_t i = 0; i < 60; i++) {
        const double v = i % 13 == 12  ? double_from_bits(VALUE_STALE_BITS)
                         : i % 17 == 9 ? 0
                                       : (double)i * step;
        oracle_append(o, labels, i * gap_ms, v);
    }
    labels_builder_deinit(&b);
    arena_deinit(&a);
}

static struct oracle *make_oracle(void)
{
    struct oracle *o = oracle_create(NULL);
    static const char *const jobs[] = {"a", "b", "c", ""};
    for (size_t i = 0; i < sizeof jobs / sizeof jobs[0]; i++) {
        add_series(o, "x_total", jobs[i], "", 30000, 1.5);
        add_series(o, "x_total", jobs[i], "1", 30000, 1e300);
        add_series(o, "y", jobs[i], "", 47000, -3);
        add_series(o, "z", jobs[i], "+Inf", 10000, 0.1);
    }
    return o;
}

static void answer(const struct query_source *source, const struct query_options *options,
                   const struct promql_expr *expr, struct str text, struct buf *out)
{
    struct arena a;
    struct arena_budget budget = {.limit_bytes = BYTES_MAX};
    arena_init_within(&a, &budget);
    struct query_result r;
    struct errmsg e = {0};
    if (promql_exec(source, options, expr, text, &a, &r, &e)) {
        buf_put_str(out, str_from_c(e.text));
        fuzz_must(e.text[0]);
    } else {
        buf_printf(out, "%d %.*s %a", (int)r.kind, STR_ARG(r.string), r.scalar);
        for (size_t i = 0; i < r.series_count; i++) {
            fuzz_must(labels_check(r.series[i].labels));
            buf_put(out, r.series[i].labels.p, r.series[i].labels.n);
            struct query_points p = {0};
            int64_t t;
            double v;
            while (query_points_next(&r, &r.series[i], &p, &t, &v)) {
                buf_put_le64(out, (uint64_t)t);
                buf_put_le64(out, bits_from_double(v));
            }
        }
        query_done(source, &r);
    }
    arena_deinit(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct oracle *oracle; // reachable to the end: made once
    if (size < 1 || size > 400)
        return 0;
    if (!oracle)
        oracle = make_oracle();
    const struct str text = str_make((const char *)data + 1, size - 1);
    const struct promql_options syntax = {.experimental_functions = true,
                                          .binop_fill_modifiers = true};
    struct arena a;
    arena_init(&a, 1 << 20);
    struct promql_query parsed;
    if (promql_parse(text, &syntax, &a, &parsed, NULL) == ERR_OK) {
        struct oracle_view views[4] = {
            {oracle, 0, 256}, {oracle, 0, 90}, {oracle, 90, 180}, {oracle, 180, 256}};
        struct storage parts[4];
        for (size_t i = 0; i < 4; i++)
            parts[i] = oracle_storage(&views[i]);
        const struct query_source whole = {parts, 1, false}, cut = {parts + 1, 3, false};
        struct query_options o = {.start_ms = 10 * MINUTE,
                                  .end_ms = (data[0] & 1 ? 25 : 10) * MINUTE,
                                  .step_ms = data[0] & 1 ? 10000 : 0,
                                  .lookback_ms = 5 * MINUTE,
                                  .subquery_step_ms = MINUTE,
                                  .delayed_name_removal = data[0] & 2};
        struct buf one = {0}, three = {0};
        answer(&whole, &o, parsed.expr, text, &one);
        answer(&cut, &o, parsed.expr, text, &three);
        fuzz_must(str_eq(buf_str(&one), buf_str(&three)) ||
                  str_contains(buf_str(&one), STR("too many samples")) ||
                  str_contains(buf_str(&three), STR("too many samples")) ||
                  str_contains(buf_str(&one), STR("too much memory")) ||
                  str_contains(buf_str(&three), STR("too much memory")));
        buf_deinit(&one);
        buf_deinit(&three);
        promql_parse_done(&parsed);
    }
    arena_deinit(&a);
    return 0;
}
