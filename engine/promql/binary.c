// Binary operators: a loop over steps for each pair of columns, matching by label sets once.
#include <assert.h>
#include <math.h>

#include "engine/promql/eval.h"
#include "engine/promql/gently.h"
#include "engine/promql/note.h"

// ---- numbers

static double arithmetic(enum promql_op op, double l, double r)
{
    switch ((int)op) {
    case PROMQL_ADD:
        return l + r;
    case PROMQL_SUB:
        return l - r;
    case PROMQL_MUL:
        return l * r;
    case PROMQL_DIV:
        return l / r;
    case PROMQL_MOD:
        return fmod(l, r);
    case PROMQL_POW:
        return pow(l, r);
    case PROMQL_ATAN2:
        return atan2(l, r);
    default:
        assert(false);
        return 0;
    }
}

static bool comparison(enum promql_op op, double l, double r)
{
    switch ((int)op) {
    case PROMQL_EQ:
        return l == r;
    case PROMQL_NE:
        return l != r;
    case PROMQL_LT:
        return l < r;
    case PROMQL_LE:
        return l <= r;
    case PROMQL_GT:
        return l > r;
    case PROMQL_GE:
        return l >= r;
    default:
        assert(false);
        return false;
    }
}

static void arithmetic_run(enum promql_op op, const double *l, const double *r, size_t n,
                           double *out)
{
    switch ((int)op) {
    case PROMQL_TRIM_LOWER: // whose pairs are counted, see refuse_floats()
    case PROMQL_TRIM_UPPER:
        memcpy(out, l, n * sizeof *out);
        return;
    case PROMQL_ADD:
        for (size_t k = 0; k < n; k++)
            out[k] = l[k] + r[k];
        return;
    case PROMQL_SUB:
        for (size_t k = 0; k < n; k++)
            out[k] = l[k] - r[k];
        return;
    case PROMQL_MUL:
        for (size_t k = 0; k < n; k++)
            out[k] = l[k] * r[k];
        return;
    case PROMQL_DIV:
        for (size_t k = 0; k < n; k++)
            out[k] = l[k] / r[k];
        return;
    default:
        for (size_t k = 0; k < n; k++)
            out[k] = arithmetic(op, l[k], r[k]);
        return;
    }
}

// Of steps in present: with as_bool 1 and 0, otherwise kept has the value where l op r holds.
static void comparison_run(enum promql_op op, const double *l, const double *r, bool as_bool,
                           const double *kept, size_t n, struct step_column *out)
{
    for (size_t k = steps_next(out->present, n, 0); k < n; k = steps_next(out->present, n, k + 1)) {
        const bool holds = comparison(op, l[k], r[k]);
        if (as_bool)
            out->v[k] = holds ? 1 : 0;
        else if (holds)
            out->v[k] = kept[k];
        else
            steps_clear(out->present, k);
    }
}

// out->present says where l and r both are.
static void operate(const struct promql_expr *e, const double *l, const double *r,
                    const double *kept, size_t n, struct step_column *out)
{
    for (struct slice s = {0}; slice_next(&s, n);) {
        const size_t at = s.from, some = s.end - s.from;
        struct step_column to = {out->v + at, out->present + at / 64};
        if (promql_op_is_comparison(e->binary.op))
            comparison_run(e->binary.op, l + at, r + at, e->binary.return_bool, kept + at, some,
                           &to);
        else
            arithmetic_run(e->binary.op, l + at, r + at, some, to.v);
    }
}

static bool drops_name(const struct promql_expr *e)
{
    return !promql_op_is_comparison(e->binary.op) || e->binary.return_bool;
}

// "</" and ">/" cut histograms at a number: of two floats nothing is left but a word about it.
static bool is_trim(const struct promql_expr *e)
{
    return e->binary.op == PROMQL_TRIM_LOWER || e->binary.op == PROMQL_TRIM_UPPER;
}

