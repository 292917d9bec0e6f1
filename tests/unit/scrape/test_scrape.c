// Scrapes of a target that answers what a script tells it to; expected series as Prometheus has
// them. Without a fixed clock: values are looked at, not times.
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>

#include "engine/base/util.h"
#include "io/clock.h"
#include "tests/unit/scrape/scrape_world.h"

// A busy machine may be late for a scrape, which has 50 ms; the next says the same.
static void want_last(struct scrape_world *w, const char *series, const char *value)
{
    struct str got = scrape_world_last(w, series);
    for (int i = 0; i < 500 && !str_eq(got, str_from_c(value)); i++) {
        scrape_world_nap(w, 20);
        got = scrape_world_last(w, series);
    }
    want(&w->found, str_eq(got, str_from_c(value)), "%s: '%.*s', not '%s' in\n%.*s", series,
         STR_ARG(got), value, STR_ARG(buf_str(&w->dump)));
}

static void want_absent(struct scrape_world *w, const char *series)
{
    const struct str got = scrape_world_samples(w, series);
    want(&w->found, !got.p, "%s: '%.*s'", series, STR_ARG(got));
}

static void want_error(struct scrape_world *w, const char *text)
{
    char got[256];
    scrape_world_error(w, got);
    want(&w->found, !strcmp(got, text), "'%s', not '%s'", got, text);
}

static void reports(struct scrape_world *w)
{
    w->body = STR("# TYPE a counter\na 1\na{x=\"1\"} 2\nb 3\nb 3\n");
    scrape_world_apply(w, "  metric_relabel_configs: [{source_labels: [__name__], regex: b, "
                          "action: drop}]\n  extra_scrape_metrics: true\n");
    scrape_world_scrapes(w, 1);
    want_last(w, "up", "1");
    want_last(w, "scrape_samples_scraped", "4");
    want_last(w, "scrape_samples_post_metric_relabeling", "2");
    char seconds[16];
    snprintf(seconds, sizeof seconds, "%g", 0.05 * (double)w->pace);
    want_last(w, "scrape_timeout_seconds", seconds);
    want_last(w, "scrape_sample_limit", "0");
    want_last(w, "scrape_body_size_bytes", "40");
    want(&w->found, str_has_prefix(scrape_world_samples(w, "scrape_series_added"), STR("2")));
    scrape_world_scrapes(w, 2);
    want_last(w, "scrape_series_added", "0");
    want_last(w, "a", "1");
    want_last(w, "a{@, x=\"1\"}", "2");
    want_absent(w, "b");
}

static void exported(struct scrape_world *w)
{
    w->body = STR("a{job=\"own\",exported_job=\"x\",instance=\"\"} 1\n");
    scrape_world_apply(w, "");
    scrape_world_scrapes(w, 1);
    dump_samples(w->db, false, &w->dump);
    struct str rest = buf_str(&w->dump), line;
    str_split(&rest, '\n', &line);
    want(&w->found,
         str_has_prefix(line, STR("a{exported_exported_job=\"own\", exported_job=\"x\", ")) ||
             str_has_prefix(line, STR("a{exported_job=\"x\", exported_exported_job=\"own\", ")),
         "%.*s", STR_ARG(line));
    scrape_world_apply(w, "  honor_labels: true\n");
    scrape_world_scrapes(w, 2);
    // An empty label that the target gives takes the other's away.
    want_last(w, "a{exported_job=\"x\", job=\"own\"}", "1");
}

static void staleness(struct scrape_world *w)
{
    w->body = STR("a 1\nb 2\nt 3 1700000000000\n");
    scrape_world_apply(w, "  honor_timestamps: true\n");
    scrape_world_scrapes(w, 2);
    w->body = STR("a 1\n");
    scrape_world_scrapes(w, 2);
    want_last(w, "a", "1");
    want_last(w, "b", "stale");
    w->body = STR("a 1\nb 5\n");
    scrape_world_scrapes(w, 2);
    want_last(w, "b", "5");
    w->status = 500;
    scrape_world_scrapes(w, 2);
    want_last(w, "a", "stale");
    want_last(w, "b", "stale");
    want_last(w, "up", "0");
    want_last(w, "scrape_samples_scraped", "0");
    want_error(w, "server returned HTTP status 500 Internal Server Error");
    w->status = 200;
    w->body = STR("a 1\nb{\n");
    scrape_world_scrapes(w, 2);
    want_last(w, "a", "stale");
    want_last(w, "up", "0");
    want_last(w, "scrape_samples_scraped", "1"); // what was read before the error
    w->body = STR("");
    scrape_world_scrapes(w, 2);
    want_last(w, "up", "1");
}

