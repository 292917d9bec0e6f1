// Fetching a target's metrics: the request as Prometheus sends it, what may come back, secrets and
// certificates read anew each time.
#include <stdio.h>

#include "engine/base/number.h"
#include "engine/http/credentials.h"
#include "engine/http/unpack.h"
#include "engine/scrape/target.h"

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

static err fill_request(struct credentials *c, const struct target *t,
                        const struct scrape_config *job, struct errmsg *e)
{
    char seconds[NUMBER_TEXT_MAX];
    const size_t n = number_format_g((double)t->timeout_ms / 1000, seconds);
    TRY(credentials_add(c, false, STR("User-Agent"),
                        arena_printf(&c->arena, "Prometheus/%s", t->scrape->options.version), e));
    TRY(credentials_add(c, false, STR("Accept"), accept_header(job, &c->arena), e));
    TRY(credentials_add(c, false, STR("Accept-Encoding"),
                        job->enable_compression ? STR("gzip") : STR("identity"), e));
    TRY(credentials_add(c, false, STR("X-Prometheus-Scrape-Timeout-Seconds"),
                        arena_str(&c->arena, str_make(seconds, n)), e));
    return credentials_add_config(c, &job->http, e);
}

// ---- the connection

// A client whose TLS was made of the certificates as their files are now. Suspends.
static err prepare_client(struct target *t, const struct scrape_config *job, struct credentials *c,
                          struct errmsg *e)
{
    struct tls_options o;
    uint64_t hash = 0;
    if (str_has_prefix(t->url, STR("https:")))
        TRY(credentials_tls(c, &job->http.tls, &o, &hash, e));
    if (t->client && hash == t->tls_hash && !t->client_is_old)
        return ERR_OK;
    struct tls *tls = NULL;
    if (hash)
        TRY(tls_contexts_get(&t->scrape->tls, &o, hash, &tls, e));
    t->client_is_old = t->job != job; // configured anew while the secrets were read
    http_client_destroy(t->client);
    tls_contexts_put(&t->scrape->tls, t->tls);
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

// A body is about as large as the last one: it then stays where it was read to (scrape_page.c).
static size_t body_room(const struct target *t)
{
    const size_t last = t->memory.page.body.n;
    return last + last / 32;
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
        buf_reserve(body, body_room(t));
        const err code = unpack_gzip(t->scrape->gzip, buf_str(&r->body), max, body, e);
        if (code && code != ERR_LIMIT)
            return code;
        is_over = code == ERR_LIMIT;
    }
    return is_over || (limit && body->n >= (size_t)limit) ? too_large(t, job, e) : ERR_OK;
}

// A limit is one of the text: packed, a small one may be larger than it is.
static size_t packed_max(size_t max)
{
    const size_t more = max / 64 + 1024;
    return max < SIZE_MAX - more ? max + more : max;
}

err target_fetch(struct target *t, const struct scrape_config *job, struct buf *body,
                 struct str *out_content_type, struct http_result *r, struct errmsg *e)
{
    struct credentials request;
    const int64_t limit = job->limits.body_size_bytes;
    const size_t max = limit ? (size_t)limit : t->scrape->options.body_bytes_max;
    credentials_init(&request);
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
                                         .body_max = packed_max(max)};
        buf_reserve(&r->body, body_room(t));
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
    credentials_deinit(&request);
    return code;
}
