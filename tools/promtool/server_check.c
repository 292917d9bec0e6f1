#include "tools/promtool/server_check.h"

#include <stdio.h>

#include "engine/config/config_files.h"
#include "engine/http/credentials.h"
#include "io/file.h"
#include "io/stream.h"
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

static err read_pem(struct credentials *c, const struct tls_client_config *config, const char *what,
                    struct tls_options *out, struct errmsg *e)
{
    uint64_t hash;
    const err code = credentials_tls(c, config, out, &hash, e);
    return code ? err_wrap(e, code, "unable to read %s", what) : ERR_OK;
}

static err check_authorities(struct credentials *c, const struct tls_client_config *config,
                             struct errmsg *e)
{
    const struct tls_client_config part = {.ca = config->ca, .ca_file = config->ca_file};
    struct tls_options o;
    struct tls *tls = NULL;
    if (!config->ca.n && !config->ca_file.n)
        return ERR_OK;
    TRY(read_pem(c, &part, "CA cert", &o, e));
    const bool ok = o.ca_pem.n && tls_client_create(&o, &tls, NULL) == ERR_OK;
    tls_unref(tls);
    if (ok)
        return ERR_OK;
    return err_set(e, ERR_INVALID, "unable to use specified CA cert %s%.*s",
                   config->ca.n ? "inline" : "file ", STR_ARG(config->ca_file));
}

// tls_config, in the words of Prometheus's client. Suspends.
static err check_tls(const struct tls_client_config *config, struct errmsg *e)
{
    const struct tls_client_config parts[] = {
        {.cert = config->cert, .cert_file = config->cert_file},
        {.key = config->key, .key_file = config->key_file}};
    struct credentials c;
    struct tls_options o[2];
    struct tls *tls = NULL;
    credentials_init(&c);
    err code = check_authorities(&c, config, e);
    if (!code && (config->cert.n || config->cert_file.n)) {
        code = read_pem(&c, &parts[0], "specified client cert", &o[0], e);
        if (!code)
            code = read_pem(&c, &parts[1], "specified client key", &o[1], e);
        o[0].key_pem = code ? STR("") : o[1].key_pem;
        if (!code && tls_client_create(&o[0], &tls, NULL))
            code = err_set(e, ERR_INVALID,
                           "unable to use specified client cert (%s%.*s) & key (%s%.*s): tls: "
                           "failed to find any PEM data in certificate input",
                           config->cert.n ? "inline" : "file ", STR_ARG(config->cert_file),
                           config->key.n ? "inline" : "file ", STR_ARG(config->key_file));
        tls_unref(tls);
    }
    credentials_deinit(&c);
    return code;
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
    else if (check_tls(&config.tls, &e))
        fprintf(stderr, "%s: error: Failed to create a new HTTP round tripper: %s\n", c->p->name,
                e.text);
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
        struct str name, value;
        bad = !server_ask_header(ask->headers[i], &name, &value);
        if (bad)
            promtool_refuse(p, "expected KEY=VALUE got '%.*s'", STR_ARG(ask->headers[i]));
    }
    if (bad || !p->has_http_config_file)
        return !bad;
    struct checking c = {.p = p, .ask = ask};
    struct errmsg e;
    if (flow_run(check_file, &c, &e))
        promtool_refuse(p, "%s", e.text);
    return c.is_good;
}
