// Fetching a target's metrics: the request as Prometheus sends it, what may come back, secrets and
// certificates read anew each time.
#include <stdio.h>

#include "engine/base/hash.h"
#include "engine/base/number.h"
#include "engine/scrape/target.h"
#include "io/file.h"
#include "protocol/gzip.h"

enum { SECRET_MAX = 1 << 20, HEADERS_MAX = 64 };

struct request {
    struct arena arena;
    struct http_header headers[HEADERS_MAX], secrets[HEADERS_MAX];
    size_t headers_n, secrets_n;
};

static const char *const media_types[SCRAPE_PROTOCOLS] = {
    [SCRAPE_PROTOCOL_PROTOBUF] = "application/vnd.google.protobuf;proto=io.prometheus.client."
                                 "MetricFamily;encoding=delimited",
    [SCRAPE_PROTOCOL_TEXT_0_0_4] = "text/plain;version=0.0.4",
    [SCRAPE_PROTOCOL_TEXT_1_0_0] = "text/plain;version=1.0.0",
    [SCRAPE_PROTOCOL_OPENMETRICS_0_0_1] = "application/openmetrics-text;version=0.0.1",
    [SCRAPE_PROTOCOL_OPENMETRICS_1_0_0] = "application/openmetrics-text;version=1.0.0",
};

// Each protocol in its order with a falling q, then anything. Protobuf is left out: what is not
// understood is not asked for.
static struct str accept_header(const struct scrape_config *job, struct arena *a)
{
    struct buf b = {0};
    int q = SCRAPE_PROTOCOLS;
    for (size_t i = 0; i < job->protocols.n; i++) {
        const enum scrape_protocol p = job->protocols.items[i];
        if (p == SCRAPE_PROTOCOL_PROTOBUF)
            continue;
        buf_put_str(&b, str_from_c(media_types[p]));
        if (p == SCRAPE_PROTOCOL_TEXT_1_0_0 || p == SCRAPE_PROTOCOL_OPENMETRICS_1_0_0)
            buf_printf(&b, ";escaping=%s", name_escaping_text(job->escaping));
        buf_printf(&b, ";q=0.%d,", q--);
    }
    buf_printf(&b, "*/*;q=0.%d", q);
    const struct str text = arena_str(a, buf_str(&b));
    buf_deinit(&b);
    return text;
}

static err add(struct request *r, bool secret, struct str name, struct str value, struct errmsg *e)
{
    size_t *n = secret ? &r->secrets_n : &r->headers_n;
    if (*n == HEADERS_MAX)
        return err_set(e, ERR_LIMIT, "more than %d headers configured", HEADERS_MAX);
    if (!http_is_token(name) || !http_is_header_value(value))
        return err_set(e, ERR_INVALID, "net/http: invalid header field \"%.*s\"", STR_ARG(name));
    (secret ? r->secrets : r->headers)[(*n)++] = (struct http_header){name, value};
    return ERR_OK;
}

// A file's text without the spaces around it; what names its kind.
static err read_secret(struct request *r, const char *what, struct str path, struct str *out,
                       struct errmsg *e)
{
    struct buf content = {0};
    const struct str terminated = arena_printf(&r->arena, "%.*s", STR_ARG(path));
    err code = path_read(terminated.p, SECRET_MAX, &content, e);
    if (code)
        code = err_wrap(e, code, "unable to read %s %s", what, terminated.p);
    else
        *out = str_trim(arena_str(&r->arena, buf_str(&content)));
    buf_deinit(&content);
    return code;
}

// The text itself, or the file's.
static err secret_of(struct request *r, struct str text, struct str path, struct str *out,
                     struct errmsg *e)
{
    *out = text;
    return path.n ? read_secret(r, "file", path, out, e) : ERR_OK;
}