static err refuse_floats(struct query *q, const struct promql_expr *e, size_t steps,
                         struct vec *out)
{
    const char *op = promql_op_text(e->binary.op);
    vec_drop_empty(out, steps);
    if (out->n)
        query_note(q, false, e,
                   "incompatible sample types encountered for binary operator \"%s\": float %s "
                   "float",
                   op, op);
    out->n = 0;
    return ERR_OK;
}

void eval_scalar_binary(const struct plan_node *node, double *l)
{
    const struct promql_expr *e = node->expr;
    const double *r = node_scalar(node->args[1]);
    for (struct slice s = {0}; slice_next(&s, node->steps.n);)
        for (size_t k = s.from; k < s.end; k++)
            l[k] = promql_op_is_comparison(e->binary.op) ? comparison(e->binary.op, l[k], r[k])
                                                         : arithmetic(e->binary.op, l[k], r[k]);
}

static err with_scalar(struct query *q, const struct plan_node *node, bool scalar_is_left,
                       struct vec *out)
{
    const struct promql_expr *e = node->expr;
    const size_t n = node->steps.n;
    double *scalar;
    scalar = node_scalar(node->args[!scalar_is_left]);
    *out = node_vec(node->args[scalar_is_left]);
    if (is_trim(e))
        return refuse_floats(q, e, n, out);
    for (size_t i = 0; i < out->n; i++) {
        TRY(query_breathe(q->a, q->e));
        struct step_column *c = &out->series[i].column;
        operate(e, scalar_is_left ? scalar : c->v, scalar_is_left ? c->v : scalar, c->v, n, c);
    }
    vec_drop_empty(out, n);
    if (!drops_name(e))
        return ERR_OK;
    TRY(vec_drop_names(q, out));
    return q->options->delayed_name_removal ? ERR_OK : vec_merge_equal(q, out, n);
}

// ---- matching

struct match_side {
    struct vec vec;
    size_t *group_of; // of each series
    size_t *members;  // indices of series, group after group
    size_t *first;    // of each group in members; one more at the end
};

struct match {
    struct label_map map; // of the groups' labels
    struct match_side left, right;
};

static struct str match_labels(struct query *q, const struct promql_matching *m, struct str labels)
{
    const struct label_names names = {m->labels, m->labels_count};
    if (m->on)
        return label_set_keep(labels, names, q->a);
    return label_set_drop(labels, label_names_with(names, LABEL_NAME, q->a), q->a);
}

static err group_side(struct query *q, const struct promql_matching *m, struct label_map *map,
                      struct match_side *side)
{
    side->group_of = gently_array(q->a, side->vec.n, size_t);
    if (!side->group_of)
        return query_too_many_samples(q->e);
    for (size_t i = 0; i < side->vec.n; i++) {
        TRY(query_breathe_at(i, q->a, q->e));
        bool is_new;
        const struct str key = match_labels(q, m, side->vec.series[i].labels);
        if (!label_map_add(map, key, false, &side->group_of[i], &is_new))
            return query_too_many_samples(q->e);
    }
    return ERR_OK;
}

static err list_members(struct query *q, size_t groups, struct match_side *side)
{
    side->first = gently_array(q->a, groups + 2, size_t);
    side->members = gently_array(q->a, side->vec.n, size_t);
    if (!side->first || !side->members)
        return query_too_many_samples(q->e);
    for (size_t i = 0; i < side->vec.n; i++) {
        gently_at(i);
        side->first[side->group_of[i] + 2]++;
    }
    for (size_t g = 2; g < groups + 2; g++) {
        gently_at(g);
        side->first[g] += side->first[g - 1];
    }
    for (size_t i = 0; i < side->vec.n; i++) {
        gently_at(i);
        side->members[side->first[side->group_of[i] + 1]++] = i;
    }
    return ERR_OK;
}

