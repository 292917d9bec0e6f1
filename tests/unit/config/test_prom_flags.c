#include <criterion/criterion.h>

#include "engine/base/util.h"
#include "engine/config/prom_flags.h"

// What status/flags of Prometheus 3.5 answers when nothing is given, distribution's paths aside.
static const struct {
    const char *name, *value;
} defaults[] = {
    {"agent", "false"},
    {"alertmanager.drain-notification-queue-on-shutdown", "true"},
    {"alertmanager.notification-batch-size", "256"},
    {"alertmanager.notification-queue-capacity", "10000"},
    {"auto-gomaxprocs", "true"},
    {"auto-gomemlimit", "true"},
    {"auto-gomemlimit.ratio", "0.9"},
    {"config.auto-reload-interval", "30s"},
    {"config.file", "prometheus.yml"},
    {"enable-feature", ""},
    {"log.format", "logfmt"},
    {"log.level", "info"},
    {"query.lookback-delta", "5m"},
    {"query.max-concurrency", "20"},
    {"query.max-samples", "50000000"},
    {"query.timeout", "2m"},
    {"rules.alert.for-grace-period", "10m"},
    {"rules.alert.for-outage-tolerance", "1h"},
    {"rules.alert.resend-delay", "1m"},
    {"rules.max-concurrent-evals", "4"},
    {"scrape.adjust-timestamps", "true"},
    {"scrape.discovery-reload-interval", "5s"},
    {"scrape.timestamp-tolerance", "2ms"},
    {"storage.agent.no-lockfile", "false"},
    {"storage.agent.path", "data-agent/"},
    {"storage.agent.retention.max-time", "0s"},
    {"storage.agent.retention.min-time", "0s"},
    {"storage.agent.wal-compression", "true"},
    {"storage.agent.wal-compression-type", "snappy"},
    {"storage.agent.wal-segment-size", "0B"},
    {"storage.agent.wal-truncate-frequency", "0s"},
    {"storage.remote.flush-deadline", "1m"},
    {"storage.remote.read-concurrent-limit", "10"},
    {"storage.remote.read-max-bytes-in-frame", "1048576"},
    {"storage.remote.read-sample-limit", "50000000"},
    {"storage.tsdb.allow-overlapping-compaction", "true"},
    {"storage.tsdb.delayed-compaction.max-percent", "10"},
    {"storage.tsdb.head-chunks-write-queue-size", "0"},
    {"storage.tsdb.max-block-chunk-segment-size", "0B"},
    {"storage.tsdb.max-block-duration", "1d12h"},
    {"storage.tsdb.min-block-duration", "2h"},
    {"storage.tsdb.no-lockfile", "false"},
    {"storage.tsdb.path", "data/"},
    {"storage.tsdb.retention.size", "0B"},
    {"storage.tsdb.retention.time", "15d"},
    {"storage.tsdb.samples-per-chunk", "120"},
    {"storage.tsdb.wal-compression", "true"},
    {"storage.tsdb.wal-compression-type", "snappy"},
    {"storage.tsdb.wal-segment-size", "0B"},
    {"web.config.file", ""},
    {"web.console.libraries", "console_libraries"},
    {"web.console.templates", "consoles"},
    {"web.cors.origin", ".*"},
    {"web.enable-admin-api", "false"},
    {"web.enable-lifecycle", "false"},
    {"web.enable-remote-write-receiver", "false"},
    {"web.external-url", ""},
    {"web.listen-address", "0.0.0.0:9090"},
    {"web.max-connections", "512"},
    {"web.max-notifications-subscribers", "16"},
    {"web.page-title", "Prometheus Time Series Collection and Processing Server"},
    {"web.read-timeout", "5m"},
    {"web.remote-write-receiver.accepted-protobuf-messages",
     "prometheus.WriteRequest,io.prometheus.write.v2.Request"},
    {"web.route-prefix", "/"},
    {"web.user-assets", ""},
    // Newer than that.
    {"config.auto-reload", "false"},
    {"auto-gomemlimit.refresh-interval", "0s"},
    {"web.enable-otlp-receiver", "false"},
    {"web.search.max-limit", "10000"},
    {"storage.tsdb.delay-compact-file.path", ""},
    {"storage.tsdb.block-reload-interval", "1m"},
    {"storage.agent.checkpoint-from-in-memory-series", "false"},
    {"storage.agent.checkpoint-batch-size", "1000"},
    // Ours.
    {"config.ignore-unsupported", "false"},
};

static void parse(int argc, const char *const *argv, struct prom_flags *f, struct setting *rows,
                  struct settings *s, struct arena *a)
{
    struct errmsg e = {0};
    const size_t n = prom_flags_rows(f, rows);
    cr_assert_eq(settings_parse(s, rows, n, argc, argv, &e), ERR_OK, "%s", e.text);
    prom_flags_finish(f, a);
}

Test(prom_flags, all_of_them_with_their_defaults)
{
    static struct setting rows[SETTINGS_MAX];
    struct prom_flags f = {0};
    struct settings s;
    struct arena a;
    arena_init(&a, 0);
    const char *const argv[] = {"ferula"};
    parse(1, argv, &f, rows, &s, &a);
    size_t shown = 0;
    for (size_t i = 0; i < s.n; i++)
        shown += !(rows[i].traits & SETTING_BUILTIN);
    cr_assert_eq(shown, countof(defaults));
    for (size_t i = 0; i < countof(defaults); i++) {
        const struct setting *row = settings_find(&s, str_from_c(defaults[i].name));
        cr_assert_not_null(row, "%s", defaults[i].name);
        struct buf value = {0};
        setting_format(row, &value);
        cr_assert(str_eq(buf_str(&value), str_from_c(defaults[i].value)), "%s: %.*s",
                  defaults[i].name, STR_ARG(buf_str(&value)));
        buf_deinit(&value);
    }
    for (size_t i = 0; i < s.n; i++) {
        cr_assert(rows[i].help && rows[i].help[0], "%s", rows[i].name);
        for (size_t k = 0; k < i; k++)
            cr_assert_str_neq(rows[i].name, rows[k].name);
    }
    arena_deinit(&a);
}

Test(prom_flags, what_depends_on_others)
{
    static struct setting rows[SETTINGS_MAX];
    struct prom_flags f = {0};
    struct settings s;
    struct arena a;
    arena_init(&a, 0);
    const char *const argv[] = {"ferula",
                                "--storage.tsdb.retention.size=1GB",
                                "--web.external-url=http://x:1/prom/",
                                "--enable-feature=a,b",
                                "--enable-feature",
                                "c"};
    parse(6, argv, &f, rows, &s, &a);
    cr_assert_eq(f.tsdb.retention_ms, 0);
    cr_assert_eq(f.tsdb.max_block_ms, 31ll * 86400000);
    cr_assert(str_eq(f.web.route_prefix, STR("/prom")));
    cr_assert(prom_flags_has_feature(&f, STR("b")));
    cr_assert(prom_flags_has_feature(&f, STR("c")));
    cr_assert(!prom_flags_has_feature(&f, STR("a,b")));
    const char *const other[] = {"ferula", "--web.route-prefix=/p/",
                                 "--storage.tsdb.retention.time=2d"};
    parse(3, other, &f, rows, &s, &a);
    cr_assert_eq(f.tsdb.max_block_ms, 17280000);
    cr_assert(str_eq(f.web.route_prefix, STR("/p")));
    arena_deinit(&a);
}
