#include "engine/config/prom_config.h"

#include <assert.h>

#include "engine/base/mem.h"
#include "engine/base/number.h"
#include "engine/base/util.h"
#include "engine/config/prom_config_parts.h"
#include "engine/config/scrape_fields.h"
#include "engine/config/yaml_encode.h"
#include "io/loop.h"

enum {
    GOGC_DEFAULT = 75, // percent
    SCRAPE_FILES_MAX = 10000,
};

static const struct yaml_field fields[] = {
    {"global", YAML_FIELD_STRUCT, YAML_AT(prom_config, global), .always = true,
     .of = &global_config_type},
    {"runtime", YAML_FIELD_STRUCT, YAML_AT(prom_config, runtime), .of = &runtime_config_type},
    {"rule_files", YAML_FIELD_STRS, YAML_AT(prom_config, rule_files)},
    {"scrape_config_files", YAML_FIELD_STRS, YAML_AT(prom_config, scrape_config_files)},
    {"scrape_configs", YAML_FIELD_LIST, YAML_AT(prom_config, scrape_configs),
     .go = "[]*config.ScrapeConfig", .of = &scrape_config_type},
    {"storage", YAML_FIELD_STRUCT, YAML_AT(prom_config, storage), .of = &storage_config_type},
    {"otlp", YAML_FIELD_STRUCT, YAML_AT(prom_config, otlp), .of = &otlp_config_type},
};

static void init(void *object)
{
    struct prom_config *const c = object;
    global_config_init(&c->global);
    otlp_config_init(&c->otlp);
}

// ^[^*]*(\*[^/]*)?$: a star stands in the last part of a path only.
static bool is_pattern(struct str path)
{
    const ptrdiff_t star = str_find(path, '*', 0);
    return star == STR_NONE || str_find(path, '/', (size_t)star) == STR_NONE;
}

static err check_patterns(struct yaml_decoder *d, const struct yaml_node *n,
                          const struct yaml_strs *paths, const char *what)
{
    for (size_t i = 0; i < paths->n; i++)
        if (!is_pattern(paths->items[i]))
            return yaml_fail(d, n, "invalid %s path %.*s", what,
                             STR_ARG(config_quote(d->arena, paths->items[i])));
    return ERR_OK;
}

static err check_jobs(struct yaml_decoder *d, const struct prom_config *c)
{
    for (size_t i = 0; i < c->scrape_configs.n; i++) {
        struct scrape_config *const job = &c->scrape_configs.items[i];
        TRY(scrape_config_check(d, job, &c->global));
        const struct yaml_node at = {.line = job->line};
        for (size_t k = 0; k < i; k++)
            if (str_eq(c->scrape_configs.items[k].job_name, job->job_name))
                return yaml_fail(d, &at, "found multiple scrape configs with job name %.*s",
                                 STR_ARG(config_quote(d->arena, job->job_name)));
    }
    return ERR_OK;
}

static err check(struct yaml_decoder *d, const struct yaml_node *n, void *object)
{
    struct prom_config *const c = object;
    const struct config_load *const load = d->user;
    // An empty block has overwritten the defaults with zeros.
    if (global_config_is_zero(&c->global))
        global_config_init(&c->global);
    if (load->protobuf_first && !c->global.protocols.names.items)
        scrape_protocols_default(&c->global.protocols, true, d->arena);
    const struct yaml_node *const rules = yaml_get(n, STR("rule_files"));
    const struct yaml_node *const scrapes = yaml_get(n, STR("scrape_config_files"));
    TRY(check_patterns(d, rules ? rules : n, &c->rule_files, "rule file"));
    TRY(check_patterns(d, scrapes ? scrapes : n, &c->scrape_config_files, "scrape config file"));
    if (c->rule_files.n)
        yaml_note_unsupported(d, rules, "rule_files");
    TRY(check_jobs(d, c));
    struct errmsg why;
    const struct yaml_node *const otlp = yaml_get(n, STR("otlp"));
    if (otlp_config_check_names(&c->otlp, c->global.validation, &why))
        return yaml_fail(d, otlp ? otlp : n, "%s", why.text);
    return ERR_OK;
}

