// Targets as Prometheus's PopulateLabels and Target.URL make them.
#include <criterion/criterion.h>
#include <stdio.h>

#include "engine/base/util.h"
#include "engine/model/labels.h"
#include "engine/scrape/target.h"

static err read_text(void *arg, const char *path, struct buf *out, struct errmsg *e)
{
    (void)path, (void)e;
    buf_put_str(out, str_from_c(arg));
    return ERR_OK;
}

static struct prom_config *load(const char *lines)
{
    static char text[4096];
    struct prom_config *config = NULL;
    struct errmsg e = {0};
    snprintf(text, sizeof text, "scrape_configs:\n- job_name: j\n%s", lines);
    const struct prom_config_source source = {.arg = text, .read = read_text};
    const struct prom_config_options options = {0};
    cr_assert_eq(prom_config_load("x.yml", &source, &options, &config, &e), ERR_OK, "%s", e.text);
    return config;
}

static const struct {
    const char *lines, *address;
    const char *labels, *url; // labels NULL: dropped
    const char *discovered;   // NULL: not looked at
} good[] = {
    {"", "a:1", "{instance=\"a:1\", job=\"j\"}", "http://a:1/metrics",
     "{__address__=\"a:1\", __metrics_path__=\"/metrics\", __scheme__=\"http\", "
     "__scrape_interval__=\"1m\", __scrape_timeout__=\"10s\", job=\"j\"}"},
    // No port is added any more.
    {"  scheme: https\n", "a", "{instance=\"a\", job=\"j\"}", "https://a/metrics", NULL},
    {"", "[::1]:9100", "{instance=\"[::1]:9100\", job=\"j\"}", "http://[::1]:9100/metrics", NULL},
    {"  metrics_path: m\n", "a:1", "{instance=\"a:1\", job=\"j\"}", "http://a:1/m", NULL},
    {"  metrics_path: '/a b/%41?x#y;z,ü'\n", "a:1", "{instance=\"a:1\", job=\"j\"}",
     "http://a:1/a%20b/%2541%3Fx%23y;z,%C3%BC", NULL},
    {"  params: {b: [x y, '&'], a: ['1']}\n", "a:1", "{instance=\"a:1\", job=\"j\"}",
     "http://a:1/metrics?a=1&b=x+y&b=%26",
     "{__address__=\"a:1\", __metrics_path__=\"/metrics\", __param_a=\"1\", __param_b=\"x y\", "
     "__scheme__=\"http\", __scrape_interval__=\"1m\", __scrape_timeout__=\"10s\", job=\"j\"}"},
    // The first value of a parameter is what its label says; other labels make new ones.
    {"  params: {b: [x, y]}\n  relabel_configs:\n  - {target_label: __param_b, replacement: z}\n"
     "  - {target_label: __param_a, replacement: '1'}\n  - {target_label: __param_c, replacement: "
     "'2'}\n",
     "a:1", "{instance=\"a:1\", job=\"j\"}", "http://a:1/metrics?a=1&b=z&b=y&c=2", NULL},
    {"  relabel_configs: [{source_labels: [__address__], target_label: instance, regex: "
     "'(.*):.*'}]\n",
     "a:1", "{instance=\"a\", job=\"j\"}", "http://a:1/metrics", NULL},
    {"  relabel_configs: [{target_label: __address__, replacement: 'b:2'}, {target_label: "
     "__scheme__, replacement: https}, {target_label: __metrics_path__, replacement: /x}, "
     "{target_label: __tmp, replacement: y}, {target_label: job, replacement: k}]\n",
     "a:1", "{instance=\"b:2\", job=\"k\"}", "https://b:2/x", NULL},
    {"  relabel_configs: [{source_labels: [__address__], regex: 'a.*', action: drop}]\n", "a:1",
     NULL, NULL,
     "{__address__=\"a:1\", __metrics_path__=\"/metrics\", __scheme__=\"http\", "
     "__scrape_interval__=\"1m\", __scrape_timeout__=\"10s\", job=\"j\"}"},
};

