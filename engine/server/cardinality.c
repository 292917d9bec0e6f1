// The lists of status/tsdb: which names, labels and pairs have most series and values.
//
// All values of all labels are looked at, some at a time, in their order, shards side by side: what
// is held are a few hundred values of each shard and twice as many of each list as are asked for.
#include "engine/server/cardinality.h"

#include "engine/base/mem.h"
#include "engine/model/labels.h"
#include "engine/server/server.h"
#include "engine/shard/shard.h"
#include "engine/tsdb/tsdb_counts.h"
#include "io/fiber_sort.h"

enum { LENGTHS = 2, BATCH = 512 }; // bytes that Prometheus holds for a label's lengths

struct counter {
    struct str key;
    uint64_t n;
};

struct top {                // the largest
    struct arena arenas[2]; // of the keys, in turns
    unsigned arena_at;
    struct counter *items;
    size_t n, limit; // room for twice limit
    uint64_t least;  // of those that stayed; 0: all do
};

struct cardinality {
    struct arena_budget budget;
    struct top lists[CARDINALITY_LISTS];
    uint64_t pairs, grown;
    int64_t growth_ms;
};

struct part { // of one shard; its memory is made and freed there
    struct server *server;
    struct arena_budget *budget;
    struct arena arena, values;
    struct least names;
    size_t names_at; // of the merge
    int64_t growth_ms, grown_ms;
    struct tsdb_growth growth;
    size_t targets_at;
    struct str name, after;
    struct tsdb_value_count items[BATCH];
    size_t n, at;
    err code;
    struct errmsg e;
};

// ---- lists

// The largest first, then by name.
static int compare(const void *a, const void *b, const void *arg)
{
    const struct counter *x = a, *y = b;
    (void)arg;
    return x->n != y->n ? (x->n < y->n) - (x->n > y->n) : str_cmp(x->key, y->key);
}

static err no_room(struct errmsg *e)
{
    return err_set(e, ERR_LIMIT,
                   "the lists need more than the bytes that --query.max-bytes allows: ask for "
                   "shorter ones with the parameter limit");
}

static err copy_key(struct arena *a, struct str key, struct str *out, struct errmsg *e)
{
    char *own = arena_try(a, key.n + 1, 1, 1);
    if (!own)
        return no_room(e);
    memcpy(own, key.p, key.n);
    *out = str_make(own, key.n);
    return ERR_OK;
}

// Sorts, and drops what is beyond the limit. Suspends.
static err cut(struct top *t, struct errmsg *e)
{
    struct arena *to = &t->arenas[!t->arena_at];
    fiber_sort(t->items, t->n, sizeof *t->items, NULL, compare);
    if (t->n <= t->limit)
        return ERR_OK;
    t->n = t->limit;
    t->least = t->items[t->n - 1].n;
    for (size_t i = 0; i < t->n; i++) {
        TRY(copy_key(to, t->items[i].key, &t->items[i].key, e));
        if (i % 256 == 255)
            fiber_yield_if_due();
    }
    arena_reset(&t->arenas[t->arena_at]);
    t->arena_at = !t->arena_at;
    return ERR_OK;
}

// key: a and, if n is not 0, b behind it. Suspends.
static err offer(struct cardinality *k, enum cardinality_list list, struct str a, struct str b,
                 uint64_t n, struct errmsg *e)
{
    struct top *t = &k->lists[list];
    if (n < t->least || !n)
        return ERR_OK;
    if (t->n == 2 * t->limit)
        TRY(cut(t, e));
    const size_t size = a.n + (b.n ? 1 + b.n : 0);
    char *own = arena_try(&t->arenas[t->arena_at], size + 1, 1, 1);
    if (!own)
        return no_room(e);
    memcpy(own, a.p, a.n);
    if (b.n) {
        own[a.n] = '=';
        memcpy(own + a.n + 1, b.p, b.n);
    }
    t->items[t->n++] = (struct counter){str_make(own, size), n};
    return ERR_OK;
}

// ---- shards

static void ask_names(void *arg) // on each shard
{
    struct part *p = arg;
    arena_init_within(&p->arena, p->budget);
    arena_init_within(&p->values, p->budget);
    least_init(&p->names, &p->arena, 0, false);
    p->code = tsdb_active_names(p->server->db, &p->names, &p->e);
    if (p->code == ERR_OK && p->growth_ms)
        p->code = tsdb_growth_begin(p->server->db, p->growth_ms, &p->arena, &p->growth,
                                    &p->grown_ms, &p->e);
}

