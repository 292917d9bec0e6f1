// Every version opens every older folder, finds every sample of it, and refuses a newer one by
// name.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/util.h"
#include "simd/simd.h"
#include "tests/lib/in_shards.h"
#include "tests/lib/map_world.h"
#include "tests/unit/format/format_traffic.h"

enum { FORMATS = 4 }; // so many folders there are: format-1 and so on

struct opening {
    char folder[64];
    int format;
    unsigned shards;
    size_t columns, histograms, starts;
    struct errmsg second; // what another one who opens the same folder is told
    err code;
    struct errmsg e;
    struct findings found;
};

static void shell(const char *command)
{
    cr_assert_eq(system(command), 0, "%s", command);
}

static void remove_copy(const struct opening *o)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", o->folder);
    shell(command);
}

static void copy_folder(int format, struct opening *o)
{
    char command[1024];
    memcpy(o->folder, "/tmp/ferula-format-XXXXXX", 26);
    cr_assert(mkdtemp(o->folder) != NULL);
    snprintf(command, sizeof command, "cp -r '%s/format-%d/.' '%s' && chmod -R u+w '%s'",
             DATA_FOLDER, format, o->folder, o->folder);
    shell(command);
}

static struct tsdb *open_copy(struct opening *o, err *out_code, struct errmsg *e)
{
    const struct tsdb_options options = {.path = o->folder,
                                         .wal_sync = TSDB_WAL_SYNC_INTERVAL,
                                         .wal_sync_interval_ms = 50,
                                         .seal_ms = FORMAT_SEAL_MS};
    struct tsdb *db = NULL;
    *out_code = tsdb_open(&options, &db, e);
    while (*out_code == ERR_OK && !tsdb_is_ready(db))
        (void)!fiber_sleep_ns(1000000);
    return db;
}

// What the folder holds, by the rules of acceptance and the seed alone.
static void expect_all(struct map_world *w)
{
    struct traffic t;
    format_traffic(&t, 0, FORMAT_ROUNDS);
    for (size_t i = 0; i < t.n; i++) {
        const struct traffic_batch *b = &t.batches[i];
        w->map.seq++;
        for (size_t k = 0; k < b->n; k++)
            sample_map_add(&w->map, b->samples[k].labels, b->samples[k].t_ms, b->samples[k].bits,
                           b->late_ms, INT64_MAX);
    }
    traffic_deinit(&t);
}

static void look(void *arg)
{
    struct opening *o = arg;
    struct map_world w;
    struct errmsg e = {0};
    err code;
    map_world_init(&w, NULL, "format", 1, &o->found);
    w.shards = shard_all();
    w.forms = o->format >= 2;
    expect_all(&w);
    for (int i = 0; i < 2 && !o->found.text[0]; i++) { // the second time as this one closed it
        w.db = open_copy(o, &code, &e);
        want(&o->found, code == ERR_OK, "%s", e.text);
        if (code)
            break;
        map_world_check_all(&w);
        open_copy(o, &code, &o->second);
        want(&o->found, code == ERR_EXISTS, "opened twice: %d", code);
        want(&o->found, tsdb_close(w.db, &e) == ERR_OK, "%s", e.text);
    }
    o->columns = w.columns;
    o->histograms = w.histograms;
    o->starts = w.starts;
    map_world_deinit(&w);
}

Test(format, every_sample_of_every_older_folder_is_found)
{
    static const unsigned shards[] = {1, 3};
    simd_init(SIMD_ALL);
    for (size_t i = 0; i < FORMATS * countof(shards); i++) {
        struct opening o = {.format = 1 + (int)(i / countof(shards)),
                            .shards = shards[i % countof(shards)]};
        copy_folder(o.format, &o);
        in_shards(o.shards, SHARD_BACKEND_AUTO, look, &o, &o.found);
        remove_copy(&o);
        cr_assert(!o.found.text[0], "%u shards: %s", o.shards, o.found.text);
        cr_assert(o.columns > 100, "%zu columns", o.columns);
        cr_assert(o.format < 2 || (o.histograms > 100 && o.starts > 100));
        char holder[128];
        snprintf(holder, sizeof holder, "data folder %s is in use by process %d: ", o.folder,
                 (int)getpid());
        cr_assert(!strncmp(o.second.text, holder, strlen(holder)), "%s", o.second.text);
    }
}

static void open_only(void *arg)
{
    struct opening *o = arg;
    struct tsdb *db = open_copy(o, &o->code, &o->e);
    if (!o->code)
        want(&o->found, tsdb_close(db, NULL) == ERR_OK);
}

Test(format, a_newer_folder_is_refused_by_name)
{
    struct opening o = {0};
    char want_text[256];
    simd_init(SIMD_ALL);
    copy_folder(FORMATS, &o);
    char command[256];
    snprintf(command, sizeof command,
             "printf '\\%03o' | dd of='%s/catalogue' bs=1 seek=8 conv=notrunc status=none",
             FORMATS + 1, o.folder);
    shell(command);
    in_shards(1, SHARD_BACKEND_AUTO, open_only, &o, &o.found);
    cr_assert_eq(o.code, ERR_INVALID, "%d %s", o.code, o.e.text);
    snprintf(want_text, sizeof want_text,
             "%s: data folder format %d is newer than this program's %d", o.folder, FORMATS + 1,
             FORMATS);
    cr_assert_str_eq(o.e.text, want_text);
    remove_copy(&o);
}