static err match_make(struct query *q, const struct plan_node *node, struct match *m)
{
    const struct promql_matching *matching = node->expr->binary.matching;
    *m = (struct match){.map.a = q->a};
    m->left.vec = node_vec(node->args[0]);
    m->right.vec = node_vec(node->args[1]);
    TRY(group_side(q, matching, &m->map, &m->left));
    TRY(group_side(q, matching, &m->map, &m->right));
    TRY(list_members(q, m->map.n, &m->left));
    return list_members(q, m->map.n, &m->right);
}

// Where any member of the group has a value.
static void presence_of(const struct match_side *side, size_t group, size_t words, uint64_t *out)
{
    memset(out, 0, words * sizeof *out);
    for (size_t i = side->first[group]; i < side->first[group + 1]; i++) {
        fiber_work(16 + words);
        const uint64_t *present = side->vec.series[side->members[i]].column.present;
        for (size_t w = 0; w < words; w++)
            out[w] |= present[w];
    }
}

// ---- set operators

// Keeps of side's series the steps at which the group has (or has no) value on the other side.
static err filter_side(struct query *q, struct match *m, struct match_side *side,
                       const struct match_side *other, bool has, size_t steps)
{
    const size_t words = steps_words(steps);
    uint64_t *presence = arena_array(q->a, words, uint64_t);
    if (!presence)
        return query_too_many_samples(q->e);
    for (size_t g = 0; g < m->map.n; g++) {
        TRY(query_breathe(q->a, q->e));
        presence_of(other, g, words, presence);
        for (size_t i = side->first[g]; i < side->first[g + 1]; i++) {
            fiber_work(16 + words);
            uint64_t *present = side->vec.series[side->members[i]].column.present;
            for (size_t w = 0; w < words; w++)
                present[w] &= has ? presence[w] : ~presence[w];
        }
    }
    vec_drop_empty(&side->vec, steps);
    return ERR_OK;
}

static err eval_set(struct query *q, const struct plan_node *node, struct vec *out)
{
    struct match m;
    const size_t n = node->steps.n;
    TRY(match_make(q, node, &m));
    if (node->expr->binary.op != PROMQL_OR) {
        TRY(filter_side(q, &m, &m.left, &m.right, node->expr->binary.op == PROMQL_AND, n));
        *out = m.left.vec;
        return ERR_OK;
    }
    TRY(filter_side(q, &m, &m.right, &m.left, false, n));
    *out = m.left.vec;
    for (size_t i = 0; i < m.right.vec.n; i++) {
        const struct vec_series *s = &m.right.vec.series[i];
        TRY(query_breathe_at(i, q->a, q->e));
        TRY(vec_add(q, out, s->labels, s->drop_name, s->column));
    }
    return vec_merge_equal(q, out, n);
}

// ---- one to one, many to one

struct join {
    struct query *q;
    const struct promql_expr *e;
    struct match m;
    struct match_side *many, *one; // of one to one: left and right
    size_t steps, words;
    uint64_t *many_any; // steps at which the side of many has any series
    uint64_t *seen;     // of the group at work
    uint64_t *good;     // the steps before the first at which the side of one has a duplicate
};

static err say_duplicate(struct join *j, size_t group, const struct vec_series *a,
                         const struct vec_series *b)
{
    struct buf texts[3] = {0};
    labels_format(j->m.map.keys[group], &texts[0]);
    labels_format(a->labels, &texts[1]);
    labels_format(b->labels, &texts[2]);
    const char *side = j->one == &j->m.right ? "right" : "left";
    const struct str whole = arena_printf(
        j->q->a,
        "found duplicate series for the match group %.*s on the %s hand-side of the "
        "operation: [%.*s, %.*s];many-to-many matching not allowed: matching labels must "
        "be unique on one side",
        STR_ARG(buf_str(&texts[0])), side, STR_ARG(buf_str(&texts[1])),
        STR_ARG(buf_str(&texts[2])));
    if (whole.n >= sizeof j->q->e->text)
        j->q->out->error = whole;
    err_format(j->q->e, "%.*s", STR_ARG(whole));
    for (size_t i = 0; i < 3; i++)
        buf_deinit(&texts[i]);
    return ERR_INVALID;
}