static bool has_content(const struct yaml_node *alerting)
{
    for (size_t i = 0; i < alerting->n; i += 2)
        if (alerting->items[i + 1]->n)
            return true;
    return false;
}

// Blocks that are known and not built.
static bool take_other(struct yaml_decoder *d, const struct yaml_node *key,
                       const struct yaml_node *value, void *object, err *out)
{
    static const struct {
        struct str name;
        enum yaml_kind kind;
        const char *go;
    } known[] = {
        {{"alerting", 8}, YAML_MAPPING, "config.plain"},
        {{"remote_read", 11}, YAML_SEQUENCE, "[]*config.RemoteReadConfig"},
        {{"remote_write", 12}, YAML_SEQUENCE, "[]*config.RemoteWriteConfig"},
        {{"tracing", 7}, YAML_MAPPING, "config.plain"},
    };
    (void)object;
    size_t i = 0;
    while (i < countof(known) && !str_eq(known[i].name, key->value))
        i++;
    if (i == countof(known))
        return false;
    *out = ERR_OK;
    if (yaml_is_null(value))
        return true;
    if (value->kind != known[i].kind) {
        yaml_type_error(d, value, known[i].go);
        return true;
    }
    const bool said = i == 0 ? has_content(value) : value->n > 0;
    struct config_load *const load = d->user;
    load->has_alerting |= said && i == 0;
    load->has_remote_read |= said && i == 1;
    if (said)
        yaml_note_unsupported(d, key, "%.*s", STR_ARG(key->value));
    return true;
}

// Ends where the fields that are not read from YAML begin.
const struct yaml_struct prom_config_type = {.go = "config.plain",
                                             .size = offsetof(struct prom_config, jobs),
                                             .fields = fields,
                                             .n = countof(fields),
                                             .init = init,
                                             .check = check,
                                             .other = take_other};

static const struct yaml_field scrape_file_fields[] = {
    {"scrape_configs", YAML_FIELD_LIST, YAML_AT(scrape_file, scrape_configs),
     .go = "[]*config.ScrapeConfig", .of = &scrape_config_type},
};
const struct yaml_struct scrape_file_type = {.go = "config.ScrapeConfigs",
                                             .size = sizeof(struct scrape_file),
                                             .fields = scrape_file_fields,
                                             .n = countof(scrape_file_fields)};

// What one load passes around.
struct loader {
    struct prom_config *c;
    const struct prom_config_source *source;
    const struct prom_config_options *options;
    struct yaml_decoder d;
    size_t jobs_capacity;
};

static err read_yaml(struct loader *l, struct str path, const struct yaml_struct *type,
                     void *object, struct errmsg *e)
{
    struct buf text = {0};
    const struct str path_c = arena_printf(&l->c->arena, "%.*s", STR_ARG(path));
    const err code = l->source->read(l->source->arg, path_c.p, &text, e);
    if (code) {
        buf_deinit(&text);
        return code;
    }
    struct arena nodes;
    arena_init(&nodes, 0);
    const struct yaml_node *root = NULL;
    l->d.e = e;
    l->d.file = path_c;
    buf_reset(&l->d.errors);
    l->d.errors_count = 0;
    l->d.late = NULL;
    err parsed = yaml_parse(&nodes, buf_str(&text), &root, e);
    if (!parsed)
        parsed = yaml_decode(&l->d, root, type, object);
    arena_deinit(&nodes);
    buf_deinit(&text);
    return parsed;
}

static void push_job(struct loader *l, const struct scrape_config *job)
{
    l->c->jobs = mem_grow(l->c->jobs, &l->jobs_capacity, l->c->jobs_n + 1, sizeof *l->c->jobs);
    l->c->jobs[l->c->jobs_n++] = job;
}

