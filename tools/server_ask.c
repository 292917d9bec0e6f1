#include "tools/server_ask.h"

#include "engine/base/mem.h"
#include "engine/base/number.h"
#include "engine/config/config_files.h"
#include "engine/http/credentials.h"
#include "io/clock.h"
#include "io/file.h"
#include "protocol/gzip.h"
#include "tools/flow.h"

enum { BODY_MAX = 1 << 30, NS_PER_MS = 1000000 };

void server_answer_deinit(struct server_answer *a)
{
    buf_deinit(&a->body);
}

// ---- the URL

static bool is_scheme(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        const char lower = (char)(s.p[i] | 0x20);
        const bool letter = lower >= 'a' && lower <= 'z';
        if (!letter && (!i || !strchr("0123456789+-.", s.p[i])))
            return false;
    }
    return s.n > 0;
}

struct str server_ask_scheme(struct str url, bool *out_bad)
{
    const ptrdiff_t colon = str_find(url, ':', 0), slash = str_find(url, '/', 0);
    *out_bad = false;
    if (colon == STR_NONE || (slash != STR_NONE && slash < colon))
        return (struct str){0};
    const struct str scheme = str_until(url, (size_t)colon);
    *out_bad = !is_scheme(scheme);
    return scheme;
}

// The URL of a request. Where a password is in it, it is there as *** only: what stands in errors.
static err put_url(const struct server_ask *ask, struct str query, struct buf *out,
                   struct errmsg *e)
{
    bool bad;
    const struct str scheme = server_ask_scheme(ask->server, &bad);
    struct buf whole = {0};
    if (!scheme.n)
        buf_put_str(&whole, str_has_prefix(ask->server, STR("//")) ? STR("http:") : STR("http://"));
    buf_put_str(&whole, ask->server);
    struct url u;
    err code = ERR_OK;
    const struct str verb = ask->is_post ? STR("Post") : STR("Get");
    if (scheme.n && !str_has_prefix(str_from(ask->server, scheme.n), STR("://")))
        code = err_set(e, ERR_INVALID, "%.*s \"%.*s\": unsupported protocol scheme \"%.*s\"",
                       STR_ARG(verb), STR_ARG(ask->server), STR_ARG(scheme));
    else
        code = url_parse(buf_str(&whole), &u, e);
    if (!code) {
        for (size_t i = 0; i < u.scheme.n; i++)
            buf_put_char(out, (char)(u.scheme.p[i] | 0x20)); // a letter, or like one
        buf_put_str(out, STR("://"));
        if (u.has_user)
            buf_printf(out, "%.*s%s@", STR_ARG(u.user), u.has_password ? ":***" : "");
        buf_printf(out, memchr(u.host.p, ':', u.host.n) ? "[%.*s]" : "%.*s", STR_ARG(u.host));
        if (u.port_text.n)
            buf_printf(out, ":%.*s", STR_ARG(u.port_text));
        struct str path = u.path;
        while (path.n && path.p[path.n - 1] == '/')
            path.n--;
        buf_printf(out, "%.*s%.*s", STR_ARG(path), STR_ARG(ask->path));
        if (u.query.n || query.n)
            buf_printf(out, "?%.*s%s%.*s", STR_ARG(u.query), u.query.n && query.n ? "&" : "",
                       STR_ARG(query));
    }
    buf_deinit(&whole);
    return code;
}

err server_ask_user(struct str server, struct arena *a, struct str *out_user,
                    struct str *out_password, bool *out_has)
{
    struct url u;
    *out_has = url_parse(server, &u, NULL) == ERR_OK && u.has_user;
    if (!*out_has)
        return ERR_OK;
    TRY(url_decode(u.user, false, a, out_user));
    return url_decode(u.password, false, a, out_password);
}

// ---- the flow

struct asking {
    const struct server_ask *ask;
    struct server_answer *out;
    struct errmsg *e;
    err code;
    struct credentials credentials;
    struct http_client_config config;
    struct http_result result;
    struct http_client *client;
};

static err add_header(struct asking *a, struct str pair, struct errmsg *e)
{
    const ptrdiff_t equals = str_find(pair, '=', 0);
    if (equals == STR_NONE)
        return err_set(e, ERR_INVALID, "expected KEY=VALUE got '%.*s'", STR_ARG(pair));
    return credentials_add(&a->credentials, true, str_until(pair, (size_t)equals),
                           str_from(pair, (size_t)equals + 1), e);
}

