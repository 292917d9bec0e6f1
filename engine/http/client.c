#include "engine/http/client.h"

#include <assert.h>
#include <stdio.h>

#include "engine/base/arena.h"
#include "engine/base/mem.h"
#include "engine/base/number.h"
#include "engine/base/quote.h"
#include "engine/base/util.h"
#include "io/fiber.h"

enum { REDIRECTS_MAX = 10, INPUT_PART = 16 * 1024, HOST_MAX = 256, RESERVE_MAX = 4 << 20 };
static const char BROKEN[] = "net/http: HTTP/1.x transport connection broken"; // as Go has it

struct http_client {
    struct http_client_options options;
    struct str proxy_url; // a copy
    struct stream *stream;
    char host[HOST_MAX]; // whom the connection speaks to
    uint16_t port;
    bool secure;
    bool answered; // a byte of an answer came on this connection for the present request
    bool in_body;  // its head is complete
    struct http_client_stats stats;
};

void http_result_deinit(struct http_result *r)
{
    buf_deinit(&r->head_bytes);
    buf_deinit(&r->body);
}

struct http_client *http_client_create(const struct http_client_options *options)
{
    struct http_client *c = mem_zalloc(sizeof *c);
    c->options = *options;
    if (options->tls)
        tls_ref(options->tls);
    if (options->proxy_url.n) {
        char *copy = mem_alloc(options->proxy_url.n);
        memcpy(copy, options->proxy_url.p, options->proxy_url.n);
        c->options.proxy_url = str_make(copy, options->proxy_url.n);
    }
    return c;
}

static void disconnect(struct http_client *c) // Suspends.
{
    struct stream *stream = c->stream;
    c->stream = NULL;
    stream_close(stream);
}

void http_client_destroy(struct http_client *c)
{
    if (!c)
        return;
    disconnect(c);
    tls_unref(c->options.tls);
    mem_free((void *)(uintptr_t)c->options.proxy_url.p);
    mem_free(c);
}

const struct http_client_stats *http_client_stats(const struct http_client *c)
{
    return &c->stats;
}

static err ended(struct errmsg *e) // what a wait's ERR_TIMEOUT or ERR_CANCELED means to a reader
{
    const err status = fiber_status();
    if (status == ERR_TIMEOUT)
        return err_set(e, ERR_TIMEOUT, "context deadline exceeded");
    return err_set(e, ERR_CANCELED, "context canceled");
}

static err from_io(err code, struct errmsg *e)
{
    return code == ERR_TIMEOUT || code == ERR_CANCELED ? ended(e) : code;
}

// ---- connecting

struct target {
    struct url url;
    char host[HOST_MAX];
    uint16_t port;
    bool secure;
};

static err target_of(struct str text, struct target *t, struct errmsg *e)
{
    TRY(url_parse(text, &t->url, e));
    t->secure = str_eq_nocase(t->url.scheme, STR("https"));
    if (!t->secure && !str_eq_nocase(t->url.scheme, STR("http")))
        return err_set(e, ERR_INVALID, "unsupported protocol scheme \"%.*s\"",
                       STR_ARG(t->url.scheme));
    if ((!t->url.host.n && !t->url.port_text.n) || t->url.host.n >= HOST_MAX)
        return err_set(e, ERR_INVALID, "http: no Host in request URL");
    struct arena a;
    struct str host;
    arena_init(&a, 0);
    err code = url_decode(t->url.host, false, &a, &host);
    if (code) { // a percent sign that begins no escape is one
        host = t->url.host;
        code = ERR_OK;
    }
    memcpy(t->host, host.p, host.n);
    t->host[host.n] = '\0';
    arena_deinit(&a);
    t->port = t->url.port_text.n ? t->url.port : url_default_port(t->url.scheme);
    return ERR_OK;
}

static err check_port(const struct target *t, struct errmsg *e)
{
    uint64_t number;
    const struct str text = t->url.port_text;
    if (!text.n || (number_parse_u64(text, &number) == ERR_OK && number <= 65535))
        return ERR_OK;
    return err_set(e, ERR_IO, "dial tcp: address %.*s: invalid port", STR_ARG(text));
}