static void check_labels(struct str labels, const char *wanted, size_t row)
{
    struct buf text = {0};
    labels_format(labels, &text);
    cr_assert(str_eq(buf_str(&text), str_from_c(wanted)), "row %zu: %.*s", row,
              STR_ARG(buf_str(&text)));
    buf_deinit(&text);
}

Test(target_spec, labels_and_urls)
{
    struct arena a;
    arena_init(&a, 0);
    for (size_t i = 0; i < countof(good); i++) {
        struct prom_config *config = load(good[i].lines);
        const struct static_group none = {0};
        struct target_spec spec;
        struct errmsg e = {0};
        cr_assert(
            target_spec_make(config->jobs[0], &none, str_from_c(good[i].address), &a, &spec, &e),
            "row %zu: %s", i, e.text);
        cr_assert_eq(spec.is_dropped, good[i].labels == NULL, "row %zu", i);
        if (good[i].labels) {
            check_labels(spec.labels, good[i].labels, i);
            cr_assert(str_eq(spec.url, str_from_c(good[i].url)), "row %zu: %.*s", i,
                      STR_ARG(spec.url));
            cr_assert_eq(spec.interval_ms, 60000);
            cr_assert_eq(spec.timeout_ms, 10000);
        }
        if (good[i].discovered)
            check_labels(spec.discovered, good[i].discovered, i);
        prom_config_unref(config);
    }
    arena_deinit(&a);
}

static const struct {
    const char *lines, *address, *error;
} bad[] = {
    {"  relabel_configs: [{target_label: __address__, replacement: ''}]\n", "a:1", "no address"},
    {"", "a/b", "\"a/b\" is not a valid hostname"},
    {"  relabel_configs: [{target_label: __scrape_interval__, replacement: x}]\n", "a",
     "error parsing scrape interval: not a valid duration string: \"x\""},
    {"  relabel_configs: [{target_label: __scrape_timeout__, replacement: '0'}]\n", "a",
     "scrape timeout cannot be 0"},
    {"  relabel_configs: [{target_label: __scrape_interval__, replacement: 0s}]\n", "a",
     "scrape interval cannot be 0"},
    {"  relabel_configs: [{target_label: __scrape_timeout__, replacement: 2m}]\n", "a",
     "scrape timeout cannot be greater than scrape interval (\"2m\" > \"1m\")"},
    {"", "a\xff", "invalid label value for \"__address__\": \"a\\xff\""},
};

Test(target_spec, errors)
{
    struct arena a;
    arena_init(&a, 0);
    for (size_t i = 0; i < countof(bad); i++) {
        struct prom_config *config = load(bad[i].lines);
        const struct static_group none = {0};
        struct target_spec spec;
        struct errmsg e = {0};
        cr_assert(
            !target_spec_make(config->jobs[0], &none, str_from_c(bad[i].address), &a, &spec, &e),
            "row %zu", i);
        cr_assert_str_eq(e.text, bad[i].error, "row %zu: %s", i, e.text);
        prom_config_unref(config);
    }
    arena_deinit(&a);
}

// What a group says stands above the configuration, not above the address.
Test(target_spec, labels_of_the_group)
{
    struct prom_config *config = load("  params: {p: [x]}\n  static_configs: [{targets: [a], "
                                      "labels: {job: k, __metrics_path__: /g, __param_p: y, "
                                      "__address__: z, __meta_x: m, zone: eu}}]\n");
    const struct scrape_config *job = config->jobs[0];
    struct arena a;
    struct target_spec spec;
    struct errmsg e = {0};
    arena_init(&a, 0);
    cr_assert(target_spec_make(job, &job->static_groups.items[0], STR("a"), &a, &spec, &e), "%s",
              e.text);
    check_labels(spec.labels, "{instance=\"a\", job=\"k\", zone=\"eu\"}", 0);
    cr_assert(str_eq(spec.url, STR("http://a/g?p=y")), "%.*s", STR_ARG(spec.url));
    arena_deinit(&a);
    prom_config_unref(config);
}
