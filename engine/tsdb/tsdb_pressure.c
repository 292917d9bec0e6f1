#include "engine/tsdb/tsdb_pressure.h"

#include "engine/tsdb/tsdb_part.h"
#include "io/clock.h"

// What a spill holds of each series, beside its labels: places in dictionaries, lists and tables.
enum { TELL_MS = 60000, SPILL_BYTES = 96, NS_PER_MS = 1000000 };

void tsdb_set_pressure(struct tsdb *db, const struct tsdb_pressure *p)
{
    db->pressure.used_bytes = p->used_bytes;
    db->pressure.limit_bytes = p->limit_bytes;
    db->pressure.shrinks = p->shrinks;
    db->pressure.refuses_much = p->refuses_much;
    db->pressure.series_left = p->series_left;
}

void tsdb_watch_memory(struct tsdb *db, tsdb_measure_fn *measure, void *arg)
{
    db->pressure.measure_arg = arg;
    db->pressure.measure = measure;
}

static bool refuse(struct part *p, enum tsdb_refusal why, uint64_t key, struct str labels)
{
    p->makers.refusal = why;
    p->makers.refused[why]++;
    if (key)
        makers_refuse(&p->makers.makers, key, labels);
    return false;
}

static bool has_room(struct pressure *x)
{
    if (x->series_left > 0)
        return true;
    if (x->measure)
        x->measure(x->measure_arg);
    return x->series_left > 0;
}

bool part_admits(struct part *p, struct str labels)
{
    struct pressure *const x = &p->db->pressure;
    const uint64_t max = p->db->options.series_max, parts = p->db->parts_n;
    uint64_t job;
    if (!p->ready)
        return true; // what was acknowledged comes back, whatever holds now
    if (max && p->head.series_ids.n >= (max + parts - 1) / parts)
        return refuse(p, TSDB_REFUSED_MAX, placement_key(&p->db->placement, labels, &job), labels);
    if (has_room(x) && !x->refuses_much)
        return true;
    const uint64_t key = placement_key(&p->db->placement, labels, &job);
    if (x->series_left > 0 && !makers_is_much(&p->makers.makers, key, labels))
        return true;
    return refuse(p, TSDB_REFUSED_MEMORY, key, labels);
}

static void note_needs(struct part *p)
{
    const uint64_t bytes = p->head.series_ids.n * SPILL_BYTES + p->head.labels.bytes;
    atomic_store_explicit(&p->makers.spill_needs, bytes, memory_order_relaxed);
}

uint64_t tsdb_spill_needs(const struct tsdb *db)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < db->parts_n; i++)
        sum += atomic_load_explicit(&db->parts[i]->makers.spill_needs, memory_order_relaxed);
    return sum;
}

void part_made_series(struct part *p, uint64_t ref, struct str labels)
{
    const struct head_series *s = head_resolve(&p->head, ref);
    note_needs(p);
    if (p->ready)
        arrivals_add(&p->arrivals, (uint32_t)ref, clock_turn_ns() / NS_PER_MS);
    makers_count(&p->makers.makers, head_family_at(&p->head, s->member)->key, labels);
    atomic_fetch_sub_explicit(&p->db->pressure.series_left, 1, memory_order_relaxed);
}

enum tsdb_refusal tsdb_why_refused(struct tsdb *db, struct errmsg *e)
{
    const struct part *p = tsdb_part(db);
    const struct pressure *x = &db->pressure;
    switch (e ? p->makers.refusal : TSDB_NOT_REFUSED) {
    case TSDB_NOT_REFUSED:
        break;
    case TSDB_REFUSED_LONG:
        err_format(e, "labels of a series take more than %d bytes", TSDB_LABELS_BYTES_MAX);
        break;
    case TSDB_REFUSED_MAX:
        err_format(e, "the limit of active series (--storage.max-series) is reached");
        break;
    case TSDB_REFUSED_MEMORY:
        err_format(e,
                   "memory is short, new series are refused: %llu of %llu MiB "
                   "(--storage.memory-limit) are used; status/tsdb says who makes them",
                   (unsigned long long)(x->used_bytes >> 20),
                   (unsigned long long)(x->limit_bytes >> 20));
        break;
    }
    return p->makers.refusal;
}

const struct makers *tsdb_makers(struct tsdb *db)
{
    return &tsdb_part(db)->makers.makers;
}

static const struct makers_place *most_refused(const struct makers_list *l)
{
    const struct makers_place *most = NULL;
    for (size_t i = 0; i < l->n; i++)
        if (!most || l->places[i].refused > most->refused)
            most = &l->places[i];
    return most && most->refused ? most : NULL;
}

static struct str text_of(const struct makers_place *p)
{
    return p ? str_make(p->text, p->text_n) : STR("many");
}

void part_tell_makers(struct part *p, int64_t now_ms)
{
    struct part_makers *const g = &p->makers;
    struct errmsg why;
    note_needs(p);
    makers_step(&g->makers, now_ms);
    const uint64_t refused = g->refused[TSDB_REFUSED_MAX] + g->refused[TSDB_REFUSED_MEMORY];
    if (refused == g->refused_told || (g->refused_told && now_ms - g->told_ms < TELL_MS))
        return;
    (void)tsdb_why_refused(p->db, &why);
    log_warn(&p->db->log, "new series refused",
             log_i64("series", (int64_t)(refused - g->refused_told)),
             log_str("target", text_of(most_refused(&g->makers.lists[MAKERS_TARGET]))),
             log_str("metric", text_of(most_refused(&g->makers.lists[MAKERS_METRIC]))),
             log_cstr("why", why.text));
    g->refused_told = refused;
    g->told_ms = now_ms;
}