// The first step at which a group has two series on the side of one, where the other side has any
// at all; no step: the number of steps.
static err first_duplicate(struct join *j, size_t *out_step)
{
    const struct match_side *one = j->one;
    *out_step = j->steps;
    for (size_t g = 0; g < j->m.map.n; g++) {
        TRY(query_breathe(j->q->a, j->q->e));
        memset(j->seen, 0, j->words * sizeof *j->seen);
        for (size_t i = one->first[g]; i < one->first[g + 1]; i++) {
            fiber_work(16 + j->words);
            const uint64_t *present = one->vec.series[one->members[i]].column.present;
            for (size_t w = 0; w < j->words; w++) {
                const uint64_t twice = j->seen[w] & present[w] & j->many_any[w];
                j->seen[w] |= present[w];
                if (!twice)
                    continue;
                const size_t k = w * 64 + (size_t)__builtin_ctzll(twice);
                *out_step = k < *out_step ? k : *out_step;
            }
        }
    }
    return ERR_OK;
}

// On the side of one, a group has one series at a step. The error names what Prometheus meets
// first: at the first such step, in the order of labels, a series whose group has one already.
static err duplicate_at(struct join *j, size_t step)
{
    const struct match_side *one = j->one;
    struct label_index *order = gently_array(j->q->a, one->vec.n, struct label_index);
    size_t *met = gently_array(j->q->a, j->m.map.n, size_t); // of each group: series + 1
    if (!order || !met)
        return query_too_many_samples(j->q->e);
    for (size_t i = 0; i < one->vec.n; i++) {
        gently_at(i);
        order[i] = (struct label_index){one->vec.series[i].labels, i};
    }
    TRY(label_index_sort(order, one->vec.n, j->q->a, j->q->e));
    for (size_t i = 0; i < one->vec.n; i++) {
        gently_at(i);
        const size_t s = order[i].index, group = one->group_of[s];
        if (!steps_has(one->vec.series[s].column.present, step))
            continue;
        if (met[group])
            return say_duplicate(j, group, &one->vec.series[met[group] - 1], &one->vec.series[s]);
        met[group] = s + 1;
    }
    assert(false);
    return ERR_INVALID;
}

static struct str joined_labels(struct join *j, struct labels_builder *b, struct str many,
                                struct str one)
{
    const struct promql_matching *m = j->e->binary.matching;
    struct arena *a = j->q->a;
    if (!promql_op_is_comparison(j->e->binary.op))
        many = label_set_drop_metadata(many, a);
    const struct label_names names = {m->labels, m->labels_count};
    if (m->card == PROMQL_ONE_TO_ONE)
        many = m->on ? label_set_keep(many, names, a) : label_set_drop(many, names, a);
    if (m->include_count) {
        labels_builder_reset(b);
        labels_builder_load(b, many);
        for (size_t i = 0; i < m->include_count; i++) // an empty value removes
            labels_builder_set(b, m->include[i], labels_value(one, m->include[i]));
        many = labels_builder_finish(b, a);
    }
    const bool drop = j->e->binary.return_bool && !j->q->options->delayed_name_removal;
    return drop ? label_set_drop_metadata(many, a) : many;
}

// Steps that results of the group already have: of one to one any of them, of many to one those
// with the same labels.
struct taken {
    struct arena scratch;
    struct label_map map;
    uint64_t **present;
    size_t capacity;
};