static struct str base64(struct str s, struct arena *a)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *p = arena_alloc(a, (s.n + 2) / 3 * 4, 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i += 3) {
        const size_t left = s.n - i;
        const uint32_t v = (uint32_t)(unsigned char)s.p[i] << 16 |
                           (left > 1 ? (uint32_t)(unsigned char)s.p[i + 1] << 8 : 0) |
                           (left > 2 ? (uint32_t)(unsigned char)s.p[i + 2] : 0);
        p[n++] = digits[v >> 18];
        p[n++] = digits[v >> 12 & 63];
        p[n++] = left > 1 ? digits[v >> 6 & 63] : '=';
        p[n++] = left > 2 ? digits[v & 63] : '=';
    }
    return str_make(p, n);
}

static err add_authorization(struct request *r, const struct http_client_config *http,
                             struct errmsg *e)
{
    if (http->basic_auth) {
        const struct basic_auth_config *auth = http->basic_auth;
        struct str user, password;
        err code = secret_of(r, auth->username, auth->username_file, &user, e);
        if (code)
            return err_wrap(e, code, "unable to read basic auth username");
        code = secret_of(r, auth->password, auth->password_file, &password, e);
        if (code)
            return err_wrap(e, code, "unable to read basic auth password");
        const struct str pair =
            arena_printf(&r->arena, "%.*s:%.*s", STR_ARG(user), STR_ARG(password));
        const struct str encoded = base64(pair, &r->arena);
        return add(r, true, STR("Authorization"),
                   arena_printf(&r->arena, "Basic %.*s", STR_ARG(encoded)), e);
    }
    if (http->authorization) {
        const struct authorization_config *auth = http->authorization;
        struct str credentials;
        const err code = secret_of(r, auth->credentials, auth->credentials_file, &credentials, e);
        if (code)
            return err_wrap(e, code, "unable to read authorization credentials");
        return add(r, true, STR("Authorization"),
                   arena_printf(&r->arena, "%.*s %.*s", STR_ARG(auth->type), STR_ARG(credentials)),
                   e);
    }
    return ERR_OK;
}

static err add_configured(struct request *r, const struct http_headers_config *headers,
                          struct errmsg *e)
{
    for (size_t i = 0; i < headers->n; i++) {
        const struct http_header_config *h = &headers->items[i];
        for (size_t k = 0; k < h->values.n; k++)
            TRY(add(r, false, h->name, h->values.items[k], e));
        for (size_t k = 0; k < h->secrets.n; k++)
            TRY(add(r, true, h->name, h->secrets.items[k], e));
        for (size_t k = 0; k < h->files.n; k++) {
            struct str value;
            TRY(read_secret(r, "headers file", h->files.items[k], &value, e));
            TRY(add(r, true, h->name, value, e));
        }
    }
    return ERR_OK;
}

static err fill_request(struct request *r, const struct target *t, const struct scrape_config *job,
                        struct errmsg *e)
{
    char seconds[NUMBER_TEXT_MAX];
    const size_t n = number_format_g((double)t->timeout_ms / 1000, seconds);
    TRY(add(r, false, STR("User-Agent"),
            arena_printf(&r->arena, "Prometheus/%s", t->scrape->options.version), e));
    TRY(add(r, false, STR("Accept"), accept_header(job, &r->arena), e));
    TRY(add(r, false, STR("Accept-Encoding"),
            job->enable_compression ? STR("gzip") : STR("identity"), e));
    TRY(add(r, false, STR("X-Prometheus-Scrape-Timeout-Seconds"),
            arena_str(&r->arena, str_make(seconds, n)), e));
    TRY(add_authorization(r, &job->http, e));
    return add_configured(r, &job->http.headers, e);
}

// ---- the connection