static void removal(struct scrape_world *w)
{
    w->body = STR("a 1\n");
    scrape_world_apply(w, "");
    scrape_world_scrapes(w, 2);
    scrape_world_apply(w, NULL);
    scrape_world_nap(w, 300);
    want_last(w, "a", "stale");
    want_last(w, "up", "stale");
    const unsigned requests = w->requests;
    scrape_world_nap(w, 120);
    want(&w->found, w->requests == requests, "it is still scraped");
    scrape_world_apply(w, "");
    scrape_world_scrapes(w, 1);
    want_last(w, "a", "1");
    scrape_world_apply(w, NULL); // and back before its markers are due
    scrape_world_nap(w, 20);
    scrape_world_apply(w, "");
    scrape_world_nap(w, 300);
    want(&w->found, str_has_suffix(scrape_world_samples(w, "a"), STR("1 1 1")));
}

static void limits(struct scrape_world *w)
{
    w->body = STR("a 1\nb 2\nb 2\nc 3\nd 4\n");
    scrape_world_apply(w, "  sample_limit: 3\n");
    scrape_world_scrapes(w, 2);
    want_last(w, "up", "0");
    want_last(w, "scrape_samples_post_metric_relabeling", "5");
    want_error(w, "sample limit exceeded");
    want_absent(w, "d");
    w->body = STR("a 1\nb 2\nb 2\nc 3\n"); // what is there twice counts once
    scrape_world_scrapes(w, 2);
    want_last(w, "up", "1");
    want_last(w, "c", "3");
    scrape_world_apply(w, "  label_limit: 4\n");
    w->body = STR("a{x=\"1\",y=\"2\"} 1\n"); // with its name, job and instance: 5
    scrape_world_scrapes(w, 2);
    want_error(w, "label_limit exceeded (metric: a, number of labels: 5, limit: 4)");
    scrape_world_apply(w, "  label_value_length_limit: 20\n");
    w->body = STR("a{x=\"123456789012345678901\"} 1\n");
    scrape_world_scrapes(w, 2);
    want_error(w, "label_value_length_limit exceeded (metric: a, label name: x, value: "
                  "\"123456789012345678901\", length: 21, limit: 20)");
    scrape_world_apply(w, "  body_size_limit: 10B\n  extra_scrape_metrics: true\n");
    w->body = STR("a 1\nb 222\n");
    scrape_world_scrapes(w, 2);
    want_error(w, "body size limit exceeded");
    want_last(w, "scrape_body_size_bytes", "-1");
    w->body = STR("a 1\nb 22\n");
    scrape_world_scrapes(w, 2);
    want_last(w, "up", "1");
}

static void bad_bodies(struct scrape_world *w)
{
    static const struct {
        const char *type, *body, *error;
    } rows[] = {
        {NULL, "a 1\n",
         "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol "
         "specified for target"},
        {"text/html", "a 1\n",
         "received unsupported Content-Type \"text/html\" and no fallback_scrape_protocol "
         "specified for target"},
        {"text/plain", "a{x=\"1\",x=\"2\"} 1\n", "label name \"x\" is not unique: invalid sample"},
        {"application/openmetrics-text; version=1.0.0", "a 1\n", "data does not end with # EOF"},
    };
    scrape_world_apply(w, "");
    for (size_t i = 0; i < countof(rows); i++) {
        w->content_type = rows[i].type;
        w->body = str_from_c(rows[i].body);
        scrape_world_scrapes(w, 2);
        want_error(w, rows[i].error);
        want_last(w, "up", "0");
    }
}

// Failing scrapes with other lines each time: the cache does not keep them all.
static void churn(struct scrape_world *w)
{
    struct buf body = {0};
    scrape_world_apply(w, "");
    for (int round = 0; round < 6; round++) {
        buf_reset(&body);
        for (int i = 0; i < 700; i++)
            buf_printf(&body, "a{round=\"%d\",i=\"%d\"} 1\n", round, i);
        if (round < 5)
            buf_put_str(&body, STR("broken{\n"));
        w->body = buf_str(&body);
        scrape_world_scrapes(w, 2);
    }
    want_last(w, "up", "1");
    want_last(w, "scrape_samples_scraped", "700");
    w->body = STR("");
    scrape_world_scrapes(w, 2);
    buf_deinit(&body);
}

// Reloads of every kind while scrapes are under way; also a stop.
static void reload_under_way(struct scrape_world *w)
{
    static const char *const configs[] = {
        "  metric_relabel_configs: [{target_label: extra, replacement: x}]\n",
        "",
        "  honor_labels: true\n  sample_limit: 10\n",
        NULL,
        "  scrape_interval: 60ms\n  scrape_timeout: 50ms\n",
        "  scrape_interval: 50ms\n  scrape_timeout: 50ms\n  follow_redirects: false\n",
        "  metric_relabel_configs: [{action: drop, source_labels: [__name__]}]\n",
    };
    w->delay_ms = 30;
    w->body = STR("a 1\nb{x=\"y\"} 2\n");
    for (size_t round = 0; round < 3; round++)
        for (size_t i = 0; i < countof(configs); i++) {
            scrape_world_apply(w, configs[i]);
            scrape_world_nap(w, (int64_t)(20 + 13 * ((round + i) % 5)));
        }
    scrape_world_apply(w, "  metric_relabel_configs: [{target_label: extra, replacement: z}]\n");
    scrape_world_scrapes(w, 4);
    want_last(w, "b{@, x=\"y\"}", "stale"); // the name it had before
    want_last(w, "b{extra=\"z\", @, x=\"y\"}", "2");
    want_last(w, "up", "1");
}

