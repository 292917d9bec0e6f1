#include "tools/promtool/server_check.h"

#include <stdio.h>

#include "engine/config/config_files.h"
#include "io/file.h"
#include "tools/flow.h"

struct checking {
    const struct promtool *p;
    const struct server_ask *ask;
    bool is_good;
};

bool server_check_file(const struct promtool *p, const char *path)
{
    struct op_stat s;
    if (path_stat(path, &s, NULL)) {
        promtool_refuse(p, "path '%s' does not exist", path);
        return false;
    }
    if (s.is_dir) {
        const char *const slash = strrchr(path, '/');
        promtool_refuse(p, "'%s' is a directory", slash && slash[1] ? slash + 1 : path);
        return false;
    }
    return true;
}

static void check_file(void *arg)
{
    struct checking *const c = arg;
    const char *const path = c->ask->http_config_file.p;
    if (!server_check_file(c->p, path))
        return;
    struct arena arena;
    arena_init(&arena, 0);
    struct http_client_config config;
    struct str user = {0}, password = {0};
    bool has_user = false;
    struct errmsg e;
    if (server_ask_user(c->ask->server, &arena, &user, &password, &has_user) == ERR_OK && user.n)
        fprintf(stderr,
                "%s: error: Cannot set base auth in the server URL and use a http.config.file at "
                "the same time\n",
                c->p->name);
    else if (config_files_http_client(path, &arena, &config, &e))
        fprintf(stderr, "%s: error: Failed to load HTTP config file: %s\n", c->p->name, e.text);
    else
        c->is_good = true;
    arena_deinit(&arena);
}

// As url.Parse() of Go finds it.
static bool is_bad_url(const struct promtool *p, struct str server)
{
    bool bad;
    struct url url;
    struct errmsg e;
    const struct str scheme = server_ask_scheme(server, &bad);
    if (bad) {
        promtool_refuse(p, "invalid URL: parse \"%.*s\": %s", STR_ARG(server),
                        scheme.n ? "first path segment in URL cannot contain colon"
                                 : "missing protocol scheme");
        return true;
    }
    bad = scheme.n && str_has_prefix(str_from(server, scheme.n), STR("://")) &&
          server.n > scheme.n + 3 && url_parse(server, &url, &e) != ERR_OK;
    if (bad)
        promtool_refuse(p, "invalid URL: %s", e.text);
    return bad;
}

bool server_check(const struct promtool *p, const struct server_ask *ask)
{
    bool bad = is_bad_url(p, ask->server);
    for (size_t i = 0; i < ask->headers_n && !bad; i++) {
        bad = str_find(ask->headers[i], '=', 0) == STR_NONE;
        if (bad)
            promtool_refuse(p, "expected KEY=VALUE got '%.*s'", STR_ARG(ask->headers[i]));
    }
    if (bad || !ask->http_config_file.n)
        return !bad;
    struct checking c = {.p = p, .ask = ask};
    struct errmsg e;
    if (flow_run(check_file, &c, &e))
        promtool_refuse(p, "%s", e.text);
    return c.is_good;
}
