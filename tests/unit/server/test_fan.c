// Label questions over two shards: answers sorted, each once, as over one.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/util.h"
#include "engine/model/labels.h"
#include "engine/server/newest.h"
#include "engine/tsdb/tsdb.h"
#include "tests/lib/in_shards.h"

enum { INSTANCES = 60 };

struct world {
    struct findings found;
    struct tsdb *db;
    char folder[64];
};

// Each shard writes the series that it owns: m{instance, job, zone} of every instance.
static void fill_shard(void *arg)
{
    struct tsdb *db = *(struct tsdb **)arg;
    struct arena a;
    struct tsdb_sample samples[INSTANCES];
    size_t n = 0;
    struct errmsg e;
    arena_init(&a, 0);
    for (int i = 0; i < INSTANCES; i++) {
        struct labels_builder b = {0};
        labels_builder_set(&b, LABEL_NAME, STR("m"));
        labels_builder_set(&b, STR("job"), STR("j"));
        labels_builder_set(&b, STR("instance"), arena_printf(&a, "i%02d", i));
        labels_builder_set(&b, STR("zone"), i % 2 ? STR("odd") : STR("even"));
        const struct str labels = labels_builder_finish(&b, &a);
        labels_builder_deinit(&b);
        if (tsdb_owner(db, tsdb_partition(db, labels)) != shard_index(shard_self()))
            continue;
        const uint64_t ref = tsdb_series(db, labels, labels_hash(labels, tsdb_hash_seed(db)), 1);
        samples[n++] = (struct tsdb_sample){ref, 1000000, 1};
    }
    struct tsdb_commit c = {.samples = samples, .n = n, .max_t_ms = INT64_MAX};
    if (tsdb_commit(db, &c, &e) != ERR_OK || c.counts[TSDB_APPENDED] != n || n == INSTANCES)
        abort();
    arena_deinit(&a);
}

static size_t ask(struct world *w, struct fan_question q, struct arena *a, struct str **out)
{
    size_t n = 0;
    struct errmsg e = {0};
    q.storage = tsdb_storage(w->db);
    q.mint = INT64_MIN;
    q.maxt = INT64_MAX;
    want(&w->found, fan_ask(&q, a, out, &n, &e) == ERR_OK, "%s", e.text);
    return n;
}

static void questions(struct world *w, struct arena *a)
{
    static const char *const names[] = {"__name__", "instance", "job", "zone"};
    const struct matcher odd = {.kind = MATCHER_EQ, .name = STR("zone"), .value = STR("odd")};
    const struct matcher m = {.kind = MATCHER_EQ, .name = LABEL_NAME, .value = STR("m")};
    const struct matcher none = {.kind = MATCHER_EQ, .name = LABEL_NAME, .value = STR("x")};
    const struct fan_selector both[] = {{&odd, 1}, {&m, 1}}, nothing[] = {{&none, 1}};
    struct str *items;
    size_t n = ask(w, (struct fan_question){.kind = FAN_NAMES}, a, &items);
    want(&w->found, n == countof(names), "%zu names", n);
    for (size_t i = 0; i < n && i < countof(names); i++)
        want(&w->found, str_eq(items[i], str_from_c(names[i])), "%.*s", STR_ARG(items[i]));
    n = ask(w, (struct fan_question){.kind = FAN_VALUES, .name = STR("instance")}, a, &items);
    want(&w->found, n == INSTANCES, "%zu values", n);
    for (size_t i = 1; i < n; i++)
        want(&w->found, str_cmp(items[i - 1], items[i]) < 0);
    n = ask(
        w,
        (struct fan_question){
            .kind = FAN_VALUES, .name = STR("instance"), .selectors = both, .selectors_count = 1},
        a, &items);
    want(&w->found, n == INSTANCES / 2, "%zu odd ones", n);
    n = ask(w, (struct fan_question){.kind = FAN_SERIES, .selectors = both, .selectors_count = 2},
            a, &items); // what both select is there once
    want(&w->found, n == INSTANCES, "%zu series", n);
    for (size_t i = 1; i < n; i++)
        want(&w->found, labels_cmp(items[i - 1], items[i]) < 0);
    n = ask(w,
            (struct fan_question){
                .kind = FAN_SERIES, .selectors = both, .selectors_count = 2, .limit = 7},
            a, &items);
    want(&w->found, n > 7 && str_eq(labels_value(items[6], STR("instance")), STR("i06")));
    n = ask(w,
            (struct fan_question){
                .kind = FAN_VALUES, .name = STR("instance"), .after = STR("i56"), .limit = 5},
            a, &items);
    want(&w->found, n == 3 && str_eq(items[0], STR("i57")), "%zu behind i56", n);
    n = ask(w, (struct fan_question){.kind = FAN_VALUES, .name = STR("instance"), .limit = 5}, a,
            &items); // more than asked for says that there is more; the first ones are the first
    want(&w->found, n > 5 && str_eq(items[0], STR("i00")) && str_eq(items[4], STR("i04")));
    n = ask(w,
            (struct fan_question){.kind = FAN_SERIES, .selectors = nothing, .selectors_count = 1},
            a, &items);
    want(&w->found, n == 0);
}

