// Each byte of a small data folder is flipped, one at a time: opening it goes on or says which file
// is damaged, what is answered is right, what is missing is of the file that the byte is in, and
// nothing is missing that nobody reports. FLIP_EVERY=1 takes all bytes instead of some.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/base/number.h"
#include "engine/base/util.h"
#include "engine/model/labels.h"
#include "engine/tsdb/fsck.h"
#include "engine/tsdb/tsdb_reading.h"
#include "io/file.h"
#include "simd/simd.h"
#include "tests/lib/in_shards.h"

enum { SERIES = 12, FILED = 40, ROUNDS = 60, HOUR_MS = 3600000, FLIP_EVERY = 29 };
static const int64_t START_MS = 1700000000000, STEP_MS = 15000;

enum place { IN_CATALOGUE, IN_BLOCK, IN_LOG, PLACES };

struct flips {
    char folder[64], killed[96];
    struct findings found;
    size_t every;
    size_t n[PLACES], refused[PLACES], lossy[PLACES], reported[PLACES];
};

// ---- what the folder holds

static struct str labels_of(struct arena *a, size_t series)
{
    struct labels_builder b = {0};
    labels_builder_set(&b, LABEL_NAME, series % 3 ? STR("requests_total") : STR("up"));
    labels_builder_set(&b, STR("job"), series % 2 ? STR("api") : STR("web"));
    labels_builder_set(&b, STR("instance"), arena_printf(a, "host-%zu:80", series / 4));
    labels_builder_set(&b, STR("code"), arena_printf(a, "%zu", series));
    const struct str labels = labels_builder_finish(&b, a);
    labels_builder_deinit(&b);
    return labels;
}

static double value_of(size_t series, size_t round)
{
    return series % 3 ? (double)(round * (series + 3)) + (double)(round % 7) / 10
                      : (double)(round % 5 != 4);
}

static void write_rounds(struct flips *f, struct tsdb *db, size_t from, size_t to)
{
    struct arena a;
    struct errmsg e;
    arena_init(&a, 0);
    uint64_t refs[SERIES];
    for (size_t i = 0; i < SERIES; i++) {
        const struct str labels = labels_of(&a, i);
        refs[i] = tsdb_series(db, labels, labels_hash(labels, tsdb_hash_seed(db)), 1);
    }
    for (size_t round = from; round < to; round++) {
        struct tsdb_sample samples[SERIES];
        for (size_t i = 0; i < SERIES; i++) {
            const double v = value_of(i, round);
            samples[i] = (struct tsdb_sample){refs[i], START_MS + (int64_t)round * STEP_MS, 0};
            memcpy(&samples[i].bits, &v, sizeof v);
        }
        struct tsdb_commit c = {.samples = samples, .n = SERIES, .max_t_ms = INT64_MAX};
        want(&f->found, tsdb_commit(db, &c, &e) == ERR_OK, "%s", e.text);
    }
    arena_deinit(&a);
}

static struct tsdb *open_writing(struct flips *f)
{
    const struct tsdb_options options = {
        .path = f->folder, .wal_sync = TSDB_WAL_SYNC_ALWAYS, .spill_ms = HOUR_MS};
    struct tsdb *db = NULL;
    struct errmsg e;
    want(&f->found, tsdb_open(&options, &db, &e) == ERR_OK, "%s", e.text);
    while (db && !tsdb_is_ready(db))
        (void)!fiber_sleep_ns(1000000);
    return db;
}

static void shell(struct flips *f, const char *format, const char *a, const char *b)
{
    char command[512];
    snprintf(command, sizeof command, "set -e; a='%s'; b='%s'; %s", a, b, format);
    want(&f->found, system(command) == 0, "%s", command);
}

// Rounds below FILED in a block file, the others in the log alone, as of a killed process.
static void make_folder(struct flips *f)
{
    struct tsdb *db = open_writing(f);
    if (!db)
        return;
    write_rounds(f, db, 0, FILED);
    want(&f->found, tsdb_close(db, NULL) == ERR_OK);
    db = open_writing(f);
    if (!db)
        return;
    write_rounds(f, db, FILED, ROUNDS);
    shell(f, "cp -r \"$a\" \"$b\"; rm \"$b/lock\"; truncate -s 12K \"$b\"/wal/*.wal", f->folder,
          f->killed);
    want(&f->found, tsdb_close(db, NULL) == ERR_OK);
}