// The jobs of a file that scrape_config_files names.
static err add_scrape_file(struct loader *l, struct str path, struct errmsg *e)
{
    struct arena *const a = &l->c->arena;
    struct scrape_file *const file = arena_new(a, struct scrape_file);
    TRY(read_yaml(l, path, &scrape_file_type, file, e));
    for (size_t i = 0; i < file->scrape_configs.n; i++) {
        struct scrape_config *const job = &file->scrape_configs.items[i];
        TRY(scrape_config_check(&l->d, job, &l->c->global));
        for (size_t k = 0; k < l->c->jobs_n; k++) {
            const struct scrape_config *const other = l->c->jobs[k];
            if (!str_eq(other->job_name, job->job_name))
                continue;
            const bool in_main = k < l->c->scrape_configs.n;
            const struct str where =
                in_main ? STR("main config file") : config_quote(a, other->file);
            const err code =
                err_set(e, ERR_EXISTS,
                        "found multiple scrape configs with job name %.*s, first found in %.*s",
                        STR_ARG(config_quote(a, job->job_name)), STR_ARG(where));
            return l->d.no_lines ? code : err_wrap(e, code, "line %u", job->line);
        }
        scrape_config_set_dir(job, a, config_dir(a, path));
        push_job(l, job);
    }
    return ERR_OK;
}

static err add_scrape_files(struct loader *l, struct errmsg *e)
{
    struct arena *const a = &l->c->arena;
    size_t files = 0;
    for (size_t i = 0; i < l->c->scrape_config_files.n; i++) {
        const struct str pattern = l->c->scrape_config_files.items[i];
        struct yaml_strs paths;
        err code = config_glob(l->source, a, pattern, &paths, e);
        if (code)
            return err_wrap(e, code, "error retrieving scrape config files for %.*s",
                            STR_ARG(config_quote(a, pattern)));
        for (size_t k = 0; k < paths.n; k++) {
            if (++files > SCRAPE_FILES_MAX)
                return err_set(e, ERR_LIMIT, "scrape_config_files names more than %d files",
                               SCRAPE_FILES_MAX);
            code = add_scrape_file(l, paths.items[k], e);
            if (code) {
                const struct str named = config_join(a, l->options->folder, paths.items[k]);
                return err_wrap(e, code, "%.*s", STR_ARG(config_quote(a, named)));
            }
        }
    }
    return ERR_OK;
}

// External labels with variables filled in, and as labels.
static void finish_external_labels(struct loader *l)
{
    struct labels_builder b = {0};
    struct yaml_pairs *const all = &l->c->global.external_labels;
    for (size_t i = 0; i < all->n; i++) {
        all->items[i].value = config_expand(l->source, &l->c->arena, all->items[i].value);
        labels_builder_push(&b, all->items[i].key, all->items[i].value);
    }
    l->c->global.external_labels_encoded = labels_builder_finish(&b, &l->c->arena);
    labels_builder_deinit(&b);
}

static void set_dir(struct prom_config *c, struct str dir)
{
    struct arena *const a = &c->arena;
    c->global.query_log_file = config_join(a, dir, c->global.query_log_file);
    c->global.scrape_failure_log_file = config_join(a, dir, c->global.scrape_failure_log_file);
    const struct yaml_strs *const lists[] = {&c->rule_files, &c->scrape_config_files};
    for (size_t i = 0; i < countof(lists); i++)
        for (size_t k = 0; k < lists[i]->n; k++)
            lists[i]->items[k] = config_join(a, dir, lists[i]->items[k]);
    for (size_t i = 0; i < c->scrape_configs.n; i++)
        scrape_config_set_dir(&c->scrape_configs.items[i], a, dir);
}

static err check_agent(const struct prom_config *c, struct errmsg *e)
{
    const char *field = NULL;
    if (c->load.has_alerting)
        field = "alerting";
    else if (c->rule_files.n)
        field = "rule_files";
    else if (c->load.has_remote_read)
        field = "remote_read";
    return field ? err_set(e, ERR_INVALID, "field %s is not allowed in agent mode", field) : ERR_OK;
}