static void ask_values(void *arg) // on each shard
{
    struct part *p = arg;
    arena_reset(&p->values);
    p->at = p->n = 0;
    p->code = tsdb_count_values(p->server->db, p->growth_ms ? &p->growth : NULL, p->name, p->after,
                                BATCH, &p->values, p->items, &p->n, &p->e);
}

static void free_part(void *arg) // on each shard
{
    struct part *p = arg;
    tsdb_growth_end(p->server->db, &p->growth);
    least_deinit(&p->names);
    arena_deinit(&p->values);
    arena_deinit(&p->arena);
}

static err ask_all(struct part *parts, unsigned count, void (*ask)(void *), struct errmsg *e)
{
    shard_call_all(LOOP_QUERY, ask, parts, sizeof *parts, NULL);
    for (unsigned i = 0; i < count; i++)
        if (parts[i].code == ERR_LIMIT)
            return no_room(e);
        else if (parts[i].code)
            return err_set(e, parts[i].code, "%s", parts[i].e.text);
    return ERR_OK;
}

// The next name that some shard has.
static bool next_name(struct part *parts, unsigned count, struct str *out)
{
    const struct str *least = NULL;
    for (unsigned i = 0; i < count; i++) {
        const struct part *p = &parts[i];
        if (p->names_at < p->names.n &&
            (!least || str_cmp(p->names.items[p->names_at], *least) < 0))
            least = &p->names.items[p->names_at];
    }
    if (!least)
        return false;
    *out = *least;
    for (unsigned i = 0; i < count; i++)
        if (parts[i].names_at < parts[i].names.n &&
            str_eq(parts[i].names.items[parts[i].names_at], *out))
            parts[i].names_at++;
    return true;
}

// The next value, counted over all shards; false: a shard must be asked before it is known.
static bool next_value(struct part *parts, unsigned count, struct tsdb_value_count *out)
{
    const struct part *least = NULL;
    for (unsigned i = 0; i < count; i++) {
        const struct part *p = &parts[i];
        if (p->at == p->n && p->n == BATCH)
            return false;
        if (p->at < p->n &&
            (!least || str_cmp(p->items[p->at].value, least->items[least->at].value) < 0))
            least = p;
    }
    if (!least)
        return false;
    *out = (struct tsdb_value_count){.value = least->items[least->at].value};
    for (unsigned i = 0; i < count; i++) {
        struct part *p = &parts[i];
        if (p->at < p->n && str_eq(p->items[p->at].value, out->value)) {
            out->series += p->items[p->at].series;
            out->grown += p->items[p->at++].grown;
        }
    }
    return true;
}

struct sums {
    uint64_t values, bytes, grown;
};

static err count_value(struct cardinality *k, struct str name, const struct tsdb_value_count *v,
                       struct sums *sums, struct errmsg *e)
{
    sums->values++;
    sums->bytes += v->series * (name.n + v->value.n + LENGTHS);
    sums->grown += v->grown && v->grown == v->series; // nothing had this value before
    if (str_eq(name, LABEL_NAME)) {
        TRY(offer(k, CARDINALITY_NAMES, v->value, (struct str){0}, v->series, e));
        TRY(offer(k, CARDINALITY_GROWN_NAMES, v->value, (struct str){0}, v->grown, e));
    }
    TRY(offer(k, CARDINALITY_GROWN_PAIRS, name, v->value, v->grown, e));
    return offer(k, CARDINALITY_PAIRS, name, v->value, v->series, e);
}

static err count_name(struct cardinality *k, struct part *parts, unsigned count, struct str name,
                      struct errmsg *e)
{
    struct sums sums = {0};
    struct buf after = {0};
    err code = ERR_OK;
    for (bool more = true; more && code == ERR_OK;) {
        struct tsdb_value_count value;
        for (unsigned i = 0; i < count; i++) {
            parts[i].name = name;
            parts[i].after = sums.values ? buf_str(&after) : (struct str){0};
        }
        code = ask_all(parts, count, ask_values, e);
        while (code == ERR_OK && next_value(parts, count, &value)) {
            code = count_value(k, name, &value, &sums, e);
            buf_reset(&after);
            buf_put_str(&after, value.value);
            fiber_yield_if_due();
        }
        more = false;
        for (unsigned i = 0; i < count; i++)
            more |= parts[i].n == BATCH;
    }
    buf_deinit(&after);
    TRY(code);
    k->pairs += sums.values;
    if (!sums.values)
        return ERR_OK;
    TRY(offer(k, CARDINALITY_BYTES, name, (struct str){0}, sums.bytes, e));
    TRY(offer(k, CARDINALITY_GROWN_VALUES, name, (struct str){0}, sums.grown, e));
    return offer(k, CARDINALITY_VALUES, name, (struct str){0}, sums.values, e);
}