static void put_host(const struct target *t, bool with_port, struct buf *b)
{
    const bool v6 = strchr(t->host, ':') != NULL;
    buf_printf(b, v6 ? "[%s]" : "%s", t->host);
    if (with_port)
        buf_printf(b, ":%u", t->port);
}

static err read_head(struct http_client *c, struct buf *bytes, struct http_head *head,
                     size_t *out_size, struct errmsg *e);

// Asks a proxy for a tunnel to t. Suspends.
static err open_tunnel(struct http_client *c, const struct target *t, struct errmsg *e)
{
    struct buf b = {0};
    buf_put_str(&b, STR("CONNECT "));
    put_host(t, true, &b);
    buf_put_str(&b, STR(" HTTP/1.1\r\nHost: "));
    put_host(t, true, &b);
    buf_put_str(&b, STR("\r\n"));
    for (size_t i = 0; i < c->options.proxy_headers_count; i++)
        buf_printf(&b, "%.*s: %.*s\r\n", STR_ARG(c->options.proxy_headers[i].name),
                   STR_ARG(c->options.proxy_headers[i].value));
    buf_put_str(&b, STR("\r\n"));
    err code = stream_write(c->stream, b.p, b.n, e);
    struct http_head *head = mem_alloc(sizeof *head);
    size_t size = 0;
    buf_reset(&b);
    if (!code)
        code = read_head(c, &b, head, &size, e);
    if (!code && (head->status != 200 || size != b.n))
        code = err_set(e, ERR_IO, "proxy refused the tunnel: %d %.*s", head->status,
                       STR_ARG(head->reason));
    mem_free(head);
    buf_deinit(&b);
    return code;
}

static err connect_to(struct http_client *c, const struct target *t, struct errmsg *e) // Suspends.
{
    struct tls *tls = c->options.tls;
    struct tls *own = NULL;
    TRY(check_port(t, e));
    if (t->secure && !tls) {
        const struct tls_options system = {0};
        TRY(tls_client_create(&system, &own, e));
        tls = own;
    }
    err code;
    if (c->options.proxy_url.n) {
        struct target proxy;
        code = target_of(c->options.proxy_url, &proxy, e);
        if (!code)
            code = stream_connect(proxy.host, proxy.port, NULL, &c->stream, e);
        if (code == ERR_IO || code == ERR_NOTFOUND)
            err_prefix(e, "proxyconnect tcp");
        if (!code && t->secure) {
            code = open_tunnel(c, t, e);
            if (!code) {
                struct stream *plain = c->stream;
                c->stream = NULL;
                code = stream_start_tls(plain, tls, t->host, &c->stream, e);
            }
        }
    } else {
        // A port alone is one of this machine, as for Go.
        const char *const host = t->host[0] ? t->host : "localhost";
        code = stream_connect(host, t->port, t->secure ? tls : NULL, &c->stream, e);
    }
    tls_unref(own);
    c->stats.connects++;
    c->stats.connects_failed += code != ERR_OK;
    if (code) {
        disconnect(c);
        return code;
    }
    memcpy(c->host, t->host, sizeof c->host);
    c->port = t->port;
    c->secure = t->secure;
    return ERR_OK;
}

// ---- one exchange

// What does not go along to another host, secret or not: Go's list.
static bool stays_home(struct str name)
{
    static const char *const names[] = {
        "Authorization", "Www-Authenticate",    "Cookie",
        "Cookie2",       "Proxy-Authorization", "Proxy-Authenticate"};
    for (size_t i = 0; i < countof(names); i++)
        if (str_eq_nocase(name, str_from_c(names[i])))
            return true;
    return false;
}

// Spaces, which a Location may hold, escaped; in a path also what is not ASCII.
static void put_escaped(struct str s, bool is_path, struct buf *b)
{
    for (size_t i = 0; i < s.n; i++) {
        const unsigned char c = (unsigned char)s.p[i];
        if (c <= ' ' || (is_path && c >= 0x7f))
            buf_printf(b, "%%%02X", c);
        else
            buf_put_char(b, (char)c);
    }
}