static void other_owners(struct scrape_world *w)
{
    struct buf body = {0};
    for (int i = 0; i < 40; i++)
        buf_printf(&body, "a{job=\"far\",instance=\"i%d\"} %d\n", i, i);
    w->body = buf_str(&body);
    scrape_world_apply(w, "  honor_labels: true\n");
    scrape_world_scrapes(w, 3);
    for (int i = 0; i < 40; i++) {
        char series[64], value[8];
        snprintf(series, sizeof series, "a{instance=\"i%d\", job=\"far\"}", i);
        snprintf(value, sizeof value, "%d", i);
        want_last(w, series, value);
    }
    w->body = STR("a{job=\"far\",instance=\"i7\"} 8\n");
    scrape_world_scrapes(w, 2);
    want_last(w, "a{instance=\"i7\", job=\"far\"}", "8");
    want_last(w, "a{instance=\"i8\", job=\"far\"}", "stale");
    want_last(w, "a{instance=\"i39\", job=\"far\"}", "stale");
    want_last(w, "up", "1");
    buf_deinit(&body);
}

struct look {
    struct tsdb *db;
    uint64_t removed;
};

static void look(void *arg)
{
    struct look *l = arg;
    struct tsdb_stats stats;
    tsdb_stats(l->db, &stats);
    l->removed = stats.series_removed;
}

static uint64_t series_removed(struct scrape_world *w)
{
    struct look looks[WORLD_SHARDS_MAX];
    uint64_t n = 0;
    for (unsigned i = 0; i < w->shards; i++)
        looks[i] = (struct look){.db = w->db};
    shard_call_all(LOOP_CONTROL, look, looks, sizeof *looks, NULL);
    for (unsigned i = 0; i < w->shards; i++)
        n += looks[i].removed;
    return n;
}

// Series that leave the head while the target's lines still refer to them, of this shard and of
// others: a sample just within the window, and when an hour has passed since, the next one.
static void gone(struct scrape_world *w)
{
    enum { SERIES = 20 };
    struct buf body = {0};
    const long long old_ms = (long long)clock_wall_ms() - 3600 * 1000 + 3000 * w->pace;
    for (int i = 0; i < SERIES; i++)
        buf_printf(&body,
                   "a{job=\"far\",instance=\"i%d\"} 1 %lld\n"
                   "b{job=\"far\",instance=\"i%d\"} 1\n",
                   i, old_ms, i);
    w->body = buf_str(&body);
    scrape_world_apply(w, "  honor_labels: true\n");
    scrape_world_scrapes(w, 2);
    want_last(w, "a{instance=\"i3\", job=\"far\"}", "1");
    for (int i = 0; i < 6000 && series_removed(w) < SERIES; i++)
        scrape_world_nap(w, 10);
    want(&w->found, series_removed(w) >= SERIES, "%llu left",
         (unsigned long long)series_removed(w));
    struct buf next = {0};
    for (int i = 0; i < SERIES; i++)
        buf_printf(&next, "a{job=\"far\",instance=\"i%d\"} 2\n", i);
    w->body = buf_str(&next);
    scrape_world_scrapes(w, 2);
    for (int i = 0; i < SERIES; i++) {
        char series[64];
        snprintf(series, sizeof series, "a{instance=\"i%d\", job=\"far\"}", i);
        want(&w->found, str_has_prefix(scrape_world_samples(w, series), STR("1 2")), "%s: '%.*s'",
             series, STR_ARG(scrape_world_samples(w, series)));
    }
    want_last(w, "up", "1");
    buf_deinit(&body);
    buf_deinit(&next);
}

static const struct flow {
    const char *name;
    void (*script)(struct scrape_world *w);
    unsigned shards;
} flows[] = {
    {"reports", reports, 1},
    {"exported", exported, 1},
    {"staleness", staleness, 1},
    {"removal", removal, 1},
    {"limits", limits, 1},
    {"bad bodies", bad_bodies, 1},
    {"churn", churn, 1},
    {"reload", reload_under_way, 1},
    {"reload, two shards", reload_under_way, 2},
    {"other owners", other_owners, 2},
    {"gone", gone, 1},
    {"gone, three shards", gone, 3},
};

ParameterizedTestParameters(scrape, flow)
{
    static size_t rows[countof(flows)];
    for (size_t i = 0; i < countof(flows); i++)
        rows[i] = i;
    return cr_make_param_array(size_t, rows, countof(flows));
}

ParameterizedTest(size_t *row, scrape, flow)
{
    static struct scrape_world w;
    w = (struct scrape_world){.script = flows[*row].script,
                              .shards = flows[*row].shards,
                              .spill_ms = flows[*row].script == gone};
    scrape_world_run(&w);
    cr_assert_str_eq(w.found.text, "", "%s: %s", flows[*row].name, w.found.text);
}
