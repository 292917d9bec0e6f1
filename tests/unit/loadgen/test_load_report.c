#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "tools/loadgen/load_report.h"

Test(load_report, percentiles)
{
    struct load_times *const t = mem_zalloc(sizeof *t);
    cr_assert_eq(load_times_at(t, 0.5), 0);
    for (uint64_t us = 1; us <= 100000; us++)
        load_times_add(t, us);
    const double shares[] = {0.5, 0.9, 0.99, 0.999};
    for (size_t i = 0; i < 4; i++) { // a bucket is a sixteenth wide at most
        const double exact = shares[i] * 100000, got = (double)load_times_at(t, shares[i]);
        cr_assert(got >= exact && got <= exact * (1 + 1.0 / 16), "%f: %f", exact, got);
    }
    cr_assert_eq(load_times_at(t, 1), 100000);
    load_times_add(t, UINT64_MAX);
    cr_assert_eq(load_times_at(t, 1), UINT64_MAX);
    mem_free(t);
}

Test(load_report, words)
{
    struct load_stats *const s = mem_zalloc(sizeof *s), *const none = mem_zalloc(sizeof *none);
    struct load_report r = {.stats = s,
                            .seconds = 2,
                            .cpu_seconds = 0.5,
                            .series = 10,
                            .templates = 1,
                            .text_bytes = 1000,
                            .template_bytes = 250,
                            .is_read_back = true,
                            .checked = 7,
                            .missing = 1};
    s->samples = 3000000;
    s->requests = 300;
    s->refused = 2;
    snprintf(s->error, sizeof s->error, "503 busy");
    struct buf text = {0};
    load_report_line(s, none, 2, 2, &text);
    cr_assert(str_contains(buf_str(&text), STR("1.50 Msamples/s")), "%.*s",
              STR_ARG(buf_str(&text)));
    cr_assert(str_contains(buf_str(&text), STR("errors 2: 503 busy")));
    load_report_table(&r, &text);
    cr_assert(str_contains(buf_str(&text), STR("loss        1 of 7 acknowledged")));
    cr_assert(str_contains(buf_str(&text), STR("6.00 Msamples per CPU s")));
    buf_reset(&text);
    s->requests = 0;
    s->status = 404;
    load_report_table(&r, &text);
    cr_assert(str_contains(buf_str(&text), STR("acks        none\nanswers     none\n")));
    cr_assert(str_contains(buf_str(&text), STR("--web.enable-remote-write-receiver")));
    buf_reset(&text);
    load_report_json(&r, &text);
    cr_assert(str_contains(buf_str(&text), STR("\"samples_per_second\":1500000,")));
    cr_assert(str_contains(buf_str(&text), STR("\"sequence_missing\":1,")));
    buf_deinit(&text);
    mem_free(s);
    mem_free(none);
}

Test(load_report, reads_a_process)
{
    struct load_server self = {0};
    cr_assert(load_server_read(process_pid(), NULL, &self));
    cr_assert_gt(self.resident_bytes, 0);
    cr_assert_geq(self.peak_bytes, self.resident_bytes);
    cr_assert(!load_server_read(INT32_MAX, NULL, &self));
    char folder[] = "/tmp/ferula-report-XXXXXX", file[64];
    cr_assert(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/a", folder);
    FILE *const f = fopen(file, "w");
    for (int i = 0; i < 10000; i++)
        fputs("0123456789", f);
    fclose(f);
    cr_assert(load_server_read(process_pid(), folder, &self));
    cr_assert(self.disk_bytes >= 4096 && self.disk_bytes <= 1 << 20);
    remove(file);
    cr_assert(load_server_read(process_pid(), folder, &self));
    cr_assert_eq(self.disk_bytes, 0);
    remove(folder);
    cr_assert(!load_server_read(process_pid(), folder, &self));
}
