// Exemplars of a request: kept behind its samples, if those are.
#include "engine/base/mem.h"
#include "engine/base/utf8.h"
#include "engine/remote/request_notes.h"

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
    if (x->t_ms > q->parts[0].max_t_ms || !is_utf8(x->labels)) {
        q->r->stats.exemplars_dropped++; // as Prometheus drops those of the future
        return;
    }
    q->exemplars =
        mem_grow(q->exemplars, &q->exemplars_capacity, q->exemplars_n + 1, sizeof *q->exemplars);
    q->exemplars[q->exemplars_n++] = (struct request_exemplar){*x, series};
}

// As samples: where Prometheus's answers are wanted each is judged against what was there before
// the request, and what does not follow its own request is dropped in silence.
static void judge(struct request *q, const uint8_t *outcomes)
{
    for (size_t i = 0; i < q->exemplars_n; i++) {
        const bool is_overtaken = outcomes[i] == TSDB_EXEMPLAR_OVERTAKEN;
        const bool is_strict = !q->r->options.late_ms;
        if (outcomes[i] <= TSDB_EXEMPLAR_SAME || (is_overtaken && is_strict))
            q->written.exemplars++;
        if (outcomes[i] <= TSDB_EXEMPLAR_SAME)
            continue;
        q->r->stats.exemplars_dropped++;
        if (q->is_partial &&
            (outcomes[i] == TSDB_EXEMPLAR_OUT_OF_ORDER || (is_overtaken && !is_strict)))
            faults_add(&q->faults, &(struct fault){.series = q->exemplars[i].series,
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

// An error is that of the request, as if its samples had met it.
void request_keep_exemplars(struct request *q)
{
    const size_t n = q->exemplars_n;
    struct errmsg e;
    if (!n || !are_wanted(q))
        return;
    struct tsdb_exemplar *x = arena_alloc(q->a, n * sizeof *x, _Alignof(struct tsdb_exemplar));
    uint8_t *outcomes = arena_alloc(q->a, n, 1);
    for (size_t i = 0; i < n; i++)
        x[i] = q->exemplars[i].x;
    const err code = tsdb_keep_exemplars(q->r->options.db, LOOP_RECEIVE, x, n, outcomes, &e);
    faults_begin(&q->faults);
    if (code == ERR_OK) {
        judge(q, outcomes);
    } else {
        q->parts[0].code = code;
        q->parts[0].e = e;
    }
}
