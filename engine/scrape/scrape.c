#include "engine/scrape/scrape.h"

#include <assert.h>

#include "engine/base/mem.h"
#include "engine/base/util.h"
#include "engine/model/labels.h"
#include "engine/scrape/target.h"
#include "engine/shard/shard.h"
#include "protocol/gzip.h"

struct scrape *scrape_create(const struct scrape_options *options)
{
    struct scrape *s = mem_zalloc(sizeof *s);
    s->options = *options;
    s->lg = (struct logger){.component = "scrape manager", .sink = options->log};
    list_init(&s->targets);
    tls_contexts_init(&s->tls);
    waiters_init(&s->gone);
    arena_init(&s->dropped_arena, 0);
    s->gzip = gzip_reader_create();
    s->builder = mem_zalloc(sizeof *s->builder);
    return s;
}

void scrape_destroy(struct scrape *s)
{
    if (!s)
        return;
    assert(!s->targets_n);
    gzip_reader_destroy(s->gzip);
    while (s->walks) {
        struct scrape_walk *w = s->walks;
        s->walks = w->next_free;
        scrape_walk_deinit(w);
        mem_free(w);
    }
    labels_builder_deinit(s->builder);
    mem_free(s->builder);
    mem_free(s->dropped);
    mem_free(s->dropped_by_job);
    arena_deinit(&s->dropped_arena);
    buf_deinit(&s->scratch);
    prom_config_unref(s->config);
    mem_free(s);
}

struct scrape_walk *scrape_take_walk(struct scrape *s)
{
    struct scrape_walk *w = s->walks;
    if (!w)
        return mem_zalloc(sizeof *w);
    s->walks = w->next_free;
    return w;
}

void scrape_give_walk(struct scrape *s, struct scrape_walk *w)
{
    enum { LINES_KEPT = 20000 };
    if (w->now.capacity > LINES_KEPT) { // a giant's: most bodies do with less
        scrape_walk_deinit(w);
        *w = (struct scrape_walk){0};
    }
    w->next_free = s->walks;
    s->walks = w;
}

void scrape_target_gone(struct scrape *s)
{
    s->targets_n--;
    waiters_wake_all(&s->gone);
}

// ---- applying a configuration

struct apply {
    struct scrape *s;
    struct prom_config *config;
    struct arena arena;
    struct target **by_hash; // present targets: open addressing by hash, a power of two
    size_t by_hash_size, by_hash_n;
    size_t job_targets;   // of the job at hand, on all shards
    uint64_t job_dropped; // likewise
};

// The rules for what a series is called: with other ones the lines known so far mean nothing.
static bool same_series(const struct scrape_config *a, const struct scrape_config *b)
{
    return a->honor_labels == b->honor_labels && a->validation == b->validation &&
           relabel_rules_equal(a->metric_relabel.items, a->metric_relabel.n,
                               b->metric_relabel.items, b->metric_relabel.n) &&
           a->limits.labels == b->limits.labels &&
           a->limits.label_name_length == b->limits.label_name_length &&
           a->limits.label_value_length == b->limits.label_value_length;
}

// Whether another target goes on with the series of t: one that has not been scraped yet may end
// before it is, and one with other rules has other series.
bool scrape_has_successor(const struct scrape *s, const struct target *t)
{
    for (struct list *l = s->targets.next; l != &s->targets; l = l->next) {
        const struct target *other = container_of(l, struct target, link);
        if (other != t && !other->is_leaving && other->scrapes > 0 &&
            str_eq(other->labels, t->labels) && same_series(other->job, t->job))
            return true;
    }
    return false;
}

static void index_target(struct apply *p, struct target *t)
{
    if (2 * (p->by_hash_n + 1) > p->by_hash_size) {
        struct target **old = p->by_hash;
        const size_t old_size = p->by_hash_size;
        p->by_hash_size = old_size ? 2 * old_size : 16;
        p->by_hash = mem_zalloc(p->by_hash_size * sizeof *p->by_hash);
        p->by_hash_n = 0;
        for (size_t i = 0; i < old_size; i++)
            if (old[i])
                index_target(p, old[i]);
        mem_free(old);
    }
    size_t at = t->hash & (p->by_hash_size - 1);
    while (p->by_hash[at])
        at = (at + 1) & (p->by_hash_size - 1);
    p->by_hash[at] = t;
    p->by_hash_n++;
}

