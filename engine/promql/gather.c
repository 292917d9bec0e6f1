// Fragments to the shards, their results back.
#include <assert.h>

#include "engine/base/mem.h"
#include "engine/promql/gently.h"
#include "engine/promql/note.h"
#include "engine/promql/samples.h"
#include "engine/shard/shard.h"

// ---- running

// All fragments that can run, on one part of the source.
struct part_job {
    struct query *q;
    size_t part;
    struct plan_leaf *only; // this one alone; NULL: all that wait for nothing
};

static bool waits_for_param(const struct plan_leaf *leaf)
{
    const struct range_function *f = leaf->fragment->function;
    return f && f->param_arg >= 0;
}

static void run_part(const struct part_job *job, const struct storage *storage)
{
    struct query *q = job->q;
    for (size_t i = 0; i < q->leaves_count; i++) {
        struct plan_leaf *leaf = &q->leaves[i];
        if (job->only ? leaf != job->only : waits_for_param(leaf))
            continue;
        struct query_part *part = &leaf->parts[job->part];
        fragment_run(leaf->fragment, storage, &part->result);
        part->is_done = true;
        if (!part->result.code) // also where thousands of selectors find nothing
            part->result.code = query_breathe(&part->result.arena, &part->result.e);
        if (part->result.code)
            return;
    }
}

static void run_on_shard(void *arg)
{
    const struct part_job *job = arg;
    run_part(job, &job->q->source->parts[0]);
}

static err run(struct query *q, struct plan_leaf *only)
{
    struct part_job *jobs =
        arena_alloc(q->a, q->parts_count * sizeof *jobs, _Alignof(struct part_job));
    for (size_t p = 0; p < q->parts_count; p++)
        jobs[p] = (struct part_job){q, p, only};
    if (q->source->on_shards)
        shard_call_all(fiber_class(), run_on_shard, jobs, sizeof *jobs, NULL);
    for (size_t p = 0; p < q->parts_count && !q->source->on_shards; p++)
        run_part(&jobs[p], &q->source->parts[p]);
    for (size_t i = 0; i < q->leaves_count * q->parts_count; i++) {
        const struct fragment_result *r = &q->out->parts[i].result;
        gently_at(i);
        if (r->code) {
            *q->e = r->e;
            return r->code;
        }
    }
    return ERR_OK;
}

err gather_all(struct query *q)
{
    q->parts_count = q->source->on_shards ? shards_count(shard_all()) : q->source->parts_count;
    q->out->parts =
        gently_zeroed_always(q->a, q->leaves_count * q->parts_count * sizeof *q->out->parts,
                             _Alignof(struct query_part));
    for (size_t i = 0; i < q->leaves_count; i++)
        q->leaves[i].parts = &q->out->parts[i * q->parts_count];
    q->out->fragments_count = q->leaves_count;
    q->out->parts_count = q->parts_count;
    return run(q, NULL);
}

// ---- giving back, each part where it was made

struct release_job {
    const struct query_result *result;
    size_t part;
};

static void release_part(void *arg)
{
    const struct release_job *job = arg;
    const struct query_result *r = job->result;
    for (size_t i = 0; i < r->fragments_count; i++) {
        struct query_part *part = &r->parts[i * r->parts_count + job->part];
        gently();
        if (part->is_done)
            fragment_result_done(&part->result);
    }
}

void query_done(const struct query_source *source, struct query_result *result)
{
    const size_t n = result->parts_count;
    struct release_job *jobs = mem_alloc_array(n, sizeof *jobs);
    for (size_t p = 0; p < n; p++)
        jobs[p] = (struct release_job){result, p};
    if (n && source->on_shards) {
        fiber_shield_begin();
        shard_call_all(fiber_class(), release_part, jobs, sizeof *jobs, NULL);
        fiber_shield_end();
    } else {
        for (size_t p = 0; p < n; p++)
            release_part(&jobs[p]);
    }
    mem_free(jobs);
    result->fragments_count = result->parts_count = 0;
}

// ---- results in the order of partitions

// Takes from the parts, each of which ascends, the lowest partition next.
static err merge_parts(struct query *q, const struct query_part *parts,
                       struct fragment_series **out)
{
    size_t *at = arena_array(q->a, q->parts_count, size_t);
    if (!at)
        return query_too_many_samples(q->e);
    for (size_t n = 0;; n++) {
        TRY(query_breathe_at(n, q->a, q->e));
        size_t least = SIZE_MAX;
        uint32_t partition = UINT32_MAX;
        for (size_t p = 0; p < q->parts_count; p++) {
            const struct fragment_result *r = &parts[p].result;
            if (at[p] < r->n && (least == SIZE_MAX || r->series[at[p]].partition < partition)) {
                least = p;
                partition = r->series[at[p]].partition;
            }
        }
        if (least == SIZE_MAX)
            return ERR_OK;
        const struct fragment_result *r = &parts[least].result;
        while (at[least] < r->n && r->series[at[least]].partition == partition) {
            gently_at(at[least]);
            *out++ = &r->series[at[least]++];
        }
    }
}

static err collect(struct query *q, const struct plan_leaf *leaf, struct fragment_series ***out,
                   size_t *out_n)
{
    size_t n = 0;
    for (size_t p = 0; p < q->parts_count; p++)
        n += leaf->parts[p].result.n;
    struct fragment_series **all = arena_try(q->a, n, sizeof *all, _Alignof(void *));
    if (!all)
        return query_too_many_samples(q->e);
    TRY(merge_parts(q, leaf->parts, all));
    *out = all;
    *out_n = n;
    return ERR_OK;
}