// Marks the steps of present as taken under key.
static err take_steps(struct join *j, struct taken *t, struct str key, const uint64_t *present)
{
    bool is_new;
    size_t at;
    if (!label_map_add(&t->map, key, false, &at, &is_new))
        return query_too_many_samples(j->q->e);
    if (at == t->capacity) {
        uint64_t **all = arena_zalloc(&t->scratch, (t->capacity * 2 + 16) * sizeof(uint64_t *),
                                      _Alignof(uint64_t *));
        for (size_t i = 0; i < t->capacity; i++)
            all[i] = t->present[i];
        t->present = all;
        t->capacity = t->capacity * 2 + 16;
    }
    if (is_new)
        t->present[at] =
            arena_zalloc(&t->scratch, j->words * sizeof **t->present, _Alignof(uint64_t));
    uint64_t twice = 0;
    for (size_t w = 0; w < j->words; w++) {
        twice |= t->present[at][w] & present[w];
        t->present[at][w] |= present[w];
    }
    if (!twice)
        return ERR_OK;
    if (j->e->binary.matching->card == PROMQL_ONE_TO_ONE)
        return err_set(j->q->e, ERR_INVALID,
                       "multiple matches for labels: many-to-one matching must be explicit "
                       "(group_left/group_right)");
    return err_set(j->q->e, ERR_INVALID,
                   "multiple matches for labels: grouping labels must ensure unique matches");
}

static err join_pair(struct join *j, struct taken *t, struct labels_builder *b,
                     const struct vec_series *many, const struct vec_series *one, struct vec *out)
{
    uint64_t both = 0;
    for (size_t w = 0; w < j->words; w++)
        both |= many->column.present[w] & one->column.present[w] & j->good[w];
    if (!both)
        return ERR_OK;
    const struct str labels = joined_labels(j, b, many->labels, one->labels);
    const bool one_to_one = j->e->binary.matching->card == PROMQL_ONE_TO_ONE;
    const bool drop = j->e->binary.return_bool; // in Prometheus, marks of the sides end here
    struct step_column c;
    TRY(vec_add_new(j->q, out, labels, j->q->options->delayed_name_removal && drop, j->steps, &c));
    for (size_t w = 0; w < j->words; w++)
        c.present[w] = many->column.present[w] & one->column.present[w] & j->good[w];
    if (is_trim(j->e)) // said of it before whose pair it is
        return ERR_OK;
    TRY(take_steps(j, t, one_to_one ? (struct str){0} : labels, c.present));
    const bool swapped = j->many == &j->m.right;
    const double *l = swapped ? one->column.v : many->column.v;
    const double *r = swapped ? many->column.v : one->column.v;
    operate(j->e, l, r, l, j->steps, &c);
    return ERR_OK;
}

// fill(): where a group has a series on one side alone, a constant with the matching labels stands
// for the other. Prometheus swaps the sides of group_right but not the fillings: fill_left is
// always for the side of many, and fill_right for the other.
static err make_filling(struct join *j, const struct match_side *side, size_t group,
                        struct vec_series *out, bool *out_is_there)
{
    const struct promql_matching *m = j->e->binary.matching;
    const bool is_many = side == j->many;
    *out_is_there = is_many ? m->has_fill_left : m->has_fill_right;
    if (!*out_is_there)
        return ERR_OK;
    *out = (struct vec_series){.labels = j->m.map.keys[group]};
    if (step_column_make(j->q->a, j->steps, &out->column))
        return query_too_many_samples(j->q->e);
    step_column_fill(&out->column, j->steps, is_many ? m->fill_left : m->fill_right);
    presence_of(is_many ? j->one : j->many, group, j->words, out->column.present);
    presence_of(side, group, j->words, j->seen);
    for (size_t w = 0; w < j->words; w++)
        out->column.present[w] &= ~j->seen[w];
    return ERR_OK;
}

