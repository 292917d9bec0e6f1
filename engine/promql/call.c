// Functions of instant vectors and scalars.
#include <assert.h>
#include <math.h>

#include "engine/base/util.h"
#include "engine/model/value.h"
#include "engine/promql/gently.h"
#include "engine/promql/note.h"
#include "io/fiber_memory.h"

bool call_has_range(const struct promql_expr *e)
{
    const enum promql_function_id id = e->call.function->id;
    return id == PROMQL_FN_ABSENT_OVER_TIME || range_function_find(id);
}

// Behind its parentheses, unless it alone is evaluated once for all steps.
const struct promql_expr *param_position(const struct query *q, const struct plan_node *call,
                                         size_t index)
{
    const struct promql_expr *param = call->expr->call.args[index], *bare = expr_bare(param);
    const bool literal = bare->kind == PROMQL_NUMBER;
    const size_t place = expr_child_place(call->expr, call->place, index);
    const bool once = q->is_constant[place] && !q->is_constant[call->place];
    return !literal && once ? param : bare;
}

// ---- functions of one number

static double sign_of(double x)
{
    return x < 0 ? -1 : x > 0 ? 1 : x;
}

static double degrees(double x)
{
    return x * 180 / M_PI;
}

static double radians(double x)
{
    return x * M_PI / 180;
}

struct math_function {
    enum promql_function_id id;
    double (*f)(double);
};

// Go's on x86-64 overflows where the nearest power of two does (math/exp_amd64.s): from 1023.5 ln 2
// on, though e^x itself is within range up to 1024 ln 2.
static double go_exp(double x)
{
    return x * M_LOG2E >= 1023.5 ? INFINITY : exp(x);
}

// These overflow where it does, though half of it would not.
static double go_cosh(double x)
{
    return isinf(go_exp(fabs(x))) ? INFINITY : cosh(x);
}

static double go_sinh(double x)
{
    return isinf(go_exp(fabs(x))) ? copysign(INFINITY, x) : sinh(x);
}

static const struct math_function math_functions[] = {
    {PROMQL_FN_ABS, fabs},     {PROMQL_FN_ACOS, acos},    {PROMQL_FN_ACOSH, acosh},
    {PROMQL_FN_ASIN, asin},    {PROMQL_FN_ASINH, asinh},  {PROMQL_FN_ATAN, atan},
    {PROMQL_FN_ATANH, atanh},  {PROMQL_FN_CEIL, ceil},    {PROMQL_FN_COS, cos},
    {PROMQL_FN_COSH, go_cosh}, {PROMQL_FN_DEG, degrees},  {PROMQL_FN_EXP, go_exp},
    {PROMQL_FN_FLOOR, floor},  {PROMQL_FN_LN, log},       {PROMQL_FN_LOG10, log10},
    {PROMQL_FN_LOG2, log2},    {PROMQL_FN_RAD, radians},  {PROMQL_FN_SGN, sign_of},
    {PROMQL_FN_SIN, sin},      {PROMQL_FN_SINH, go_sinh}, {PROMQL_FN_SQRT, sqrt},
    {PROMQL_FN_TAN, tan},      {PROMQL_FN_TANH, tanh},
};

// ---- vectors without a selector

static err one_series(struct query *q, const struct plan_node *node, struct vec *out,
                      struct step_column *column)
{
    TRY(vec_add_new(q, out, (struct str){0}, false, node->steps.n, column));
    steps_set_all(column->present, node->steps.n);
    return ERR_OK;
}

static err vector_of_scalar(struct query *q, const struct plan_node *node, struct vec *out)
{
    double *scalar;
    scalar = node_scalar(node->args[0]);
    struct step_column column;
    TRY(one_series(q, node, out, &column));
    fiber_copy(column.v, scalar, node->steps.n * sizeof *scalar);
    return ERR_OK;
}

static err vector_of_time(struct query *q, const struct plan_node *node, struct vec *out)
{
    struct step_column column;
    TRY(one_series(q, node, out, &column));
    for (struct slice s = {0}; slice_next(&s, node->steps.n);)
        for (size_t k = s.from; k < s.end; k++)
            column.v[k] = (double)steps_time(&node->steps, k) / 1000;
    return ERR_OK;
}

// ---- element by element