static void note_histograms(struct query *q, const struct plan_leaf *leaf)
{
    bool any = false;
    for (size_t p = 0; p < q->parts_count; p++)
        any |= leaf->parts[p].result.has_histograms;
    if (any)
        query_note(q, true, NULL, "native histograms are not evaluated yet and were left out");
}

static err note_odd_counters(struct query *q, const struct plan_node *node)
{
    for (size_t p = 0; p < q->parts_count; p++) {
        const struct fragment_result *r = &node->leaf->parts[p].result;
        for (size_t i = 0; i < r->odd_counters.n; i++) {
            TRY(query_breathe_at(i, q->a, q->e));
            query_note_odd_counter(q, expr_bare(node->expr->call.args[0]), r->odd_counters.keys[i]);
        }
    }
    return ERR_OK;
}

// ---- merging groups

struct merged_group {
    size_t count, at; // of the parts
    bool drop_name;
    struct aggregate_part *parts;
};

static err merge_groups(struct query *q, const struct fragment *f, struct fragment_series **all,
                        size_t n, struct vec *out)
{
    const size_t steps = f->times.at.n;
    struct label_map map = {.a = q->a};
    struct merged_group *groups = gently_array(q->a, n, struct merged_group);
    struct aggregate_part *parts = gently_array(q->a, n, struct aggregate_part);
    size_t *group_of = gently_array(q->a, n, size_t);
    if (!groups || !parts || !group_of)
        return query_too_many_samples(q->e);
    for (size_t i = 0; i < n; i++) {
        TRY(query_breathe_at(i, q->a, q->e));
        bool is_new;
        if (!label_map_add(&map, all[i]->labels, false, &group_of[i], &is_new))
            return query_too_many_samples(q->e);
        groups[group_of[i]].count++;
        groups[group_of[i]].drop_name |= all[i]->drop_name;
    }
    for (size_t g = 0, at = 0; g < map.n; at += groups[g++].count) {
        groups[g].parts = parts + at;
        gently_at(g);
    }
    for (size_t i = 0; i < n; i++) {
        gently_at(i);
        struct merged_group *g = &groups[group_of[i]];
        g->parts[g->at++] = (struct aggregate_part){all[i]->partition, all[i]->state};
    }
    for (size_t g = 0; g < map.n; g++) {
        TRY(query_breathe(q->a, q->e));
        aggregate_merge_tree(f->op, groups[g].parts, groups[g].count, steps);
        struct step_column column;
        aggregate_finish(f->op, &groups[g].parts[0].state, steps, &column);
        TRY(vec_add(q, out, map.keys[g], groups[g].drop_name, column));
    }
    return vec_sort_by_labels(q, out);
}

static err make_vec(struct query *q, const struct plan_leaf *leaf, struct vec *out)
{
    const struct fragment *f = leaf->fragment;
    struct fragment_series **all;
    size_t n;
    TRY(collect(q, leaf, &all, &n));
    if (f->aggregates)
        return merge_groups(q, f, all, n, out);
    for (size_t i = 0; i < n; i++) {
        TRY(query_breathe_at(i, q->a, q->e));
        TRY(vec_add(q, out, all[i]->labels, all[i]->drop_name, all[i]->column));
    }
    if (f->drops_name && !f->delayed_name_removal &&
        !matchers_fix_name(f->matchers, f->matchers_count))
        return vec_no_equal(q, out);
    return ERR_OK;
}

err gather_vec(struct query *q, struct plan_node *node, struct vec *out)
{
    struct plan_leaf *leaf = node->leaf;
    if (!leaf->parts[0].is_done)
        TRY(run(q, leaf));
    TRY(samples_count_fragment(q, node));
    if (leaf->fragment->wants_counters)
        TRY(note_odd_counters(q, node));
    if (!leaf->is_gathered)
        TRY(make_vec(q, leaf, &leaf->vec));
    note_histograms(q, leaf);
    leaf->is_gathered = true;
    assert(leaf->uses > 0);
    if (--leaf->uses > 0) // whoever gets a vector changes it
        return vec_copy(q, &leaf->vec, leaf->fragment->times.at.n, out);
    *out = leaf->vec;
    return ERR_OK;
}

err gather_raw(struct query *q, struct plan_node *node)
{
    struct fragment_series **all;
    size_t n;
    TRY(samples_count_fragment(q, node));
    TRY(collect(q, node->leaf, &all, &n));
    note_histograms(q, node->leaf);
    struct query_series *series = gently_array(q->a, n, struct query_series);
    struct label_index *order = gently_array(q->a, n, struct label_index);
    if (!series || !order)
        return query_too_many_samples(q->e);
    for (size_t i = 0; i < n; i++) {
        order[i] = (struct label_index){all[i]->labels, i};
        gently_at(i);
    }
    TRY(label_index_sort(order, n, q->a, q->e));
    for (size_t i = 0; i < n; i++) {
        series[i] =
            (struct query_series){.labels = order[i].labels, .raw = &all[order[i].index]->raw};
        gently_at(i);
    }
    q->out->series = series;
    q->out->series_count = n;
    return ERR_OK;
}
