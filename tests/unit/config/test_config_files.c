#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/config/config_files.h"
#include "io/file.h"
#include "tests/lib/in_loop.h"

struct seen {
    char dir[64];
    err code;
    struct errmsg e;
    struct prom_config *config;
};

static void put_file(const char *dir, const char *name, const char *text, struct seen *s)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (!s->code)
        s->code = path_write_atomic(path, str_from_c(text), &s->e);
}

// On a fiber, whose stack is small: deep documents and large expressions must do with it.
static void flow(void *arg)
{
    struct seen *const s = arg;
    char path[128];
    struct buf text = {0};
    snprintf(path, sizeof path, "%s/jobs", s->dir);
    s->code = path_mkdir(path, &s->e);
    put_file(s->dir, "jobs/one.yml", "scrape_configs: [{job_name: one}]\n", s);
    put_file(s->dir, "jobs/two.yml", "scrape_configs: [{job_name: two}]\n", s);
    put_file(s->dir, "jobs/no.txt", "]", s);
    buf_put_str(&text, STR("global: {external_labels: {home: '$CONFIG_FILES_TEST'}}\n"
                           "scrape_config_files: [jobs/*.yml, gone/*.yml]\nscrape_configs:\n"
                           "- job_name: a\n  relabel_configs:\n  - {target_label: x, regex: '"));
    for (int i = 0; i < 900; i++)
        buf_put_str(&text, STR("(?:"));
    buf_put_str(&text, STR("a"));
    for (int i = 0; i < 900; i++)
        buf_put_str(&text, STR(")?"));
    buf_put_str(&text, STR("'}\n"));
    buf_put_char(&text, '\0');
    put_file(s->dir, "main.yml", text.p, s);
    buf_deinit(&text);
    const struct prom_config_options options = {0};
    snprintf(path, sizeof path, "%s/main.yml", s->dir);
    if (!s->code)
        s->code = prom_config_load(path, &config_files, &options, &s->config, &s->e);
}

static void missing(void *arg)
{
    struct seen *const s = arg;
    const struct prom_config_options options = {0};
    s->code = prom_config_load("/nowhere/x.yml", &config_files, &options, &s->config, &s->e);
}

Test(config_files, reads_files_folders_and_the_environment)
{
    struct seen s = {.dir = "/tmp/config_files.XXXXXX"};
    cr_assert(mkdtemp(s.dir));
    cr_assert_eq(setenv("CONFIG_FILES_TEST", "here", 1), 0);
    in_loop(IN_LOOP_POLL, flow, &s);
    cr_assert_eq(s.code, ERR_OK, "%s", s.e.text);
    cr_assert_eq(s.config->jobs_n, 3);
    cr_assert(str_eq(s.config->jobs[1]->job_name, STR("one")));
    cr_assert(str_eq(s.config->global.external_labels.items[0].value, STR("here")));
    prom_config_unref(s.config);
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", s.dir);
    cr_assert_eq(system(command), 0);
    in_loop(IN_LOOP_POLL, missing, &s);
    cr_assert_eq(s.code, ERR_NOTFOUND);
    cr_assert(strstr(s.e.text, "/nowhere/x.yml"));
}