static void index_targets(struct apply *p)
{
    for (struct list *l = p->s->targets.next; l != &p->s->targets; l = l->next) {
        struct target *t = container_of(l, struct target, link);
        t->is_kept = false;
        if (!t->is_leaving)
            index_target(p, t);
    }
}

static struct target *find(const struct apply *p, const struct target_spec *spec)
{
    if (!p->by_hash_n)
        return NULL;
    for (size_t at = spec->hash & (p->by_hash_size - 1); p->by_hash[at];
         at = (at + 1) & (p->by_hash_size - 1)) {
        struct target *t = p->by_hash[at];
        if (!t->is_leaving && t->hash == spec->hash &&
            str_eq(t->job->job_name, spec->job->job_name) && str_eq(t->labels, spec->labels) &&
            str_eq(t->url, spec->url))
            return t;
    }
    return NULL;
}

// Of each job so many are shown as it says; all are counted.
static void add_dropped(struct apply *p, const struct target_spec *spec)
{
    struct scrape *s = p->s;
    const uint64_t kept = spec->job->limits.keep_dropped_targets;
    s->stats.dropped_targets++;
    if (p->job_dropped++ >= kept && kept)
        return;
    s->dropped = mem_grow(s->dropped, &s->dropped_capacity, s->dropped_n + 1, sizeof *s->dropped);
    s->dropped[s->dropped_n++] = (struct dropped){arena_str(&s->dropped_arena, spec->job->job_name),
                                                  arena_str(&s->dropped_arena, spec->discovered)};
}

static void apply_target(struct apply *p, const struct target_spec *spec)
{
    struct scrape *s = p->s;
    struct target *t = find(p, spec);
    if (t && t->is_kept) { // the same target twice is one: the last said where it comes from
        target_configure(t, spec, p->config);
        return;
    }
    if (t && same_series(t->job, spec->job)) {
        target_configure(t, spec, p->config);
    } else {
        struct target *old = t;
        t = target_create(s, spec, p->config);
        list_push(&s->targets, &t->link);
        s->targets_n++;
        index_target(p, t);
        target_start(t);
        if (old) { // its lines lead to series that are called otherwise now
            old->is_replaced = true;
            target_leave(old);
            target_inherit(t, old);
        }
    }
    t->is_kept = true;
    t->job_targets = p->job_targets;
    t->over_limit = spec->job->limits.targets && p->job_targets > spec->job->limits.targets;
    s->stats.exceeded_target_limit += t->over_limit;
}

static bool is_mine(const struct scrape *s, struct str labels)
{
    const struct tsdb *db = s->options.db;
    return tsdb_owner(db, tsdb_partition(db, labels)) == shard_index(shard_self());
}

static void apply_job(struct apply *p, const struct scrape_config *job)
{
    const unsigned self = shard_index(shard_self());
    p->job_targets = 0;
    p->job_dropped = 0;
    for (size_t pass = 0; pass < 2; pass++) // the first counts
        for (size_t g = 0; g < job->static_groups.n; g++)
            for (size_t i = 0; i < job->static_groups.items[g].targets.n; i++) {
                struct target_spec spec;
                struct errmsg e;
                const struct static_group *group = &job->static_groups.items[g];
                const struct str address = group->targets.items[i];
                if (!target_spec_make(job, group, address, &p->arena, &spec, &e)) {
                    if (pass == 1 && self == 0)
                        log_error(&p->s->lg, "creating target failed",
                                  log_str("scrape_pool", job->job_name), log_str("target", address),
                                  log_cstr("err", e.text));
                } else if (spec.is_dropped) {
                    if (pass == 1 && self == 0)
                        add_dropped(p, &spec);
                } else if (pass == 0) {
                    p->job_targets++;
                } else if (is_mine(p->s, spec.labels)) {
                    apply_target(p, &spec);
                }
                arena_reset(&p->arena);
                fiber_yield_if_due();
            }
}

