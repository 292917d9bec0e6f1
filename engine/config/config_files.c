#include "engine/config/config_files.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/util.h"
#include "io/fiber.h"
#include "io/file.h"

static err read_file(void *arg, const char *path, struct buf *out, struct errmsg *e)
{
    (void)arg;
    return path_read(path, CONFIG_FILE_MAX, out, e);
}

static err list_folder(void *arg, const char *dir, struct buf *out, size_t *out_count,
                       struct errmsg *e)
{
    (void)arg;
    return path_list(dir, out, out_count, e);
}

static struct str variable(void *arg, struct str name)
{
    (void)arg;
    char text[256];
    if (name.n >= sizeof text)
        return STR("");
    snprintf(text, sizeof text, "%.*s", STR_ARG(name));
    const char *value = getenv(text);
    return value ? str_from_c(value) : STR("");
}

const struct prom_config_source config_files = {NULL, read_file, list_folder, variable};

struct loading {
    struct op op;
    const char *path;
    const struct prom_config_options *options;
    struct prom_config **out;
    err code;
    struct errmsg *e;
};

static void load_there(struct op *op)
{
    struct loading *l = container_of(op, struct loading, op);
    l->code = prom_config_load(l->path, &config_files, l->options, l->out, l->e);
}

err config_files_load(const char *path, const struct prom_config_options *options,
                      struct prom_config **out, struct errmsg *e)
{
    struct loading l = {.op = {.kind = OP_WORK, .work = load_there},
                        .path = path,
                        .options = options,
                        .out = out,
                        .code = ERR_CANCELED,
                        .e = e};
    fiber_shield_begin();
    fiber_await(&l.op);
    fiber_shield_end();
    assert(l.code != ERR_CANCELED);
    return l.code;
}

// What those who ask one server decide for themselves.
static bool is_choice_of_proxy(struct str field)
{
    return str_eq(field, STR("no_proxy")) || str_eq(field, STR("proxy_from_environment")) ||
           str_eq(field, STR("proxy_connect_header"));
}

err config_files_http_client(const char *path, struct arena *a, struct http_client_config *out,
                             struct errmsg *e)
{
    struct buf text = {0};
    struct arena nodes;
    arena_init(&nodes, 0);
    struct config_load load = {0};
    struct yaml_decoder d = {
        .arena = a, .user = &load, .e = e, .file = str_from_c(path), .no_lines = true};
    const struct yaml_node *root = NULL;
    err code = path_read(path, CONFIG_FILE_MAX, &text, e);
    if (!code)
        code = yaml_parse(&nodes, buf_str(&text), &root, e);
    http_client_config_init(out);
    if (!code && root)
        code = yaml_decode(&d, root, &http_client_config_type, out);
    if (!code && root)
        code = http_client_config_check(&d, root, out);
    for (size_t i = 0; !code && i < d.unsupported_n; i++)
        if (!is_choice_of_proxy(d.unsupported[i].what))
            code = err_set(e, ERR_INVALID, "line %u: %.*s is not supported by this version",
                           d.unsupported[i].line, STR_ARG(d.unsupported[i].what));
    if (!code)
        http_client_config_set_dir(out, a, config_dir(a, str_from_c(path)));
    yaml_decoder_deinit(&d);
    arena_deinit(&nodes);
    buf_deinit(&text);
    return code;
}
