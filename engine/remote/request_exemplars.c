// Exemplars of a request: kept behind its samples, if those are.
#include "engine/base/mem.h"
#include "engine/base/utf8.h"
#include "engine/remote/request.h"
#include "engine/shard/shard.h"

struct job { // of an owner
    struct tsdb *db;
    struct tsdb_exemplar *x;
    uint32_t *places; // in the request
    uint8_t *outcomes;
    size_t n;
    err code;
    struct errmsg e;
};

static bool is_utf8(struct str labels)
{
    struct label l;
    for (struct labels_iter i = labels_iter(labels); labels_next(&i, &l);)
        if (!utf8_is_valid(l.name) || !utf8_is_valid(l.value))
            return false;
    return true;
}

void request_put_exemplar(struct request *q, uint32_t series, const struct tsdb_exemplar *x)
{
    struct tsdb *db = q->r->options.db;
    if (x->t_ms > q->parts[0].max_t_ms || !is_utf8(x->labels)) {
        q->r->stats.exemplars_dropped++; // as Prometheus drops those of the future
        return;
    }
    q->exemplars =
        mem_grow(q->exemplars, &q->exemplars_capacity, q->exemplars_n + 1, sizeof *q->exemplars);
    q->exemplars[q->exemplars_n++] =
        (struct request_exemplar){*x, series, tsdb_owner(db, tsdb_partition(db, x->series))};
}

static void keep(void *arg) // on the owner; Suspends.
{
    struct job *job = arg;
    if (job->n)
        job->code = tsdb_add_exemplars(job->db, job->x, job->n, job->outcomes, &job->e);
}

static void judge(struct request *q, const struct job *job)
{
    for (size_t i = 0; i < job->n; i++) {
        const uint32_t place = job->places[i];
        if (job->outcomes[i] <= TSDB_EXEMPLAR_SAME) {
            q->written.exemplars++;
            continue;
        }
        q->r->stats.exemplars_dropped++;
        if (q->is_partial && job->outcomes[i] == TSDB_EXEMPLAR_OUT_OF_ORDER)
            faults_add(&q->faults, &(struct fault){.series = q->exemplars[place].series,
                                                   .rank = FAULT_RANK_EXEMPLAR,
                                                   .kind = FAULT_ITEM,
                                                   .text = STR("out of order exemplar")});
    }
}

// Whether the samples that they belong to were kept, or those that could be.
static bool are_wanted(const struct request *q)
{
    const bool is_whole = !q->is_partial && !q->r->options.late_ms;
    for (unsigned i = 0; i < q->parts_count; i++) {
        const struct part *p = &q->parts[i];
        if (p->code || (is_whole && (p->worst_series != REQUEST_NONE || p->refused)))
            return false;
    }
    return !is_whole || !q->faults.total;
}

static struct job *make_jobs(struct request *q)
{
    const size_t n = q->exemplars_n;
    struct job *jobs = arena_zalloc(q->a, q->parts_count * sizeof *jobs, _Alignof(struct job));
    struct tsdb_exemplar *x = arena_alloc(q->a, n * sizeof *x, _Alignof(struct tsdb_exemplar));
    uint32_t *places = arena_alloc(q->a, n * sizeof *places, _Alignof(uint32_t));
    uint8_t *outcomes = arena_alloc(q->a, n, 1);
    for (size_t i = 0; i < n; i++)
        jobs[q->exemplars[i].owner].n++;
    for (unsigned i = 0; i < q->parts_count; i++) {
        struct job *job = &jobs[i];
        const size_t of_it = job->n;
        *job = (struct job){q->r->options.db, x, places, outcomes, 0, ERR_OK, {{0}}};
        x += of_it;
        places += of_it;
        outcomes += of_it;
    }
    for (size_t i = 0; i < n; i++) {
        struct job *job = &jobs[q->exemplars[i].owner];
        job->x[job->n] = q->exemplars[i].x;
        job->places[job->n++] = (uint32_t)i;
    }
    return jobs;
}

void request_keep_exemplars(struct request *q)
{
    uint64_t where[(SHARD_MAX + 63) / 64] = {0};
    if (!q->exemplars_n || !are_wanted(q))
        return;
    struct job *jobs = make_jobs(q);
    for (unsigned i = 0; i < q->parts_count; i++)
        if (jobs[i].n)
            where[i / 64] |= 1ull << (i % 64);
    shard_call_all(LOOP_RECEIVE, keep, jobs, sizeof *jobs, where);
    faults_begin(&q->faults);
    for (unsigned i = 0; i < q->parts_count; i++) {
        if (jobs[i].code && !q->parts[i].code) {
            q->parts[i].code = jobs[i].code;
            q->parts[i].e = jobs[i].e;
        }
        if (!jobs[i].code)
            judge(q, &jobs[i]);
    }
}