// ---- looking at it

struct look {
    struct flips *f;
    size_t filed, logged; // samples that were found
    size_t errors;        // series that could not be read, or their selection
    size_t damages;       // that fsck found
    struct errmsg e;      // the last error
    bool opened;
};

static void check_series(struct look *l, size_t series, const struct column *c)
{
    for (size_t i = 0; i < c->n; i++) {
        const int64_t round = (c->t[i] - START_MS) / STEP_MS;
        const bool known = round >= 0 && round < ROUNDS && START_MS + round * STEP_MS == c->t[i];
        const double right = known ? value_of(series, (size_t)round) : 0;
        want(&l->f->found, known && memcmp(&right, &c->v[i], sizeof right) == 0,
             "series %zu at %lld: %a, not %a", series, (long long)c->t[i], c->v[i], right);
        want(&l->f->found, i == 0 || c->t[i] > c->t[i - 1], "times do not ascend");
        if (round < FILED)
            l->filed++;
        else
            l->logged++;
    }
}

static void read_series(struct look *l, const struct storage *s, size_t series, struct arena *a)
{
    struct storage_set set = {0};
    struct column c = {0};
    const struct str labels = labels_of(a, series);
    const struct str names[] = {LABEL_NAME, STR("code"), STR("instance")};
    struct matcher ms[countof(names)];
    for (size_t i = 0; i < countof(names); i++)
        ms[i] = (struct matcher){MATCHER_EQ, names[i], labels_value(labels, names[i]), NULL};
    if (s->ops->select(s->self, ms, countof(ms), INT64_MIN, INT64_MAX, NULL, a, &set, &l->e)) {
        l->errors++;
        return;
    }
    want(&l->f->found, set.n <= 1, "%zu series", set.n);
    for (size_t i = 0; i < set.n; i++) {
        want(&l->f->found, str_eq(set.series[i].labels, labels), "wrong labels");
        if (s->ops->read(s->self, &set, &set.series[i], 1, INT64_MIN, INT64_MAX, a, &c, &l->e))
            l->errors++;
        else
            check_series(l, series, &c);
    }
    s->ops->release(s->self, &set);
}

static void on_found(void *arg, const struct fsck_finding *finding)
{
    struct look *l = arg;
    l->damages += finding->severity == FSCK_DAMAGE;
    want(&l->f->found, strstr(finding->path, l->f->killed) == finding->path, "%s", finding->path);
    want(&l->f->found, finding->what[0] != 0);
}

// fsck counts a note, too: what a crash cuts off and a flip of the last frame look the same.
static void check(struct look *l)
{
    static const struct fsck_ops ops = {on_found, NULL};
    struct fsck_counts counts;
    struct errmsg e;
    want(&l->f->found, fsck_folder(l->f->killed, &ops, l, &counts, &e) == ERR_OK, "%s", e.text);
    want(&l->f->found, counts.damages == l->damages);
    l->damages += counts.notes;
}

static struct look look_at(struct flips *f)
{
    struct look l = {.f = f};
    struct tsdb *db;
    struct arena a;
    l.opened = tsdb_open_reading(f->killed, NULL, &db, &l.e) == ERR_OK;
    check(&l);
    if (!l.opened)
        return l;
    arena_init(&a, 0);
    const struct storage s = tsdb_storage(db);
    for (size_t i = 0; i < SERIES; i++)
        read_series(&l, &s, i, &a);
    arena_deinit(&a);
    want(&f->found, tsdb_close(db, NULL) == ERR_OK);
    return l;
}

// ---- flipping

static void judge(struct flips *f, enum place place, const char *path, const struct look *l)
{
    const size_t filed = SERIES * FILED, logged = SERIES * (ROUNDS - FILED);
    const bool lost_filed = l->filed < filed, lost_logged = l->logged < logged;
    f->n[place]++;
    f->reported[place] += l->damages > 0;
    if (!l->opened || l->errors) // it says where
        want(&f->found, strstr(l->e.text, f->killed) != NULL, "%s", l->e.text);
    if (!l->opened) {
        f->refused[place]++;
        want(&f->found, l->damages > 0, "%s, and fsck finds nothing", l->e.text);
        return;
    }
    f->lossy[place] += lost_filed || lost_logged;
    if (l->errors == 0)
        want(&f->found, place == IN_LOG || !lost_logged, "%s: rows of the log are missing", path);
    want(&f->found, place == IN_BLOCK || !lost_filed, "%s: samples of files are missing", path);
    want(&f->found, !lost_filed || l->errors, "%s: %zu of %zu samples, no error", path, l->filed,
         filed);
    want(&f->found, !(lost_filed || lost_logged) || l->damages, "%s: loss that fsck does not see",
         path);
}