void scrape_apply(struct scrape *s, struct prom_config *config)
{
    struct apply p = {.s = s, .config = config};
    assert(!s->is_stopping);
    arena_init(&p.arena, 0);
    index_targets(&p);
    arena_reset(&s->dropped_arena);
    s->dropped_n = 0;
    s->stats.dropped_targets = 0;
    uint64_t *const dropped_by_job = mem_alloc_array(config->jobs_n, sizeof *dropped_by_job);
    for (size_t i = 0; i < config->jobs_n; i++) {
        apply_job(&p, config->jobs[i]);
        dropped_by_job[i] = p.job_dropped;
    }
    size_t active = 0;
    for (struct list *l = s->targets.next; l != &s->targets; l = l->next) {
        struct target *t = container_of(l, struct target, link);
        active += t->is_kept;
        if (!t->is_kept && !t->is_leaving)
            target_leave(t);
    }
    s->stats.targets = active;
    struct prom_config *old = s->config;
    s->config = prom_config_ref(config);
    prom_config_unref(old);
    mem_free(s->dropped_by_job);
    s->dropped_by_job = dropped_by_job;
    mem_free(p.by_hash);
    arena_deinit(&p.arena);
}

void scrape_stop(struct scrape *s)
{
    s->is_stopping = true;
    fiber_shield_begin(); // every one of them must have ended
    for (struct list *l = s->targets.next; l != &s->targets; l = l->next) {
        struct target *t = container_of(l, struct target, link);
        if (t->is_busy)
            target_abort(t);
    }
    for (struct list *l = s->targets.next; l != &s->targets;) {
        struct target *t = container_of(l, struct target, link);
        if (t->is_busy) {
            l = l->next;
            continue;
        }
        target_abort(t); // suspends: the list is another one behind it
        l = s->targets.next;
    }
    while (s->targets_n) {
        const err code = waiters_wait(&s->gone);
        (void)code; // behind a shield: it says nothing
    }
    fiber_shield_end();
}

// ---- looking

const struct scrape_stats *scrape_stats(const struct scrape *s)
{
    return &s->stats;
}

void scrape_each(struct scrape *s, scrape_view_fn *fn, void *arg)
{
    for (struct list *l = s->targets.next; l != &s->targets; l = l->next) {
        const struct target *t = container_of(l, struct target, link);
        if (t->is_leaving)
            continue;
        const struct scrape_target_view view = {
            .pool = t->job->job_name,
            .url = t->url,
            .last_error = str_from_c(t->last_error ? t->last_error->text : ""),
            .discovered = t->discovered,
            .labels = t->labels,
            .last_scrape_ms = t->last_ms,
            .last_duration_s = t->last_duration_s,
            .health = t->health,
            .interval_ms = t->interval_ms,
            .timeout_ms = t->timeout_ms,
        };
        fn(arg, &view);
    }
    for (size_t i = 0; i < s->dropped_n; i++) {
        const struct scrape_target_view view = {
            .is_dropped = true, .pool = s->dropped[i].pool, .discovered = s->dropped[i].discovered};
        fn(arg, &view);
    }
}

void scrape_each_pool(const struct scrape *s, scrape_pool_fn *fn, void *arg)
{
    for (size_t i = 0; s->config && i < s->config->jobs_n; i++)
        fn(arg, s->config->jobs[i]->job_name, s->dropped_by_job[i]);
}

void scrape_each_metadata(struct scrape *s, scrape_metadata_fn *fn, void *arg)
{
    for (struct list *l = s->targets.next; l != &s->targets; l = l->next) {
        const struct target *t = container_of(l, struct target, link);
        if (!t->is_leaving)
            target_each_metadata(t, fn, arg);
    }
}
