#include "tools/server_ask.h"

#include "engine/base/mem.h"
#include "engine/base/number.h"
#include "engine/base/quote.h"
#include "engine/base/util.h"
#include "engine/config/config_files.h"
#include "engine/http/credentials.h"
#include "engine/http/proxy_choice.h"
#include "io/clock.h"
#include "io/file.h"
#include "io/process.h"
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

// A URL's parts as Go's url.Parse() takes them apart; server_ask_scheme() was asked before.
struct parts {
    struct str opaque; // behind a scheme without a slash
    struct str authority, path, query, fragment;
    bool has_authority, has_query, has_fragment;
};

static void cut(struct str *s, char at, struct str *out, bool *out_has)
{
    const ptrdiff_t found = str_find(*s, at, 0);
    *out_has = found != STR_NONE;
    *out = *out_has ? str_from(*s, (size_t)found + 1) : (struct str){0};
    *s = *out_has ? str_until(*s, (size_t)found) : *s;
}

static struct parts parts_of(struct str server, struct str scheme)
{
    struct parts p = {0};
    struct str rest = scheme.n ? str_from(server, scheme.n + 1) : server;
    cut(&rest, '#', &p.fragment, &p.has_fragment);
    cut(&rest, '?', &p.query, &p.has_query);
    if (scheme.n && rest.n && rest.p[0] != '/') {
        p.opaque = rest;
        return p;
    }
    p.has_authority =
        str_has_prefix(rest, STR("//")) && (scheme.n || !str_has_prefix(rest, STR("///")));
    if (p.has_authority) {
        rest = str_from(rest, 2);
        const ptrdiff_t slash = str_find(rest, '/', 0);
        p.authority = slash == STR_NONE ? rest : str_until(rest, (size_t)slash);
        rest = str_from(rest, p.authority.n);
    }
    p.path = rest;
    return p;
}

// The path as Go's URL.EscapedPath() has it: as given, where each byte of it may stand there.
static err put_path(struct str path, struct arena *a, struct buf *out)
{
    bool is_valid = true;
    for (size_t i = 0; i < path.n; i++) {
        const char lower = (char)(path.p[i] | 0x20);
        const bool letter = lower >= 'a' && lower <= 'z';
        is_valid &= letter || (path.p[i] && strchr("0123456789-._~!$&'()*+,;=:@[]%/", path.p[i]));
    }
    if (is_valid) {
        buf_put_str(out, path);
        return ERR_OK;
    }
    TRY(url_decode(path, false, a, &path));
    url_encode_paths(path, out);
    return ERR_OK;
}

// What the API's client library makes of base and path, as Go's path.Join() does: no empty parts,
// none that are dots.
static err put_joined(struct str base, struct str path, struct arena *a, struct buf *out)
{
    TRY(url_decode(base, false, a, &base));
    struct str rest = arena_printf(a, "%.*s", STR_ARG(base)), part;
    struct buf joined = {0};
    while (rest.n && str_split(&rest, '/', &part)) {
        if (str_eq(part, STR(".."))) {
            while (joined.n && joined.p[--joined.n] != '/')
                ;
        } else if (part.n && !str_eq(part, STR("."))) {
            buf_printf(&joined, "/%.*s", STR_ARG(part));
        }
    }
    url_encode_paths(buf_str(&joined), out);
    buf_put_str(out, path);
    buf_deinit(&joined);
    return ERR_OK;
}

// Where a password is in the authority, it is there as *** only: what stands in errors.
static void put_authority(struct str authority, struct buf *out)
{
    const ptrdiff_t at = str_find_last(authority, '@');
    if (at != STR_NONE) {
        const struct str user = str_until(authority, (size_t)at);
        const ptrdiff_t colon = str_find(user, ':', 0);
        const bool has_password = colon != STR_NONE;
        buf_printf(out, "%.*s%s@", STR_ARG(has_password ? str_until(user, (size_t)colon) : user),
                   has_password ? ":***" : "");
        authority = str_from(authority, (size_t)at + 1);
    }
    buf_put_str(out, authority);
}

// What is asked is behind the URL's own path, or, where it is no URL of an API, its text.
static err put_parts(const struct server_ask *ask, const struct parts *p, struct str scheme,
                     struct str query, struct arena *a, struct buf *out)
{
    const bool has_host = p->authority.n > 0;
    for (size_t i = 0; i < scheme.n; i++)
        buf_put_char(out, (char)(scheme.p[i] | 0x20)); // a letter, or like one
    buf_printf(out, "%s:", scheme.n ? "" : "http");
    buf_put_str(out, p->opaque);
    if (!p->opaque.n) {
        const bool omits = !p->has_authority && scheme.n;
        struct buf path = {0};
        err code =
            ask->is_text ? put_path(p->path, a, &path) : put_joined(p->path, ask->path, a, &path);
        if (!omits && (has_host || path.n))
            buf_put_str(out, STR("//"));
        put_authority(p->authority, out);
        if (path.n && path.p[0] != '/' && has_host)
            buf_put_char(out, '/');
        buf_put_str(out, buf_str(&path));
        buf_deinit(&path);
        TRY(code);
    }
    if (p->has_query || query.n)
        buf_printf(out, "?%.*s%s%.*s", STR_ARG(p->query), p->query.n && query.n ? "&" : "",
                   STR_ARG(query));
    if (p->has_fragment && p->fragment.n)
        buf_printf(out, "#%.*s", STR_ARG(p->fragment));
    if (ask->is_text)
        buf_put_str(out, ask->path);
    return ERR_OK;
}

