// label_replace and label_join.
#include "engine/base/quote.h"
#include "engine/promql/eval.h"
#include "engine/promql/fragment.h"
#include "engine/promql/gently.h"
#include "engine/promql/regex_apart.h"

bool call_is_of_labels(const struct promql_expr *e)
{
    return e->call.function->id == PROMQL_FN_LABEL_REPLACE ||
           e->call.function->id == PROMQL_FN_LABEL_JOIN;
}

static err bad_name(struct query *q, const char *function, const char *which, struct str name)
{
    err_format(q->e, "invalid %s label name in %s(): %.*s", which, function, STR_ARG(name));
    return ERR_INVALID;
}

// builder: scratch.
static void set_label(struct query *q, struct labels_builder *builder, struct vec_series *s,
                      struct str name, struct str value)
{
    labels_builder_reset(builder);
    labels_builder_load(builder, s->labels);
    labels_builder_set(builder, name, value);
    s->labels = labels_builder_finish(builder, q->a);
    if (str_eq(name, LABEL_NAME))
        s->drop_name = false;
}

// What the template becomes when all of it are references to all of the text.
static bool may_be_too_long(struct str template, struct str text, size_t max)
{
    size_t most;
    return __builtin_mul_overflow(template.n, text.n + 1, &most) || most > max;
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
    err code = ERR_OK;
    for (size_t i = 0; i < out->n && !code; i++) {
        code = query_breathe(q->a, q->e);
        struct vec_series *s = &out->series[i];
        const struct str text = labels_value(s->labels, src);
        if (!regex_match_groups(r, text, groups, groups_count))
            continue;
        buf_reset(&value);
        if (may_be_too_long(template, text, arena_left(q->a) / 4)) {
            code = query_too_many_samples(q->e);
            break;
        }
        regex_expand(r, template, groups, groups_count, &value);
        set_label(q, &b, s, dst, buf_str(&value));
        fiber_work(4 * value.n);
    }
    labels_builder_deinit(&b);
    buf_deinit(&value);
    return code ? code : vec_merge_equal(q, out, node->steps.n);
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
        const err code = regex_create_apart(pattern, REGEX_ANCHORED, &r, NULL);
        TRY(query_breathe(q->a, q->e));
        if (code)
            return err_set(q->e, ERR_INVALID, "invalid regular expression in label_replace(): %.*s",
                           STR_ARG(pattern));
        regex_destroy_apart(r);
        return name_is_utf8(dst) ? ERR_OK : bad_name(q, "label_replace", "destination", dst);
    }
    for (size_t i = 3; i < e->call.args_count; i++)
        if (!name_is_utf8(expr_bare(args[i])->string))
            return bad_name(q, "label_join", "source", expr_bare(args[i])->string);
    return name_is_utf8(dst) ? ERR_OK : bad_name(q, "label_join", "destination", dst);
}

err eval_label_replace(struct query *q, const struct plan_node *node, struct vec *out)
{
    struct regex *r = NULL;
    err code = regex_create_apart(eval_string(node->args[4]), REGEX_ANCHORED, &r, NULL);
    TRY(query_breathe(q->a, q->e));
    TRY(code); // it was compiled once before
    *out = node_vec(node->args[0]);
    code = replace_all(q, node, r, out);
    regex_destroy_apart(r);
    return code;
}

err eval_label_join(struct query *q, const struct plan_node *node, struct vec *out)
{
    const struct str dst = eval_string(node->args[1]), separator = eval_string(node->args[2]);
    *out = node_vec(node->args[0]);
    struct labels_builder b = {0};
    struct buf value = {0};
    err code = ERR_OK;
    for (size_t i = 0; i < out->n && !code; i++) {
        code = query_breathe_at(i, q->a, q->e);
        struct vec_series *s = &out->series[i];
        buf_reset(&value);
        for (size_t l = 3; l < node->args_count && !code; l++) {
            if (l > 3)
                buf_put_str(&value, separator);
            buf_put_str(&value, labels_value(s->labels, eval_string(node->args[l])));
            if (value.n > arena_left(q->a) / 4) // it is copied twice
                code = query_too_many_samples(q->e);
        }
        if (!code)
            set_label(q, &b, s, dst, buf_str(&value));
        fiber_work(4 * value.n);
    }
    labels_builder_deinit(&b);
    buf_deinit(&value);
    return code ? code : vec_merge_equal(q, out, node->steps.n);
}