static bool is_same_thing(const struct yaml_unsupported *a, const struct yaml_unsupported *b)
{
    return str_eq(a->file, b->file) && str_eq(a->what, b->what);
}

// What the file asks for at index i, with the lines that do; nothing if it was said before. Of many
// lines the first ones, so that everything else that is asked for has its place in the message.
static void put_unsupported(const struct yaml_decoder *d, size_t i, struct buf *out)
{
    enum { LINES_NAMED = 100 };
    const struct yaml_unsupported *const all = d->unsupported;
    for (size_t k = 0; k < i; k++)
        if (is_same_thing(&all[k], &all[i]))
            return;
    if (i && str_eq(all[i].file, all[i - 1].file))
        buf_put_str(out, STR(", "));
    else
        buf_printf(out, "%s%.*s: ", i ? "; " : "", STR_ARG(all[i].file));
    buf_printf(out, "line %u", all[i].line);
    size_t more = 0;
    for (size_t k = i + 1; k < d->unsupported_n; k++)
        if (is_same_thing(&all[k], &all[i]) && ++more < LINES_NAMED)
            buf_printf(out, "+%u", all[k].line);
    if (more >= LINES_NAMED)
        buf_printf(out, " and %zu more", more + 1 - LINES_NAMED);
    buf_printf(out, ": %.*s", STR_ARG(all[i].what));
}

// Silence would mean alerts that never fire and samples that go nowhere: all of it is named at
// once.
static err refuse_unsupported(struct yaml_decoder *d, struct errmsg *e)
{
    struct buf all = {0};
    for (size_t i = 0; i < d->unsupported_n; i++)
        put_unsupported(d, i, &all);
    if (d->unsupported_more)
        buf_printf(&all, "; and %zu more parts that are not named", d->unsupported_more);
    buf_reset(&d->cause);
    buf_printf(&d->cause, "not supported by this version (%zu): %.*s",
               d->unsupported_n + d->unsupported_more, STR_ARG(buf_str(&all)));
    buf_deinit(&all);
    return err_set(e, ERR_INVALID, "%.*s", STR_ARG(buf_str(&d->cause)));
}

static void keep_warnings(struct prom_config *c, const struct yaml_decoder *d)
{
    c->unsupported = d->unsupported_n + d->unsupported_more;
    c->warnings = arena_array(&c->arena, d->unsupported_n + 1, struct str);
    for (size_t i = 0; i < d->unsupported_n; i++) {
        const struct yaml_unsupported *const u = &d->unsupported[i];
        c->warnings[c->warnings_n++] = arena_printf(
            &c->arena, "%.*s: line %u: %.*s is not supported by this version and is ignored",
            STR_ARG(u->file), u->line, STR_ARG(u->what));
    }
    if (d->unsupported_more)
        c->warnings[c->warnings_n++] = arena_printf(
            &c->arena, "%zu more parts are not supported and are ignored", d->unsupported_more);
}

// Where the file does not say it, as Go reads the variable.
static int64_t default_gogc(const struct loader *l)
{
    int64_t percent;
    const struct str text =
        l->source->env ? l->source->env(l->source->arg, STR("GOGC")) : (struct str){0};
    if (str_eq(text, STR("off")))
        return -1;
    return text.n && number_parse_i64(text, &percent) == ERR_OK ? percent : GOGC_DEFAULT;
}

static void note_web_config(struct loader *l)
{
    const struct yaml_node start = {.line = 1};
    const struct str file = l->d.file;
    l->d.file = l->options->web_config_file;
    yaml_note_unsupported(&l->d, &start, "TLS and authentication (--web.config.file)");
    l->d.file = file;
}

