#include "engine/base/mem.h"
#include "engine/base/util.h"
#include "engine/model/labels.h"
#include "tests/lib/forms.h"
#include "tests/sim/program.h"

enum { MATCHERS_MAX = 2 };

struct query {
    struct program *program;
    struct matcher ms[MATCHERS_MAX];
    size_t ms_count;
    int64_t mint, maxt;
};

struct part_query { // of one shard
    const struct query *query;
    unsigned shard;
    err result;
    struct errmsg e;
};

struct owner {
    struct tsdb *db;
    unsigned shard;
};

static bool is_owned(const void *arg, struct str labels)
{
    const struct owner *o = arg;
    return tsdb_owner(o->db, tsdb_partition(o->db, labels)) == o->shard;
}

static err ask(const struct query *q, struct storage_set *set, struct arena *a, struct column **out,
               struct errmsg *e)
{
    const struct storage s = tsdb_storage(q->program->db);
    TRY(s.ops->select(s.self, q->ms, q->ms_count, q->mint, q->maxt, NULL, a, set, e));
    *out = mem_zalloc((set->n + 1) * sizeof **out);
    return s.ops->read(s.self, set, set->series, set->n, q->mint, q->maxt, a, *out, e);
}

static void check_order(struct program *p, const struct storage_set *set)
{
    for (size_t i = 0; i < set->n; i++) {
        const struct storage_series *a = &set->series[i], *b = a + 1;
        if (a->partition != tsdb_partition(p->db, a->labels))
            world_violate(p->world, "a series of another partition than its labels say");
        if (i + 1 == set->n)
            break;
        const int names =
            str_cmp(labels_value(a->labels, LABEL_NAME), labels_value(b->labels, LABEL_NAME));
        if (a->partition > b->partition ||
            (a->partition == b->partition &&
             (names > 0 || (names == 0 && labels_cmp(a->labels, b->labels) >= 0))))
            world_violate(p->world, "series out of order");
    }
}

static void run_part(void *arg)
{
    struct part_query *part = arg;
    const struct query *q = part->query;
    struct program *p = q->program;
    const struct owner owner = {p->db, shard_index(shard_self())};
    const uint64_t began = p->truth.events;
    const struct storage s = tsdb_storage(p->db);
    struct storage_set set = {0};
    struct column *columns = NULL;
    struct arena arena, forms;
    arena_init(&arena, 0);
    arena_init(&forms, 0);
    part->result = ask(q, &set, &arena, &columns, &part->e);
    if (part->result == ERR_OK) {
        const int64_t begin = world_judging_begin();
        check_order(p, &set);
        for (size_t i = 0; p->options.forms && i < set.n; i++)
            if (!form_undo(&columns[i], true, &forms))
                world_violate(p->world, "a sample in another form than its bits say");
        truth_judge(&p->truth, &(struct truth_answer){.ms = q->ms,
                                                      .ms_count = q->ms_count,
                                                      .mint = q->mint,
                                                      .maxt = q->maxt,
                                                      .began = began,
                                                      .set = &set,
                                                      .columns = columns,
                                                      .owned = is_owned,
                                                      .owned_arg = &owner});
        arena_deinit(&forms);
        world_judging_end(p->world, begin);
    }
    s.ops->release(s.self, &set);
    mem_free(columns);
    arena_deinit(&arena);
}

static bool run(struct program *p, const struct query *q)
{
    struct part_query parts[WORLD_SHARDS_MAX];
    bool is_answered = true;
    for (unsigned i = 0; i < p->shards_n; i++)
        parts[i] = (struct part_query){.query = q, .shard = i};
    shard_call_all(LOOP_QUERY, run_part, parts, sizeof *parts, NULL);
    p->queries++;
    for (unsigned i = 0; i < p->shards_n; i++) {
        if (parts[i].result == ERR_OK)
            continue;
        is_answered = false;
        p->query_errors++;
        if (parts[i].result != ERR_IO && parts[i].result != ERR_LIMIT &&
            parts[i].result != ERR_TIMEOUT)
            world_violate(p->world, "query: %s: %s", err_name(parts[i].result), parts[i].e.text);
    }
    return is_answered;
}

bool program_check_all(struct program *p)
{
    return run(p, &(struct query){.program = p, .mint = INT64_MIN, .maxt = INT64_MAX});
}

bool program_check_some(struct program *p)
{
    static const struct {
        struct str name, value;
        enum matcher_kind kind;
    } texts[] = {{STR("__name__"), STR("metric-3"), MATCHER_EQ},
                 {STR("sender"), STR("0"), MATCHER_EQ},
                 {STR("sender"), STR("1"), MATCHER_NE},
                 {STR("job"), STR("node"), MATCHER_EQ},
                 {STR("cpu"), STR(""), MATCHER_EQ},
                 {STR("cpu"), STR("cpu-1"), MATCHER_NE}};
    struct rng *rng = &p->rng;
    struct query q = {.program = p, .ms_count = rng_below(rng, MATCHERS_MAX + 1)};
    for (size_t i = 0; i < q.ms_count; i++) {
        const size_t k = rng_below(rng, countof(texts));
        q.ms[i] =
            (struct matcher){.kind = texts[k].kind, .name = texts[k].name, .value = texts[k].value};
    }
    const int64_t newest = p->truth.newest_t == INT64_MIN ? 0 : p->truth.newest_t;
    q.maxt = newest - (int64_t)rng_below(rng, 3600000);
    q.mint = q.maxt - 1 - (int64_t)rng_below(rng, 3600000);
    if (rng_below(rng, 2))
        q.maxt = INT64_MAX;
    if (rng_below(rng, 4) == 0)
        q.mint = INT64_MIN;
    if (rng_below(rng, 4) == 0)
        fiber_set_deadline(p->world->now_ns + (int64_t)rng_below(rng, 5000000));
    const bool is_answered = run(p, &q);
    fiber_set_deadline(INT64_MAX);
    return is_answered;
}
