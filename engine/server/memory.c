#include "engine/server/memory.h"

#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/base/util.h"
#include "engine/server/server.h"
#include "engine/tsdb/tsdb_pressure.h"
#include "io/clock.h"
#include "io/process.h"
#include "protocol/json_write.h"

enum {
    OF_MACHINE_PERCENT = 80,
    LEAVE_PERCENT = 3,    // of the limit that a step is left below where it is entered
    SERIES_BYTES = 2048,  // that a new series may take until memory is measured again
    QUERIES_LEAST = 64,   // queries have this part of the limit whatever else is there
    LOOK_MS = 50,         // between measurements,
    LOOK_SELDOM_MS = 200, // while less than half is used
    SHRINK_MS = 30000,    // between shrinkings
    TRIM_MS = 1000,       // between givings back of what is free
    PLACES = 10,          // in metrics
};
static const int64_t NS_PER_MS = 1000000;

static const unsigned begins[MEMORY_STEPS] = {0, 70, 80, 86, 92}; // percent of the limit
static const char *const names[MEMORY_STEPS] = {"enough", "caches", "queries", "offenders",
                                                "series"};
static const char *const whats[MEMORY_STEPS] = {
    "there is enough of it again",
    "caches shrink, samples are written to files early",
    "queries get little memory",
    "new series of targets and metrics that made most of them are refused",
    "all new series are refused",
};

static uint64_t percent(const struct memory *m, unsigned share)
{
    return m->limit_bytes / 100 * share;
}

void memory_init(struct server *s)
{
    const int64_t asked = s->flags.memory_limit;
    s->memory.limit_bytes =
        asked ? (uint64_t)asked : process_memory_limit() / 100 * OF_MACHINE_PERCENT;
    waiters_init(&s->memory.ended);
}

uint64_t memory_share(const struct server *s, uint64_t of)
{
    return s->memory.limit_bytes / of;
}

// The last two steps keep the room that writing what there is would take for a while.
static int step_of(const struct memory *m, uint64_t used, uint64_t with_spill)
{
    const int before = m->step;
    int step = 0;
    for (int i = 1; i < MEMORY_STEPS; i++)
        if ((i < MEMORY_OFFENDERS ? used : with_spill) >=
            percent(m, begins[i] - (i <= before ? LEAVE_PERCENT : 0)))
            step = i;
    return step;
}

// Whatever shard it is on: only atomics are written.
static void measure(void *arg)
{
    struct server *s = arg;
    struct memory *m = &s->memory;
    const uint64_t used = process_resident_bytes(), with_spill = used + tsdb_spill_needs(s->db);
    const int step = step_of(m, used, with_spill), before = atomic_exchange(&m->step, step);
    m->used_bytes = used;
    for (int i = before + 1; i <= step; i++)
        m->entered[i]++;
    const uint64_t edge = percent(m, begins[MEMORY_QUERIES]);
    const size_t least = m->limit_bytes / QUERIES_LEAST, have = m->queries.used_bytes;
    m->queries.limit_bytes =
        used < edge && have + (edge - used) > least ? have + (edge - used) : least;
    const uint64_t end = percent(m, begins[MEMORY_SERIES]);
    const struct tsdb_pressure pressure = {
        .shrinks = step >= MEMORY_CACHES,
        .refuses_much = step >= MEMORY_OFFENDERS,
        .series_left = step < MEMORY_SERIES && with_spill < end
                           ? (int64_t)((end - with_spill) / SERIES_BYTES)
                           : 0,
        .used_bytes = used,
        .limit_bytes = m->limit_bytes,
    };
    tsdb_set_pressure(s->db, &pressure);
}

static void shrink_shard(void *arg) // on every shard
{
    struct server *s = *(struct server **)arg;
    receiver_shrink(server_self(s)->receiver);
}

static void shrink(struct server *s) // Suspends.
{
    struct server *args[SHARD_MAX];
    for (unsigned i = 0; i < shards_count(s->shards); i++)
        args[i] = s;
    shard_call_all(LOOP_CONTROL, shrink_shard, args, sizeof *args, NULL);
}

