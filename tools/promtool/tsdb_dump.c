// tsdb dump, tsdb dump-openmetrics: every sample of a data folder, by series.
#include <stdlib.h>

#include "engine/base/number.h"
#include "engine/base/quote.h"
#include "engine/base/util.h"
#include "engine/model/labels.h"
#include "engine/model/value.h"
#include "engine/tsdb/tsdb_reading.h"
#include "protocol/json_write.h"
#include "tools/promtool/histogram_text.h"
#include "tools/promtool/tsdb_folder.h"

enum { SERIES_AT_ONCE = 64, SELECTORS_MAX = 256 };

static const char *const dump_formats[] = {"prom", "json", "seriesjson", NULL};

static size_t range_flags(struct promtool *p, struct setting *rows)
{
    const struct setting all[] = {
        {"sandbox-dir-root", .text = &p->sandbox, .placeholder = "DIR", .traits = SETTING_IGNORED,
         .help = "Accepted for promtool's sake: nothing is written anywhere."},
        {"min-time", .text = &p->min_time, .default_text = "-9223372036854775808",
         .help = "Minimum timestamp to dump, in milliseconds since the Unix epoch."},
        {"max-time", .text = &p->max_time, .default_text = "9223372036854775807",
         .help = "Maximum timestamp to dump, in milliseconds since the Unix epoch."},
        {"match", .list = &p->matches, .placeholder = "MATCH",
         .help = "Series selector. Can be specified multiple times."},
    };
    memcpy(rows, all, sizeof all);
    return countof(all);
}

size_t tsdb_dump_flags(struct promtool *p, struct setting *rows)
{
    const size_t n = range_flags(p, rows);
    rows[n] = (struct setting){
        "format", .text = &p->format, .choices = dump_formats, .default_text = "prom",
        .help = "Output format of the dump: prom, json (of each series a line, "
                "as query_range answers) or seriesjson (the labels alone)."};
    return n + 1;
}

size_t tsdb_dump_openmetrics_flags(struct promtool *p, struct setting *rows)
{
    return range_flags(p, rows);
}

struct found {
    struct storage_series series;
    size_t set; // of which selector
};

struct dumping {
    struct tsdb_job job;
    void (*put)(struct dumping *d, struct str labels, const struct column *c);
    struct tsdb *db;
    int64_t mint, maxt; // (mint, maxt]
    struct promql_query queries[SELECTORS_MAX];
    struct storage_set sets[SELECTORS_MAX];
    size_t sets_n;
    struct found *found;
    size_t n;
    struct arena arena;   // of the selection
    struct arena samples; // of the series being printed
    struct buf text;      // the present one's labels
};

// ---- forms

static void put_histogram(struct dumping *d, struct str packed, struct buf *out)
{
    struct histogram h;
    if (histogram_unpack(packed, &d->samples, &h))
        histogram_text(&h, out);
}

static void put_prom(struct dumping *d, struct str labels, const struct column *c)
{
    struct buf *const out = &d->job.out;
    buf_reset(&d->text);
    labels_format(labels, &d->text);
    for (size_t i = 0; i < c->n; i++) {
        buf_put_str(out, buf_str(&d->text));
        buf_put_char(out, ' ');
        if (c->histograms && c->histograms[i].p)
            put_histogram(d, c->histograms[i], out);
        else
            buf_put_double_g(out, c->v[i]);
        buf_printf(out, " %lld\n", (long long)c->t[i]);
        tsdb_job_print(&d->job);
    }
}

