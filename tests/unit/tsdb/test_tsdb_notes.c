// Exemplars and metadata: the ring beside a naive list, and a folder that is killed, started with
// other numbers of shards, and shut down.
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/bits.h"
#include "engine/base/number.h"
#include "engine/base/rng.h"
#include "engine/base/util.h"
#include "engine/model/labels.h"
#include "engine/tsdb/exemplars.h"
#include "engine/tsdb/note.h"
#include "tests/lib/in_shards.h"

enum { SERIES = 40, PER_SERIES = 5, FAMILIES = 30 };
static const int64_t START_MS = 1700000000000;

static struct str one_label(struct arena *a, const char *name, unsigned value)
{
    struct labels_builder b = {0};
    char text[16];
    snprintf(text, sizeof text, "%04u", value);
    labels_builder_set(&b, str_from_c(name), str_from_c(text));
    labels_builder_set(&b, STR("job"), str_from_c(text));
    const struct str labels = labels_builder_finish(&b, a);
    labels_builder_deinit(&b);
    return labels;
}

static unsigned number_of(struct str series)
{
    int64_t n = 0;
    (void)!number_parse_i64(labels_value(series, STR("s")), &n);
    return (unsigned)n;
}

// ---- the ring

struct kept {
    unsigned series;
    int64_t t_ms;
};

struct seen {
    struct kept *list; // what the ring must have, oldest first
    size_t n, matched;
};

static void see(void *arg, const struct tsdb_exemplar *x)
{
    struct seen *s = arg;
    const unsigned series = number_of(x->series);
    size_t found = 0;
    for (size_t k = 0; k < s->n; k++)
        found += s->list[k].series == series && s->list[k].t_ms == x->t_ms;
    cr_assert_eq(found, 1);
    s->matched++;
}

Test(notes, ring_is_a_list_of_the_newest)
{
    enum { MAX = 64, ROUNDS = 4000 };
    static struct kept kept[MAX + 1];
    struct seen s = {.list = kept};
    struct exemplars x = {.seed = 7};
    struct arena a;
    struct rng random;
    rng_init(&random, 1);
    uint32_t max = 5;
    arena_init(&a, 0);
    exemplars_set_max(&x, max);
    for (int i = 0; i < ROUNDS; i++) {
        const unsigned series = (unsigned)(rng_below(&random, 20));
        const int64_t t = i + (int64_t)(rng_below(&random, 3)) - 1;
        const struct tsdb_exemplar e = {
            .series = one_label(&a, "s", series), .t_ms = t, .bits = bits_from_double(1)};
        int64_t last = INT64_MIN;
        for (size_t k = 0; k < s.n; k++)
            if (kept[k].series == series)
                last = kept[k].t_ms;
        const enum tsdb_exemplar_outcome want = t > last    ? TSDB_EXEMPLAR_KEPT
                                                : t == last ? TSDB_EXEMPLAR_SAME
                                                            : TSDB_EXEMPLAR_OUT_OF_ORDER;
        cr_assert_eq(exemplars_judge(&x, &e), want);
        cr_assert_eq(exemplars_add(&x, &e), want);
        if (want == TSDB_EXEMPLAR_KEPT)
            kept[s.n++] = (struct kept){series, t};
        if (s.n > max)
            memmove(kept, kept + 1, --s.n * sizeof *kept);
        if (rng_below(&random, 50) == 0)
            exemplars_set_max(&x, max = 1 + (uint32_t)(rng_below(&random, MAX)));
        const size_t gone = s.n > max ? s.n - max : 0;
        memmove(kept, kept + gone, (s.n - gone) * sizeof *kept);
        s.n -= gone;
        s.matched = 0;
        for (size_t at = 0; (at = exemplars_walk(&x, at, 7, 0, see, &s));)
            ;
        cr_assert_eq(s.matched, s.n, "round %d: %zu of %zu", i, s.matched, s.n);
        arena_reset(&a);
    }
    exemplars_set_max(&x, 0);
    const struct tsdb_exemplar e = {.series = one_label(&a, "s", 1), .t_ms = ROUNDS * 2};
    cr_assert_eq(exemplars_add(&x, &e), TSDB_EXEMPLAR_OFF);
    exemplars_deinit(&x);
    arena_deinit(&a);
}