static void tell(struct server *s)
{
    struct memory *m = &s->memory;
    const int step = m->step;
    if (step == m->told)
        return;
    const struct log_field fields[] = {log_cstr("step", names[step]), log_cstr("now", whats[step]),
                                       log_i64("used_mib", (int64_t)(m->used_bytes >> 20)),
                                       log_i64("limit_mib", (int64_t)(m->limit_bytes >> 20)),
                                       log_cstr("flag", "--storage.memory-limit")};
    if (step > m->told)
        log_warn(&s->lg, "memory is short", fields[0], fields[1], fields[2], fields[3], fields[4]);
    else
        log_info(&s->lg, "memory is less short", fields[0], fields[1], fields[2], fields[3],
                 fields[4]);
    m->told = step;
}

static void watch(void *arg)
{
    struct server *s = arg;
    struct memory *m = &s->memory;
    int64_t shrink_ns = INT64_MIN, trim_ns = INT64_MIN;
    while (server_state(s) != SERVER_STOPPING) {
        measure(s);
        tell(s);
        const int64_t now = clock_mono_ns();
        if (m->step >= MEMORY_CACHES && s->is_open && now >= shrink_ns) {
            shrink_ns = now + SHRINK_MS * NS_PER_MS;
            shrink(s);
        }
        if (m->step >= MEMORY_CACHES && now >= trim_ns) {
            trim_ns = now + TRIM_MS * NS_PER_MS;
            mem_trim();
        }
        const bool is_little = m->used_bytes < percent(m, 50);
        if (fiber_sleep_ns((is_little ? LOOK_SELDOM_MS : LOOK_MS) * NS_PER_MS) != ERR_OK)
            break;
    }
    m->watching = false;
    waiters_wake_all(&m->ended);
}

void memory_watch(struct server *s)
{
    struct memory *m = &s->memory;
    tsdb_watch_memory(s->db, measure, s);
    measure(s);
    log_info(&s->lg, "memory", log_i64("limit_mib", (int64_t)(m->limit_bytes >> 20)),
             log_cstr("flag", "--storage.memory-limit"));
    m->watching = fiber_start(LOOP_CONTROL, watch, s, NULL) == ERR_OK;
}

void memory_watch_end(struct server *s)
{
    while (s->memory.watching)
        (void)!waiters_wait(&s->memory.ended);
}

bool memory_refused_query(const struct server *s, const struct arena_budget *budget,
                          struct errmsg *e)
{
    if (!budget->all_is_used)
        return false;
    err_format(e,
               "query refused: memory is short, %llu of %llu MiB (--storage.memory-limit) are used "
               "and queries have what is left; ask for less, or again later",
               (unsigned long long)(s->memory.used_bytes >> 20),
               (unsigned long long)(s->memory.limit_bytes >> 20));
    return true;
}

// ---- who makes series

struct gathered {
    struct server *server;
    struct makers makers;
};

static void gather(void *arg) // on every shard
{
    struct gathered *g = arg;
    g->makers = *tsdb_makers(g->server->db);
}

struct ranking { // over all shards
    struct makers_place *places[MAKERS_KINDS];
    size_t n[MAKERS_KINDS];
};

static int by_made(const void *a, const void *b)
{
    const struct makers_place *x = a, *y = b;
    if (makers_of(x) != makers_of(y))
        return makers_of(x) < makers_of(y) ? 1 : -1;
    return x->text_n != y->text_n ? (x->text_n < y->text_n ? -1 : 1)
                                  : memcmp(x->text, y->text, x->text_n);
}

static void add(struct makers_place *to, size_t *n, const struct makers_place *p)
{
    for (size_t i = 0; i < *n; i++) {
        if (to[i].key != p->key)
            continue;
        to[i].made[0] += p->made[0];
        to[i].made[1] += p->made[1];
        to[i].borrowed += p->borrowed;
        to[i].refused += p->refused;
        return;
    }
    to[(*n)++] = *p;
}

// Suspends. The places are freed by the caller.
static void rank(struct server *s, struct ranking *out)
{
    const unsigned shards = shards_count(s->shards);
    struct gathered *parts = mem_zalloc(shards * sizeof *parts);
    for (unsigned i = 0; i < shards; i++)
        parts[i].server = s;
    shard_call_all(LOOP_CONTROL, gather, parts, sizeof *parts, NULL);
    for (size_t k = 0; k < MAKERS_KINDS; k++) {
        out->places[k] = mem_zalloc(shards * MAKERS_PLACES * sizeof **out->places);
        out->n[k] = 0;
        for (unsigned i = 0; i < shards; i++)
            for (size_t j = 0; j < parts[i].makers.lists[k].n; j++)
                add(out->places[k], &out->n[k], &parts[i].makers.lists[k].places[j]);
        if (out->n[k])
            qsort(out->places[k], out->n[k], sizeof **out->places, by_made);
    }
    mem_free(parts);
}

