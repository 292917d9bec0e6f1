// Parses any bytes, prints the tree and parses that: an equal text again. The first byte chooses
// the features.
#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/promql/parser.h"
#include "engine/promql/printer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_short(int64_t ns)
{
    return ns > -1000000 && ns < 1000000 && ns;
}

static bool is_odd_shift(const struct promql_shift *s)
{
    return llabs(s->at_ms / 2) > 1ll << 50 || is_short(s->offset_ns);
}

// What Prometheus prints in a way that it reads otherwise or not at all, and that we print as it
// does: times after the year 280,000, which a double does not hold to the millisecond; durations
// below a millisecond; powers of +Inf, whose own sign is read as one of the power; info()'s {}.
static bool is_odd_node(const struct promql_expr *e)
{
    switch ((int)e->kind) {
    case PROMQL_SUBQUERY:
        return is_odd_shift(&e->subquery.shift) || is_short(e->subquery.range_ns) ||
               is_short(e->subquery.step_ns);
    case PROMQL_MATRIX:
        return is_short(e->matrix.range_ns);
    case PROMQL_VECTOR:
        return is_odd_shift(&e->vector.shift) || (!e->vector.matchers_count && !e->vector.name.n);
    case PROMQL_BINARY:
        return e->binary.op == PROMQL_POW && e->binary.lhs->kind == PROMQL_NUMBER &&
               isinf(e->binary.lhs->number.value);
    default:
        return false;
    }
}

static bool is_odd(const struct promql_expr *root, struct arena *a)
{
    const struct promql_expr **all = promql_list(root, a);
    assert(all);
    for (size_t i = 0; i < root->size; i++)
        if (is_odd_node(all[i]))
            return true;
    return false;
}

static void check_tree(const struct promql_expr *root, size_t n, struct arena *a)
{
    const struct promql_expr **all = promql_list(root, a);
    assert(all);
    for (size_t i = 0; i < root->size; i++) {
        const struct promql_expr *child;
        size_t size = 1;
        for (size_t c = 0; (child = promql_child(all[i], c)); c++)
            size += child->size;
        assert(size == all[i]->size);
        assert(all[i]->start <= all[i]->end && all[i]->end <= n);
    }
}

static bool parse(struct str text, const struct promql_options *o, struct buf *out, bool *out_odd)
{
    struct arena a;
    struct promql_query q;
    struct errmsg e;
    arena_init(&a, 64u << 20);
    const bool good = promql_parse(text, o, &a, &q, &e) == ERR_OK;
    buf_reset(out);
    if (good) {
        check_tree(q.expr, text.n, &a);
        *out_odd = is_odd(q.expr, &a);
        const err pretty = promql_print_pretty(q.expr, out);
        assert(pretty == ERR_OK || pretty == ERR_LIMIT);
        buf_reset(out);
        promql_print_json(q.expr, out);
        buf_reset(out);
        promql_print(q.expr, out);
        promql_parse_done(&q);
    } else {
        assert(strstr(e.text, "parse error: ") || strstr(e.text, "query "));
    }
    arena_deinit(&a);
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    const struct promql_options o = {
        .experimental_functions = !(data[0] & 1),
        .extended_range_selectors = !(data[0] & 2),
        .binop_fill_modifiers = !(data[0] & 4),
        .no_duration_expressions = data[0] & 8,
    };
    const size_t n = size - 1;
    char *text = malloc(n ? n : 1); // a block of its own: one byte too far is seen
    if (!text)
        abort();
    if (n)
        memcpy(text, data + 1, n);
    struct buf first = {0}, second = {0};
    bool odd = false, still_odd = false;
    if (parse(str_make(text, n), &o, &first, &odd) && !odd && first.n < PROMQL_TEXT_MAX &&
        !str_contains(buf_str(&first), STR("\xef\xbf\xbd"))) {
        const bool good = parse(buf_str(&first), &o, &second, &still_odd);
        if (!good || !str_eq(buf_str(&first), buf_str(&second))) {
            fprintf(stderr, "%.*s\nis not stable: %.*s\n", STR_ARG(buf_str(&first)),
                    STR_ARG(buf_str(&second)));
            abort();
        }
    }
    buf_deinit(&first);
    buf_deinit(&second);
    free(text);
    return 0;
}
