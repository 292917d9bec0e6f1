// tsdb fsck: is a data folder whole? tsdb repair, tsdb upgrade.
#include <stdio.h>

#include "engine/base/util.h"
#include "engine/tsdb/fsck.h"
#include "engine/tsdb/repair.h"
#include "io/clock.h"
#include "io/process.h"
#include "protocol/json_write.h"
#include "tools/promtool/tsdb_folder.h"

static const char *const formats[] = {"text", "json", NULL};
enum { PROGRESS_NS = 2000000000 };

size_t tsdb_fsck_flags(struct promtool *p, struct setting *rows)
{
    rows[0] = (struct setting){"format",
                               'o',
                               .text = &p->format,
                               .choices = formats,
                               .default_text = "text",
                               .help = "Output format: text or json."};
    return 1;
}

struct checking {
    struct tsdb_job job;
    struct fsck_counts counts;
    struct json json;
    int64_t told_ns;
};

static const char *severity_text(enum fsck_severity s)
{
    return s == FSCK_DAMAGE ? "damage" : "note";
}

static void on_found(void *arg, const struct fsck_finding *f)
{
    struct checking *const c = arg;
    struct buf *const out = &c->job.out;
    if (tsdb_job_as_json(&c->job)) {
        struct json *const j = &c->json;
        json_object_begin(j);
        json_key(j, "severity");
        json_cstr(j, severity_text(f->severity));
        json_key(j, "file");
        json_cstr(j, f->path);
        if (f->offset >= 0) {
            json_key(j, "offset");
            json_i64(j, f->offset);
        }
        json_key(j, "what");
        json_cstr(j, f->what);
        json_key(j, "lost");
        json_cstr(j, f->lost);
        json_key(j, "unusable");
        json_bool(j, f->is_unusable);
        json_object_end(j);
        return;
    }
    buf_printf(out, "%s: %s", severity_text(f->severity), f->path);
    if (f->offset >= 0)
        buf_printf(out, ": offset %lld", (long long)f->offset);
    buf_printf(out, ": %s%s%s\n", f->what, f->lost[0] ? "; lost: " : "", f->lost);
    tsdb_job_print(&c->job);
}

static void on_progress(void *arg, const struct fsck_counts *n)
{
    struct checking *const c = arg;
    const int64_t now = clock_mono_ns();
    if (now - c->told_ns < PROGRESS_NS)
        return;
    c->told_ns = now;
    fprintf(stderr,
            "checked %llu of %llu files, %llu samples in them, %llu in the log, %llu damaged\n",
            (unsigned long long)n->files, (unsigned long long)n->files_in_all,
            (unsigned long long)n->samples, (unsigned long long)n->log_samples,
            (unsigned long long)n->damages);
}

static void put_counts_json(struct json *j, const struct fsck_counts *n)
{
    const struct {
        const char *key;
        uint64_t value;
    } rows[] = {{"files", n->files},        {"chunks", n->chunks},
                {"series", n->series},      {"samples", n->samples},
                {"streams", n->streams},    {"segments", n->segments},
                {"rows", n->rows},          {"logSamples", n->log_samples},
                {"logNotes", n->log_notes}, {"bytes", n->bytes},
                {"notes", n->notes},        {"damages", n->damages}};
    for (size_t i = 0; i < countof(rows); i++) {
        json_key(j, rows[i].key);
        json_u64(j, rows[i].value);
    }
}

static void put_counts(struct buf *out, const char *path, const struct fsck_counts *n)
{
    buf_printf(out,
               "%s: %llu files with %llu series and %llu samples in %llu chunks; log: %llu "
               "streams, %llu segments, %llu rows with %llu samples; %llu bytes read\n",
               path, (unsigned long long)n->files, (unsigned long long)n->series,
               (unsigned long long)n->samples, (unsigned long long)n->chunks,
               (unsigned long long)n->streams, (unsigned long long)n->segments,
               (unsigned long long)n->rows, (unsigned long long)n->log_samples,
               (unsigned long long)n->bytes);
    buf_printf(out, "%llu damaged, %llu notes\n", (unsigned long long)n->damages,
               (unsigned long long)n->notes);
}

static void check(void *arg)
{
    static const struct fsck_ops ops = {on_found, on_progress};
    struct checking *const c = arg;
    const bool as_json = tsdb_job_as_json(&c->job);
    struct errmsg e;
    if (!tsdb_job_begin(&c->job))
        return;
    c->told_ns = clock_mono_ns();
    json_init(&c->json, &c->job.out);
    if (as_json) {
        json_object_begin(&c->json);
        json_key(&c->json, "findings");
        json_array_begin(&c->json);
    }
    if (fsck_folder(c->job.path, &ops, c, &c->counts, &e))
        tsdb_job_fail(&c->job, "%s", e.text);
    if (as_json) {
        json_array_end(&c->json);
        put_counts_json(&c->json, &c->counts);
        json_object_end(&c->json);
        buf_put_char(&c->job.out, '\n');
    } else if (!c->job.has_failed) {
        put_counts(&c->job.out, c->job.path, &c->counts);
    }
}