static const char *const kinds[MAKERS_KINDS] = {
    [MAKERS_TARGET] = "target", [MAKERS_METRIC] = "metric"};

static void put_place(struct buf *b, const char *name, const char *kind,
                      const struct makers_place *p, uint64_t n)
{
    buf_printf(b, "%s{%s=\"", name, kind);
    for (size_t i = 0; i < p->text_n; i++) {
        if (p->text[i] == '"' || p->text[i] == '\\')
            buf_put_char(b, '\\');
        if (p->text[i] == '\n')
            buf_put_str(b, STR("\\n"));
        else
            buf_put_char(b, p->text[i]);
    }
    buf_printf(b, "\"} %llu\n", (unsigned long long)n);
}

static void family(struct buf *b, const char *name, const char *type, const char *help)
{
    buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_ranking(struct server *s, struct buf *b) // Suspends.
{
    static const char *const grown[] = {"ferula_tsdb_target_series_made",
                                        "ferula_tsdb_metric_series_made"};
    static const char *const refused[] = {"ferula_tsdb_target_series_refused",
                                          "ferula_tsdb_metric_series_refused"};
    struct ranking r;
    rank(s, &r);
    for (size_t k = 0; k < MAKERS_KINDS; k++) {
        family(b, grown[k], "gauge",
               "New series of the last 30 to 60 minutes, of those that made most.");
        for (size_t i = 0; i < r.n[k] && i < PLACES; i++)
            put_place(b, grown[k], kinds[k], &r.places[k][i], makers_of(&r.places[k][i]));
        family(b, refused[k], "gauge", "New series of them that were refused.");
        for (size_t i = 0; i < r.n[k] && i < PLACES; i++)
            if (r.places[k][i].refused)
                put_place(b, refused[k], kinds[k], &r.places[k][i], r.places[k][i].refused);
        mem_free(r.places[k]);
    }
}

void memory_put_metrics(struct server *s, struct buf *b)
{
    const struct memory *m = &s->memory;
    const struct {
        const char *name, *help;
        uint64_t n;
    } rows[] = {
        {"ferula_memory_limit_bytes", "What --storage.memory-limit allows.", m->limit_bytes},
        {"ferula_memory_used_bytes", "Of it, as measured last.", m->used_bytes},
        {"ferula_memory_queries_bytes", "Of it, by queries.", m->queries.used_bytes},
        {"ferula_memory_queries_limit_bytes", "What all queries together may use now.",
         m->queries.limit_bytes}};
    for (size_t i = 0; i < countof(rows); i++) {
        family(b, rows[i].name, "gauge", rows[i].help);
        buf_printf(b, "%s %llu\n", rows[i].name, (unsigned long long)rows[i].n);
    }
    family(b, "ferula_memory_step", "gauge", "Whether what is done when memory is short is done.");
    for (int i = 1; i < MEMORY_STEPS; i++)
        buf_printf(b, "ferula_memory_step{step=\"%s\"} %d\n", names[i], m->step >= i);
    family(b, "ferula_memory_steps_total", "counter", "How often it was begun.");
    for (int i = 1; i < MEMORY_STEPS; i++)
        buf_printf(b, "ferula_memory_steps_total{step=\"%s\"} %llu\n", names[i],
                   (unsigned long long)m->entered[i]);
    put_ranking(s, b);
}

void memory_put_refused(struct server *s, size_t limit, struct json *j)
{
    struct ranking r;
    rank(s, &r);
    json_key(j, "refusedSeries");
    json_object_begin(j);
    for (size_t k = 0; k < MAKERS_KINDS; k++) {
        size_t n = 0;
        json_key(j, kinds[k]);
        json_array_begin(j);
        for (size_t i = 0; i < r.n[k] && n < limit; i++) {
            const struct makers_place *p = &r.places[k][i];
            if (!p->refused)
                continue;
            n++;
            json_object_begin(j);
            json_key(j, "name");
            json_str(j, str_make(p->text, p->text_n));
            json_key(j, "value");
            json_u64(j, p->refused);
            json_key(j, "made");
            json_u64(j, makers_of(p));
            json_object_end(j);
        }
        json_array_end(j);
        mem_free(r.places[k]);
    }
    json_object_end(j);
}