// As Prometheus orders them: several buckets of a histogram may have exemplars of one time.
Test(notes, of_one_time_value_and_labels_decide)
{
    struct exemplars x = {0};
    struct arena a;
    arena_init(&a, 0);
    exemplars_set_max(&x, 10);
    const struct str s = one_label(&a, "s", 1), low = one_label(&a, "id", 1),
                     high = one_label(&a, "id", 2);
    const struct {
        double value;
        struct str labels;
        enum tsdb_exemplar_outcome want;
    } rows[] = {
        {2, low, TSDB_EXEMPLAR_KEPT},          {2, low, TSDB_EXEMPLAR_SAME},
        {1, high, TSDB_EXEMPLAR_OUT_OF_ORDER}, {2, high, TSDB_EXEMPLAR_KEPT},
        {2, low, TSDB_EXEMPLAR_OUT_OF_ORDER},  {3, low, TSDB_EXEMPLAR_KEPT},
        {NAN, low, TSDB_EXEMPLAR_KEPT},        {NAN, low, TSDB_EXEMPLAR_SAME},
        {1, low, TSDB_EXEMPLAR_KEPT}, // what is no number has no order
    };
    for (size_t i = 0; i < countof(rows); i++) {
        const struct tsdb_exemplar e = {s, rows[i].labels, 1, bits_from_double(rows[i].value),
                                        false};
        cr_assert_eq(exemplars_add(&x, &e), rows[i].want, "row %zu", i);
    }
    exemplars_deinit(&x);
    arena_deinit(&a);
}

Test(notes, bytes_give_back_what_was_put_and_refuse_all_else)
{
    struct buf note = {0};
    struct arena a;
    arena_init(&a, 0);
    const struct tsdb_exemplar x = {one_label(&a, "s", 1), one_label(&a, "id", 2), -5,
                                    0x7ff8000000000123, false};
    const struct tsdb_metadata m = {STR("http_requests"), STR("Requests."), STR(""), 1};
    struct tsdb_exemplar got;
    struct tsdb_metadata said;
    uint32_t partition;
    uint64_t run;
    note_put_exemplar(&note, 200, &x);
    cr_assert(note_get_exemplar(buf_str(&note), &partition, &got));
    cr_assert(partition == 200 && str_eq(got.series, x.series) && str_eq(got.labels, x.labels) &&
              got.t_ms == x.t_ms && got.bits == x.bits);
    for (size_t n = 0; n < note.n - x.labels.n; n++)
        cr_assert(!note_get_exemplar(str_make(note.p, n), &partition, &got));
    for (size_t i = 0; i < note.n; i++) { // whatever they become, nothing else is read
        note.p[i] ^= (char)0x81;
        (void)note_get_exemplar(buf_str(&note), &partition, &got);
        (void)note_get_metadata(buf_str(&note), &partition, &run, &said);
        note.p[i] ^= (char)0x81;
    }
    buf_reset(&note);
    note_put_metadata(&note, 3, 9, &m);
    cr_assert(note_get_metadata(buf_str(&note), &partition, &run, &said));
    cr_assert(partition == 3 && str_eq(said.family, m.family) && str_eq(said.help, m.help) &&
              said.unit.n == 0 && said.type == 1 && run == 9);
    buf_deinit(&note);
    arena_deinit(&a);
}

// ---- a folder

struct life {
    char folder[64], copy[64];
    int generation; // which exemplars this life adds; -1: none
    bool shut_down; // or leave the folder as a kill does
    bool spill;     // write files meanwhile
    bool is_off;    // takes no exemplars
    struct tsdb *db;
    struct findings found;
    size_t exemplars, families, files;
};

struct at_owner {
    struct life *l;
    struct tsdb_exemplar x;
    struct tsdb_metadata m;
};

