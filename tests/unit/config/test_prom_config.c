#include <criterion/criterion.h>

#include "engine/base/util.h"
#include "engine/config/prom_config.h"
#include "tests/unit/config/bad_configs.h"

struct file {
    const char *path, *text;
};

struct disk {
    const struct file *files;
    size_t n;
};

static err disk_read(void *arg, const char *path, struct buf *out, struct errmsg *e)
{
    const struct disk *disk = arg;
    for (size_t i = 0; i < disk->n; i++) {
        if (!strcmp(disk->files[i].path, path)) {
            buf_put(out, disk->files[i].text, strlen(disk->files[i].text));
            return ERR_OK;
        }
    }
    return err_set(e, ERR_NOTFOUND, "open %s: no such file or directory", path);
}

static err disk_list(void *arg, const char *dir, struct buf *out, size_t *out_count,
                     struct errmsg *e)
{
    const struct disk *disk = arg;
    const size_t dir_n = strlen(dir);
    *out_count = 0;
    for (size_t i = 0; i < disk->n; i++) {
        const char *path = disk->files[i].path;
        if (strncmp(path, dir, dir_n) || path[dir_n] != '/' || strchr(path + dir_n + 1, '/'))
            continue;
        buf_put(out, path + dir_n + 1, strlen(path + dir_n));
        ++*out_count;
    }
    return *out_count ? ERR_OK : err_set(e, ERR_NOTFOUND, "%s: no such folder", dir);
}

static struct str environment(void *arg, struct str name)
{
    (void)arg;
    return str_eq(name, STR("ZONE")) ? STR("eu-1") : STR("");
}

static err load_disk(const struct file *files, size_t n, const struct prom_config_options *options,
                     struct prom_config **out, struct errmsg *e)
{
    struct disk disk = {files, n};
    const struct prom_config_source source = {&disk, disk_read, disk_list, environment};
    return prom_config_load(files[0].path, &source, options, out, e);
}

static err load(const char *text, const struct prom_config_options *options,
                struct prom_config **out, struct errmsg *e)
{
    const struct file file = {"/etc/x.yml", text};
    return load_disk(&file, 1, options, out, e);
}

static const struct prom_config_options plain, lenient = {.ignore_unsupported = true};

Test(prom_config, refuses_what_prometheus_refuses)
{
    for (size_t i = 0; i < bad_configs_n; i++) {
        struct prom_config *c;
        struct errmsg e = {0};
        cr_assert_neq(load(bad_configs[i].text, &lenient, &c, &e), ERR_OK, "row %zu", i);
        static const char prefix[] = "parsing YAML file /etc/x.yml: ";
        cr_assert(!strncmp(e.text, prefix, sizeof prefix - 1), "%s", e.text);
        cr_assert_str_eq(e.text + sizeof prefix - 1, bad_configs[i].want, "row %zu: %s", i, e.text);
    }
}

Test(prom_config, refuses_bad_patterns)
{
    struct prom_config *c;
    struct errmsg e = {0};
    cr_assert_eq(load("scrape_config_files: ['[a.yml']\n", &plain, &c, &e), ERR_INVALID);
    static const char want[] = "error retrieving scrape config files for \"/etc/[a.yml\": "
                               "syntax error in pattern";
    const size_t n = strlen(e.text);
    cr_assert(n >= sizeof want - 1 && !strcmp(e.text + n - (sizeof want - 1), want), "%s", e.text);
}

