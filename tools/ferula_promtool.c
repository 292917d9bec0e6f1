// ferula-promtool: `test promql FILE...` runs scripts in Prometheus's PromQL test language.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/promql/test_script.h"
#include "tests/lib/oracle.h"

static void clear(void *self)
{
    oracle_clear(self);
}

static void append(void *self, struct str labels, int64_t t_ms, double v)
{
    oracle_append(self, labels, t_ms, v);
}

static void append_unsupported(void *self, struct str labels, int64_t t_ms, const char *what)
{
    oracle_append_unsupported(self, labels, t_ms, what);
}

static void print_failure(void *arg, size_t line, struct str why)
{
    printf("%s:%zu: %.*s\n", (const char *)arg, line, STR_ARG(why));
}

static bool read_file(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return false;
    size_t n;
    do {
        n = fread(buf_reserve(out, 1 << 16), 1, 1 << 16, f);
        out->n += n;
    } while (n > 0);
    const bool ok = !ferror(f);
    fclose(f);
    return ok;
}

static int test_promql(char **paths, int n)
{
    struct oracle *oracle = oracle_create(NULL);
    struct oracle_view view = {oracle, 0, UINT32_MAX};
    const struct storage part = oracle_storage(&view);
    const struct test_script_storage storage = {
        .source = {&part, 1, false},
        .self = oracle,
        .clear = clear,
        .append = append,
        .append_unsupported = append_unsupported,
    };
    struct test_script_report report = {.fail = print_failure};
    for (int i = 0; i < n; i++) {
        struct buf text = {0};
        report.arg = paths[i];
        if (read_file(paths[i], &text)) {
            test_script_run(buf_str(&text), &storage, &report);
        } else {
            printf("%s: %s\n", paths[i], strerror(errno));
            report.failed++;
        }
        buf_deinit(&text);
    }
    printf("%zu passed, %zu failed\n", report.passed, report.failed);
    oracle_destroy(oracle);
    return report.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    if (argc >= 4 && !strcmp(argv[1], "test") && !strcmp(argv[2], "promql"))
        return test_promql(argv + 3, argc - 3);
    fprintf(stderr, "usage: ferula-promtool test promql FILE...\n");
    return 2;
}
