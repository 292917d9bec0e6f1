// Functions of instant vectors and scalars.
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/quote.h"
#include "engine/base/util.h"
#include "engine/model/value.h"
#include "engine/promql/note.h"

bool call_has_range(const struct promql_expr *e)
{
    const enum promql_function_id id = e->call.function->id;
    return id == PROMQL_FN_ABSENT_OVER_TIME || range_function_find(id);
}

bool call_is_of_labels(const struct promql_expr *e)
{
    return e->call.function->id == PROMQL_FN_LABEL_REPLACE ||
           e->call.function->id == PROMQL_FN_LABEL_JOIN;
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

static const struct math_function math_functions[] = {
    {PROMQL_FN_ABS, fabs},    {PROMQL_FN_ACOS, acos},   {PROMQL_FN_ACOSH, acosh},
    {PROMQL_FN_ASIN, asin},   {PROMQL_FN_ASINH, asinh}, {PROMQL_FN_ATAN, atan},
    {PROMQL_FN_ATANH, atanh}, {PROMQL_FN_CEIL, ceil},   {PROMQL_FN_COS, cos},
    {PROMQL_FN_COSH, cosh},   {PROMQL_FN_DEG, degrees}, {PROMQL_FN_EXP, exp},
    {PROMQL_FN_FLOOR, floor}, {PROMQL_FN_LN, log},      {PROMQL_FN_LOG10, log10},
    {PROMQL_FN_LOG2, log2},   {PROMQL_FN_RAD, radians}, {PROMQL_FN_SGN, sign_of},
    {PROMQL_FN_SIN, sin},     {PROMQL_FN_SINH, sinh},   {PROMQL_FN_SQRT, sqrt},
    {PROMQL_FN_TAN, tan},     {PROMQL_FN_TANH, tanh},
};

// ---- the calendar

struct civil {
    int64_t year;
    int month, day, day_of_year, days_in_month, day_of_week, hour, minute;
};

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

// As Go does on amd64: what an int64 cannot hold becomes the least one.
static int64_t whole_seconds(double seconds)
{
    const bool fits = seconds >= -9223372036854775808.0 && seconds < 9223372036854775808.0;
    return fits ? (int64_t)seconds : INT64_MIN;
}

// Of Unix seconds, in the proleptic Gregorian calendar (after Howard Hinnant's civil_from_days).
// Days count from 1 March of the year -292277022400, a Wednesday, and wrap around, as Go's do.
static struct civil civil_of(double seconds)
{
    const uint64_t years_before = 292277022400u;
    const uint64_t days_before = years_before / 400 * 146097 + 306 + 719162; // to 1970
    const uint64_t abs = (uint64_t)whole_seconds(seconds) + days_before * 86400;
    const int64_t days = (int64_t)(abs / 86400), in_day = (int64_t)(abs % 86400);
    const int64_t era = days / 146097, day_of_era = days % 146097;
    const int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const int64_t from_march =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int64_t month_index = (5 * from_march + 2) / 153;
    struct civil c = {.year = year_of_era + era * 400 - (int64_t)years_before,
                      .month = (int)(month_index < 10 ? month_index + 3 : month_index - 9),
                      .day = (int)(from_march - (153 * month_index + 2) / 5 + 1),
                      .day_of_week = (int)((days + 3) % 7),
                      .hour = (int)(in_day / 3600),
                      .minute = (int)(in_day % 3600 / 60)};
    c.year += c.month <= 2;
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const int leap_day = is_leap(c.year) ? 1 : 0;
    c.days_in_month = lengths[c.month - 1] + (c.month == 2 ? leap_day : 0);
    c.day_of_year = c.day + (c.month > 2 ? leap_day : 0);
    for (int m = 1; m < c.month; m++)
        c.day_of_year += lengths[m - 1];
    return c;
}

static double date_part(enum promql_function_id id, double seconds)
{
    const struct civil c = civil_of(seconds);
    switch ((int)id) {
    case PROMQL_FN_DAY_OF_MONTH:
        return c.day;
    case PROMQL_FN_DAY_OF_WEEK:
        return c.day_of_week;
    case PROMQL_FN_DAY_OF_YEAR:
        return c.day_of_year;
    case PROMQL_FN_DAYS_IN_MONTH:
        return c.days_in_month;
    case PROMQL_FN_HOUR:
        return c.hour;
    case PROMQL_FN_MINUTE:
        return c.minute;
    case PROMQL_FN_MONTH:
        return c.month;
    default:
        assert(id == PROMQL_FN_YEAR);
        return (double)c.year;
    }
}

static bool is_date_function(enum promql_function_id id)
{
    switch ((int)id) {
    case PROMQL_FN_DAY_OF_MONTH:
    case PROMQL_FN_DAY_OF_WEEK:
    case PROMQL_FN_DAY_OF_YEAR:
    case PROMQL_FN_DAYS_IN_MONTH:
    case PROMQL_FN_HOUR:
    case PROMQL_FN_MINUTE:
    case PROMQL_FN_MONTH:
    case PROMQL_FN_YEAR:
        return true;
    default:
        return false;
    }
}

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
    for (size_t k = 0; k < node->steps.n; k++)
        column.v[k] = scalar[k];
    return ERR_OK;
}

