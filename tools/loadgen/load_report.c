#include "tools/loadgen/load_report.h"

#include <fts.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/number.h"
#include "engine/base/util.h"
#include "protocol/json_write.h"

static const double SHARES[] = {0.5, 0.9, 0.99, 0.999};
static const char *const SHARE_NAMES[] = {"p50", "p90", "p99", "p999"};

static size_t bucket_of(uint64_t us)
{
    if (us < LOAD_TIMES_STEPS)
        return (size_t)us;
    const unsigned shift = 63U - (unsigned)__builtin_clzll(us) - 4; // leaves 5 bits, 16 to 31
    return (shift + 1) * LOAD_TIMES_STEPS + (size_t)((us >> shift) - LOAD_TIMES_STEPS);
}

static uint64_t bucket_end(size_t bucket) // its largest time
{
    if (bucket < LOAD_TIMES_STEPS)
        return bucket;
    const unsigned shift = (unsigned)(bucket / LOAD_TIMES_STEPS - 1);
    return ((uint64_t)(bucket % LOAD_TIMES_STEPS + LOAD_TIMES_STEPS + 1) << shift) - 1;
}

void load_times_add(struct load_times *t, uint64_t us)
{
    t->counts[bucket_of(us)]++;
    t->n++;
    t->max_us = us > t->max_us ? us : t->max_us;
}

uint64_t load_times_at(const struct load_times *t, double share)
{
    const double wanted = share * (double)t->n;
    uint64_t seen = 0;
    for (size_t i = 0; i < LOAD_TIMES_BUCKETS; i++) {
        seen += t->counts[i];
        if (seen && (double)seen >= wanted)
            return bucket_end(i) < t->max_us ? bucket_end(i) : t->max_us;
    }
    return t->max_us;
}

// ---- the server

static bool read_proc(int64_t pid, const char *name, struct buf *out)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%lld/%s", (long long)pid, name);
    FILE *const f = fopen(path, "re");
    if (!f)
        return false;
    buf_reset(out);
    char *const p = buf_reserve(out, 1 << 14);
    out->n = fread(p, 1, (1 << 14) - 1, f);
    fclose(f);
    return out->n > 0;
}

// The number behind "name:" at the start of a line; 0: there is none.
static uint64_t number_behind(struct str text, const char *name)
{
    const struct str key = str_from_c(name);
    struct str line;
    uint64_t value = 0;
    while (text.n && str_split(&text, '\n', &line)) {
        if (!str_has_prefix(line, key))
            continue;
        struct str rest = str_trim(str_from(line, key.n));
        size_t digits = 0;
        while (digits < rest.n && rest.p[digits] >= '0' && rest.p[digits] <= '9')
            digits++;
        return number_parse_u64(str_until(rest, digits), &value) ? 0 : value;
    }
    return 0;
}