// A matcher that many values would have to be tried for is asked of the few series that another one
// leaves: the answer stays the same.
static void asked_of_series(struct world *w, struct arena *a)
{
    static const struct {
        enum matcher_kind kind;
        const char *name, *pattern;
        size_t wanted;
    } rows[] = {
        {MATCHER_RE, "instance", ".*[24]", 1}, {MATCHER_NRE, "instance", ".*[24]", 2},
        {MATCHER_RE, "instance", "i.+", 3},    {MATCHER_NRE, "instance", "i0.*", 0},
        {MATCHER_NE, "instance", "i02", 2},    {MATCHER_NE, "instance", "", 3},
        {MATCHER_EQ, "instance", "i03", 1},    {MATCHER_RE, "instance", "x?", 0},
        {MATCHER_RE, "nothing", "x*", 3},      {MATCHER_NRE, "nothing", ".+", 3},
    };
    struct errmsg e = {0};
    struct regex *few, *regex;
    want(&w->found, regex_create(STR("i01|i02|i03"), REGEX_MATCHER, &few, &e) == ERR_OK);
    for (size_t i = 0; i < 2 * countof(rows); i++) { // in either order
        const struct str pattern = str_from_c(rows[i / 2].pattern);
        want(&w->found, regex_create(pattern, REGEX_MATCHER, &regex, &e) == ERR_OK);
        struct matcher ms[2];
        ms[i % 2] = (struct matcher){MATCHER_RE, STR("instance"), STR("i01|i02|i03"), few};
        ms[1 - i % 2] =
            (struct matcher){rows[i / 2].kind, str_from_c(rows[i / 2].name), pattern, regex};
        struct str *items;
        const size_t n = ask(w,
                             (struct fan_question){.kind = FAN_SERIES,
                                                   .selectors = &(struct fan_selector){ms, 2},
                                                   .selectors_count = 1},
                             a, &items);
        want(&w->found, n == rows[i / 2].wanted, "%zu series of %s", n, rows[i / 2].pattern);
        regex_destroy(regex);
    }
    regex_destroy(few);
}

// Less memory than the series need, of both shards together, is refused; of a few it is enough.
static void memory(struct world *w)
{
    const struct matcher m = {.kind = MATCHER_EQ, .name = LABEL_NAME, .value = STR("m")};
    const struct fan_selector all = {&m, 1};
    struct fan_question q = {.kind = FAN_SERIES,
                             .storage = tsdb_storage(w->db),
                             .selectors = &all,
                             .selectors_count = 1,
                             .mint = INT64_MIN,
                             .maxt = INT64_MAX,
                             .bytes_max = 3000};
    struct fan f;
    struct errmsg e = {0};
    want(&w->found, fan_open(&q, &f, &e) == ERR_LIMIT && strstr(e.text, "--query.max-bytes"), "%s",
         e.text);
}