// A client whose TLS was made of the certificates as their files are now. Suspends.
static err prepare_client(struct target *t, const struct scrape_config *job, struct request *r,
                          struct errmsg *e)
{
    const struct tls_client_config *c = &job->http.tls;
    struct tls_options o = {.server_name = c->server_name,
                            .insecure_skip_verify = c->insecure_skip_verify,
                            .version_min = c->min_version,
                            .version_max = c->max_version};
    uint64_t hash = 0;
    if (str_has_prefix(t->url, STR("https:"))) {
        TRY(secret_of(r, c->ca, c->ca_file, &o.ca_pem, e));
        TRY(secret_of(r, c->cert, c->cert_file, &o.cert_pem, e));
        TRY(secret_of(r, c->key, c->key_file, &o.key_pem, e));
        hash = hash64(o.ca_pem.p, o.ca_pem.n, 1);
        hash = hash64(o.cert_pem.p, o.cert_pem.n, hash);
        hash = hash64(o.key_pem.p, o.key_pem.n, hash) | 1;
    }
    if (t->client && hash == t->tls_hash && !t->client_is_old)
        return ERR_OK;
    struct tls *tls = NULL;
    if (hash)
        TRY(tls_client_create(&o, &tls, e));
    t->client_is_old = t->job != job; // configured anew while the secrets were read
    http_client_destroy(t->client);
    tls_unref(t->tls);
    t->tls = tls;
    t->tls_hash = hash;
    const struct http_client_options options = {.tls = tls,
                                                .follow_redirects = job->http.follow_redirects,
                                                .proxy_url = job->http.proxy.url};
    t->client = http_client_create(&options);
    return ERR_OK;
}

// ---- the answer

static err too_large(struct target *t, const struct scrape_config *job, struct errmsg *e)
{
    t->scrape->stats.exceeded_body_size++;
    if (job->limits.body_size_bytes)
        return err_set(e, ERR_LIMIT, "body size limit exceeded");
    return err_set(e, ERR_LIMIT,
                   "body size limit exceeded: more than %zu bytes "
                   "(--scrape.max-body-size)",
                   t->scrape->options.body_bytes_max);
}

static err decode(struct target *t, const struct scrape_config *job, struct http_result *r,
                  struct buf *body, struct errmsg *e)
{
    const int64_t limit = job->limits.body_size_bytes;
    const size_t max = limit ? (size_t)limit : t->scrape->options.body_bytes_max;
    const struct str encoding = http_header(&r->head, STR("Content-Encoding"));
    bool is_over = false;
    buf_reset(body);
    if (!str_eq(encoding, STR("gzip"))) {
        const struct buf swap = *body;
        *body = r->body;
        r->body = swap;
    } else {
        const err code = gzip_decompress(t->scrape->gzip, buf_str(&r->body), max, body, e);
        if (code && code != ERR_LIMIT)
            return code;
        is_over = code == ERR_LIMIT;
    }
    return is_over || (limit && body->n >= (size_t)limit) ? too_large(t, job, e) : ERR_OK;
}

err target_fetch(struct target *t, const struct scrape_config *job, struct buf *body,
                 struct str *out_content_type, struct http_result *r, struct errmsg *e)
{
    struct request request = {0};
    const int64_t limit = job->limits.body_size_bytes;
    arena_init(&request.arena, 0);
    err code = fill_request(&request, t, job, e);
    if (!code)
        code = prepare_client(t, job, &request, e);
    if (code)
        code = err_wrap(e, code, "Get \"%.*s\"", STR_ARG(t->url));
    if (!code) {
        const struct http_request get = {.method = STR("GET"),
                                         .url = t->url,
                                         .headers = request.headers,
                                         .headers_count = request.headers_n,
                                         .secrets = request.secrets,
                                         .secrets_count = request.secrets_n,
                                         .body_max = limit ? (size_t)limit
                                                           : t->scrape->options.body_bytes_max};
        code = http_fetch(t->client, &get, r, e);
        if (code == ERR_LIMIT)
            code = too_large(t, job, e);
    }
    if (!code && r->status != 200)
        code = err_set(e, ERR_INVALID, "server returned HTTP status %d %.*s", r->status,
                       STR_ARG(r->reason));
    if (!code)
        code = decode(t, job, r, body, e);
    if (!code)
        *out_content_type = http_header(&r->head, STR("Content-Type"));
    arena_deinit(&request.arena);
    return code;
}