// What 3.14 refuses and 3.5 does not, and what is ours.
static const struct bad_config newer[] = {
    {"global: {metric_name_validation_scheme: legacy, external_labels: {a-b: x}}\n",
     "line 1: \"a-b\" is not a valid label name"},
    {"global: {metric_name_validation_scheme: x}\n",
     "line 1: unrecognized ValidationScheme: \"x\""},
    {"scrape_configs:\n- job_name: a\n  metric_name_validation_scheme: legacy\n"
     "  relabel_configs: [{source_labels: [a], target_label: a-b}]\n",
     "line 4: \"a-b\" is invalid 'target_label' for replace action"},
    {"scrape_configs:\n- job_name: a\n  metric_name_validation_scheme: legacy\n"
     "  relabel_configs:\n  - {source_labels: [a], target_label: \"a-${1}\"}\n",
     "line 5: \"a-${1}\" is invalid 'target_label' for replace action"},
    {"scrape_configs:\n- job_name: a\n  metric_name_validation_scheme: legacy\n"
     "  metric_relabel_configs:\n  - {action: labelmap, replacement: \"a-${1}\"}\n",
     "line 5: \"a-${1}\" is invalid 'replacement' for labelmap action"},
    {"scrape_configs:\n- job_name: a\n  metric_name_escaping_scheme: x\n",
     "line 2: unknown scrape config name escaping method specified, must be one of 'allow-utf-8', "
     "'underscores', 'dots', or 'values', got \"x\""},
    {"global: {metric_name_escaping_scheme: x}\nscrape_configs: [{job_name: a}]\n",
     "line 2: unknown global name escaping method specified, must be one of 'allow-utf-8', "
     "'underscores', 'dots', or 'values', got \"x\""},
    {"scrape_configs:\n- job_name: a\n  tls_config: {min_version: TLS13, max_version: TLS12}\n",
     "line 3: tls_config.max_version must be greater than or equal to tls_config.min_version if "
     "both are specified"},
    {"a: &x [*x]\n", "yaml: anchor 'x' value contains itself"},
};

Test(prom_config, refuses_what_is_newer)
{
    for (size_t i = 0; i < countof(newer); i++) {
        struct prom_config *c;
        struct errmsg e = {0};
        cr_assert_neq(load(newer[i].text, &plain, &c, &e), ERR_OK, "row %zu", i);
        cr_assert_str_eq(e.text + strlen("parsing YAML file /etc/x.yml: "), newer[i].want,
                         "row %zu: %s", i, e.text);
    }
}

static const char good[] =
    "global:\n"
    "  scrape_interval: 15s\n"
    "  external_labels: {zone: '${ZONE}-$UNSET$$', cluster: c, a10: x, a2: x}\n"
    "  query_log_file: log/q\n"
    "  body_size_limit: 1536MB\n"
    "  sample_limit: 1500\n"
    "runtime: {gogc: 42}\n"
    "storage: {tsdb: {out_of_order_time_window: 30m, retention: {time: 90d, size: 1GB}}}\n"
    "otlp: {translation_strategy: NoTranslation, promote_scope_metadata: true}\n"
    "scrape_configs:\n"
    "- job_name: one\n"
    "  honor_labels: true\n"
    "  scrape_timeout: 20s\n"
    "  scrape_interval: 30s\n"
    "  sample_limit: 7\n"
    "  scrape_native_histograms: true\n"
    "  params: {'match[]': ['{job=\"x\"}', up]}\n"
    "  basic_auth: {username: u, password: \"hush\", }\n"
    "  tls_config: {ca_file: ca.pem, min_version: TLS12}\n"
    "  proxy_url: http://user:hush@proxy:3128/x\n"
    "  proxy_connect_header: {X: [hush]}\n"
    "  http_headers: {foo: {values: [a], secrets: [hush], files: [f]}}\n"
    "  fallback_scrape_protocol: PrometheusText0.0.4\n"
    "  static_configs:\n"
    "  - {targets: ['[::1]:80', '1:20'], labels: {my: 'yes'}}\n"
    "  - {targets: [], labels: {a: b}}\n"
    "  relabel_configs:\n"
    "  - {source_labels: [job, x], regex: '(.*)-[a]', target_label: job, replacement: 'a: ${1}'}\n"
    "  - {action: HashMod, modulus: 8, target_label: t, source_labels: [a]}\n"
    "  - {regex: null, target_label: n}\n"
    "  - {regex: (.*), target_label: n}\n"
    "- job_name: 'null'\n"
    "  bearer_token: hush\n"
    "  metric_relabel_configs:\n"
    "  - {action: drop, source_labels: [__name__], regex: 'a rather long regular expression|that "
    "is folded|where a line would be wider than eighty columns'}\n";