static void add_exemplar(void *arg)
{
    struct at_owner *call = arg;
    uint8_t outcome = TSDB_EXEMPLAR_OUTCOMES;
    struct errmsg e = {0};
    want(&call->l->found, tsdb_add_exemplars(call->l->db, &call->x, 1, &outcome, &e) == ERR_OK,
         "%s", e.text);
    want(&call->l->found, outcome == TSDB_EXEMPLAR_KEPT, "outcome %u", outcome);
}

static void add_metadata(void *arg)
{
    struct at_owner *call = arg;
    size_t n = 0;
    struct errmsg e = {0};
    want(&call->l->found, tsdb_add_metadata(call->l->db, &call->m, 1, &n, &e) == ERR_OK, "%s",
         e.text);
    want(&call->l->found, n == 1);
}

static struct tsdb_exemplar exemplar(struct arena *a, int generation, unsigned series, unsigned k)
{
    const int64_t t = START_MS + generation * 100000 + k * 10;
    return (struct tsdb_exemplar){one_label(a, "s", series), one_label(a, "id", k), t,
                                  bits_from_double(series + 0.1 * generation), false};
}

static void add_all(struct life *l)
{
    struct arena a;
    arena_init(&a, 0);
    for (unsigned i = 0; i < SERIES * PER_SERIES; i++) {
        struct at_owner call = {.l = l, .x = exemplar(&a, l->generation, i % SERIES, i / SERIES)};
        const unsigned owner = tsdb_owner(l->db, tsdb_partition(l->db, call.x.series));
        shard_call(shards_at(shard_all(), owner), LOOP_RECEIVE, add_exemplar, &call);
    }
    for (unsigned i = 0; i < FAMILIES; i++) {
        char name[16], help[32];
        snprintf(name, sizeof name, "family_%u", i);
        snprintf(help, sizeof help, "Help of %d.", l->generation);
        struct at_owner call = {.l = l,
                                .m = {.family = str_from_c(name),
                                      .help = str_from_c(help),
                                      .unit = STR("bytes"),
                                      .type = (uint8_t)(i % 8)}};
        const unsigned owner = tsdb_family_owner(l->db, call.m.family);
        shard_call(shards_at(shard_all(), owner), LOOP_RECEIVE, add_metadata, &call);
    }
    arena_deinit(&a);
}

struct answer { // of a shard
    struct life *l;
    int generations;
    size_t exemplars, families, files;
};

static void see_family(void *arg, const struct tsdb_metadata *m)
{
    struct answer *a = arg;
    char help[32];
    snprintf(help, sizeof help, "Help of %d.", a->generations - 1);
    want(&a->l->found, str_eq(m->help, str_from_c(help)) && str_eq(m->unit, STR("bytes")), "%.*s",
         STR_ARG(m->help));
    a->families++;
}

static void check_shard(void *arg)
{
    struct answer *a = arg;
    struct findings *f = &a->l->found;
    struct tsdb_exemplar *got;
    struct arena arena;
    struct errmsg e = {0};
    size_t n = 0;
    const struct matcher of_s = {MATCHER_NE, STR("s"), STR(""), NULL};
    const struct tsdb_matchers set = {&of_s, 1};
    arena_init(&arena, 0);
    want(f,
         tsdb_select_exemplars(a->l->db, &set, 1, START_MS + 10, INT64_MAX, &arena, &got, &n, &e) ==
             ERR_OK,
         "%s", e.text);
    for (size_t i = 0; i < n; i++) {
        const unsigned series = number_of(got[i].series);
        const int64_t since = got[i].t_ms - START_MS;
        const struct tsdb_exemplar x =
            exemplar(&arena, (int)(since / 100000), series, (unsigned)(since % 100000 / 10));
        want(f, x.bits == got[i].bits && str_eq(x.labels, got[i].labels));
        want(f, i == 0 || labels_cmp(got[i - 1].series, got[i].series) < 0 ||
                    (str_eq(got[i - 1].series, got[i].series) && got[i - 1].t_ms < got[i].t_ms));
    }
    a->exemplars = n;
    tsdb_each_metadata(a->l->db, see_family, a);
    struct tsdb_stats stats;
    tsdb_stats(a->l->db, &stats);
    a->files = stats.files;
    arena_deinit(&arena);
}

