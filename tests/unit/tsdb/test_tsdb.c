// The whole database in a folder against a naive map: spilled, merged, closed and opened again,
// killed and opened again.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/mem.h"
#include "engine/base/util.h"
#include "engine/model/labels.h"
#include "tests/lib/in_shards.h"
#include "tests/lib/map_world.h"

static const int64_t START_MS = 1700000100000;

enum ending { RUNS_ON, CLOSED, KILLED, ENDINGS };

struct scenario {
    size_t shape;
    uint64_t seed;
    enum ending ending;
    unsigned shards;
    struct findings found;
    char folder[64], copy[64]; // of a killed one the copy lives on
    uint64_t files;
};

static void nap(int64_t ms)
{
    (void)!fiber_sleep_ns(ms * 1000000);
}

static struct tsdb *open_folder(struct scenario *s, const char *path)
{
    const struct tsdb_options options = {
        .path = path,
        .wal_sync = TSDB_WAL_SYNC_INTERVAL,
        .wal_sync_interval_ms = 50,
        .commit_piece = s->seed % 2 ? 5 : 0, // many are large then
        .spill_ms = 15,
        .seal_ms = 300000,
    };
    struct tsdb *db = NULL;
    struct errmsg e = {0};
    want(&s->found, tsdb_open(&options, &db, &e) == ERR_OK, "%s", e.text);
    return db;
}

static void close_folder(struct scenario *s, struct tsdb *db)
{
    struct errmsg e = {0};
    want(&s->found, tsdb_close(db, &e) == ERR_OK, "%s", e.text);
}

// The folder as a killed process leaves it is a copy made while this one runs.
static void reopen(struct scenario *s, struct map_world *w)
{
    if (s->ending == RUNS_ON)
        return;
    if (s->ending == KILLED) {
        char command[256];
        snprintf(command, sizeof command, "rm -rf %s && cp -r %s %s", s->copy, s->folder, s->copy);
        want(&s->found, system(command) == 0, "%s", command);
    }
    close_folder(s, w->db);
    if (s->ending == KILLED) {
        char old[sizeof s->folder];
        memcpy(old, s->folder, sizeof old);
        memcpy(s->folder, s->copy, strlen(s->copy) + 1);
        memcpy(s->copy, old, sizeof old);
    }
    w->db = open_folder(s, s->folder);
    while (w->db && !tsdb_is_ready(w->db))
        nap(1);
}

static void run(void *arg)
{
    struct scenario *s = arg;
    struct map_world w;
    struct traffic t;
    struct tsdb *db = open_folder(s, s->folder);
    if (!db)
        return;
    map_world_init(&w, db, traffic_shape_name((enum traffic_shape)s->shape), s->seed, &s->found);
    w.start_ms = START_MS;
    w.forms = s->seed % 4 >= 2;
    w.shards = s->shards > 1 ? shard_all() : NULL;
    traffic_init(&t, (enum traffic_shape)s->shape, s->seed, START_MS, 100);
    const size_t step = t.n / 8 + 1;
    for (size_t i = 0; i < t.n && !s->found.text[0]; i += step) {
        const size_t end = i + step < t.n ? i + step : t.n;
        map_world_apply_during_query(&w, t.batches + i, t.batches + end);
        map_world_check(&w, 6);
        nap(6);
        if (i / step % 3 == 2)
            reopen(s, &w);
        w.any_outcome |= s->ending != RUNS_ON && i / step >= 2;
    }
    nap(30);
    map_world_check_all(&w);
    struct tsdb_stats stats;
    tsdb_stats(w.db, &stats);
    s->files = stats.files;
    close_folder(s, w.db);
    w.db = open_folder(s, s->folder);
    while (!tsdb_is_ready(w.db))
        nap(1);
    map_world_check_all(&w);
    close_folder(s, w.db);
    traffic_deinit(&t);
    map_world_deinit(&w);
}

// ---- the same folder with other numbers of shards

struct life {
    const struct traffic *traffic;
    struct map_world world;
    struct findings found;
    char folder[64];
    unsigned shards;
    size_t from, to;         // batches that come in it
    struct tsdb_stats stats; // of all shards, at its end
};

struct look {
    struct tsdb *db;
    struct tsdb_stats stats;
};

static void look_at(void *arg)
{
    struct look *l = arg;
    tsdb_stats(l->db, &l->stats);
}

static void look(struct life *l, struct tsdb *db)
{
    struct look *looks = mem_zalloc(SHARD_MAX * sizeof *looks); // a fiber's stack is too small
    for (unsigned i = 0; i < l->shards; i++)
        looks[i].db = db;
    shard_call_all(LOOP_CONTROL, look_at, looks, sizeof *looks, NULL);
    l->stats = looks[0].stats;
    for (unsigned i = 1; i < l->shards; i++) {
        l->stats.divisions += looks[i].stats.divisions;
        l->stats.merges += looks[i].stats.merges;
        l->stats.files += looks[i].stats.files;
    }
    mem_free(looks);
}