// As Prometheus 3.5 prints the same file, with the fields that 3.14 has besides.
static const char printed[] =
    "global:\n"
    "  scrape_interval: 15s\n"
    "  scrape_timeout: 10s\n"
    "  evaluation_interval: 1m\n"
    "  query_log_file: /etc/log/q\n"
    "  external_labels:\n"
    "    a2: x\n"
    "    a10: x\n"
    "    cluster: c\n"
    "    zone: eu-1-$\n"
    "  body_size_limit: 1GiB512MiB\n"
    "  sample_limit: 1500\n"
    "  metric_name_validation_scheme: utf8\n"
    "  scrape_native_histograms: false\n"
    "runtime:\n"
    "  gogc: 42\n"
    "scrape_configs:\n"
    "- job_name: one\n"
    "  honor_labels: true\n"
    "  honor_timestamps: true\n"
    "  track_timestamps_staleness: false\n"
    "  params:\n"
    "    match[]:\n"
    "    - '{job=\"x\"}'\n"
    "    - up\n"
    "  scrape_interval: 30s\n"
    "  scrape_timeout: 20s\n"
    "  scrape_protocols:\n"
    "  - PrometheusProto\n"
    "  - OpenMetricsText1.0.0\n"
    "  - OpenMetricsText0.0.1\n"
    "  - PrometheusText1.0.0\n"
    "  - PrometheusText0.0.4\n"
    "  fallback_scrape_protocol: PrometheusText0.0.4\n"
    "  scrape_native_histograms: true\n"
    "  always_scrape_classic_histograms: false\n"
    "  convert_classic_histograms_to_nhcb: false\n"
    "  metrics_path: /metrics\n"
    "  scheme: http\n"
    "  enable_compression: true\n"
    "  body_size_limit: 1GiB512MiB\n"
    "  sample_limit: 7\n"
    "  metric_name_validation_scheme: utf8\n"
    "  metric_name_escaping_scheme: allow-utf-8\n"
    "  extra_scrape_metrics: false\n"
    "  basic_auth:\n"
    "    username: u\n"
    "    password: <secret>\n"
    "  tls_config:\n"
    "    ca_file: /etc/ca.pem\n"
    "    insecure_skip_verify: false\n"
    "    min_version: TLS12\n"
    "  follow_redirects: true\n"
    "  enable_http2: true\n"
    "  proxy_url: http://user:xxxxx@proxy:3128/x\n"
    "  proxy_connect_header:\n"
    "    X:\n"
    "    - <secret>\n"
    "  http_headers:\n"
    "    foo:\n"
    "      values:\n"
    "      - a\n"
    "      secrets:\n"
    "      - <secret>\n"
    "      files:\n"
    "      - /etc/f\n"
    "  relabel_configs:\n"
    "  - source_labels: [job, x]\n"
    "    separator: ;\n"
    "    regex: (.*)-[a]\n"
    "    target_label: job\n"
    "    replacement: 'a: ${1}'\n"
    "    action: replace\n"
    "  - source_labels: [a]\n"
    "    separator: ;\n"
    "    modulus: 8\n"
    "    target_label: t\n"
    "    replacement: $1\n"
    "    action: hashmod\n"
    "  - separator: ;\n"
    "    regex: null\n"
    "    target_label: \"n\"\n"
    "    replacement: $1\n"
    "    action: replace\n"
    "  - separator: ;\n"
    "    regex: (.*)\n"
    "    target_label: \"n\"\n"
    "    replacement: $1\n"
    "    action: replace\n"
    "  static_configs:\n"
    "  - targets:\n"
    "    - '[::1]:80'\n"
    "    - \"1:20\"\n"
    "    labels:\n"
    "      my: \"yes\"\n"
    "  - targets: []\n"
    "    labels:\n"
    "      a: b\n"
    "- job_name: \"null\"\n"
    "  honor_timestamps: true\n"
    "  track_timestamps_staleness: false\n"
    "  scrape_interval: 15s\n"
    "  scrape_timeout: 10s\n"
    "  scrape_protocols:\n"
    "  - OpenMetricsText1.0.0\n"
    "  - OpenMetricsText0.0.1\n"
    "  - PrometheusText1.0.0\n"
    "  - PrometheusText0.0.4\n"
    "  scrape_native_histograms: false\n"
    "  always_scrape_classic_histograms: false\n"
    "  convert_classic_histograms_to_nhcb: false\n"
    "  metrics_path: /metrics\n"
    "  scheme: http\n"
    "  enable_compression: true\n"
    "  body_size_limit: 1GiB512MiB\n"
    "  sample_limit: 1500\n"
    "  metric_name_validation_scheme: utf8\n"
    "  metric_name_escaping_scheme: allow-utf-8\n"
    "  extra_scrape_metrics: false\n"
    "  authorization:\n"
    "    type: Bearer\n"
    "    credentials: <secret>\n"
    "  follow_redirects: true\n"
    "  enable_http2: true\n"
    "  metric_relabel_configs:\n"
    "  - source_labels: [__name__]\n"
    "    separator: ;\n"
    "    regex: a rather long regular expression|that is folded|where a line would be wider\n"
    "      than eighty columns\n"
    "    replacement: $1\n"
    "    action: drop\n"
    "storage:\n"
    "  tsdb:\n"
    "    outofordertimewindow: 1800000\n"
    "    out_of_order_time_window: 30m\n"
    "    retention:\n"
    "      time: 90d\n"
    "      size: 1GiB\n"
    "otlp:\n"
    "  translation_strategy: NoTranslation\n"
    "  promote_scope_metadata: true\n"
    "  label_name_underscore_sanitization: true\n"
    "  label_name_preserve_multiple_underscores: true\n";