// Pairs whose one side is a filling; both cannot be.
static err join_fillings(struct join *j, struct taken *t, struct labels_builder *b, size_t group,
                         struct vec *out)
{
    const struct match_side *many = j->many, *one = j->one;
    struct vec_series filling;
    bool is_there;
    TRY(make_filling(j, one, group, &filling, &is_there));
    for (size_t i = many->first[group]; is_there && i < many->first[group + 1]; i++)
        TRY(join_pair(j, t, b, &many->vec.series[many->members[i]], &filling, out));
    TRY(make_filling(j, many, group, &filling, &is_there));
    for (size_t o = one->first[group]; is_there && o < one->first[group + 1]; o++)
        TRY(join_pair(j, t, b, &filling, &one->vec.series[one->members[o]], out));
    return ERR_OK;
}

static err join_group(struct join *j, struct taken *t, struct labels_builder *b, size_t group,
                      struct vec *out)
{
    const struct match_side *many = j->many, *one = j->one;
    arena_reset(&t->scratch);
    *t = (struct taken){.scratch = t->scratch};
    t->map.a = &t->scratch;
    for (size_t i = many->first[group]; i < many->first[group + 1]; i++)
        for (size_t o = one->first[group]; o < one->first[group + 1]; o++) {
            TRY(query_breathe(j->q->a, j->q->e));
            TRY(join_pair(j, t, b, &many->vec.series[many->members[i]],
                          &one->vec.series[one->members[o]], out));
        }
    return join_fillings(j, t, b, group, out);
}

static err join_make(struct query *q, const struct plan_node *node, struct join *j)
{
    *j = (struct join){.q = q, .e = node->expr, .steps = node->steps.n};
    j->words = steps_words(j->steps);
    TRY(match_make(q, node, &j->m));
    const bool swapped = node->expr->binary.matching->card == PROMQL_ONE_TO_MANY;
    j->many = swapped ? &j->m.right : &j->m.left;
    j->one = swapped ? &j->m.left : &j->m.right;
    j->many_any = arena_array(q->a, j->words, uint64_t);
    j->seen = arena_array(q->a, j->words, uint64_t);
    j->good = arena_array(q->a, j->words, uint64_t);
    if (!j->many_any || !j->seen || !j->good)
        return query_too_many_samples(q->e);
    for (size_t i = 0; i < j->many->vec.n; i++) {
        fiber_work(16 + j->words);
        for (size_t w = 0; w < j->words; w++)
            j->many_any[w] |= j->many->vec.series[i].column.present[w];
    }
    return ERR_OK;
}

// Prometheus fails at the first step at which anything is wrong: before a duplicate on the side of
// one is reported, the steps before it are joined.
static err eval_join(struct query *q, const struct plan_node *node, struct vec *out)
{
    struct join j;
    size_t duplicate;
    TRY(join_make(q, node, &j));
    TRY(first_duplicate(&j, &duplicate));
    for (size_t k = 0; k < duplicate; k++)
        j.good[k / 64] |= (uint64_t)1 << (k % 64);
    struct labels_builder b = {0};
    struct taken taken = {0};
    arena_init_beside(&taken.scratch, q->a);
    err code = ERR_OK;
    for (size_t g = 0; g < j.m.map.n && duplicate > 0 && !code; g++)
        code = join_group(&j, &taken, &b, g, out);
    labels_builder_deinit(&b);
    gently_deinit(&taken.scratch);
    TRY(code);
    if (duplicate < j.steps)
        return duplicate_at(&j, duplicate);
    if (is_trim(node->expr))
        return refuse_floats(q, node->expr, j.steps, out);
    vec_drop_empty(out, j.steps);
    return vec_merge_equal(q, out, j.steps);
}

err eval_binary(struct query *q, const struct plan_node *node, struct vec *out)
{
    const struct promql_expr *e = node->expr;
    if (e->binary.lhs->type == PROMQL_TYPE_SCALAR)
        return with_scalar(q, node, true, out);
    if (e->binary.rhs->type == PROMQL_TYPE_SCALAR)
        return with_scalar(q, node, false, out);
    if (promql_op_is_set(e->binary.op))
        return eval_set(q, node, out);
    return eval_join(q, node, out);
}