static void live(void *arg)
{
    struct life *l = arg;
    struct map_world *w = &l->world;
    struct scenario s = {.found = l->found};
    w->db = open_folder(&s, l->folder);
    w->shards = shard_all();
    while (w->db && !tsdb_is_ready(w->db))
        nap(1);
    map_world_check_all(w);
    for (size_t i = l->from; i < l->to && !w->found->text[0]; i++) {
        map_world_apply(w, &l->traffic->batches[i]);
        if (i % 16 == 0) {
            nap(20); // so that several files come of each range
            map_world_check(w, 2);
        }
    }
    const uint64_t wanted = l->from ? 1 : 0; // what the first life wrote is divided
    look(l, w->db);
    for (int i = 0; i < 5000 && l->stats.divisions < wanted; i++) {
        nap(10);
        look(l, w->db);
    }
    want(w->found, l->stats.divisions >= wanted, "%u shards: nothing was divided", l->shards);
    map_world_check(w, 6);
    map_world_check_all(w);
    close_folder(&s, w->db);
    want(w->found, !s.found.text[0], "%s", s.found.text);
}

Test(tsdb, opens_with_any_number_of_shards)
{
    static const unsigned shards[] = {1, 3, 2};
    struct traffic t;
    struct life l = {.traffic = &t};
    char command[128];
    snprintf(l.folder, sizeof l.folder, "/tmp/ferula-tsdb-XXXXXX");
    cr_assert(mkdtemp(l.folder) != NULL);
    traffic_init(&t, TRAFFIC_FEDERATION, 3, START_MS, 240);
    map_world_init(&l.world, NULL, "shards", 3, &l.found);
    l.world.start_ms = START_MS;
    l.world.forms = true;
    l.world.any_outcome = true;
    for (size_t i = 0; i < countof(shards) && !l.found.text[0]; i++) {
        l.shards = shards[i];
        l.from = i * t.n / countof(shards);
        l.to = (i + 1) * t.n / countof(shards);
        in_shards(l.shards, SHARD_BACKEND_AUTO, live, &l, &l.found);
    }
    map_world_deinit(&l.world);
    traffic_deinit(&t);
    snprintf(command, sizeof command, "rm -rf %s", l.folder);
    cr_assert_eq(system(command), 0);
    cr_assert(!l.found.text[0], "%s", l.found.text);
}

// ---- the limit of active series

enum { SERIES_MAX = 30, ASKED = 100 };

struct limited {
    struct findings found;
    char folder[64];
    struct tsdb *db;
    unsigned shards;
};

struct wish { // on one shard
    struct limited *l;
    const char *name;
    int64_t t_ms;
    uint64_t made, refused, kept;
};

static void ask_for_series(void *arg)
{
    struct wish *w = arg;
    struct arena a;
    arena_init(&a, 0);
    for (int i = 0; i < ASKED; i++) {
        struct labels_builder b = {0};
        struct tsdb_sample sample = {.t_ms = w->t_ms};
        labels_builder_set(&b, LABEL_NAME, str_from_c(w->name));
        labels_builder_set(&b, STR("job"), STR("x"));
        labels_builder_set(&b, STR("instance"), arena_printf(&a, "%d", i));
        const struct str labels = labels_builder_finish(&b, &a);
        labels_builder_deinit(&b);
        if (tsdb_owner(w->l->db, tsdb_partition(w->l->db, labels)) != shard_index(shard_self()))
            continue;
        sample.ref =
            tsdb_series(w->l->db, labels, labels_hash(labels, tsdb_hash_seed(w->l->db)), 1);
        w->made += sample.ref != 0;
        w->refused += sample.ref == 0;
        struct tsdb_commit c = {.samples = &sample, .n = sample.ref != 0, .max_t_ms = INT64_MAX};
        if (tsdb_commit(w->l->db, &c, NULL) == ERR_OK)
            w->kept += c.counts[TSDB_APPENDED];
    }
    arena_deinit(&a);
}

static struct wish ask_all(struct limited *l, const char *name, int64_t t_ms)
{
    struct wish wishes[SHARD_MAX];
    for (unsigned i = 0; i < l->shards; i++)
        wishes[i] = (struct wish){.l = l, .name = name, .t_ms = t_ms};
    shard_call_all(LOOP_RECEIVE, ask_for_series, wishes, sizeof *wishes, NULL);
    for (unsigned i = 1; i < l->shards; i++) {
        wishes[0].made += wishes[i].made;
        wishes[0].refused += wishes[i].refused;
        wishes[0].kept += wishes[i].kept;
    }
    return wishes[0];
}

struct going {
    struct limited *l;
    int64_t t_ms;
};

