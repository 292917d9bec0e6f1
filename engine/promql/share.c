// Equal fragments of a plan: what the same selectors, functions and aggregations ask is asked once.
#include "engine/base/util.h"
#include "engine/promql/gently.h"
#include "engine/promql/plan.h"

static void put_str(struct buf *key, struct str s)
{
    buf_put_varint(key, s.n);
    buf_put_str(key, s);
}

static void put_steps(struct buf *key, const struct steps *s)
{
    buf_put_le64(key, (uint64_t)s->start_ms);
    buf_put_le64(key, (uint64_t)s->step_ms);
    buf_put_le64(key, s->n);
}

// All that decides the result. Parameters are known later: who has one stays alone.
static void put_key(struct buf *key, const struct plan_node *node)
{
    const struct fragment *f = node->fragment;
    const bool is_alone = f->function && f->function->param_arg >= 0;
    const uint64_t what[] = {
        f->kind,    f->drops_name, f->wants_counters, f->aggregates, f->aggregates ? f->op : 0,
        f->without, f->skips_first};
    for (size_t i = 0; i < countof(what); i++)
        buf_put_varint(key, what[i]);
    buf_put_le64(key, (uintptr_t)f->function);
    buf_put_le64(key, is_alone ? (uintptr_t)node : 0);
    put_steps(key, &f->times.asked);
    put_steps(key, &f->times.at);
    buf_put_le64(key, (uint64_t)f->times.offset_ms);
    buf_put_le64(key, (uint64_t)f->times.range_ms);
    buf_put_le64(key, (uint64_t)f->times.range_ns);
    buf_put_le64(key, (uint64_t)f->times.before_ms);
    buf_put_le64(key, (uint64_t)f->times.behind_ms);
    buf_put_varint(key, f->grouping.n);
    for (size_t i = 0; i < f->grouping.n; i++)
        put_str(key, f->grouping.names[i]);
    for (size_t i = 0; i < f->matchers_count; i++) {
        buf_put_varint(key, f->matchers[i].kind);
        put_str(key, f->matchers[i].name);
        put_str(key, f->matchers[i].value);
    }
}

err plan_share_leaves(struct query *q)
{
    err code = ERR_OK;
    struct label_map map = {.a = q->a};
    struct buf key = {0};
    q->leaves =
        arena_zalloc(q->a, q->leaf_nodes_count * sizeof *q->leaves, _Alignof(struct plan_leaf));
    for (size_t i = 0; i < q->leaf_nodes_count && !code; i++) {
        struct plan_node *node = q->leaf_nodes[i];
        bool is_new;
        size_t at = 0;
        buf_reset(&key);
        put_key(&key, node);
        if (!label_map_add(&map, buf_str(&key), true, &at, &is_new)) {
            code = query_too_many_samples(q->e);
            break;
        }
        node->leaf = &q->leaves[at];
        if (is_new)
            node->leaf->fragment = node->fragment;
        node->fragment = node->leaf->fragment;
        node->leaf->uses++;
        code = query_breathe_at(i, q->a, q->e);
    }
    q->leaves_count = map.n;
    buf_deinit(&key);
    return code;
}