static void flip_file(struct flips *f, enum place place, const char *path, size_t *at)
{
    struct file file;
    int64_t size = 0;
    struct errmsg e;
    want(&f->found,
         file_open(&file, path, FILE_WRITE, &e) == ERR_OK && file_size(&file, &size, &e) == ERR_OK,
         "%s", e.text);
    for (int64_t offset = 0; offset < size && !f->found.text[0]; offset++) {
        uint8_t byte, other;
        if (++*at % f->every)
            continue;
        want(&f->found, file_read(&file, offset, &byte, 1, &e) == ERR_OK);
        other = (uint8_t)(byte ^ (1 << *at / f->every % 8));
        want(&f->found, file_write(&file, offset, &other, 1, &e) == ERR_OK);
        const struct look l = look_at(f);
        judge(f, place, path, &l);
        want(&f->found, file_write(&file, offset, &byte, 1, &e) == ERR_OK);
        if (f->found.text[0])
            fprintf(stderr, "%s: byte %lld: %02x to %02x\n", path, (long long)offset, byte, other);
    }
    file_close(&file);
}

static void flip_folder(struct flips *f, enum place place, const char *sub, size_t *at)
{
    char folder[128], path[256];
    struct buf names = {0};
    size_t n = 0;
    snprintf(folder, sizeof folder, "%s/%s", f->killed, sub);
    want(&f->found, path_list(folder, &names, &n, NULL) == ERR_OK && n == 1, "%zu files", n);
    snprintf(path, sizeof path, "%s/%s", folder, names.p);
    flip_file(f, place, path, at);
    buf_deinit(&names);
}

static void flip_all(void *arg)
{
    struct flips *f = arg;
    char path[128];
    size_t at = 0;
    make_folder(f);
    const struct look whole = look_at(f);
    want(&f->found, whole.opened && !whole.errors && !whole.damages, "%s", whole.e.text);
    want(&f->found, whole.filed == SERIES * FILED, "%zu in files", whole.filed);
    want(&f->found, whole.logged == SERIES * (ROUNDS - FILED), "%zu in the log", whole.logged);
    if (f->found.text[0])
        return;
    flip_folder(f, IN_BLOCK, "blocks", &at);
    snprintf(path, sizeof path, "%s/catalogue", f->killed);
    flip_file(f, IN_CATALOGUE, path, &at);
    flip_folder(f, IN_LOG, "wal", &at);
}

Test(flip, every_byte_of_a_small_folder, .timeout = 600)
{
    static struct flips f;
    const char *every = getenv("FLIP_EVERY");
    uint64_t n = FLIP_EVERY;
    simd_init(SIMD_ALL);
    if (every)
        cr_assert_eq(number_parse_u64(str_from_c(every), &n), ERR_OK);
    f.every = n ? n : 1;
    memcpy(f.folder, "/tmp/ferula-flip-XXXXXX", 24);
    cr_assert(mkdtemp(f.folder) != NULL);
    snprintf(f.killed, sizeof f.killed, "%s.killed", f.folder);
    in_shards(1, SHARD_BACKEND_AUTO, flip_all, &f, &f.found);
    char command[256];
    snprintf(command, sizeof command, "rm -rf '%s' '%s'", f.folder, f.killed);
    cr_assert_eq(system(command), 0);
    static const char *const names[] = {"catalogue", "block", "log"};
    for (size_t i = 0; i < PLACES; i++)
        fprintf(stderr, "%s: %zu flips, %zu refused, %zu with loss, %zu seen by fsck\n", names[i],
                f.n[i], f.refused[i], f.lossy[i], f.reported[i]);
    cr_assert(!f.found.text[0], "%s", f.found.text);
    cr_assert_eq(f.reported[IN_BLOCK], f.n[IN_BLOCK], "a flip in a block that fsck does not see");
    cr_assert_eq(f.reported[IN_CATALOGUE], f.n[IN_CATALOGUE]);
}