static void put_request(const struct http_client *c, const struct http_request *r,
                        const struct target *t, struct str method, bool with_secrets,
                        struct str referer, struct buf *b)
{
    buf_printf(b, "%.*s ", STR_ARG(method));
    if (c->options.proxy_url.n && !t->secure) {
        buf_put_str(b, STR("http://"));
        put_host(t, t->url.port_text.n > 0, b);
    }
    if (!t->url.path.n)
        buf_put_char(b, '/');
    put_escaped(t->url.path, true, b);
    if (t->url.query.p) {
        buf_put_char(b, '?');
        put_escaped(t->url.query, false, b);
    }
    buf_put_str(b, STR(" HTTP/1.1\r\nHost: "));
    put_host(t, t->url.port_text.n > 0, b);
    buf_put_str(b, STR("\r\n"));
    for (size_t i = 0; i < r->headers_count; i++)
        if (with_secrets || !stays_home(r->headers[i].name))
            buf_printf(b, "%.*s: %.*s\r\n", STR_ARG(r->headers[i].name),
                       STR_ARG(r->headers[i].value));
    if (referer.n)
        buf_printf(b, "Referer: %.*s\r\n", STR_ARG(referer));
    for (size_t i = 0; with_secrets && i < r->secrets_count; i++)
        buf_printf(b, "%.*s: %.*s\r\n", STR_ARG(r->secrets[i].name), STR_ARG(r->secrets[i].value));
    const bool has_body =
        str_eq(method, r->method) && !str_eq(method, STR("GET")) && !str_eq(method, STR("HEAD"));
    if (has_body)
        buf_printf(b, "Content-Length: %zu\r\n", r->body.n);
    buf_put_str(b, STR("\r\n"));
    if (has_body)
        buf_put_str(b, r->body);
}

static err read_some(struct http_client *c, struct buf *b, size_t *out_n, struct errmsg *e)
{
    char *p = buf_reserve(b, INPUT_PART);
    const err code = stream_read(c->stream, p, INPUT_PART, out_n, e);
    if (code)
        return from_io(code, e);
    b->n += *out_n;
    c->answered |= *out_n > 0;
    return ERR_OK;
}

static err parse_head(struct buf *bytes, struct http_head *head, size_t *out_size, struct errmsg *e)
{
    TRY(http_parse_response(buf_str(bytes), head, out_size, e));
    if (!*out_size || !head->is_folded)
        return ERR_OK;
    http_unfold(bytes->p, *out_size);
    return http_parse_response(buf_str(bytes), head, out_size, e);
}

// Reads until the head is complete; bytes behind it are the body's beginning. Passes over 1xx.
static err read_head(struct http_client *c, struct buf *bytes, struct http_head *head,
                     size_t *out_size, struct errmsg *e)
{
    for (;;) {
        if (parse_head(bytes, head, out_size, e) != ERR_OK)
            return err_wrap(e, ERR_INVALID, "%s", BROKEN);
        if (*out_size && (head->status < 100 || head->status >= 200 || head->status == 101))
            return ERR_OK; // 101 would begin another protocol: nothing follows that we read
        if (*out_size) {
            memmove(bytes->p, bytes->p + *out_size, bytes->n - *out_size);
            bytes->n -= *out_size;
            continue;
        }
        size_t n;
        TRY(read_some(c, bytes, &n, e));
        if (!n && !bytes->n)
            return err_set(e, ERR_IO, "EOF");
        if (!n) {
            if (str_find(buf_str(bytes), '\n', 0) == STR_NONE) // a line without an end is one
                buf_put_char(bytes, '\n');
            if (parse_head(bytes, head, out_size, e) != ERR_OK)
                return err_wrap(e, ERR_IO, "%s", BROKEN);
            return err_set(e, ERR_IO, "%s: unexpected EOF", BROKEN);
        }
    }
}

static err put_body(struct http_result *out, struct str part, size_t max, struct errmsg *e)
{
    if (part.n > max - out->body.n)
        return err_set(e, ERR_LIMIT, "body of more than %zu bytes", max);
    buf_put_str(&out->body, part);
    return ERR_OK;
}