static void check(struct life *l, int generations)
{
    struct answer answers[8];
    const unsigned shards = shards_count(shard_all());
    for (unsigned i = 0; i < shards; i++)
        answers[i] = (struct answer){.l = l, .generations = generations};
    shard_call_all(LOOP_QUERY, check_shard, answers, sizeof *answers, NULL);
    l->exemplars = l->families = l->files = 0;
    for (unsigned i = 0; i < shards; i++) {
        l->exemplars += answers[i].exemplars;
        l->families += answers[i].families;
        l->files += answers[i].files;
    }
}

static void live(void *arg)
{
    struct life *l = arg;
    const struct tsdb_options options = {.path = l->folder,
                                         .wal_sync = TSDB_WAL_SYNC_ALWAYS,
                                         .spill_ms = l->spill ? 20 : 0,
                                         .exemplars_max = l->is_off ? 0 : 100000};
    struct errmsg e = {0};
    char command[256];
    const err code = tsdb_open(&options, &l->db, &e);
    want(&l->found, code == ERR_OK, "%s", e.text);
    if (code != ERR_OK)
        return;
    while (!tsdb_is_ready(l->db))
        (void)!fiber_sleep_ns(1000000);
    const int before = l->generation < 0 ? -l->generation : l->generation;
    check(l, before);
    want(&l->found, l->exemplars == (size_t)before * SERIES * PER_SERIES - (before ? SERIES : 0),
         "%zu exemplars of %d lives", l->exemplars, before);
    want(&l->found, l->families == (before ? FAMILIES : 0), "%zu families", l->families);
    if (l->generation >= 0) {
        add_all(l);
        check(l, before + 1);
        want(&l->found, l->exemplars == (size_t)(before + 1) * SERIES * PER_SERIES - SERIES);
    }
    const size_t files = l->files;
    for (int i = 0; l->spill && l->files <= files && i < 3000; i++) {
        (void)!fiber_sleep_ns(10000000);
        check(l, before + (l->generation >= 0));
    }
    if (!l->shut_down) {
        snprintf(command, sizeof command, "rm -rf %s && cp -r %s %s", l->copy, l->folder, l->copy);
        want(&l->found, system(command) == 0);
    }
    want(&l->found, tsdb_close(l->db, &e) == ERR_OK, "%s", e.text);
    snprintf(command, sizeof command, "rm -rf %s && mv %s %s", l->folder, l->copy, l->folder);
    if (!l->shut_down)
        want(&l->found, system(command) == 0);
}

Test(notes, survive_kills_files_and_other_shards, .timeout = 100)
{
    static const struct {
        unsigned shards;
        bool add, shut_down, spill, is_off;
    } lives[] = {
        {1, true, false, false, false}, // all of it in the log
        {2, true, false, false, false}, // replayed by two, and more
        {3, false, false, false, true}, // by one that takes none: what is there stays
        {2, false, true, false, true},  // and comes into files
        {2, true, false, true, false},  // written to files while it runs
        {3, true, true, false, false},  // of files for two, then at the end
        {1, false, true, false, false}, {3, false, false, false, false},
    };
    char folder[64] = "/tmp/ferula-notes-XXXXXX", copy[64], command[160];
    cr_assert(mkdtemp(folder) != NULL);
    snprintf(copy, sizeof copy, "%.40s-copy", folder);
    int generation = 0;
    for (size_t i = 0; i < countof(lives); i++) {
        struct life l = {.generation = lives[i].add ? generation++ : -generation,
                         .shut_down = lives[i].shut_down,
                         .spill = lives[i].spill,
                         .is_off = lives[i].is_off};
        memcpy(l.folder, folder, sizeof folder);
        memcpy(l.copy, copy, sizeof copy);
        in_shards(lives[i].shards, SHARD_BACKEND_AUTO, live, &l, &l.found);
        cr_assert(!l.found.text[0], "life %zu: %s", i, l.found.text);
    }
    snprintf(command, sizeof command, "rm -rf %s %s", folder, copy);
    cr_assert_eq(system(command), 0);
}