// ---- the newest samples

struct heard {
    struct world *w;
    struct arena *a;
    struct str last;
    size_t n, enough;
};

static bool hear(void *arg, struct str name, struct str labels, int64_t t_ms, double v)
{
    struct heard *h = arg;
    want(&h->w->found, str_eq(name, STR("m")) && t_ms == 1000000 && v > 0, "%.*s", STR_ARG(name));
    want(&h->w->found, !h->n || labels_cmp(h->last, labels) < 0, "out of order at %zu", h->n);
    h->last = arena_str(h->a, labels);
    return ++h->n != h->enough;
}

// The same series in the same order, however few are held at a time.
static void newest(struct world *w, struct arena *a)
{
    const struct matcher odd = {.kind = MATCHER_EQ, .name = STR("zone"), .value = STR("odd")};
    const struct matcher m = {.kind = MATCHER_EQ, .name = LABEL_NAME, .value = STR("m")};
    const struct fan_selector selectors[] = {{&m, 1}, {&odd, 1}};
    struct newest_question q = {.storage = tsdb_storage(w->db), .mint = 0, .maxt = 1000000};
    static const size_t units[] = {0, 1, 2, 7, 20, INSTANCES};
    struct errmsg e = {0};
    q.selectors = selectors;
    for (size_t i = 0; i < countof(units); i++)
        for (q.selectors_count = 1; q.selectors_count <= 2; q.selectors_count++) {
            struct heard h = {.w = w, .a = a};
            q.unit_max = units[i];
            want(&w->found, newest_each(&q, &e, hear, &h) == ERR_OK, "%s", e.text);
            want(&w->found, h.n == INSTANCES, "%zu of %d, %zu at a time", h.n, INSTANCES, units[i]);
        }
    q.selectors_count = 2;
    for (size_t enough = 1; enough < INSTANCES; enough += 7) {
        struct heard h = {.w = w, .a = a, .enough = enough};
        q.unit_max = 3;
        want(&w->found, newest_each(&q, &e, hear, &h) == ERR_OK && h.n == enough);
    }
    struct heard h = {.w = w, .a = a};
    q.mint = 1000000; // left open: nothing is newer
    q.maxt = 2000000;
    want(&w->found, newest_each(&q, &e, hear, &h) == ERR_OK && !h.n);
}

static void run(void *arg)
{
    struct world *w = arg;
    struct errmsg e = {0};
    const struct tsdb_options options = {.path = w->folder, .wal_sync = TSDB_WAL_SYNC_NONE};
    struct arena a;
    want(&w->found, tsdb_open(&options, &w->db, &e) == ERR_OK, "%s", e.text);
    if (!w->db)
        return;
    struct tsdb *dbs[2] = {w->db, w->db};
    shard_call_all(LOOP_CONTROL, fill_shard, dbs, sizeof *dbs, NULL);
    arena_init(&a, 0);
    questions(w, &a);
    asked_of_series(w, &a);
    memory(w);
    newest(w, &a);
    arena_deinit(&a);
    want(&w->found, tsdb_close(w->db, &e) == ERR_OK, "%s", e.text);
}

Test(fan, two_shards)
{
    static struct world w;
    char command[128];
    snprintf(w.folder, sizeof w.folder, "/tmp/ferula-fan-XXXXXX");
    cr_assert(mkdtemp(w.folder) != NULL);
    in_shards(2, SHARD_BACKEND_AUTO, run, &w, &w.found);
    snprintf(command, sizeof command, "rm -rf '%s'", w.folder);
    cr_assert_eq(system(command), 0);
    cr_assert_str_eq(w.found.text, "", "%s", w.found.text);
}