// The body behind out's head; rest are bytes that came with the head. *out_clean: the connection
// can be used again. Suspends.
static err read_body(struct http_client *c, struct http_result *out, struct str rest, size_t max,
                     bool *out_clean, struct errmsg *e)
{
    const struct http_head *head = &out->head;
    struct http_chunks chunks = {0};
    const bool sized = !head->chunked && head->content_length >= 0;
    uint64_t left = sized ? (uint64_t)head->content_length : UINT64_MAX;
    bool end = sized && !left;
    struct buf in = {0};
    err code = ERR_OK;
    if (sized && left <= max) // what a peer only claims to send takes no more than this
        buf_reserve(&out->body, left < RESERVE_MAX ? (size_t)left : RESERVE_MAX);
    while (!code && !end) {
        if (!rest.n) {
            size_t n = 0;
            buf_reset(&in);
            code = read_some(c, &in, &n, e);
            if (!code && !n) { // without a length the end of the connection is the body's end
                code = head->chunked || sized ? err_set(e, ERR_IO, "unexpected EOF") : ERR_OK;
                break;
            }
            rest = buf_str(&in);
            continue;
        }
        struct str data = rest;
        size_t used = rest.n;
        if (head->chunked) {
            code = http_chunks_feed(&chunks, rest, &used, &data, &end, e);
        } else if (used > left) {
            used = data.n = (size_t)left;
        }
        if (!code)
            code = put_body(out, data, max, e);
        rest = str_from(rest, code ? 0 : used);
        if (sized)
            end = (left -= used) == 0;
    }
    *out_clean = !code && end && !rest.n && head->keep_alive;
    buf_deinit(&in);
    return code;
}

static bool has_body(struct str method, int status)
{
    return !str_eq(method, STR("HEAD")) && status != 204 && status != 304 && status >= 200;
}

// The peer takes no more: what it said before may be the answer, or say why (a TLS alert).
// Suspends.
static err read_last_words(struct http_client *c, struct http_result *out, size_t *out_size,
                           struct errmsg *e)
{
    struct errmsg said;
    const err code = read_head(c, &out->head_bytes, &out->head, out_size, &said);
    if (code == ERR_IO && e && strstr(said.text, "tls: "))
        *e = said;
    return code;
}

// Sends and receives on the present connection. Suspends.
static err exchange(struct http_client *c, struct str bytes, struct str method, size_t body_max,
                    struct http_result *out, struct errmsg *e)
{
    c->answered = c->in_body = false;
    buf_reset(&out->head_bytes);
    buf_reset(&out->body);
    size_t size;
    bool clean = false;
    err code = from_io(stream_write(c->stream, bytes.p, bytes.n, e), e);
    if (!code)
        code = read_head(c, &out->head_bytes, &out->head, &size, e);
    else if (code == ERR_IO)
        code = read_last_words(c, out, &size, e);
    if (!code) {
        c->in_body = true;
        const struct str rest = str_from(buf_str(&out->head_bytes), size);
        if (has_body(method, out->head.status))
            code = read_body(c, out, rest, body_max, &clean, e);
        else
            clean = !rest.n && out->head.keep_alive;
        out->status = out->head.status;
        out->reason = out->head.reason;
    }
    if (code || !clean)
        disconnect(c);
    return code;
}

// One request to one place, on the kept connection where it fits. Suspends.
static err fetch_once(struct http_client *c, const struct http_request *r, const struct target *t,
                      struct str method, bool with_secrets, struct str referer,
                      struct http_result *out, struct errmsg *e)
{
    struct buf bytes = {0};
    put_request(c, r, t, method, with_secrets, referer, &bytes);
    if (c->stream && (strcmp(c->host, t->host) || c->port != t->port || c->secure != t->secure))
        disconnect(c);
    err code = ERR_OK;
    bool is_answered = false;
    if (c->stream) {
        c->stats.reuses++;
        code = exchange(c, buf_str(&bytes), method, r->body_max, out, e);
        // The server may have closed it just before the request came: then nothing was answered.
        is_answered = code != ERR_IO || c->answered;
        c->stats.retries += !is_answered;
    }
    if (!is_answered) {
        code = from_io(connect_to(c, t, e), e);
        if (!code)
            code = exchange(c, buf_str(&bytes), method, r->body_max, out, e);
    }
    buf_deinit(&bytes);
    return code;
}

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// Where a Location points to, seen from base; in the arena.
static err resolve(const struct target *base, struct str location, struct arena *a, struct str *out,
                   struct errmsg *e)
{
    struct buf origin = {0};
    buf_printf(&origin, "%.*s://", STR_ARG(base->url.scheme));
    put_host(base, base->url.port_text.n > 0, &origin);
    const err code = url_resolve(&base->url, buf_str(&origin), location, a, out, e);
    buf_deinit(&origin);
    if (!code)
        return ERR_OK;
    struct buf named = {0};
    url_put_named(location, &named);
    const err wrapped =
        err_wrap(e, code, "failed to parse Location header \"%.*s\"", STR_ARG(buf_str(&named)));
    buf_deinit(&named);
    return wrapped;
}