// Names go; equal series that this makes are an error where they meet.
static err without_names(struct query *q, const struct plan_node *node, struct vec *v)
{
    TRY(vec_drop_names(q, v));
    return q->options->delayed_name_removal ? ERR_OK : vec_merge_equal(q, v, node->steps.n);
}

static err by_math(struct query *q, const struct plan_node *node, double (*f)(double),
                   struct vec *out)
{
    *out = node_vec(node->args[0]);
    for (size_t i = 0; i < out->n; i++) {
        TRY(query_breathe(q->a, q->e));
        const struct step_column *c = &out->series[i].column;
        for (struct slice s = {0}; slice_next(&s, node->steps.n);)
            for (size_t k = steps_next(c->present, s.end, s.from); k < s.end;
                 k = steps_next(c->present, s.end, k + 1))
                c->v[k] = f(c->v[k]);
    }
    return without_names(q, node, out);
}

static err by_date(struct query *q, const struct plan_node *node, struct vec *out)
{
    if (node->args_count == 0)
        TRY(vector_of_time(q, node, out));
    else
        *out = node_vec(node->args[0]);
    for (size_t i = 0; i < out->n; i++) {
        fiber_work(16 * node->steps.n); // a step of these is worth many
        const struct step_column *c = &out->series[i].column;
        for (struct slice s = {0}; slice_next(&s, node->steps.n);)
            for (size_t k = s.from; k < s.end; k++)
                if (steps_has(c->present, k))
                    c->v[k] = date_part(node->expr->call.function->id, c->v[k]);
    }
    return without_names(q, node, out);
}

// Go's math.Max and math.Min: NaN wins.
// As Go has them: what no number exceeds wins over NaN.
static double greater_of(double a, double b)
{
    if (a == INFINITY || b == INFINITY)
        return INFINITY;
    return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
}

static double less_of(double a, double b)
{
    if (a == -INFINITY || b == -INFINITY)
        return -INFINITY;
    return isnan(a) || isnan(b) ? NAN : a < b ? a : b;
}

static double round_to(double x, double to)
{
    const double inverse = 1.0 / to;
    return floor(x * inverse + 0.5) / inverse;
}

static err by_params(struct query *q, const struct plan_node *node, struct vec *out)
{
    const enum promql_function_id id = node->expr->call.function->id;
    double *params[2] = {0};
    *out = node_vec(node->args[0]);
    for (size_t i = 1; i < node->args_count; i++)
        params[i - 1] = node_scalar(node->args[i]);
    for (size_t i = 0; i < out->n; i++) {
        TRY(query_breathe(q->a, q->e));
        struct step_column *c = &out->series[i].column;
        for (size_t k = 0; k < node->steps.n; k++) {
            gently_step(k);
            const double p = params[0] ? params[0][k] : 1;
            switch ((int)id) {
            case PROMQL_FN_CLAMP:
                if (params[1][k] < p)
                    steps_clear(c->present, k);
                c->v[k] = greater_of(p, less_of(params[1][k], c->v[k]));
                break;
            case PROMQL_FN_CLAMP_MAX:
                c->v[k] = less_of(p, c->v[k]);
                break;
            case PROMQL_FN_CLAMP_MIN:
                c->v[k] = greater_of(p, c->v[k]);
                break;
            default:
                c->v[k] = round_to(c->v[k], p);
                break;
            }
        }
    }
    vec_drop_empty(out, node->steps.n);
    return without_names(q, node, out);
}

static err timestamp(struct query *q, const struct plan_node *node, struct vec *out)
{
    *out = node_vec(node->args[0]);
    for (size_t i = 0; i < out->n; i++) {
        fiber_work(16 + node->steps.n);
        for (struct slice s = {0}; slice_next(&s, node->steps.n);)
            for (size_t k = s.from; k < s.end; k++)
                out->series[i].column.v[k] = (double)steps_time(&node->steps, k) / 1000;
    }
    return without_names(q, node, out);
}

// ---- absent

static bool subtracts(const struct matcher *m)
{
    return (m->kind == MATCHER_NE || m->kind == MATCHER_NRE) && matcher_matches_empty(m);
}