// The next target of a shard; NULL: there is none.
static const struct tsdb_target_growth *target_of(const struct part *p)
{
    return p->targets_at < p->growth.targets_n ? &p->growth.targets[p->targets_at] : NULL;
}

// Targets of several shards are one: their series spread over them.
static err count_targets(struct cardinality *k, struct part *parts, unsigned count,
                         struct errmsg *e)
{
    for (;;) {
        const struct tsdb_target_growth *least = NULL, *t;
        uint64_t series = 0;
        for (unsigned i = 0; i < count; i++)
            if ((t = target_of(&parts[i])) && (!least || str_cmp(t->labels, least->labels) < 0))
                least = t;
        if (!least)
            return ERR_OK;
        for (unsigned i = 0; i < count; i++) {
            if (!(t = target_of(&parts[i])) || !str_eq(t->labels, least->labels))
                continue;
            series += t->series;
            parts[i].targets_at++;
        }
        k->grown += series;
        TRY(offer(k, CARDINALITY_GROWN_TARGETS, least->labels, (struct str){0}, series, e));
        fiber_yield_if_due();
    }
}

static err gather(struct cardinality *k, struct part *parts, unsigned count, struct errmsg *e)
{
    struct str name;
    TRY(ask_all(parts, count, ask_names, e));
    while (next_name(parts, count, &name))
        TRY(count_name(k, parts, count, name, e));
    TRY(count_targets(k, parts, count, e));
    k->growth_ms = parts[0].grown_ms;
    for (size_t i = 0; i < CARDINALITY_LISTS; i++)
        TRY(cut(&k->lists[i], e));
    return ERR_OK;
}

err cardinality_gather(struct server *s, size_t limit, int64_t growth_ms, struct cardinality **out,
                       struct errmsg *e)
{
    const unsigned count = shards_count(s->shards);
    struct cardinality *k = mem_zalloc(sizeof *k);
    struct part *parts = mem_zalloc(count * sizeof *parts);
    k->budget.all = &s->memory.queries;
    k->budget.limit_bytes = (size_t)s->flags.query_max_bytes;
    for (size_t i = 0; i < CARDINALITY_LISTS; i++) {
        struct top *t = &k->lists[i];
        t->limit = limit;
        t->items = mem_alloc_array(2 * limit, sizeof *t->items);
        arena_init_within(&t->arenas[0], &k->budget);
        arena_init_within(&t->arenas[1], &k->budget);
    }
    for (unsigned i = 0; i < count; i++) {
        parts[i].server = s;
        parts[i].budget = &k->budget;
        parts[i].growth_ms = growth_ms;
    }
    const err code = gather(k, parts, count, e);
    fiber_shield_begin();
    shard_call_all(LOOP_QUERY, free_part, parts, sizeof *parts, NULL);
    fiber_shield_end();
    mem_free(parts);
    if (code)
        cardinality_destroy(k);
    else
        *out = k;
    return code;
}

uint64_t cardinality_pairs(const struct cardinality *k)
{
    return k->pairs;
}

uint64_t cardinality_grown(const struct cardinality *k, int64_t *out_ms)
{
    *out_ms = k->growth_ms;
    return k->grown;
}

void cardinality_destroy(struct cardinality *k)
{
    if (!k)
        return;
    for (size_t i = 0; i < CARDINALITY_LISTS; i++) {
        arena_deinit(&k->lists[i].arenas[0]);
        arena_deinit(&k->lists[i].arenas[1]);
        mem_free(k->lists[i].items);
    }
    mem_free(k);
}

void cardinality_put(const struct cardinality *k, enum cardinality_list list, struct json *j)
{
    const struct top *t = &k->lists[list];
    json_array_begin(j);
    for (size_t i = 0; i < t->n && i < t->limit; i++) {
        json_object_begin(j);
        json_key(j, "name");
        json_str(j, t->items[i].key);
        json_key(j, "value");
        json_u64(j, t->items[i].n);
        json_object_end(j);
        fiber_yield_if_due();
    }
    json_array_end(j);
}
