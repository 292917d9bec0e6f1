// tsdb list: the files of a data folder, as promtool lists blocks.
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/calendar.h"
#include "engine/base/mem.h"
#include "engine/base/util.h"
#include "engine/tsdb/block_reader.h"
#include "engine/tsdb/catalogue.h"
#include "engine/tsdb/wal_replay.h"
#include "protocol/json_write.h"
#include "tools/promtool/go_duration.h"
#include "tools/promtool/tsdb_folder.h"

enum { COLUMNS = 8, WIDTH_MIN = 13, PADDING = 2 };

static const char *const formats[] = {"text", "json", NULL};

size_t tsdb_list_flags(struct promtool *p, struct setting *rows)
{
    const struct setting all[] = {
        {"human-readable", 'r', .flag = &p->human_readable, .help = "Print human readable values."},
        {"format", 'o', .text = &p->format, .choices = formats, .default_text = "text",
         .help = "Output format: text or json."},
    };
    memcpy(rows, all, sizeof all);
    return countof(all);
}

struct listed {
    struct catalogue_file info;
    uint64_t chunks; // of samples
    uint32_t version;
    bool is_good; // it could be opened
};

static int compare(const void *a, const void *b)
{
    const struct catalogue_file *const x = &((const struct listed *)a)->info;
    const struct catalogue_file *const y = &((const struct listed *)b)->info;
    if (x->min_t_ms != y->min_t_ms)
        return x->min_t_ms < y->min_t_ms ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static void open_one(const struct catalogue *c, struct listed *out)
{
    char path[CATALOGUE_PATH_MAX];
    struct block_file *file;
    struct errmsg e;
    err code = catalogue_block_path(c, out->info.id, path, sizeof path, &e);
    if (code == ERR_OK)
        code = block_file_open(path, BLOCK_CACHE_DEFAULT_BYTES, &file, &e);
    out->is_good = code == ERR_OK;
    if (code != ERR_OK) {
        fprintf(stderr, "%s\n", e.text);
        return;
    }
    out->version = file->footer.version;
    out->chunks = file->footer.sections[BLOCK_COLUMNS].chunks;
    block_file_unref(file);
}

// ---- text

struct table {
    struct buf cells; // a NUL behind each
    size_t widths[COLUMNS], n;
};

static void end_cell(struct table *t, size_t from)
{
    const size_t width = t->cells.n - from + PADDING;
    size_t *const column = &t->widths[t->n++ % COLUMNS];
    *column = width > *column ? width : *column;
    buf_put_char(&t->cells, '\0');
}

static void put_number(struct table *t, int64_t number)
{
    const size_t from = t->cells.n;
    buf_printf(&t->cells, "%lld", (long long)number);
    end_cell(t, from);
}

static void put_time(struct table *t, int64_t ms, bool is_human)
{
    const size_t from = t->cells.n;
    if (!is_human) {
        put_number(t, ms);
        return;
    }
    const struct calendar_date d = calendar_from_ms(ms);
    buf_printf(&t->cells, "%04d-%02d-%02d %02d:%02d:%02d +0000 UTC", (int)d.year, d.month, d.day,
               d.hour, d.minute, d.second);
    end_cell(t, from);
}

// 1KiB512B
static void put_size(struct table *t, uint64_t bytes, bool is_human)
{
    static const char *const units[] = {"EiB", "PiB", "TiB", "GiB", "MiB", "KiB", "B"};
    const size_t from = t->cells.n;
    if (!is_human || !bytes) {
        buf_printf(&t->cells, is_human ? "%lluB" : "%llu", (unsigned long long)bytes);
    } else {
        for (unsigned i = 0; i < countof(units); i++) {
            const uint64_t part = bytes >> 10 * (countof(units) - 1 - i) & 1023;
            if (part)
                buf_printf(&t->cells, "%llu%s", (unsigned long long)part, units[i]);
        }
    }
    end_cell(t, from);
}

static void put_row(struct table *t, const struct listed *l, bool is_human)
{
    const struct catalogue_file *const f = &l->info;
    size_t from = t->cells.n;
    buf_printf(&t->cells, "%016llx", (unsigned long long)f->id);
    end_cell(t, from);
    put_time(t, f->min_t_ms, is_human);
    put_time(t, f->max_t_ms + 1, is_human); // promtool's is the first time that is not in it
    from = t->cells.n;
    go_duration_format(f->max_t_ms + 1 - f->min_t_ms, &t->cells);
    end_cell(t, from);
    put_number(t, (int64_t)f->samples);
    put_number(t, (int64_t)l->chunks);
    put_number(t, (int64_t)f->series);
    put_size(t, f->size_bytes, is_human);
}

static void put_table(struct buf *out, const struct listed *all, size_t n, bool is_human)
{
    static const char *const heads[COLUMNS] = {"BLOCK ULID", "MIN TIME",    "MAX TIME",
                                               "DURATION",   "NUM SAMPLES", "NUM CHUNKS",
                                               "NUM SERIES", "SIZE"};
    struct table t = {0};
    for (size_t i = 0; i < COLUMNS; i++) {
        const size_t from = t.cells.n;
        t.widths[i] = WIDTH_MIN;
        buf_put_str(&t.cells, str_from_c(heads[i]));
        end_cell(&t, from);
    }
    for (size_t i = 0; i < n; i++)
        put_row(&t, &all[i], is_human);
    const char *at = t.cells.p;
    for (size_t i = 0; i < t.n; i++, at += strlen(at) + 1) {
        const bool is_last = i % COLUMNS == COLUMNS - 1;
        buf_printf(out, "%-*s%s", is_last ? 0 : (int)t.widths[i % COLUMNS], at,
                   is_last ? "\n" : "");
    }
    buf_deinit(&t.cells);
}

// ---- JSON

static void put_member(struct json *j, const char *key, uint64_t value)
{
    json_key(j, key);
    json_u64(j, value);
}

static void put_file_json(struct json *j, const struct listed *l)
{
    const struct catalogue_file *const f = &l->info;
    char id[24];
    snprintf(id, sizeof id, "%016llx", (unsigned long long)f->id);
    json_object_begin(j);
    json_key(j, "id");
    json_cstr(j, id);
    json_key(j, "minTime");
    json_i64(j, f->min_t_ms);
    json_key(j, "maxTime"); // included
    json_i64(j, f->max_t_ms);
    put_member(j, "samples", f->samples);
    put_member(j, "series", f->series);
    put_member(j, "chunks", l->chunks);
    put_member(j, "bytes", f->size_bytes);
    put_member(j, "version", l->version);
    put_member(j, "generation", f->generation);
    put_member(j, "level", f->level);
    put_member(j, "firstPartition", f->partition_min);
    put_member(j, "lastPartition", f->partition_max);
    json_key(j, "sealed");
    json_bool(j, f->kind == CATALOGUE_SEALED);
    json_key(j, "readable");
    json_bool(j, l->is_good);
    json_object_end(j);
}

static err put_log_json(struct json *j, const struct catalogue *c, struct errmsg *e)
{
    struct buf streams = {0};
    size_t n = 0;
    err code = wal_replay_list(catalogue_wal_dir(c), &streams, &n, e);
    if (code == ERR_NOTFOUND)
        code = ERR_OK; // a snapshot has none
    struct wal_replay_stream *all = mem_alloc_array(n + 1, sizeof *all);
    if (n)
        memcpy(all, streams.p, n * sizeof *all);
    json_key(j, "log");
    json_array_begin(j);
    for (size_t i = 0; i < n; i++) {
        json_object_begin(j);
        put_member(j, "run", all[i].stream.epoch);
        put_member(j, "shard", all[i].stream.shard);
        put_member(j, "segments", all[i].segments);
        put_member(j, "bytes", all[i].bytes);
        json_object_end(j);
    }
    json_array_end(j);
    mem_free(all);
    buf_deinit(&streams);
    return code;
}

static err put_json(struct buf *out, const struct catalogue *c, const struct listed *all, size_t n,
                    struct errmsg *e)
{
    const struct catalogue_info *const info = catalogue_info(c);
    struct json j;
    json_init(&j, out);
    json_object_begin(&j);
    put_member(&j, "partitions", info->partitions);
    put_member(&j, "run", info->epoch);
    json_key(&j, "placementLabels");
    json_str(&j, info->placement_labels);
    json_key(&j, "files");
    json_array_begin(&j);
    for (size_t i = 0; i < n; i++)
        put_file_json(&j, &all[i]);
    json_array_end(&j);
    const err code = put_log_json(&j, c, e);
    json_object_end(&j);
    buf_put_char(out, '\n');
    return code;
}

static void list(void *arg)
{
    struct tsdb_job *const job = arg;
    const struct catalogue_options options = {
        .partitions = 1, .read_only = true, .log = &tsdb_job_log};
    struct catalogue *c;
    struct errmsg e;
    if (!tsdb_job_begin(job))
        return;
    if (catalogue_open(job->path, &options, &c, &e)) {
        tsdb_job_fail(job, "%s", e.text);
        return;
    }
    size_t n;
    const struct catalogue_file *const files = catalogue_files(c, &n);
    struct listed *const all = mem_alloc_array(n + 1, sizeof *all);
    for (size_t i = 0; i < n; i++) {
        all[i] = (struct listed){.info = files[i]};
        open_one(c, &all[i]);
    }
    qsort(all, n, sizeof *all, compare);
    if (!tsdb_job_as_json(job))
        put_table(&job->out, all, n, job->p->human_readable);
    else if (put_json(&job->out, c, all, n, &e))
        tsdb_job_fail(job, "%s", e.text);
    mem_free(all);
    catalogue_close(c);
}

int tsdb_list(const struct promtool *p)
{
    struct tsdb_job job = {.p = p};
    return tsdb_job_run(&job, list);
}