// The value of the first = of a label; any other matcher of it takes away what was set.
static struct str absent_value(const struct matcher *ms, size_t at)
{
    bool is_first = ms[at].kind == MATCHER_EQ;
    for (size_t i = 0; i < at && is_first; i++)
        is_first = ms[i].kind != MATCHER_EQ || !str_eq(ms[i].name, ms[at].name);
    return is_first ? ms[at].value : (struct str){0};
}

// Labels of the matchers of =, as far as no other matcher of their name follows. Prometheus's
// storage moves those that subtract to the end, when it is asked: when it has samples that are old
// enough for the query.
static struct str absent_labels(struct query *q, const struct promql_expr *of, bool moved)
{
    if (of->kind == PROMQL_MATRIX)
        of = of->matrix.vector;
    if (of->kind != PROMQL_VECTOR)
        return (struct str){0};
    struct labels_builder b = {0};
    const struct matcher *ms = of->vector.matchers;
    const size_t n = of->vector.matchers_count;
    for (int late = 0; late < 2; late++)
        for (size_t i = 0; i < n; i++)
            if ((moved && subtracts(&ms[i])) == (late == 1) && !str_eq(ms[i].name, LABEL_NAME))
                labels_builder_set(&b, ms[i].name, absent_value(ms, i));
    const struct str labels = labels_builder_finish(&b, q->a);
    labels_builder_deinit(&b);
    return labels;
}

static const struct plan_leaf *absent_leaf(const struct plan_node *node)
{
    return call_has_range(node->expr) ? node->leaf : node->args[0]->leaf;
}

static bool is_absent(const struct promql_expr *e)
{
    return e->kind == PROMQL_CALL && (e->call.function->id == PROMQL_FN_ABSENT ||
                                      e->call.function->id == PROMQL_FN_ABSENT_OVER_TIME);
}

void plan_absent(struct query *q, const struct plan_node *node)
{
    if (!is_absent(node->expr) || !absent_leaf(node))
        return;
    const struct promql_expr *of = expr_bare(node->expr->call.args[0]);
    if (str_eq(absent_labels(q, of, false), absent_labels(q, of, true)))
        return;
    struct fragment *f = absent_leaf(node)->fragment;
    f->asks_until = true;
    f->until_ms = INT64_MIN;
    for (size_t i = 0; i < q->leaf_nodes_count; i++) {
        gently_at(i);
        const struct window_times *t = &q->leaf_nodes[i]->fragment->times;
        const int64_t end_ms = steps_end(&t->at) - t->offset_ms + t->behind_ms;
        f->until_ms = end_ms > f->until_ms ? end_ms : f->until_ms;
    }
}

static bool is_asked(const struct query *q, const struct plan_leaf *leaf)
{
    bool any = !leaf || !leaf->fragment->asks_until;
    for (size_t p = 0; p < q->parts_count && !any; p++)
        any = leaf->parts[p].result.has_any;
    return any;
}

err eval_absent(struct query *q, const struct plan_node *node, const struct promql_expr *of,
                struct vec *v)
{
    const struct vec in = *v;
    *v = (struct vec){0};
    struct step_column column;
    TRY(vec_add_new(q, v, absent_labels(q, of, is_asked(q, absent_leaf(node))), false,
                    node->steps.n, &column));
    step_column_fill(&column, node->steps.n, 1);
    for (size_t i = 0; i < in.n; i++) {
        fiber_work(16 + steps_words(node->steps.n));
        for (size_t w = 0; w < steps_words(node->steps.n); w++)
            column.present[w] &= ~in.series[i].column.present[w];
    }
    vec_drop_empty(v, node->steps.n);
    return ERR_OK;
}