// Whom the next request says it comes from: none from TLS to plain text; without a password.
static struct str referer_of(const struct target *t, struct str url, struct str next,
                             struct arena *a)
{
    if (t->secure && str_has_prefix(next, STR("http:")))
        return (struct str){0};
    const ptrdiff_t at = str_find_last(str_until(url, (size_t)(t->url.host.p - url.p)), '@');
    if (at == STR_NONE)
        return arena_str(a, url);
    return arena_printf(a, "%.*s://%.*s", STR_ARG(t->url.scheme),
                        STR_ARG(str_from(url, (size_t)at + 1)));
}

static struct str method_after(struct str method, int status)
{
    if (status == 307 || status == 308 || str_eq(method, STR("HEAD")))
        return method;
    return STR("GET");
}

// Go names the method in its errors with one capital: Get "http://...".
static err name_error(err code, struct str method, struct str url, struct errmsg *e)
{
    if (!code || !e)
        return code;
    char verb[16];
    size_t n = 0;
    for (; n < method.n && n < sizeof verb - 1; n++)
        verb[n] = n ? (char)(method.p[n] | 0x20) : method.p[n];
    verb[n] = '\0';
    struct buf named = {0}, quoted = {0};
    url_put_named(url, &named);
    buf_put_quoted(&quoted, buf_str(&named));
    const err wrapped = err_wrap(e, code, "%s %.*s", verb, STR_ARG(buf_str(&quoted)));
    buf_deinit(&named);
    buf_deinit(&quoted);
    return wrapped;
}

// "http://a:/b" is "http://a/b", also where it is named.
static struct str without_empty_port(const struct url *u, struct str url, struct arena *a)
{
    const char *end = u->host.p + u->host.n;
    end += end < url.p + url.n && *end == ']';
    if (u->port_text.n || end == url.p + url.n || *end != ':')
        return url;
    const size_t n = (size_t)(end - url.p);
    return arena_printf(a, "%.*s%.*s", STR_ARG(str_until(url, n)), STR_ARG(str_from(url, n + 1)));
}

err http_fetch(struct http_client *c, const struct http_request *request, struct http_result *out,
               struct errmsg *e)
{
    struct arena a;
    arena_init(&a, 0);
    out->status = 0;
    out->reason = (struct str){0};
    out->head.lines = (struct str){0};
    buf_reset(&out->head_bytes);
    buf_reset(&out->body);
    struct str url = request->url, method = request->method;
    struct str referer = {0};
    struct target first = {0}, t;
    err code = ERR_OK;
    for (int hops = 0;; hops++) {
        c->in_body = false;
        if (!hops && url_parse(url, &t.url, e) != ERR_OK) { // Go says so before it asks
            arena_deinit(&a);
            return ERR_INVALID;
        }
        if (!hops)
            url = without_empty_port(&t.url, url, &a);
        code = target_of(url, &t, e);
        if (!hops)
            first = t;
        const bool same_host = !strcmp(first.host, t.host) && first.port == t.port;
        if (!code)
            code = fetch_once(c, request, &t, method, same_host, referer, out, e);
        const struct str location =
            code ? (struct str){0} : http_header(&out->head, STR("Location"));
        if (code || !c->options.follow_redirects || !is_redirect(out->status) || !location.n)
            break;
        if (hops == REDIRECTS_MAX - 1) {
            code = err_set(e, ERR_INVALID, "stopped after %d redirects", REDIRECTS_MAX);
            url = location;
            c->in_body = false;
            break;
        }
        struct str next;
        c->in_body = false;
        code = resolve(&t, location, &a, &next, e);
        if (code)
            break;
        method = method_after(method, out->status);
        referer = referer_of(&t, url, next, &a);
        url = next;
    }
    if (code && !c->in_body) // Go's errors of reading a body do not name the request
        code = name_error(code, method, url, e);
    arena_deinit(&a);
    return code;
}