static void put_openmetrics(struct dumping *d, struct str labels, const struct column *c)
{
    struct buf *const out = &d->job.out;
    const char *separator = "{";
    struct label l;
    buf_reset(&d->text);
    buf_put_str(&d->text, labels_value(labels, LABEL_NAME));
    for (struct labels_iter i = labels_iter(labels); labels_next(&i, &l);) {
        if (str_eq(l.name, LABEL_NAME))
            continue;
        buf_printf(&d->text, "%s%.*s=", separator, STR_ARG(l.name));
        buf_put_quoted(&d->text, l.value);
        separator = ",";
    }
    buf_put_str(&d->text, separator[0] == '{' ? STR("{}") : STR("}"));
    for (size_t i = 0; i < c->n; i++) {
        if (value_is_stale(c->v[i])) // histograms, too
            continue;
        buf_put_str(out, buf_str(&d->text));
        buf_put_char(out, ' ');
        buf_put_double_g(out, c->v[i]);
        buf_printf(out, " %.3f\n", (double)c->t[i] / 1000);
        tsdb_job_print(&d->job);
    }
}

static void put_labels_json(struct json *j, struct str labels)
{
    struct label l;
    json_object_begin(j);
    for (struct labels_iter i = labels_iter(labels); labels_next(&i, &l);) {
        json_key_str(j, l.name);
        json_str_plain(j, l.value);
    }
    json_object_end(j);
}

static void put_series_json(struct dumping *d, struct str labels, const struct column *c)
{
    struct json j;
    (void)c;
    json_init(&j, &d->job.out);
    put_labels_json(&j, labels);
    buf_put_char(&d->job.out, '\n');
    tsdb_job_print(&d->job);
}

static void put_time_json(struct json *j, int64_t t_ms)
{
    json_double(j, (double)t_ms / 1000);
}

static void put_points_json(struct dumping *d, struct json *j, const struct column *c,
                            bool histograms)
{
    json_array_begin(j);
    for (size_t i = 0; i < c->n; i++) {
        if ((c->histograms && c->histograms[i].p) != histograms)
            continue;
        json_array_begin(j);
        put_time_json(j, c->t[i]);
        buf_reset(&d->text);
        if (histograms)
            put_histogram(d, c->histograms[i], &d->text);
        else
            d->text.n = number_format_api(c->v[i], buf_reserve(&d->text, NUMBER_TEXT_MAX));
        json_str_plain(j, buf_str(&d->text));
        json_array_end(j);
    }
    json_array_end(j);
}

static void put_json(struct dumping *d, struct str labels, const struct column *c)
{
    struct json j;
    json_init(&j, &d->job.out);
    json_object_begin(&j);
    json_key(&j, "metric");
    put_labels_json(&j, labels);
    json_key(&j, "values");
    put_points_json(d, &j, c, false);
    if (c->histograms) {
        json_key(&j, "histograms");
        put_points_json(d, &j, c, true);
    }
    json_object_end(&j);
    buf_put_char(&d->job.out, '\n');
    tsdb_job_print(&d->job);
}

// ---- reading

static int compare_found(const void *a, const void *b)
{
    const struct found *const x = a, *const y = b;
    return labels_cmp(x->series.labels, y->series.labels);
}

// What the flags say, both included.
static bool take_range(struct dumping *d)
{
    const struct promtool *const p = d->job.p;
    const struct str bad = number_parse_i64(p->min_time, &d->mint)   ? p->min_time
                           : number_parse_i64(p->max_time, &d->maxt) ? p->max_time
                                                                     : (struct str){0};
    if (bad.p)
        promtool_refuse(p, "strconv.ParseInt: parsing \"%.*s\": invalid syntax", STR_ARG(bad));
    else if (d->mint > INT64_MIN)
        d->mint--;
    return !bad.p;
}