static err load_main(struct loader *l, struct errmsg *e)
{
    struct prom_config *const c = l->c;
    const err code = read_yaml(l, c->path, &prom_config_type, c, e);
    if (code == ERR_NOTFOUND || code == ERR_IO)
        return code;
    if (code)
        return err_wrap(e, code, "parsing YAML file %.*s", STR_ARG(c->path));
    if (!c->runtime.gogc)
        c->runtime.gogc = default_gogc(l);
    finish_external_labels(l);
    if (l->options->agent)
        TRY(check_agent(c, e));
    set_dir(c, config_dir(&c->arena, c->path));
    for (size_t i = 0; i < c->scrape_configs.n; i++)
        push_job(l, &c->scrape_configs.items[i]);
    if (!l->options->main_file_only)
        TRY(add_scrape_files(l, e));
    if (l->options->web_config_file.n)
        note_web_config(l);
    if (l->d.unsupported_n && !l->options->ignore_unsupported)
        return refuse_unsupported(&l->d, e);
    keep_warnings(c, &l->d);
    struct buf text = {0};
    yaml_encode(&prom_config_type, c, &text);
    c->yaml = arena_str(&c->arena, buf_str(&text));
    buf_deinit(&text);
    return ERR_OK;
}

err prom_config_load(const char *path, const struct prom_config_source *source,
                     const struct prom_config_options *options, struct prom_config **out,
                     struct errmsg *e)
{
    struct prom_config *const c = mem_zalloc(sizeof *c);
    c->refs = 1;
    arena_init(&c->arena, 0);
    c->path = arena_str(&c->arena, str_from_c(path));
    c->load.protobuf_first = options->protobuf_first;
    struct loader l = {.c = c, .source = source, .options = options};
    l.d =
        (struct yaml_decoder){.arena = &c->arena, .user = &c->load, .no_lines = options->no_lines};
    err code = regex_create(STR("(.*)"), REGEX_ANCHORED, &c->load.default_regex, e);
    if (!code)
        code = load_main(&l, e);
    if (code && options->cause)
        buf_put_str(options->cause, buf_str(&l.d.cause));
    yaml_decoder_deinit(&l.d);
    if (code)
        prom_config_unref(c);
    else
        *out = c;
    return code;
}

// What layers put before it stands whole in e: the longest end of e that begins the cause is what
// there was room for.
void prom_config_error(const struct errmsg *e, struct str cause, struct buf *out)
{
    const struct str text = str_from_c(e->text);
    size_t at = text.n > cause.n ? text.n - cause.n : 0;
    while (at < text.n && memcmp(text.p + at, cause.p, text.n - at) != 0)
        at++;
    buf_put_str(out, str_until(text, at));
    if (at < text.n)
        buf_put_str(out, cause);
}

struct prom_config *prom_config_ref(struct prom_config *c)
{
    const unsigned before = __atomic_fetch_add(&c->refs, 1, __ATOMIC_RELAXED);
    assert(before > 0);
    return c;
}

static void destroy(struct prom_config *c)
{
    for (size_t i = 0; i < c->load.regexes_n; i++)
        regex_destroy(c->load.regexes[i]);
    regex_destroy(c->load.default_regex);
    mem_free(c->load.regexes);
    mem_free(c->jobs);
    arena_deinit(&c->arena);
    mem_free(c);
}

struct destroying {
    struct op op;
    struct prom_config *config;
};

static void destroy_there(struct op *op) // on a thread of the helper pool
{
    destroy(container_of(op, struct destroying, op)->config);
}

static void destroyed(struct op *op)
{
    mem_free(container_of(op, struct destroying, op));
}

void prom_config_unref(struct prom_config *c)
{
    enum { DESTROYED_AT_ONCE = 50 };
    if (!c || __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL))
        return;
    struct loop *loop = loop_current();
    if (!loop || c->load.regexes_n + c->jobs_n <= DESTROYED_AT_ONCE) {
        destroy(c);
        return;
    }
    struct destroying *d = mem_alloc(sizeof *d);
    *d = (struct destroying){.op = {.kind = OP_WORK, .work = destroy_there, .done = destroyed},
                             .config = c};
    loop_submit(loop, &d->op);
}