int tsdb_fsck(const struct promtool *p)
{
    struct checking c = {.job.p = p};
    const int code = tsdb_job_run(&c.job, check);
    return code ? code : c.counts.damages ? PROMTOOL_DAMAGED : PROMTOOL_OK;
}

// ---- repair and upgrade

size_t tsdb_repair_flags(struct promtool *p, struct setting *rows)
{
    const struct setting all[] = {
        {"dry-run", .flag = &p->dry_run, .help = "Only say what would be done."},
        {"format", 'o', .text = &p->format, .choices = formats, .default_text = "text",
         .help = "Output format: text or json."},
    };
    memcpy(rows, all, sizeof all);
    return countof(all);
}

struct repairing {
    struct tsdb_job job;
    struct repair_options options;
    struct json json;
    uint64_t actions;
};

static const char *const action_names[REPAIR_KINDS] = {
    [REPAIR_QUARANTINE] = "quarantine", [REPAIR_SALVAGE] = "salvage",
    [REPAIR_FORGET] = "forget",         [REPAIR_COPY] = "copy",
    [REPAIR_UPGRADE] = "upgrade",
};

static void put_action(struct buf *out, const struct repair_action *a)
{
    buf_printf(out, "%s: %s", action_names[a->kind], a->path);
    if (a->to[0])
        buf_printf(out, " -> %s", a->to);
    if (a->kind == REPAIR_UPGRADE)
        buf_printf(out, ": format %u", a->version);
    else
        buf_printf(out, ": %s", a->why);
    if (a->kind == REPAIR_SALVAGE)
        buf_printf(out, "; kept: %llu of %llu series, %llu of %llu samples",
                   (unsigned long long)a->series_kept, (unsigned long long)a->series,
                   (unsigned long long)a->samples_kept, (unsigned long long)a->samples);
    buf_put_char(out, '\n');
}

static void put_action_json(struct json *j, const struct repair_action *a)
{
    const struct {
        const char *key;
        uint64_t value;
    } rows[] = {{"series", a->series},
                {"samples", a->samples},
                {"seriesKept", a->series_kept},
                {"samplesKept", a->samples_kept}};
    json_object_begin(j);
    json_key(j, "action");
    json_cstr(j, action_names[a->kind]);
    json_key(j, "file");
    json_cstr(j, a->path);
    json_key(j, "to");
    json_cstr(j, a->to);
    json_key(j, "why");
    json_cstr(j, a->why);
    for (size_t i = 0; i < countof(rows); i++) {
        json_key(j, rows[i].key);
        json_u64(j, rows[i].value);
    }
    json_object_end(j);
}

static void on_action(void *arg, const struct repair_action *a)
{
    struct repairing *const r = arg;
    if (tsdb_job_as_json(&r->job))
        put_action_json(&r->json, a);
    else
        put_action(&r->job.out, a);
}

static void do_repair(void *arg)
{
    struct repairing *const r = arg;
    const bool as_json = tsdb_job_as_json(&r->job);
    struct errmsg e;
    if (r->options.dry_run ? !tsdb_job_begin(&r->job) : !tsdb_job_exists(&r->job))
        return;
    json_init(&r->json, &r->job.out);
    if (as_json) {
        json_object_begin(&r->json);
        json_key(&r->json, "actions");
        json_array_begin(&r->json);
    }
    if (repair_folder(r->job.path, &r->options, r, &r->actions, &e, on_action))
        tsdb_job_fail(&r->job, "%s", e.text);
    if (as_json) {
        json_array_end(&r->json);
        json_key(&r->json, "dryRun");
        json_bool(&r->json, r->options.dry_run);
        json_object_end(&r->json);
        buf_put_char(&r->job.out, '\n');
    } else if (!r->job.has_failed) {
        buf_printf(&r->job.out, "%s: %llu %s\n", r->job.path, (unsigned long long)r->actions,
                   r->options.dry_run ? "things to do, nothing was done" : "things done");
    }
}

int tsdb_repair(const struct promtool *p)
{
    struct repairing r = {.job.p = p, .options.dry_run = p->dry_run};
    const int code = tsdb_job_run(&r.job, do_repair);
    return code ? code : r.actions ? PROMTOOL_DAMAGED : PROMTOOL_OK;
}

int tsdb_upgrade(const struct promtool *p)
{
    struct repairing r = {.job.p = p, .options = {.upgrade = true, .dry_run = p->dry_run}};
    return tsdb_job_run(&r.job, do_repair);
}