static void go_on(void *arg) // the first series of this shard that there is
{
    const struct going *g = arg;
    struct arena a;
    arena_init(&a, 0);
    bool is_done = false;
    for (int i = 0; i < ASKED && !is_done; i++) {
        struct labels_builder b = {0};
        labels_builder_set(&b, LABEL_NAME, STR("a"));
        labels_builder_set(&b, STR("job"), STR("x"));
        labels_builder_set(&b, STR("instance"), arena_printf(&a, "%d", i));
        const struct str labels = labels_builder_finish(&b, &a);
        labels_builder_deinit(&b);
        if (tsdb_owner(g->l->db, tsdb_partition(g->l->db, labels)) != shard_index(shard_self()))
            continue;
        const struct tsdb_sample sample = {
            tsdb_series(g->l->db, labels, labels_hash(labels, tsdb_hash_seed(g->l->db)), 1),
            g->t_ms, 0};
        struct tsdb_commit c = {.samples = &sample, .n = 1, .max_t_ms = INT64_MAX};
        is_done = tsdb_commit(g->l->db, &c, NULL) == ERR_OK && c.counts[TSDB_APPENDED];
    }
    arena_deinit(&a);
}

static void append_one(struct limited *l, int64_t t_ms)
{
    struct going going[SHARD_MAX];
    for (unsigned i = 0; i < l->shards; i++)
        going[i] = (struct going){l, t_ms};
    shard_call_all(LOOP_RECEIVE, go_on, going, sizeof *going, NULL);
}

// Each shard has its share of the limit, rounded up.
static void reach_limit(void *arg)
{
    struct limited *l = arg;
    struct errmsg e = {0};
    const struct tsdb_options options = {
        .path = l->folder, .wal_sync = TSDB_WAL_SYNC_NONE, .spill_ms = 1, .series_max = SERIES_MAX};
    want(&l->found, tsdb_open(&options, &l->db, &e) == ERR_OK, "%s", e.text);
    const struct wish first = ask_all(l, "a", START_MS);
    want(&l->found, first.made >= SERIES_MAX && first.made < SERIES_MAX + l->shards, "%llu made",
         (unsigned long long)first.made);
    want(&l->found, first.made + first.refused == ASKED && first.kept == first.made);
    // Those that are there keep flowing, others are refused.
    const struct wish again = ask_all(l, "a", START_MS + 1000);
    want(&l->found, again.kept == first.made && again.refused == first.refused, "%llu kept",
         (unsigned long long)again.kept);
    want(&l->found, ask_all(l, "b", START_MS + 1000).made == 0);
    // One of them goes on; when the others have left the head, new ones may come.
    uint64_t made = 0;
    for (int i = 0; i < 5000 && made < SERIES_MAX / 2; i++) {
        append_one(l, START_MS + 2 * 3600000 + i);
        nap(5);
        made = ask_all(l, "b", START_MS + 2 * 3600000 + i).made;
    }
    want(&l->found, made >= SERIES_MAX / 2, "%llu came", (unsigned long long)made);
    want(&l->found, tsdb_close(l->db, &e) == ERR_OK, "%s", e.text);
}

Test(tsdb, refuses_series_beyond_the_limit)
{
    for (unsigned shards = 1; shards <= 3; shards += 2) {
        struct limited l = {.folder = "/tmp/ferula-limit-XXXXXX", .shards = shards};
        char command[128];
        cr_assert(mkdtemp(l.folder) != NULL);
        in_shards(shards, SHARD_BACKEND_AUTO, reach_limit, &l, &l.found);
        snprintf(command, sizeof command, "rm -rf %s", l.folder);
        cr_assert_eq(system(command), 0);
        cr_assert(!l.found.text[0], "%u shards: %s", shards, l.found.text);
    }
}

static void run_ending(enum ending ending, unsigned shards)
{
    uint64_t files = 0;
    for (size_t shape = shards > 1 ? (size_t)ending : 0;
         shape<TRAFFIC_SHAPE_COUNT; shape += shards> 1 ? ENDINGS : 1) {
        struct scenario s = {.shape = shape, .seed = shape + 1, .ending = ending, .shards = shards};
        snprintf(s.folder, sizeof s.folder, "/tmp/ferula-tsdb-XXXXXX");
        cr_assert(mkdtemp(s.folder) != NULL);
        snprintf(s.copy, sizeof s.copy, "%.40s-copy", s.folder);
        in_shards(s.shards, SHARD_BACKEND_AUTO, run, &s, &s.found);
        char command[256];
        snprintf(command, sizeof command, "rm -rf %s %s", s.folder, s.copy);
        cr_assert_eq(system(command), 0);
        cr_assert(!s.found.text[0], "%s", s.found.text);
        files += s.files;
    }
    // How far writing gets beside one run is the machine's; in all of them some files come of it.
    cr_assert(shards > 1 || files > 0);
}

Test(tsdb, answers_as_the_map_while_it_writes)
{
    run_ending(RUNS_ON, 1);
    run_ending(RUNS_ON, 3);
}

Test(tsdb, answers_as_the_map_after_it_was_closed)
{
    run_ending(CLOSED, 1);
    run_ending(CLOSED, 3);
}

Test(tsdb, answers_as_the_map_after_it_was_killed)
{
    run_ending(KILLED, 1);
    run_ending(KILLED, 3);
}