// Headers of the command line, of the URL and of --http.config.file. Suspends.
static err prepare(struct asking *a, struct errmsg *e)
{
    const struct server_ask *const ask = a->ask;
    struct credentials *const c = &a->credentials;
    TRY(credentials_add(c, false, STR("User-Agent"), STR("ferula"), e));
    TRY(credentials_add(c, false, STR("Accept-Encoding"), STR("gzip"), e));
    for (size_t i = 0; i < ask->headers_n; i++)
        TRY(add_header(a, ask->headers[i], e));
    struct str user = {0}, password = {0};
    bool has_user = false;
    TRY(server_ask_user(ask->server, &c->arena, &user, &password, &has_user));
    if (has_user)
        TRY(credentials_add_basic(c, user, password, e));
    struct http_client_options options = {.follow_redirects = true};
    struct tls *tls = NULL;
    if (ask->http_config_file.n) {
        struct tls_options o;
        uint64_t hash;
        TRY(config_files_http_client(ask->http_config_file.p, &c->arena, &a->config, e));
        TRY(credentials_add_config(c, &a->config, e));
        TRY(credentials_tls(c, &a->config.tls, &o, &hash, e));
        TRY(tls_client_create(&o, &tls, e));
        options.tls = tls;
        options.follow_redirects = a->config.follow_redirects;
        options.proxy_url = a->config.proxy.url;
    }
    a->client = http_client_create(&options);
    tls_unref(tls);
    // The last one: what a GET leaves out.
    return credentials_add(c, false, STR("Content-Type"), STR("application/x-www-form-urlencoded"),
                           e);
}

// Suspends.
static err fetch(struct asking *a, bool is_post, struct str url, struct errmsg *e)
{
    const struct http_request request = {
        .method = is_post ? STR("POST") : STR("GET"),
        .url = url,
        .headers = a->credentials.headers,
        .headers_count = a->credentials.headers_n - !is_post,
        .secrets = a->credentials.secrets,
        .secrets_count = a->credentials.secrets_n,
        .body = is_post ? a->ask->params : STR(""),
        .body_max = BODY_MAX,
    };
    return http_fetch(a->client, &request, &a->result, e);
}

static err take_body(struct asking *a, struct errmsg *e)
{
    a->out->status = a->result.status;
    buf_reset(&a->out->body);
    const struct str encoding = http_header(&a->result.head, STR("Content-Encoding"));
    if (!str_eq(encoding, STR("gzip"))) {
        buf_put_str(&a->out->body, buf_str(&a->result.body));
        return ERR_OK;
    }
    struct gzip_reader *const gzip = gzip_reader_create();
    const err code = gzip_decompress(gzip, buf_str(&a->result.body), BODY_MAX, &a->out->body, e);
    gzip_reader_destroy(gzip);
    return code;
}

static void flow(void *arg)
{
    struct asking *const a = arg;
    const struct server_ask *const ask = a->ask;
    struct buf url = {0};
    fiber_set_deadline(clock_mono_ns() + ask->timeout_ms * NS_PER_MS);
    struct str query = ask->is_post ? STR("") : ask->params;
    a->code = put_url(ask, query, &url, a->e);
    const struct str verb = ask->is_post ? STR("Post") : STR("Get");
    if (!a->code) {
        a->code = prepare(a, a->e);
        if (a->code)
            err_prefix(a->e, "%.*s \"%.*s\"", STR_ARG(verb), STR_ARG(buf_str(&url)));
    }
    if (!a->code)
        a->code = fetch(a, ask->is_post, buf_str(&url), a->e);
    if (!a->code && ask->is_post && (a->result.status == 405 || a->result.status == 501)) {
        buf_reset(&url);
        a->code = put_url(ask, ask->params, &url, a->e);
        if (!a->code)
            a->code = fetch(a, false, buf_str(&url), a->e);
    }
    if (!a->code)
        a->code = take_body(a, a->e);
    fiber_set_deadline(INT64_MAX);
    http_client_destroy(a->client);
    buf_deinit(&url);
}

err server_ask_run(const struct server_ask *ask, struct server_answer *out, struct errmsg *e)
{
    struct asking *const a = mem_zalloc(sizeof *a);
    a->ask = ask;
    a->out = out;
    a->e = e;
    credentials_init(&a->credentials);
    err code = flow_run(flow, a, e);
    if (!code)
        code = a->code;
    http_result_deinit(&a->result);
    credentials_deinit(&a->credentials);
    mem_free(a);
    return code;
}