// utime and stime, fields 14 and 15 of stat, behind the name in parentheses.
static double cpu_of(struct str stat)
{
    const ptrdiff_t close = str_find_last(stat, ')');
    struct str rest = str_from(stat, close == STR_NONE ? 0 : (size_t)close + 1), word;
    uint64_t ticks = 0;
    for (int field = 2; rest.n && str_split(&rest, ' ', &word); field++) {
        uint64_t value = 0;
        if ((field == 14 || field == 15) && number_parse_u64(word, &value) == ERR_OK)
            ticks += value;
    }
    return (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

// What a folder takes on the disk; false: it cannot be read.
static bool read_folder(const char *path, uint64_t *out)
{
    char *const paths[] = {(char *)path, NULL};
    FTS *const walk = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    bool is_there = false;
    *out = 0;
    if (!walk)
        return false;
    for (const FTSENT *f; (f = fts_read(walk));) {
        is_there |= f->fts_level == FTS_ROOTLEVEL && f->fts_info == FTS_D;
        if (f->fts_info == FTS_F)
            *out += (uint64_t)f->fts_statp->st_blocks * 512;
    }
    fts_close(walk);
    return is_there;
}

bool load_server_read(int64_t pid, const char *folder, struct load_server *out)
{
    struct buf text = {0};
    *out = (struct load_server){0};
    const bool is_there = read_proc(pid, "stat", &text);
    if (is_there)
        out->cpu_seconds = cpu_of(buf_str(&text));
    if (is_there && read_proc(pid, "status", &text)) {
        out->resident_bytes = number_behind(buf_str(&text), "VmRSS:") * 1024;
        out->peak_bytes = number_behind(buf_str(&text), "VmHWM:") * 1024;
    }
    if (is_there && read_proc(pid, "io", &text))
        out->written_bytes = number_behind(buf_str(&text), "write_bytes:");
    buf_deinit(&text);
    return is_there && (!folder || read_folder(folder, &out->disk_bytes));
}

// ---- words

static double per(double n, double seconds)
{
    return seconds > 0 ? n / seconds : 0;
}

static void put_amount(struct buf *out, double n, const char *unit)
{
    static const char *const scales[] = {"", "k", "M", "G", "T"};
    size_t scale = 0;
    for (; n >= 1000 && scale + 1 < countof(scales); scale++)
        n /= 1000;
    buf_printf(out,
               n < 10 && scale    ? "%.2f %s%s"
               : n < 100 && scale ? "%.1f %s%s"
                                  : "%.0f %s%s",
               n, scales[scale], unit);
}

static void put_ms(struct buf *out, uint64_t us)
{
    buf_printf(out, us < 10000 ? "%.2f ms" : "%.0f ms", (double)us / 1000);
}

static uint64_t errors_of(const struct load_stats *s)
{
    return s->refused + s->failed + s->rejected + s->broken;
}

void load_report_line(const struct load_stats *now, const struct load_stats *before, double seconds,
                      double elapsed, struct buf *out)
{
    buf_printf(out, "%4.0f s  ", elapsed);
    put_amount(out, per((double)(now->samples - before->samples), seconds), "samples/s  ");
    put_amount(out, per((double)(now->requests - before->requests), seconds), "requests/s  ");
    put_amount(out, per((double)(now->bytes - before->bytes), seconds), "B/s  p99 ");
    put_ms(out, load_times_at(&now->acks, 0.99));
    if (errors_of(now))
        buf_printf(out, "  errors %llu: %s", (unsigned long long)errors_of(now), now->error);
}

static void put_server(const struct load_report *r, struct buf *out)
{
    const double cpu = r->after.cpu_seconds - r->before.cpu_seconds;
    buf_printf(out, "server      %.2f CPU s (", cpu);
    put_amount(out, per((double)r->stats->samples, cpu), "samples per CPU s), ");
    put_amount(out, (double)r->after.resident_bytes, "B resident, ");
    put_amount(out, (double)r->after.peak_bytes, "B at most, ");
    put_amount(out, (double)(r->after.written_bytes - r->before.written_bytes), "B written\n");
    if (!r->folder)
        return;
    buf_put_str(out, STR("disk        "));
    put_amount(out, (double)r->after.disk_bytes, "B in its folder, ");
    put_amount(out, (double)r->before.disk_bytes, "B before\n");
}

// What to do when nothing was acknowledged.
static void put_advice(const struct load_stats *s, struct buf *out)
{
    static const struct {
        int from, to;
        const char *text;
    } rows[] = {
        {0, 0, "is the server there, and are host and port right?"},
        {401, 403, "--header=Authorization=... names who sends"},
        {404, 405,
         "the path is /api/v1/write as a rule; Prometheus and Ferula take it with "
         "--web.enable-remote-write-receiver"},
        {415, 415, "the server does not take this --compression or --protocol"},
        {400, 499,
         "the server refuses what is sent: where samples are too old for it, --rate "
         "dates them now and --start says when"},
        {500, 599, "the server's log says more"},
    };
    for (size_t i = 0; i < countof(rows); i++)
        if (s->status >= rows[i].from && s->status <= rows[i].to) {
            buf_printf(out, "            nothing was acknowledged: %s\n", rows[i].text);
            return;
        }
}

void load_times_put(const struct load_times *t, struct buf *out)
{
    for (size_t i = 0; t->n && i < countof(SHARES); i++) {
        buf_printf(out, "%s ", SHARE_NAMES[i]);
        put_ms(out, load_times_at(t, SHARES[i]));
        buf_put_str(out, STR("  "));
    }
    buf_put_str(out, t->n ? STR("max ") : STR("none"));
    if (t->n)
        put_ms(out, t->max_us);
}

void load_answers_put(const uint64_t *answers, struct buf *out)
{
    bool first = true;
    for (int status = 0; status < LOAD_STATUS_MAX; status++) {
        if (!answers[status])
            continue;
        buf_printf(out, "%s%d: %llu", first ? "" : ", ", status,
                   (unsigned long long)answers[status]);
        first = false;
    }
    if (first)
        buf_put_str(out, STR("none"));
}

void load_report_table(const struct load_report *r, struct buf *out)
{
    const struct load_stats *const s = r->stats;
    buf_printf(out,
               "series      %llu in %llu requests a round, %.1f bytes a series, %.1f compressed\n",
               (unsigned long long)r->series, (unsigned long long)r->templates,
               per((double)r->text_bytes, (double)r->series),
               per((double)r->template_bytes, (double)r->series));
    buf_printf(out, "kept        %llu samples in %llu requests, ", (unsigned long long)s->samples,
               (unsigned long long)s->requests);
    put_amount(out, (double)s->bytes, "B, ");
    buf_printf(out, "%.2f s\nrate        ", r->seconds);
    put_amount(out, per((double)s->samples, r->seconds), "samples/s acknowledged\n");
    buf_put_str(out, STR("acks        "));
    load_times_put(&s->acks, out);
    if (s->since_due.n) {
        buf_put_str(out, STR("\nby schedule "));
        load_times_put(&s->since_due, out);
    }
    buf_put_str(out, STR("\nanswers     "));
    load_answers_put(s->answers, out);
    buf_put_char(out, '\n');
    buf_printf(out, "errors      %llu refused, %llu failed, %llu rejected, %llu broken%s%s\n",
               (unsigned long long)s->refused, (unsigned long long)s->failed,
               (unsigned long long)s->rejected, (unsigned long long)s->broken,
               s->error[0] ? "; the last: " : "", s->error);
    if (!s->requests)
        put_advice(s, out);
    if (s->late)
        buf_printf(out, "late        %llu requests held back\n", (unsigned long long)s->late);
    if (s->cut || s->repeated || s->slow || s->garbage)
        buf_printf(out,
                   "faults      %llu connections cut, %llu requests sent once more, %llu slowly; "
                   "%llu of garbage, %llu of it acknowledged\n",
                   (unsigned long long)s->cut, (unsigned long long)s->repeated,
                   (unsigned long long)s->slow, (unsigned long long)s->garbage,
                   (unsigned long long)s->garbage_taken);
    if (r->is_read_back && r->read_error[0])
        buf_printf(out, "loss        unknown: %s\n", r->read_error);
    else if (r->is_read_back)
        buf_printf(out, "loss        %llu of %llu acknowledged sequence numbers not found\n",
                   (unsigned long long)r->missing, (unsigned long long)r->checked);
    buf_printf(out, "generator   %.2f CPU s, ", r->cpu_seconds);
    put_amount(out, per((double)s->samples, r->cpu_seconds), "samples per CPU s");
    buf_put_str(out, r->is_live ? STR(", each request encoded live\n") : STR("\n"));
    if (r->pid)
        put_server(r, out);
}

// ---- JSON

static void put_u64(struct json *j, const char *key, uint64_t value)
{
    json_key(j, key);
    json_u64(j, value);
}

static void put_double(struct json *j, const char *key, double value)
{
    json_key(j, key);
    json_double(j, value);
}

void load_times_json(const struct load_times *t, const char *name, struct json *j)
{
    char key[48];
    for (size_t i = 0; i < countof(SHARES); i++) {
        snprintf(key, sizeof key, "%s_%s_seconds", name, SHARE_NAMES[i]);
        put_double(j, key, (double)load_times_at(t, SHARES[i]) / 1e6);
    }
    snprintf(key, sizeof key, "%s_max_seconds", name);
    put_double(j, key, (double)t->max_us / 1e6);
}

void load_answers_json(const uint64_t *answers, struct json *j)
{
    json_key(j, "answers");
    json_object_begin(j);
    for (int status = 0; status < LOAD_STATUS_MAX; status++) {
        char key[16];
        snprintf(key, sizeof key, "%d", status);
        if (answers[status])
            put_u64(j, key, answers[status]);
    }
    json_object_end(j);
}

void load_report_json(const struct load_report *r, struct buf *out)
{
    const struct load_stats *const s = r->stats;
    struct json j;
    json_init(&j, out);
    json_object_begin(&j);
    put_u64(&j, "series", r->series);
    put_u64(&j, "samples", s->samples);
    put_u64(&j, "requests", s->requests);
    put_u64(&j, "bytes", s->bytes);
    put_double(&j, "seconds", r->seconds);
    put_double(&j, "samples_per_second", per((double)s->samples, r->seconds));
    load_times_json(&s->acks, "ack", &j);
    if (s->since_due.n)
        load_times_json(&s->since_due, "schedule", &j);
    load_answers_json(s->answers, &j);
    put_u64(&j, "refused", s->refused);
    put_u64(&j, "failed", s->failed);
    put_u64(&j, "rejected", s->rejected);
    put_u64(&j, "broken", s->broken);
    put_u64(&j, "late", s->late);
    put_u64(&j, "no_retry_after", s->no_retry_after);
    put_u64(&j, "cut", s->cut);
    put_u64(&j, "repeated", s->repeated);
    put_u64(&j, "slow", s->slow);
    put_u64(&j, "garbage", s->garbage);
    put_u64(&j, "garbage_taken", s->garbage_taken);
    json_key(&j, "last_error");
    json_cstr(&j, s->error);
    if (r->is_read_back && !r->read_error[0]) {
        put_u64(&j, "sequence_checked", r->checked);
        put_u64(&j, "sequence_missing", r->missing);
    }
    put_double(&j, "generator_cpu_seconds", r->cpu_seconds);
    put_double(&j, "generator_samples_per_cpu_second", per((double)s->samples, r->cpu_seconds));
    json_key(&j, "encoded_live");
    json_bool(&j, r->is_live);
    if (r->pid) {
        put_double(&j, "server_cpu_seconds", r->after.cpu_seconds - r->before.cpu_seconds);
        put_u64(&j, "server_resident_bytes", r->after.resident_bytes);
        put_u64(&j, "server_peak_bytes", r->after.peak_bytes);
        put_u64(&j, "server_written_bytes", r->after.written_bytes - r->before.written_bytes);
        if (r->folder)
            put_u64(&j, "server_disk_bytes", r->after.disk_bytes);
    }
    json_object_end(&j);
    buf_put_char(out, '\n');
}