Test(prom_config, prints_what_is_in_effect_and_reads_it_back)
{
    struct prom_config *c, *again;
    struct errmsg e = {0};
    cr_assert_eq(load(good, &lenient, &c, &e), ERR_OK, "%s", e.text);
    for (size_t i = 0; i < c->yaml.n; i++)
        cr_assert_eq(c->yaml.p[i], printed[i], "at %zu: %.*s", i, STR_ARG(str_from(c->yaml, i)));
    cr_assert_eq(c->yaml.n, sizeof printed - 1);
    cr_assert(!str_contains(c->yaml, STR("hush")));
    cr_assert_eq(load(printed, &lenient, &again, &e), ERR_OK, "%s", e.text);
    cr_assert(str_eq(again->yaml, c->yaml), "%.*s", STR_ARG(again->yaml));
    prom_config_unref(c);
    prom_config_unref(again);
}

Test(prom_config, values)
{
    struct prom_config *c;
    struct errmsg e = {0};
    cr_assert_eq(load(good, &lenient, &c, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(c->jobs_n, 2);
    const struct scrape_config *job = c->jobs[0];
    cr_assert_eq(job->scrape_interval_ms, 30000);
    cr_assert_eq(job->protocols.n, 5);
    cr_assert_eq(job->protocols.items[0], SCRAPE_PROTOCOL_PROTOBUF);
    cr_assert_eq(job->fallback_protocol, SCRAPE_PROTOCOL_TEXT_0_0_4);
    cr_assert_eq(job->limits.samples, 7);
    cr_assert(str_eq(job->http.basic_auth->password, STR("hush")));
    cr_assert(str_eq(job->http.proxy.url, STR("http://user:hush@proxy:3128/x")));
    cr_assert_eq(job->relabel.n, 4);
    cr_assert(str_eq(regex_pattern(job->relabel.items[2].regex), STR("")));
    cr_assert(job->relabel.items[3].takes_all);
    cr_assert(str_eq(c->jobs[1]->http.authorization->credentials, STR("hush")));
    cr_assert_eq(c->jobs[1]->limits.body_size_bytes, 1536ll << 20);
    cr_assert_eq(c->storage.tsdb->retention->time_ms, 90ll * 86400000);
    cr_assert_eq(c->otlp.translation, OTLP_TRANSLATION_NONE);
    struct buf labels = {0};
    labels_format(c->global.external_labels_encoded, &labels);
    cr_assert(
        str_eq(buf_str(&labels), STR("{a10=\"x\", a2=\"x\", cluster=\"c\", zone=\"eu-1-$\"}")));
    buf_deinit(&labels);
    prom_config_unref(prom_config_ref(c));
    prom_config_unref(c);
}

static const char empty_printed[] = "global:\n"
                                    "  scrape_interval: 1m\n"
                                    "  scrape_timeout: 10s\n"
                                    "  evaluation_interval: 1m\n"
                                    "  metric_name_validation_scheme: utf8\n"
                                    "  metric_name_escaping_scheme: allow-utf-8\n"
                                    "  scrape_native_histograms: false\n"
                                    "runtime:\n"
                                    "  gogc: 75\n"
                                    "otlp:\n"
                                    "  translation_strategy: UnderscoreEscapingWithSuffixes\n"
                                    "  label_name_underscore_sanitization: true\n"
                                    "  label_name_preserve_multiple_underscores: true\n";

Test(prom_config, an_empty_file_or_block_is_the_default)
{
    static const char *const texts[] = {"", "# nothing\n", "global:\n", "global:\nruntime:\n",
                                        "scrape_configs:\nrule_files: []\nremote_write: []\n"};
    for (size_t i = 0; i < countof(texts); i++) {
        struct prom_config *c;
        struct errmsg e = {0};
        cr_assert_eq(load(texts[i], &plain, &c, &e), ERR_OK, "%s", e.text);
        cr_assert(str_eq(c->yaml, str_from_c(empty_printed)), "row %zu: %.*s", i, STR_ARG(c->yaml));
        prom_config_unref(c);
    }
}

static const char unsupported[] = "rule_files: [a.rules]\n"
                                  "alerting: {alertmanagers: [{static_configs: []}]}\n"
                                  "remote_write: [{url: http://x}]\n"
                                  "remote_read: [{url: http://x}]\n"
                                  "tracing: {endpoint: x}\n"
                                  "scrape_configs:\n"
                                  "- job_name: a\n"
                                  "  kubernetes_sd_configs: [{role: pod}]\n"
                                  "  oauth2: {client_id: a}\n"
                                  "  dns_sd_configs: []\n";

Test(prom_config, what_is_not_built_is_named_at_once)
{
    struct prom_config *c;
    struct errmsg e = {0};
    cr_assert_eq(load(unsupported, &plain, &c, &e), ERR_INVALID);
    cr_assert_str_eq(e.text,
                     "not supported by this version (7): /etc/x.yml: line 1: rule_files, line 2: "
                     "alerting, line 3: remote_write, line 4: remote_read, line 5: tracing, line "
                     "8: kubernetes_sd_configs, line 9: oauth2");
    cr_assert_eq(load(unsupported, &lenient, &c, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(c->warnings_n, 7);
    cr_assert(str_eq(c->warnings[5], STR("/etc/x.yml: line 8: kubernetes_sd_configs is not "
                                         "supported by this version and is ignored")));
    prom_config_unref(c);
}

// What would be missing in silence is named, each with the line where it stands.
static const struct bad_config unbuilt[] = {
    {"global: {scrape_native_histograms: true}\n", "line 1: scrape_native_histograms"},
    {"global: {convert_classic_histograms_to_nhcb: true}\n",
     "line 1: convert_classic_histograms_to_nhcb"},
    {"global:\n  scrape_protocols: [PrometheusProto, PrometheusText0.0.4]\n",
     "line 2: scrape_protocols (PrometheusProto first)"},
    {"scrape_configs:\n- job_name: a\n  scrape_protocols: [PrometheusProto]\n",
     "line 3: scrape_protocols (PrometheusProto first)"},
    {"scrape_configs:\n- job_name: a\n  fallback_scrape_protocol: PrometheusProto\n",
     "line 3: fallback_scrape_protocol (PrometheusProto)"},
    {"scrape_configs:\n- job_name: a\n  scrape_native_histograms: true\n",
     "line 3: scrape_native_histograms"},
    {"scrape_configs:\n- job_name: a\n  convert_classic_histograms_to_nhcb: true\n",
     "line 3: convert_classic_histograms_to_nhcb"},
    {"scrape_configs:\n- job_name: a\n  proxy_from_environment: true\n",
     "line 3: proxy_from_environment"},
    {"scrape_configs:\n- job_name: a\n  proxy_url: http://p\n  no_proxy: b\n", "line 4: no_proxy"},
    {"scrape_configs:\n- job_name: a\n  proxy_url: http://p\n  proxy_connect_header: {a: [b]}\n",
     "line 4: proxy_connect_header"},
    {"scrape_configs:\n- job_name: a\n  proxy_url: socks5://p\n",
     "line 3: proxy_url (of a scheme other than http)"},
    {"scrape_configs:\n- job_name: a\n  proxy_url: http://u:hush@p\n",
     "line 3: proxy_url (with a user)"},
    {"scrape_configs:\n- job_name: a\n  basic_auth: {username: u, password_ref: r}\n",
     "line 3: password_ref (a secret manager)"},
    {"otlp: {promote_resource_attributes: [a]}\n", "line 1: otlp"},
    {"otlp: {translation_strategy: NoTranslation}\n", "line 1: otlp"},
};

Test(prom_config, each_thing_that_is_not_built)
{
    static const char prefix[] = "not supported by this version (1): /etc/x.yml: ";
    for (size_t i = 0; i < countof(unbuilt); i++) {
        struct prom_config *c;
        struct errmsg e = {0};
        cr_assert_eq(load(unbuilt[i].text, &plain, &c, &e), ERR_INVALID, "row %zu", i);
        cr_assert(!strncmp(e.text, prefix, sizeof prefix - 1), "row %zu: %s", i, e.text);
        cr_assert_str_eq(e.text + sizeof prefix - 1, unbuilt[i].want, "row %zu", i);
        cr_assert_eq(load(unbuilt[i].text, &lenient, &c, &e), ERR_OK, "row %zu: %s", i, e.text);
        cr_assert_eq(c->warnings_n, 1);
        prom_config_unref(c);
    }
}

// The same of many jobs stands once, with its lines, so that nothing else is cut from the message.
Test(prom_config, what_many_jobs_ask_for)
{
    static const struct {
        int jobs;
        const char *begin, *end;
    } rows[] = {
        {100, "not supported by this version (101): /etc/x.yml: line 3+5+7+9+",
         "+199+201: kubernetes_sd_configs, line 203: oauth2"},
        {1000, "not supported by this version (1001): /etc/x.yml: line 3+5+7+9+",
         "+199+201 and 900 more: kubernetes_sd_configs, line 2003: oauth2"},
        {4100, "not supported by this version (4101): /etc/x.yml: line 3+5+7+9+",
         "+199+201 and 3996 more: kubernetes_sd_configs; and 5 more parts that are not named"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct buf text = {0};
        buf_printf(&text, "scrape_configs:\n");
        for (int k = 0; k < rows[i].jobs; k++)
            buf_printf(&text, "- job_name: j%d\n  kubernetes_sd_configs: [{role: pod}]\n", k);
        buf_printf(&text, "- job_name: last\n  oauth2: {client_id: a}\n%c", '\0');
        struct prom_config *c;
        struct errmsg e = {0};
        cr_assert_eq(load(text.p, &plain, &c, &e), ERR_INVALID);
        cr_assert(!strncmp(e.text, rows[i].begin, strlen(rows[i].begin)), "%s", e.text);
        cr_assert_str_eq(e.text + strlen(e.text) - strlen(rows[i].end), rows[i].end, "%s", e.text);
        buf_deinit(&text);
    }
}

// Operators write defaults out: nothing is asked for that is not done.
static const char defaults_spelled_out[] =
    "global:\n"
    "  scrape_interval: 30s\n"
    "  evaluation_interval: 30s\n"
    "  external_labels: {prometheus: monitoring/k8s, prometheus_replica: k8s-0}\n"
    "  scrape_native_histograms: false\n"
    "  convert_classic_histograms_to_nhcb: false\n"
    "  always_scrape_classic_histograms: true\n"
    "  query_log_file: ''\n"
    "  rule_query_offset: 0s\n"
    "  keep_dropped_targets: 0\n"
    "  scrape_protocols: [OpenMetricsText1.0.0, OpenMetricsText0.0.1, PrometheusText1.0.0, "
    "PrometheusText0.0.4, PrometheusProto]\n"
    "runtime: {gogc: 75}\n"
    "rule_files: []\n"
    "alerting: {alert_relabel_configs: [], alertmanagers: []}\n"
    "remote_write: []\n"
    "storage:\n"
    "  tsdb: {out_of_order_time_window: 0s, retention: {time: 10d, size: 0, percentage: 0}}\n"
    "  exemplars: {max_exemplars: 0}\n"
    "otlp: {}\n"
    "scrape_configs:\n"
    "- job_name: a\n"
    "  honor_timestamps: true\n"
    "  track_timestamps_staleness: false\n"
    "  scrape_native_histograms: false\n"
    "  always_scrape_classic_histograms: true\n"
    "  convert_classic_histograms_to_nhcb: false\n"
    "  native_histogram_bucket_limit: 160\n"
    "  native_histogram_min_bucket_factor: 1.1\n"
    "  proxy_from_environment: false\n"
    "  proxy_url: ''\n"
    "  no_proxy: ''\n"
    "  enable_http2: true\n"
    "  metric_name_escaping_scheme: underscores\n"
    "  kubernetes_sd_configs: []\n"
    "  static_configs: [{targets: ['a:1']}]\n";

Test(prom_config, spelled_out_defaults_are_accepted)
{
    struct prom_config *c;
    struct errmsg e = {0};
    cr_assert_eq(load(defaults_spelled_out, &plain, &c, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(c->warnings_n, 0);
    cr_assert_eq(c->storage.tsdb->retention->time_ms, 10ll * 86400000);
    prom_config_unref(c);
}

Test(prom_config, agents)
{
    static const struct bad_config rows[] = {
        {"rule_files: [a.rules]\n", "field rule_files is not allowed in agent mode"},
        {"alerting: {alertmanagers: [{scheme: x}]}\n",
         "field alerting is not allowed in agent mode"},
        {"alerting: {alert_relabel_configs: [{action: drop}]}\n",
         "field alerting is not allowed in agent mode"},
        {"remote_read: [{url: http://x}]\n", "field remote_read is not allowed in agent mode"},
    };
    const struct prom_config_options agent = {.agent = true, .ignore_unsupported = true};
    struct prom_config *c;
    for (size_t i = 0; i < countof(rows); i++) {
        struct errmsg e = {0};
        cr_assert_eq(load(rows[i].text, &agent, &c, &e), ERR_INVALID);
        cr_assert_str_eq(e.text, rows[i].want);
    }
    cr_assert_eq(load("alerting: {alertmanagers: []}\n", &agent, &c, NULL), ERR_OK);
    prom_config_unref(c);
}

Test(prom_config, includes_other_files)
{
    struct file files[] = {
        {"/etc/p/x.yml", "scrape_config_files: [jobs/*.yml, /abs/one.yml, none/*.yml]\n"
                         "scrape_configs: [{job_name: main, tls_config: {ca_file: ../ca}}]\n"},
        {"/etc/p/jobs/a.yml", "scrape_configs: [{job_name: a, tls_config: {ca_file: ca}}]\n"},
        {"/etc/p/jobs/b.yaml", "not: read\n"},
        {"/etc/p/jobs/c.yml", ""},
        {"/abs/one.yml", "scrape_configs: [{job_name: b}]\n"},
    };
    struct prom_config *c;
    struct errmsg e = {0};
    cr_assert_eq(load_disk(files, countof(files), &plain, &c, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(c->jobs_n, 3);
    cr_assert_eq(c->scrape_configs.n, 1);
    cr_assert(str_eq(c->jobs[0]->http.tls.ca_file, STR("/etc/ca")));
    cr_assert(str_eq(c->jobs[1]->http.tls.ca_file, STR("/etc/p/jobs/ca")));
    cr_assert(str_eq(c->jobs[2]->job_name, STR("b")));
    prom_config_unref(c);

    files[4].text = "scrape_configs: [{job_name: a}]\n";
    cr_assert_neq(load_disk(files, countof(files), &plain, &c, &e), ERR_OK);
    cr_assert_str_eq(e.text,
                     "\"/abs/one.yml\": line 1: found multiple scrape configs with job name "
                     "\"a\", first found in \"/etc/p/jobs/a.yml\"");
    files[4].text = "scrape_configs: [{job_name: main}]\n";
    cr_assert_neq(load_disk(files, countof(files), &plain, &c, &e), ERR_OK);
    cr_assert_str_eq(e.text,
                     "\"/abs/one.yml\": line 1: found multiple scrape configs with job name "
                     "\"main\", first found in main config file");
    files[4].text = "global: {}\n";
    cr_assert_neq(load_disk(files, countof(files), &plain, &c, &e), ERR_OK);
    cr_assert_str_eq(e.text, "\"/abs/one.yml\": yaml: unmarshal errors:\n  line 1: field global "
                             "not found in type config.ScrapeConfigs");
    files[4].text = "scrape_configs:\n- job_name: z\n  gce_sd_configs: [{a: b}]\n";
    cr_assert_neq(load_disk(files, countof(files), &plain, &c, &e), ERR_OK);
    cr_assert_str_eq(e.text,
                     "not supported by this version (1): /abs/one.yml: line 3: gce_sd_configs");
    files[0].path = "/missing";
    struct disk empty = {0};
    const struct prom_config_source source = {&empty, disk_read, disk_list, NULL};
    cr_assert_eq(prom_config_load("/missing", &source, &plain, &c, &e), ERR_NOTFOUND);
    cr_assert_str_eq(e.text, "open /missing: no such file or directory");
}

Test(prom_config, protobuf_first)
{
    const struct prom_config_options options = {.protobuf_first = true};
    struct prom_config *c;
    cr_assert_eq(load("scrape_configs: [{job_name: a}]\n", &options, &c, NULL), ERR_OK);
    cr_assert_eq(c->jobs[0]->protocols.items[0], SCRAPE_PROTOCOL_PROTOBUF);
    prom_config_unref(c);
}

Test(config_load, paths_and_patterns)
{
    static const struct {
        const char *dir, *path, *want;
    } joins[] = {
        {"/etc", "a", "/etc/a"},  {"/etc", "/a", "/a"},           {"/etc", "", ""},
        {".", "a", "a"},          {"/etc/x", "../a", "/etc/a"},   {"/", "../../a", "/a"},
        {"a", "../../b", "../b"}, {"a/./b//c", "d/.", "a/b/c/d"}, {"..", "a", "../a"},
        {"a", "..", "."},
    };
    struct arena a;
    arena_init(&a, 0);
    for (size_t i = 0; i < countof(joins); i++) {
        const struct str got = config_join(&a, str_from_c(joins[i].dir), str_from_c(joins[i].path));
        cr_assert(str_eq(got, str_from_c(joins[i].want)), "row %zu: %.*s", i, STR_ARG(got));
    }
    cr_assert(str_eq(config_dir(&a, STR("/a")), STR("/")));
    cr_assert(str_eq(config_dir(&a, STR("a/b")), STR("a")));
    cr_assert(str_eq(config_dir(&a, STR("a")), STR(".")));
    arena_deinit(&a);
    static const struct {
        const char *pattern, *name;
        bool match;
    } globs[] = {
        {"*.yml", "a.yml", true},  {"*.yml", "a.yaml", false}, {"*", "", true},
        {"a*b*c", "aXbYbc", true}, {"a*b*c", "aXbYb", false},  {"?", "\xc3\xa9", true},
        {"[a-c]x", "bx", true},    {"[^a-c]x", "bx", false},   {"[^a-c]x", "dx", true},
        {"[", "[", false},         {"\\*", "*", true},         {"\\*", "a", false},
        {"a", "a", true},          {"a", "ab", false},         {"**", "abc", true},
        {"[]a]", "]", true},
    };
    for (size_t i = 0; i < countof(globs); i++)
        cr_assert_eq(config_glob_matches(str_from_c(globs[i].pattern), str_from_c(globs[i].name)),
                     globs[i].match, "%s %s", globs[i].pattern, globs[i].name);
}

// As filepath.Glob of Go judges.
Test(config_load, bad_patterns)
{
    static const char *const broken[] = {"[a",   "[",      "[^",   "[]a]",  "[^]a]",  "[-a]",
                                         "[a-]", "[a-]b]", "a\\",  "[a-\\", "x[a-/b", "[a-b",
                                         "?[",   "*[",     "[a][", "[\xff]"};
    static const char *const sound[] = {"",      "a",       "[a-c]",  "[^a-c]*",
                                        "[\\]]", "\\[a",    "[a][b]", "[*?]",
                                        "[[]",   "[a-\\]]", "a]",     "[\xc3\xa9-z]"};
    for (size_t i = 0; i < countof(broken); i++)
        cr_assert(!config_glob_is_valid(str_from_c(broken[i])), "%s", broken[i]);
    for (size_t i = 0; i < countof(sound); i++)
        cr_assert(config_glob_is_valid(str_from_c(sound[i])), "%s", sound[i]);
}