static err select_series(struct dumping *d, struct errmsg *e)
{
    const struct storage s = tsdb_storage(d->db);
    const struct promtool *const p = d->job.p;
    const struct promql_options options = promtool_promql(p);
    const size_t sets_n = p->matches.n ? p->matches.n : 1;
    if (sets_n > SELECTORS_MAX)
        return err_set(e, ERR_LIMIT, "more than %d selectors", SELECTORS_MAX);
    for (; d->sets_n < sets_n; d->sets_n++) {
        struct promql_query *const query = &d->queries[d->sets_n];
        struct storage_set *const set = &d->sets[d->sets_n];
        if (p->matches.n)
            TRY(promql_parse_selector(p->matches.items[d->sets_n], &options, &d->arena, query, e));
        const err code =
            s.ops->select(s.self, query->expr ? query->expr->vector.matchers : NULL,
                          query->expr ? query->expr->vector.matchers_count : 0, d->mint, d->maxt,
                          &(struct storage_want){.any_order = true}, &d->arena, set, e);
        if (code && query->expr)
            promql_parse_done(query);
        TRY(code);
        d->n += set->n;
    }
    d->found = arena_array(&d->arena, d->n + 1, struct found);
    for (size_t k = 0, at = 0; k < d->sets_n; k++)
        for (size_t i = 0; i < d->sets[k].n; i++)
            d->found[at++] = (struct found){d->sets[k].series[i], k};
    qsort(d->found, d->n, sizeof *d->found, compare_found);
    return ERR_OK;
}

// The next series of one set, each once, are read together.
static err print_some(struct dumping *d, size_t *at, struct errmsg *e)
{
    const struct storage s = tsdb_storage(d->db);
    struct storage_series some[SERIES_AT_ONCE];
    struct column columns[SERIES_AT_ONCE];
    size_t n = 0;
    const size_t set = d->found[*at].set;
    for (; *at < d->n && n < SERIES_AT_ONCE; ++*at) {
        const struct found *const f = &d->found[*at];
        if (*at && str_eq(f->series.labels, f[-1].series.labels))
            continue;
        if (f->set != set)
            break;
        some[n++] = f->series;
    }
    arena_reset(&d->samples);
    TRY(s.ops->read(s.self, &d->sets[set], some, n, d->mint, d->maxt, &d->samples, columns, e));
    for (size_t i = 0; i < n; i++)
        if (columns[i].n)
            d->put(d, some[i].labels, &columns[i]);
    return ERR_OK;
}

static err print_all(struct dumping *d, struct errmsg *e)
{
    TRY(select_series(d, e));
    for (size_t at = 0; at < d->n;)
        TRY(print_some(d, &at, e));
    return ERR_OK;
}

static void dump(void *arg)
{
    struct dumping *const d = arg;
    struct errmsg e;
    if (!tsdb_job_begin(&d->job))
        return;
    if (tsdb_open_reading(d->job.path, &tsdb_job_log, &d->db, &e)) {
        tsdb_job_fail(&d->job, "%s", e.text);
        return;
    }
    arena_init(&d->arena, 0);
    arena_init(&d->samples, 0);
    if (print_all(d, &e))
        tsdb_job_fail(&d->job, "%s", e.text);
    else if (d->put == put_openmetrics)
        buf_put_str(&d->job.out, STR("# EOF\n"));
    const struct storage s = tsdb_storage(d->db);
    for (size_t i = 0; i < d->sets_n; i++) {
        s.ops->release(s.self, &d->sets[i]);
        if (d->queries[i].expr)
            promql_parse_done(&d->queries[i]);
    }
    arena_deinit(&d->samples);
    arena_deinit(&d->arena);
    buf_deinit(&d->text);
    (void)!tsdb_close(d->db, NULL);
}

int tsdb_dump(const struct promtool *p)
{
    static struct dumping d; // larger than a stack should hold
    d = (struct dumping){.job.p = p, .put = put_prom};
    if (str_eq(p->format, STR("json")))
        d.put = put_json;
    else if (str_eq(p->format, STR("seriesjson")))
        d.put = put_series_json;
    return take_range(&d) ? tsdb_job_run(&d.job, dump) : PROMTOOL_FAILED;
}

int tsdb_dump_openmetrics(const struct promtool *p)
{
    static struct dumping d;
    d = (struct dumping){.job.p = p, .put = put_openmetrics};
    return take_range(&d) ? tsdb_job_run(&d.job, dump) : PROMTOOL_FAILED;
}
