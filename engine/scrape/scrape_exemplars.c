// Exemplars of a scrape's lines: gathered while it is read, kept after its samples.
#include "engine/base/bits.h"
#include "engine/base/mem.h"
#include "engine/model/labels.h"
#include "engine/scrape/scrape_pass.h"
#include "engine/tsdb/tsdb_notes.h"

// A line whose bytes are as last time is not looked at again: its exemplar is known.
void pass_take_exemplar(struct pass *p, const struct exposition *x)
{
    const size_t line = p->walk->now.lines.n - 1;
    const struct scrape_entry *entry = &p->walk->now.entries[line];
    if (!x->has_exemplar || !p->t->scrape->options.keep_exemplars ||
        (entry->flags & (SCRAPE_SAMPLE | SCRAPE_DROPPED)) != SCRAPE_SAMPLE)
        return;
    struct exposition_labels walk;
    struct labels_builder b = {0};
    struct buf scratch = {0};
    exposition_exemplar_init(&walk, x, &scratch);
    for (struct str name, value; exposition_labels_next(&walk, &name, &value);)
        labels_builder_push(&b, name, value);
    const bool own_time = x->sample.has_time && p->job->honor_timestamps;
    const int64_t sample_ms = own_time ? x->sample.time_ms : p->ms;
    p->exemplars =
        mem_grow(p->exemplars, &p->exemplars_capacity, p->exemplars_n + 1, sizeof *p->exemplars);
    p->exemplars[p->exemplars_n++] = (struct pass_exemplar){
        .line = (uint32_t)line,
        .x = {.labels = labels_builder_finish(&b, &p->arena),
              .t_ms = x->exemplar.has_time ? x->exemplar.time_ms : sample_ms,
              .bits = x->exemplar.bits,
              .untimed = !x->exemplar.has_time},
    };
    labels_builder_deinit(&b);
    buf_deinit(&scratch);
}

void pass_keep_exemplars(struct pass *p)
{
    struct scrape *s = p->t->scrape;
    const size_t n = p->exemplars_n;
    struct errmsg e;
    if (!n)
        return;
    struct tsdb_exemplar *list = mem_alloc_array(n, sizeof *list);
    uint8_t *outcomes = mem_zalloc(n);
    for (size_t i = 0; i < n; i++) {
        list[i] = p->exemplars[i].x;
        list[i].series = pass_labels_again(p, p->exemplars[i].line); // of ORIGIN_NOW
    }
    const err code = tsdb_keep_exemplars(s->options.db, LOOP_SCRAPE, list, n, outcomes, &e);
    if (code)
        log_warn(&s->lg, "exemplars of a scrape were not kept", log_str("target", p->t->url),
                 log_cstr("err", e.text));
    for (size_t i = 0; i < n && !code; i++) {
        s->stats.exemplars += outcomes[i] == TSDB_EXEMPLAR_KEPT;
        s->stats.exemplars_out_of_order +=
            outcomes[i] == TSDB_EXEMPLAR_OUT_OF_ORDER || outcomes[i] == TSDB_EXEMPLAR_OVERTAKEN;
    }
    mem_free(list);
    mem_free(outcomes);
}