// The URL of a request.
static err put_url(const struct server_ask *ask, struct str query, struct buf *out,
                   struct errmsg *e)
{
    bool bad;
    const struct str scheme = server_ask_scheme(ask->server, &bad);
    struct parts p = parts_of(ask->server, scheme);
    struct buf whole = {0};
    struct arena a;
    arena_init(&a, 0);
    if (!scheme.n && !p.has_authority && p.path.n && p.path.p[0] != '/') { // read once more
        buf_printf(&whole, "//%.*s", STR_ARG(ask->server));
        p = parts_of(buf_str(&whole), scheme);
    }
    err code = put_parts(ask, &p, scheme, query, &a, out);
    if (!code && !p.authority.n) {
        const bool is_http =
            !scheme.n || str_eq_nocase(scheme, STR("http")) || str_eq_nocase(scheme, STR("https"));
        struct buf quoted = {0};
        buf_put_quoted(&quoted, buf_str(out));
        const char *const verb = ask->is_post ? "Post" : "Get";
        if (is_http)
            code = err_set(e, ERR_INVALID, "%s %.*s: http: no Host in request URL", verb,
                           STR_ARG(buf_str(&quoted)));
        else
            code = err_set(e, ERR_INVALID, "%s %.*s: unsupported protocol scheme \"%.*s\"", verb,
                           STR_ARG(buf_str(&quoted)), STR_ARG(scheme));
        buf_deinit(&quoted);
    }
    arena_deinit(&a);
    buf_deinit(&whole);
    return code;
}

bool server_ask_header(struct str pair, struct str *out_name, struct str *out_value)
{
    size_t at = 0;
    while (at < pair.n && pair.p[at] != '=' && pair.p[at] != ':')
        at++;
    if (at == pair.n)
        return false;
    *out_name = str_until(pair, at);
    *out_value = str_from(pair, at + 1);
    return true;
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
    struct http_header proxy[CREDENTIALS_HEADERS_MAX];
    struct http_result result;
    struct http_client *client;
};

static err add_header(struct asking *a, struct str pair, struct errmsg *e)
{
    // Of these, Go's client makes its own.
    static const struct str own[] = {
        {"Host", 4}, {"Content-Length", 14}, {"Transfer-Encoding", 17}, {"Trailer", 7}};
    struct str name, value;
    if (!server_ask_header(pair, &name, &value))
        return err_set(e, ERR_INVALID, "expected KEY=VALUE got '%.*s'", STR_ARG(pair));
    for (size_t i = 0; i < countof(own); i++)
        if (str_eq_nocase(name, own[i]) && http_is_header_value(value))
            return ERR_OK;
    return credentials_add(&a->credentials, true, name, value, e);
}

static struct str environment(const char *name, const char *other)
{
    const char *const value = process_getenv(name);
    const char *const more = process_getenv(other);
    return value && *value ? str_from_c(value) : more ? str_from_c(more) : (struct str){0};
}

static err choose_proxy(struct asking *a, struct str url, struct http_client_options *out,
                        struct errmsg *e)
{
    const struct proxy_config *const p = &a->config.proxy;
    struct str exceptions = p->no_proxy;
    struct url u;
    TRY(url_parse(url, &u, e));
    out->proxy_url = p->url;
    if (p->from_environment) {
        const bool is_secure = str_eq_nocase(u.scheme, STR("https"));
        out->proxy_url = is_secure ? environment("HTTPS_PROXY", "https_proxy")
                                   : environment("HTTP_PROXY", "http_proxy");
        exceptions = environment("NO_PROXY", "no_proxy");
        struct url proxy;
        if (out->proxy_url.n && url_parse(out->proxy_url, &proxy, NULL) != ERR_OK)
            out->proxy_url =
                arena_printf(&a->credentials.arena, "http://%.*s", STR_ARG(out->proxy_url));
    }
    const uint16_t port = u.port_text.n ? u.port : url_default_port(u.scheme);
    if ((p->from_environment || exceptions.n) && !proxy_is_for(exceptions, u.host, port))
        out->proxy_url = (struct str){0};
    size_t n = 0;
    for (size_t i = 0; i < p->connect_headers.n; i++)
        for (size_t k = 0; k < p->connect_headers.items[i].values.n && n < countof(a->proxy); k++)
            a->proxy[n++] = (struct http_header){p->connect_headers.items[i].name,
                                                 p->connect_headers.items[i].values.items[k]};
    out->proxy_headers = a->proxy;
    out->proxy_headers_count = n;
    return ERR_OK;
}

// Headers of the command line, of the URL and of --http.config.file. Suspends.
static err prepare(struct asking *a, struct str url, struct errmsg *e)
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
        TRY(choose_proxy(a, url, &options, e));
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
        a->code = prepare(a, buf_str(&url), a->e);
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