err eval_call(struct query *q, const struct plan_node *node, struct vec *out)
{
    const enum promql_function_id id = node->expr->call.function->id;
    for (size_t i = 0; i < countof(math_functions); i++)
        if (math_functions[i].id == id)
            return by_math(q, node, math_functions[i].f, out);
    if (call_is_of_date(id))
        return by_date(q, node, out);
    switch ((int)id) {
    case PROMQL_FN_ABSENT:
        *out = node_vec(node->args[0]);
        return eval_absent(q, node, expr_bare(node->expr->call.args[0]), out);
    case PROMQL_FN_CLAMP:
    case PROMQL_FN_CLAMP_MAX:
    case PROMQL_FN_CLAMP_MIN:
    case PROMQL_FN_ROUND:
        return by_params(q, node, out);
    case PROMQL_FN_HISTOGRAM_AVG:
    case PROMQL_FN_HISTOGRAM_COUNT:
    case PROMQL_FN_HISTOGRAM_FRACTION:
    case PROMQL_FN_HISTOGRAM_QUANTILE:
    case PROMQL_FN_HISTOGRAM_QUANTILES:
    case PROMQL_FN_HISTOGRAM_STDDEV:
    case PROMQL_FN_HISTOGRAM_STDVAR:
    case PROMQL_FN_HISTOGRAM_SUM:
        return eval_histogram(q, node, out);
    case PROMQL_FN_INFO:
        return eval_info(q, node, out);
    case PROMQL_FN_LABEL_JOIN:
        return eval_label_join(q, node, out);
    case PROMQL_FN_LABEL_REPLACE:
        return eval_label_replace(q, node, out);
    case PROMQL_FN_SORT:
    case PROMQL_FN_SORT_BY_LABEL:
    case PROMQL_FN_SORT_BY_LABEL_DESC:
    case PROMQL_FN_SORT_DESC:
        return eval_sort(q, node, out);
    case PROMQL_FN_TIMESTAMP:
        return timestamp(q, node, out);
    case PROMQL_FN_VECTOR:
        return vector_of_scalar(q, node, out);
    default:
        return query_unsupported_function(q, node->expr);
    }
}

// ---- scalars

static void scalar_of_vector(const struct plan_node *node, double *out)
{
    struct vec v;
    v = node_vec(node->args[0]);
    for (size_t k = 0; k < node->steps.n; k++) {
        size_t found = 0;
        gently_step(k);
        for (size_t i = 0; i < v.n; i++) {
            gently_at(i);
            if (steps_has(v.series[i].column.present, k)) {
                out[k] = v.series[i].column.v[k];
                found++;
            }
        }
        if (found != 1)
            out[k] = double_from_bits(VALUE_NORMAL_NAN_BITS);
    }
}

static void extreme_of_scalars(const struct plan_node *node, double *out)
{
    double *a, *b;
    a = node_scalar(node->args[0]);
    b = node_scalar(node->args[1]);
    const bool greater = node->expr->call.function->id == PROMQL_FN_MAX_OF;
    for (struct slice s = {0}; slice_next(&s, node->steps.n);)
        for (size_t k = s.from; k < s.end; k++)
            out[k] = greater ? greater_of(a[k], b[k]) : less_of(a[k], b[k]);
}

// What a function without arguments is at step k.
static err time_of_query(struct query *q, const struct plan_node *node, size_t k, double *out)
{
    const struct query_options *o = q->options;
    switch ((int)node->expr->call.function->id) {
    case PROMQL_FN_END:
        *out = (double)o->end_ms / 1000;
        break;
    case PROMQL_FN_PI:
        *out = M_PI;
        break;
    case PROMQL_FN_RANGE:
        *out = (double)(o->end_ms - o->start_ms) / 1000;
        break;
    case PROMQL_FN_START:
        *out = (double)o->start_ms / 1000;
        break;
    case PROMQL_FN_STEP:
        *out = (double)o->step_ms / 1000;
        break;
    case PROMQL_FN_TIME:
        *out = (double)steps_time(&node->steps, k) / 1000;
        break;
    default:
        return query_unsupported_function(q, node->expr);
    }
    return ERR_OK;
}

err eval_scalar_call(struct query *q, const struct plan_node *node, double **out)
{
    double *v = gently_array(q->a, node->steps.n, double);
    if (!v)
        return query_too_many_samples(q->e);
    *out = v;
    const enum promql_function_id id = node->expr->call.function->id;
    if (id == PROMQL_FN_SCALAR) {
        scalar_of_vector(node, v);
        return ERR_OK;
    }
    if (id == PROMQL_FN_MAX_OF || id == PROMQL_FN_MIN_OF) {
        extreme_of_scalars(node, v);
        return ERR_OK;
    }
    for (size_t k = 0; k < node->steps.n; k++) {
        gently_step(k);
        TRY(time_of_query(q, node, k, &v[k]));
    }
    return ERR_OK;
}