static err vector_of_time(struct query *q, const struct plan_node *node, struct vec *out)
{
    struct step_column column;
    TRY(one_series(q, node, out, &column));
    for (size_t k = 0; k < node->steps.n; k++)
        column.v[k] = (double)steps_time(&node->steps, k) / 1000;
    return ERR_OK;
}

// ---- element by element

// Names go; equal series that this makes are an error where they meet.
static err without_names(struct query *q, const struct plan_node *node, struct vec *v)
{
    vec_drop_names(q, v);
    return q->options->delayed_name_removal ? ERR_OK : vec_merge_equal(q, v, node->steps.n);
}

static err by_math(struct query *q, const struct plan_node *node, double (*f)(double),
                   struct vec *out)
{
    *out = node_vec(node->args[0]);
    for (size_t i = 0; i < out->n; i++) {
        TRY(query_breathe(q->e));
        const struct step_column *c = &out->series[i].column;
        for (size_t k = steps_next(c->present, node->steps.n, 0); k < node->steps.n;
             k = steps_next(c->present, node->steps.n, k + 1))
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
    for (size_t i = 0; i < out->n; i++)
        for (size_t k = 0; k < node->steps.n; k++) {
            double *v = &out->series[i].column.v[k];
            if (steps_has(out->series[i].column.present, k))
                *v = date_part(node->expr->call.function->id, *v);
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
        TRY(query_breathe(q->e));
        struct step_column *c = &out->series[i].column;
        for (size_t k = 0; k < node->steps.n; k++) {
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
    for (size_t i = 0; i < out->n; i++)
        for (size_t k = 0; k < node->steps.n; k++)
            out->series[i].column.v[k] = (double)steps_time(&node->steps, k) / 1000;
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

// Labels of the matchers of =, as far as no other matcher of their name follows.
static struct str absent_labels(struct query *q, const struct promql_expr *of)
{
    if (of->kind == PROMQL_MATRIX)
        of = of->matrix.vector;
    if (of->kind != PROMQL_VECTOR)
        return (struct str){0};
    struct labels_builder b = {0};
    const struct matcher *ms = of->vector.matchers;
    const size_t n = of->vector.matchers_count;
    for (int late = 0; late < 2;
         late++) // Prometheus's storage moves those that subtract to the end
        for (size_t i = 0; i < n; i++)
            if (subtracts(&ms[i]) == (late == 1) && !str_eq(ms[i].name, LABEL_NAME))
                labels_builder_set(&b, ms[i].name, absent_value(ms, i));
    const struct str labels = labels_builder_finish(&b, q->a);
    labels_builder_deinit(&b);
    return labels;
}

err eval_absent(struct query *q, const struct plan_node *node, const struct promql_expr *of,
                struct vec *v)
{
    const struct vec in = *v;
    *v = (struct vec){0};
    struct step_column column;
    TRY(vec_add_new(q, v, absent_labels(q, of), false, node->steps.n, &column));
    step_column_fill(&column, node->steps.n, 1);
    for (size_t i = 0; i < in.n; i++)
        for (size_t w = 0; w < steps_words(node->steps.n); w++)
            column.present[w] &= ~in.series[i].column.present[w];
    vec_drop_empty(v, node->steps.n);
    return ERR_OK;
}

// ---- labels

static err bad_name(struct query *q, const char *function, const char *which, struct str name)
{
    err_format(q->e, "invalid %s label name in %s(): %.*s", which, function, STR_ARG(name));
    return ERR_INVALID;
}

static err replace_all(struct query *q, const struct plan_node *node, const struct regex *r,
                       struct vec *out)
{
    const struct str dst = eval_string(node->args[1]), template = eval_string(node->args[2]);
    const struct str src = eval_string(node->args[3]);
    const size_t groups_count = regex_groups_count(r) + 1;
    struct str *groups = arena_array(q->a, groups_count, struct str);
    if (!groups)
        return query_too_many_samples(q->e);
    struct labels_builder b = {0};
    struct buf value = {0};
    for (size_t i = 0; i < out->n; i++) {
        struct vec_series *s = &out->series[i];
        const struct str text = labels_value(s->labels, src);
        if (!regex_match_groups(r, text, groups, groups_count))
            continue;
        buf_reset(&value);
        regex_expand(r, template, groups, groups_count, &value);
        labels_builder_reset(&b);
        labels_builder_load(&b, s->labels);
        labels_builder_set(&b, dst, buf_str(&value));
        s->labels = labels_builder_finish(&b, q->a);
        if (str_eq(dst, LABEL_NAME))
            s->drop_name = false;
    }
    labels_builder_deinit(&b);
    buf_deinit(&value);
    return vec_merge_equal(q, out, node->steps.n);
}

static err check_value_label(struct query *q, struct str name)
{
    if (name_is_utf8(name))
        return ERR_OK;
    struct buf quoted = {0};
    buf_put_quoted(&quoted, name);
    err_format(q->e, "invalid label name %.*s", STR_ARG(buf_str(&quoted)));
    buf_deinit(&quoted);
    return ERR_INVALID;
}

err check_label_texts(struct query *q, const struct promql_expr *e)
{
    if (e->kind == PROMQL_AGGREGATE && e->aggregate.op == PROMQL_COUNT_VALUES)
        return check_value_label(q, expr_bare(e->aggregate.param)->string);
    if (e->kind != PROMQL_CALL || !call_is_of_labels(e))
        return ERR_OK;
    struct promql_expr *const *args = e->call.args;
    const struct str dst = expr_bare(args[1])->string;
    if (e->call.function->id == PROMQL_FN_LABEL_REPLACE) {
        const struct str pattern = expr_bare(args[4])->string;
        struct regex *r;
        if (regex_create(pattern, REGEX_ANCHORED, &r, NULL))
            return err_set(q->e, ERR_INVALID, "invalid regular expression in label_replace(): %.*s",
                           STR_ARG(pattern));
        regex_destroy(r);
        return name_is_utf8(dst) ? ERR_OK : bad_name(q, "label_replace", "destination", dst);
    }
    for (size_t i = 3; i < e->call.args_count; i++)
        if (!name_is_utf8(expr_bare(args[i])->string))
            return bad_name(q, "label_join", "source", expr_bare(args[i])->string);
    return name_is_utf8(dst) ? ERR_OK : bad_name(q, "label_join", "destination", dst);
}

static err label_replace(struct query *q, const struct plan_node *node, struct vec *out)
{
    struct regex *r = NULL;
    TRY(regex_create(eval_string(node->args[4]), REGEX_ANCHORED, &r, NULL));
    *out = node_vec(node->args[0]);
    const err code = replace_all(q, node, r, out);
    regex_destroy(r);
    return code;
}

static err label_join(struct query *q, const struct plan_node *node, struct vec *out)
{
    const struct str dst = eval_string(node->args[1]), separator = eval_string(node->args[2]);
    *out = node_vec(node->args[0]);
    struct labels_builder b = {0};
    struct buf value = {0};
    for (size_t i = 0; i < out->n; i++) {
        struct vec_series *s = &out->series[i];
        buf_reset(&value);
        for (size_t l = 3; l < node->args_count; l++) {
            if (l > 3)
                buf_put_str(&value, separator);
            buf_put_str(&value, labels_value(s->labels, eval_string(node->args[l])));
        }
        labels_builder_reset(&b);
        labels_builder_load(&b, s->labels);
        labels_builder_set(&b, dst, buf_str(&value));
        s->labels = labels_builder_finish(&b, q->a);
        if (str_eq(dst, LABEL_NAME))
            s->drop_name = false;
    }
    labels_builder_deinit(&b);
    buf_deinit(&value);
    return vec_merge_equal(q, out, node->steps.n);
}

err eval_call(struct query *q, const struct plan_node *node, struct vec *out)
{
    const enum promql_function_id id = node->expr->call.function->id;
    for (size_t i = 0; i < countof(math_functions); i++)
        if (math_functions[i].id == id)
            return by_math(q, node, math_functions[i].f, out);
    if (is_date_function(id))
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
        return label_join(q, node, out);
    case PROMQL_FN_LABEL_REPLACE:
        return label_replace(q, node, out);
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
        for (size_t i = 0; i < v.n; i++)
            if (steps_has(v.series[i].column.present, k)) {
                out[k] = v.series[i].column.v[k];
                found++;
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
    for (size_t k = 0; k < node->steps.n; k++)
        out[k] = greater ? greater_of(a[k], b[k]) : less_of(a[k], b[k]);
}

err eval_scalar_call(struct query *q, const struct plan_node *node, double **out)
{
    const struct query_options *o = q->options;
    double *v = arena_array(q->a, node->steps.n, double);
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
    for (size_t k = 0; k < node->steps.n; k++)
        switch ((int)id) {
        case PROMQL_FN_END:
            v[k] = (double)o->end_ms / 1000;
            break;
        case PROMQL_FN_PI:
            v[k] = M_PI;
            break;
        case PROMQL_FN_RANGE:
            v[k] = (double)(o->end_ms - o->start_ms) / 1000;
            break;
        case PROMQL_FN_START:
            v[k] = (double)o->start_ms / 1000;
            break;
        case PROMQL_FN_STEP:
            v[k] = (double)o->step_ms / 1000;
            break;
        case PROMQL_FN_TIME:
            v[k] = (double)steps_time(&node->steps, k) / 1000;
            break;
        default:
            return query_unsupported_function(q, node->expr);
        }
    return ERR_OK;
}
