#include "tools/promql_scripts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/buf.h"
#include "simd/simd.h"

static void print_failure(void *arg, size_t line, struct str why)
{
    printf("%s:%zu: %.*s\n", (const char *)arg, line, STR_ARG(why));
}

static bool read_file(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "rbe");
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

int promql_scripts(const struct test_script_storage *storage, char **paths, size_t n)
{
    uint32_t isas;
    struct errmsg e;
    if (simd_mask_from_environment(&isas, &e)) {
        fprintf(stderr, "%s\n", e.text);
        return EXIT_FAILURE;
    }
    simd_init(isas);
    struct test_script_report report = {.fail = print_failure};
    for (size_t i = 0; i < n; i++) {
        struct buf text = {0};
        report.arg = paths[i];
        if (read_file(paths[i], &text)) {
            test_script_run(buf_str(&text), storage, &report);
        } else {
            printf("%s: %s\n", paths[i], strerror(errno));
            report.failed++;
        }
        buf_deinit(&text);
    }
    printf("%zu passed, %zu failed\n", report.passed, report.failed);
    return report.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
