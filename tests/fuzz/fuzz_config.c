// A configuration is refused, or its print reads back; from the second print on, where defaults
// have taken the place of zeros, nothing changes. Its rules can be run.
#include "engine/config/prom_config.h"
#include "tests/fuzz/fuzz.h"

static err read_file(void *arg, const char *path, struct buf *out, struct errmsg *e)
{
    (void)path;
    (void)e;
    buf_put_str(out, *(const struct str *)arg);
    return ERR_OK;
}

// A folder with one file, which is the input again.
static err list_folder(void *arg, const char *dir, struct buf *out, size_t *out_count,
                       struct errmsg *e)
{
    (void)arg;
    (void)dir;
    (void)e;
    buf_put(out, "a.yml", 6);
    *out_count = 1;
    return ERR_OK;
}

static struct prom_config *load(struct str text)
{
    const struct prom_config_source source = {&text, read_file, list_folder, NULL};
    const struct prom_config_options options = {.ignore_unsupported = true};
    struct prom_config *c = NULL;
    struct errmsg e;
    return prom_config_load("/etc/x.yml", &source, &options, &c, &e) ? NULL : c;
}

static void run_rules(const struct relabel_rules *rules)
{
    struct arena a;
    struct buf scratch = {0};
    struct labels_builder b = {0};
    arena_init(&a, 0);
    labels_builder_set(&b, STR("__name__"), STR("up"));
    labels_builder_set(&b, STR("job"), STR("a-b"));
    if (relabel_apply(rules->items, rules->n, &b, &a, &scratch))
        fuzz_must(labels_check(labels_builder_finish(&b, &a)));
    labels_builder_deinit(&b);
    buf_deinit(&scratch);
    arena_deinit(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str input = fuzz_exact(data, size);
    struct prom_config *c = load(input);
    if (c) {
        for (size_t i = 0; i < c->jobs_n; i++) {
            run_rules(&c->jobs[i]->relabel);
            run_rules(&c->jobs[i]->metric_relabel);
        }
        // Included files are read each time, and $$ becomes $ each time.
        if (!c->scrape_config_files.n && !str_contains(c->yaml, STR("$"))) {
            struct prom_config *two = load(c->yaml);
            fuzz_must(two != NULL);
            struct prom_config *three = load(two->yaml);
            fuzz_must(three && str_eq(two->yaml, three->yaml));
            prom_config_unref(two);
            prom_config_unref(three);
        }
        prom_config_unref(c);
    }
    fuzz_release(input);
    return 0;
}
