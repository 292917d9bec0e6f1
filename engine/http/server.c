#include "engine/http/server.h"

#include <assert.h>
#include <stdio.h>

#include "engine/base/calendar.h"
#include "engine/base/mem.h"
#include "engine/base/util.h"
#include "engine/shard/shard.h"
#include "io/clock.h"
#include "protocol/deflate_stream.h"

enum {
    INPUT_START = 4096,
    HEAD_FREE = 16 * 1024, // of a head; more of it counts among the undecoded bytes that are held
    ARENA_LIMIT = 256 << 20,
    DRAIN_UNREAD_MAX = 256 * 1024, // of a body nobody read; more: the connection is closed
    WRITE_PART = 64 * 1024,
    PACK_PART = 16 * 1024, // is compressed in a quarter of a turn's quota, about
    RETRY_NS = 10 * 1000000,
    PEER_NUMBERS_MAX = 64,         // more connections of one address share the last
    LINGER_NS = 500 * 1000000,     // a peer that still sends gets this long to read its answer
    GUARD_AFTER_NS = 20 * 1000000, // work that is done sooner is not worth looking after
    GUARD_INPUT_MAX = 64 * 1024,   // of further requests, while one is worked on
};

struct http_server {
    struct http_server_options options;
    struct logger lg;
    struct list conns;
    size_t conns_count;
    bool draining;
    struct waiters gone;
    struct http_server_stats stats;
};

struct conn {
    struct list link;
    struct http_server *server;
    struct stream *stream;
    struct timer idle;
    struct fiber *fiber;   // while one is at work here
    enum loop_class class; // of the last request: the next one's head is read in it
    bool waits;            // for the next request, without a fiber
    bool wants_fiber;      // bytes are there, but no fiber was to be had: the timer asks again
    bool reads_head;       // no whole request yet
    struct buf in;         // what was read; [at, n) is not used yet
    size_t at;
    struct http_head *head; // of the request that is handled, in the arena
    struct str path, query; // of its target, path decoded; p NULL: it asks for none
    struct arena arena;
    struct http_chunks chunks;
    uint64_t body_left; // of a body with a length
    uint64_t body_held; // counted in stats.body_bytes
    bool body_ended, head_only, chunked_out, close_after, broken;
    bool peer_ended;                // it sends no more
    bool awaits_continue;           // the peer holds its body back until it is told to go on
    struct deflate_stream *deflate; // of an answer in parts
    stream_ready_fn *wake;          // of a watched exchange
    void *wake_arg;
    bool is_watched, peer_stirred;
    uint32_t peer_number; // 0: not asked for yet
    // Of a request that is worked on as long as its peer is there.
    struct timer guard;
    bool is_guarded, guard_ends;
    struct fiber *guardian; // reads what comes
    struct waiters guard_ended;
};

struct http_server *http_server_create(const struct http_server_options *options)
{
    struct http_server *s = mem_zalloc(sizeof *s);
    s->options = *options;
    s->lg = (struct logger){.component = "web", .sink = options->log};
    list_init(&s->conns);
    waiters_init(&s->gone);
    return s;
}

void http_server_destroy(struct http_server *s)
{
    if (!s)
        return;
    assert(!s->conns_count);
    mem_free(s);
}

const struct http_server_stats *http_server_stats(const struct http_server *s)
{
    return &s->stats;
}

static void connection_ended(struct http_server *s)
{
    shard_connection_closed();
    if (s->options.door)
        http_door_leave(s->options.door);
}

static void conn_close(struct conn *c) // Suspends.
{
    struct http_server *s = c->server;
    stream_close(c->stream);
    timer_cancel(&c->idle);
    arena_deinit(&c->arena);
    buf_deinit(&c->in);
    list_remove(&c->link);
    s->conns_count--;
    connection_ended(s);
    mem_free(c);
    waiters_wake_all(&s->gone);
}

static void set_deadline(int64_t timeout_ns)
{
    fiber_set_deadline(clock_mono_ns() + timeout_ns);
}

// More input behind what is there; false: the peer is done, gone or too slow. Suspends.
static bool read_more(struct conn *c)
{
    if (c->at == c->in.n)
        c->at = c->in.n = 0;
    if (c->at > c->in.n / 2) { // what was used makes room
        memmove(c->in.p, c->in.p + c->at, c->in.n - c->at);
        c->in.n -= c->at;
        c->at = 0;
    }
    const size_t room = c->in.n < INPUT_START ? INPUT_START : c->in.n;
    char *p = buf_reserve(&c->in, room);
    size_t got;
    if (stream_read(c->stream, p, room, &got, NULL) != ERR_OK)
        return false;
    c->peer_ended = !got;
    c->in.n += got;
    return got > 0;
}

static struct str unused(const struct conn *c)
{
    return str_from(buf_str(&c->in), c->at);
}

static bool send_bytes(struct conn *c, struct str s) // Suspends.
{
    if (c->broken)
        return false;
    for (size_t at = 0; at < s.n;) {
        const size_t n = s.n - at < WRITE_PART ? s.n - at : WRITE_PART;
        set_deadline(c->server->options.write_timeout_ns);
        if (stream_write(c->stream, s.p + at, n, NULL) != ERR_OK) {
            c->broken = true;
            return false;
        }
        at += n;
    }
    return true;
}

// ---- reading bodies

// Nobody knows where the body ends any more: the connection has no next request.
static err lose_body(struct conn *c, struct errmsg *e)
{
    c->close_after = true;
    return fiber_status() == ERR_TIMEOUT
               ? err_set(e, ERR_TIMEOUT, "the request's body did not come in time")
               : err_set(e, ERR_IO, "unexpected EOF");
}

static err next_body_part(struct conn *c, struct str *out, struct errmsg *e) // Suspends.
{
    *out = (struct str){0};
    while (!c->body_ended) {
        if (c->at == c->in.n && !read_more(c))
            return lose_body(c, e);
        struct str data = unused(c);
        size_t used;
        if (c->head->chunked) {
            const err code = http_chunks_feed(&c->chunks, data, &used, &data, &c->body_ended, e);
            if (code) {
                c->close_after = true;
                return code;
            }
        } else {
            used = data.n < c->body_left ? data.n : (size_t)c->body_left;
            data.n = used;
            c->body_left -= used;
            c->body_ended = c->body_left == 0;
        }
        c->at += used;
        if (data.n) {
            *out = data;
            return ERR_OK;
        }
    }
    return ERR_OK;
}

static void release_body(struct conn *c)
{
    c->server->stats.body_bytes -= c->body_held;
    c->body_held = 0;
}

static err hold_body(struct http_exchange *x, uint64_t more)
{
    struct conn *c = x->conn;
    struct http_server_stats *stats = &c->server->stats;
    if (stats->body_bytes + more > c->server->options.body_bytes_max) {
        stats->bodies_refused++;
        c->close_after = true;
        http_add_header(x, "Retry-After", STR("1"));
        http_answer_text(x, 503, "too many undecoded bytes are held; try again later\n");
        return ERR_CANCELED;
    }
    stats->body_bytes += more;
    c->body_held += more;
    return ERR_OK;
}

err http_read_body(struct http_exchange *x, size_t max, struct str *out, struct errmsg *e)
{
    struct conn *c = x->conn;
    *out = (struct str){0};
    if (c->head->content_length > 0 && (uint64_t)c->head->content_length > max) {
        c->close_after = true; // nobody reads it
        return err_set(e, ERR_LIMIT, "http: request body too large");
    }
    if (c->head->content_length > 0)
        TRY(hold_body(x, (uint64_t)c->head->content_length));
    if (c->awaits_continue && c->at == c->in.n && !c->body_ended)
        send_bytes(c, STR("HTTP/1.1 100 Continue\r\n\r\n"));
    c->awaits_continue = false;
    set_deadline(c->server->options.read_timeout_ns);
    const size_t known = c->head->content_length > 0 ? (size_t)c->head->content_length : 0;
    char *p = arena_alloc(x->arena, known, 1);
    size_t n = 0, capacity = known;
    for (;;) {
        struct str part;
        while (!c->head->chunked && c->body_left && c->at == c->in.n) { // straight to its place
            size_t got;
            if (stream_read(c->stream, p + n, (size_t)c->body_left, &got, NULL) != ERR_OK || !got)
                return lose_body(c, e);
            n += got;
            c->body_left -= got;
            c->body_ended = c->body_left == 0;
        }
        TRY(next_body_part(c, &part, e));
        if (!part.n)
            break;
        if (part.n > max - n) {
            c->close_after = true;
            return err_set(e, ERR_LIMIT, "http: request body too large");
        }
        if (n + part.n > capacity) { // only of chunked bodies
            const size_t grown = 2 * (n + part.n);
            TRY(hold_body(x, grown - capacity));
            char *q = arena_alloc(x->arena, grown, 1);
            memcpy(q, p, n);
            p = q;
            capacity = grown;
        }
        memcpy(p + n, part.p, part.n);
        n += part.n;
    }
    *out = str_make(p, n);
    return ERR_OK;
}

// ---- the peer that leaves

// Reads on, to learn whether the peer is still there: its next requests wait in c->in. Like in
// Prometheus, a peer that only ends its own half counts as gone.
static void guard_request(void *arg)
{
    struct conn *c = arg;
    bool is_there = true;
    while (is_there && !c->guard_ends && c->in.n - c->at < GUARD_INPUT_MAX)
        is_there = read_more(c);
    if (!is_there && !c->guard_ends)
        fiber_cancel(c->fiber);
    c->guardian = NULL;
    waiters_wake_all(&c->guard_ended);
}

static void guard_due(struct timer *timer)
{
    struct conn *c = container_of(timer, struct conn, guard);
    if (fiber_start(LOOP_CONTROL, guard_request, c, &c->guardian) != ERR_OK)
        c->guardian = NULL; // no fiber to be had: nobody looks
}

static bool is_taken(const struct conn *c, uint32_t number)
{
    const struct address *const peer = stream_peer(c->stream);
    for (struct list *l = c->server->conns.next; l != &c->server->conns; l = l->next) {
        const struct conn *const other = container_of(l, struct conn, link);
        if (other->peer_number == number &&
            !memcmp(stream_peer(other->stream)->ip, peer->ip, sizeof peer->ip))
            return true;
    }
    return false;
}

uint32_t http_peer_number(struct http_exchange *x)
{
    struct conn *const c = x->conn;
    if (!c->peer_number) {
        uint32_t number = 1;
        while (number < PEER_NUMBERS_MAX && is_taken(c, number))
            number++;
        c->peer_number = number;
    }
    return c->peer_number;
}

void http_end_with_peer(struct http_exchange *x)
{
    struct conn *c = x->conn;
    if (!c->body_ended || c->is_guarded)
        return;
    c->is_guarded = true;
    c->guard_ends = false;
    timer_set(&c->guard, clock_mono_ns() + GUARD_AFTER_NS);
}

static void end_guard(struct conn *c) // Suspends.
{
    if (!c->is_guarded)
        return;
    c->is_guarded = false;
    c->guard_ends = true;
    timer_cancel(&c->guard);
    if (c->guardian)
        fiber_cancel(c->guardian);
    fiber_shield_begin();
    while (c->guardian)
        (void)waiters_wait(&c->guard_ended); // behind a shield: cannot be told to end
    fiber_shield_end();
}

// ---- answering

void http_add_header(struct http_exchange *x, const char *name, struct str value)
{
    assert(x->headers_count < HTTP_HEADERS_OUT_MAX && http_is_header_value(value));
    x->headers[x->headers_count++] = (struct http_header){str_from_c(name), value};
}

// gzip or deflate: the first the client names without a q, as Prometheus takes it.
static struct str choose_encoding(const struct http_exchange *x)
{
    struct str accept = http_header(x->head, STR("Accept-Encoding"));
    for (struct str part; x->compress && str_split(&accept, ',', &part);) {
        const struct str name = str_trim(part);
        if (str_eq(name, STR("gzip")) || str_eq(name, STR("deflate")))
            return name;
    }
    return (struct str){0};
}

static struct deflate_stream *open_deflate(struct str encoding)
{
    return deflate_stream_create(str_eq(encoding, STR("gzip")) ? DEFLATE_GZIP : DEFLATE_ZLIB);
}

static void put_date(struct buf *b)
{
    static const char days[] = "ThuFriSatSunMonTueWed"; // 1970 began on a Thursday
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const int64_t now_ms = clock_wall_ms();
    const struct calendar_date d = calendar_from_ms(now_ms);
    buf_printf(b, "Date: %.3s, %02d %.3s %d %02d:%02d:%02d GMT\r\n",
               days + 3 * (now_ms / 86400000 % 7), d.day, months + 3 * (d.month - 1), (int)d.year,
               d.hour, d.minute, d.second);
}

// Status line and headers, without the ones that say the body's size.
static void put_head(struct http_exchange *x, int status, const char *content_type,
                     struct buf *b) // Suspends.
{
    struct conn *c = x->conn;
    assert(!x->is_answered);
    end_guard(c);
    x->is_answered = true;
    x->status = status;
    buf_printf(b, "HTTP/1.1 %d %s\r\n", status, http_status_text(status));
    for (size_t i = 0; i < x->headers_count; i++)
        buf_printf(b, "%.*s: %.*s\r\n", STR_ARG(x->headers[i].name), STR_ARG(x->headers[i].value));
    if (content_type)
        buf_printf(b, "Content-Type: %s\r\n", content_type);
    put_date(b);
    // A peer that was not told to send its body may do so or not: the next bytes could be either.
    if (!c->head->keep_alive || c->server->draining || (c->awaits_continue && !c->body_ended) ||
        c->body_left > DRAIN_UNREAD_MAX)
        c->close_after = true;
    if (c->close_after)
        buf_put_str(b, STR("Connection: close\r\n"));
    else if (c->head->version_minor == 0)
        buf_put_str(b, STR("Connection: keep-alive\r\n"));
}

// Compresses as much as there is, in turns. Suspends.
static void pack(struct deflate_stream *deflate, struct str in, bool end, struct buf *out)
{
    while (in.n > PACK_PART) {
        deflate_stream_write(deflate, str_until(in, PACK_PART), false, out);
        in = str_from(in, PACK_PART);
        fiber_yield_if_due();
    }
    deflate_stream_write(deflate, in, end, out);
}

void http_answer(struct http_exchange *x, int status, const char *content_type, struct str body)
{
    struct conn *c = x->conn;
    struct buf head = {0}, packed = {0};
    const struct str encoding = content_type ? choose_encoding(x) : (struct str){0};
    if (encoding.n) {
        struct deflate_stream *deflate = open_deflate(encoding);
        pack(deflate, body, true, &packed);
        deflate_stream_destroy(deflate);
        body = buf_str(&packed);
    }
    put_head(x, status, content_type, &head);
    if (x->compress)
        buf_put_str(&head, STR("Vary: Accept-Encoding\r\n"));
    if (encoding.n)
        buf_printf(&head, "Content-Encoding: %.*s\r\n", STR_ARG(encoding));
    if (status != 204 && status != 304 && status >= 200)
        buf_printf(&head, "Content-Length: %zu\r\n", body.n);
    buf_put_str(&head, STR("\r\n"));
    if (!c->head_only && body.n <= WRITE_PART) {
        buf_put_str(&head, body);
        send_bytes(c, buf_str(&head));
    } else if (send_bytes(c, buf_str(&head)) && !c->head_only) {
        send_bytes(c, body);
    }
    x->bytes_out = body.n;
    buf_deinit(&head);
    buf_deinit(&packed);
}

void http_answer_text(struct http_exchange *x, int status, const char *text)
{
    if (status >= 400)
        http_add_header(x, "X-Content-Type-Options", STR("nosniff")); // as Go's http.Error
    http_answer(x, status, "text/plain; charset=utf-8", str_from_c(text));
}

void http_begin(struct http_exchange *x, int status, const char *content_type)
{
    struct conn *c = x->conn;
    struct buf head = {0};
    const struct str encoding = choose_encoding(x);
    c->chunked_out = c->head->version_minor == 1;
    if (!c->chunked_out)
        c->close_after = true; // the end of the connection is the end of the body
    put_head(x, status, content_type, &head);
    if (x->compress)
        buf_put_str(&head, STR("Vary: Accept-Encoding\r\n"));
    if (encoding.n) {
        buf_printf(&head, "Content-Encoding: %.*s\r\n", STR_ARG(encoding));
        if (!c->head_only)
            c->deflate = open_deflate(encoding);
    }
    buf_put_str(&head, c->chunked_out ? STR("Transfer-Encoding: chunked\r\n\r\n") : STR("\r\n"));
    send_bytes(c, buf_str(&head));
    buf_deinit(&head);
}

static bool send_part(struct http_exchange *x, struct str part) // Suspends.
{
    struct conn *c = x->conn;
    x->bytes_out += part.n;
    if (!part.n || c->head_only)
        return !c->broken;
    if (!c->chunked_out)
        return send_bytes(c, part);
    char size[20];
    const int n = snprintf(size, sizeof size, "%zx\r\n", part.n);
    return send_bytes(c, str_make(size, (size_t)n)) && send_bytes(c, part) &&
           send_bytes(c, STR("\r\n"));
}

err http_write(struct http_exchange *x, struct str part)
{
    struct conn *c = x->conn;
    bool sent;
    if (c->deflate) {
        struct buf packed = {0};
        pack(c->deflate, part, false, &packed);
        sent = send_part(x, buf_str(&packed));
        buf_deinit(&packed);
    } else {
        sent = send_part(x, part);
    }
    return sent ? ERR_OK : ERR_IO;
}

void http_end(struct http_exchange *x)
{
    struct conn *c = x->conn;
    if (c->deflate) {
        struct buf packed = {0};
        deflate_stream_write(c->deflate, (struct str){0}, true, &packed);
        send_part(x, buf_str(&packed));
        buf_deinit(&packed);
        deflate_stream_destroy(c->deflate);
        c->deflate = NULL;
    }
    if (c->chunked_out && !c->head_only)
        send_bytes(c, STR("0\r\n\r\n"));
}

void http_abort(struct http_exchange *x)
{
    struct conn *c = x->conn;
    assert(x->is_answered);
    deflate_stream_destroy(c->deflate);
    c->deflate = NULL;
    c->broken = c->close_after = true;
}

// ---- watching the peer

static void peer_stirs(void *arg)
{
    struct conn *c = arg;
    c->is_watched = false;
    c->peer_stirred = true;
    c->wake(c->wake_arg);
}

void http_watch(struct http_exchange *x, stream_ready_fn *wake, void *arg)
{
    struct conn *c = x->conn;
    assert(!c->is_watched && c->body_ended);
    c->wake = wake;
    c->wake_arg = arg;
    c->peer_stirred = false;
    c->is_watched = true;
    stream_when_readable(c->stream, peer_stirs, c);
}

void http_unwatch(struct http_exchange *x)
{
    struct conn *c = x->conn;
    if (c->is_watched)
        stream_when_readable_cancel(c->stream);
    c->is_watched = false;
}

bool http_is_gone(struct http_exchange *x)
{
    struct conn *c = x->conn;
    if (c->broken || !c->peer_stirred)
        return c->broken;
    // What comes early is the next request's; a peer that sends on and on is not waited for.
    set_deadline(c->server->options.read_timeout_ns);
    const bool is_gone = c->in.n - c->at > GUARD_INPUT_MAX || !read_more(c);
    fiber_set_deadline(INT64_MAX);
    if (is_gone)
        c->close_after = true;
    else
        http_watch(x, c->wake, c->wake_arg);
    return is_gone;
}

// ---- the life of a connection

static void start_body(struct conn *c)
{
    c->chunks = (struct http_chunks){0};
    c->body_left = c->head->content_length > 0 ? (uint64_t)c->head->content_length : 0;
    c->body_ended = !c->head->chunked && !c->body_left;
    c->head_only = str_eq(c->head->method, STR("HEAD"));
    c->chunked_out = false;
    c->awaits_continue = c->head->expects_continue && c->head->version_minor == 1;
}

// Passes over what the handler did not read; false: too much, or the peer is gone. Suspends.
static bool skip_body(struct conn *c)
{
    if (c->close_after || c->broken || c->body_left > DRAIN_UNREAD_MAX)
        return false;
    uint64_t skipped = 0;
    set_deadline(c->server->options.read_timeout_ns);
    while (!c->body_ended) {
        struct str part;
        if (next_body_part(c, &part, NULL) != ERR_OK || (skipped += part.n) > DRAIN_UNREAD_MAX)
            return false;
    }
    return true;
}

// Reads on for a moment when the peer still sends: closing at once would reset the connection, and
// the answer would be lost on its way. Its end is said before, as a peer may wait for it. Suspends.
static void linger(struct conn *c)
{
    if (c->broken || c->body_ended)
        return;
    set_deadline(LINGER_NS);
    stream_end_writes(c->stream);
    do
        c->at = c->in.n;
    while (read_more(c));
}

// What nobody's handler is asked for, as Go's server answers it; false: a handler is. Suspends.
static bool answer_for_all(struct conn *c, struct http_exchange *x)
{
    enum { OPTIONS_BODY_MAX = 4096 };
    struct http_head *const head = c->head;
    if (head->expects_other) {
        head->keep_alive = false;
        http_answer(x, 417, NULL, (struct str){0});
    } else if (str_eq(head->target, STR("*"))) { // the server as a whole
        const bool is_asked = str_eq(head->method, STR("OPTIONS"));
        if (!is_asked || c->body_left > OPTIONS_BODY_MAX)
            head->keep_alive = false;
        http_answer(x, is_asked ? 200 : 400, NULL, (struct str){0});
    } else if (str_eq(head->method, STR("CONNECT")) && head->target.p[0] != '/') {
        http_answer_text(x, 404, "404 page not found\n"); // no path at all: this is no proxy
    } else {
        return false;
    }
    return true;
}

static void handle(struct conn *c) // Suspends.
{
    struct http_server *s = c->server;
    struct http_exchange x = {.method = c->head->method,
                              .path = c->path,
                              .query = c->query,
                              .head = c->head,
                              .arena = &c->arena,
                              .peer = stream_peer(c->stream),
                              .conn = c,
                              .compress = true};
    const int64_t start = clock_mono_ns();
    s->stats.requests++;
    fiber_set_deadline(INT64_MAX); // the head's was for the peer; a handler has its own
    if (!answer_for_all(c, &x)) {
        assert(x.path.n && x.path.p[0] == '/'); // take_target()
        s->options.handler(s->options.arg, &x);
    }
    c->class = fiber_class();
    assert(x.is_answered && !c->deflate);
    if (s->options.observer)
        s->options.observer(s->options.arg, &x, clock_mono_ns() - start);
    release_body(c);
}

static void refuse_head(struct conn *c, const char *status, const char *text) // Suspends.
{
    struct buf b = {0};
    c->server->stats.bad_requests++;
    c->body_ended = false; // whatever still comes belongs to this request
    buf_printf(&b,
               "HTTP/1.1 %s\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n"
               "\r\n%s",
               status, text);
    send_bytes(c, buf_str(&b));
    buf_deinit(&b);
}

// Empty lines before a request are passed over, here so that they are not looked at again.
static void skip_empty_lines(struct conn *c)
{
    for (;;) {
        const struct str have = unused(c);
        if (have.n && have.p[0] == '\n')
            c->at++;
        else if (have.n > 1 && have.p[0] == '\r' && have.p[1] == '\n')
            c->at += 2;
        else
            return;
    }
}

// Counts what a long head takes among the bytes that are held; false: that is too much.
static bool hold_head(struct conn *c)
{
    struct http_server_stats *stats = &c->server->stats;
    const uint64_t have = unused(c).n;
    if (have <= HEAD_FREE || have <= c->body_held)
        return true;
    const uint64_t more = have - c->body_held;
    if (stats->body_bytes + more > c->server->options.body_bytes_max) {
        stats->bodies_refused++;
        return false;
    }
    stats->body_bytes += more;
    c->body_held += more;
    return true;
}

// Its slices must stay where they are while the body is read: of a copy.
static err keep_head(struct conn *c, struct str head)
{
    char *copy = arena_alloc(&c->arena, head.n, 1);
    size_t size;
    memcpy(copy, head.p, head.n);
    if (c->head->is_folded)
        http_unfold(copy, head.n);
    c->at += head.n;
    TRY(http_parse_request(str_make(copy, head.n), c->head, &size, NULL));
    assert(size == head.n && !c->head->is_folded);
    return ERR_OK;
}

// As Go's server answers what it cannot read.
static void refuse_bad_head(struct conn *c, err code) // Suspends.
{
    if (code == ERR_LIMIT)
        refuse_head(c, "431 Request Header Fields Too Large",
                    "431 Request Header Fields Too Large");
    else if (c->head->is_other_version)
        refuse_head(c, "505 HTTP Version Not Supported: unsupported protocol version",
                    "505 HTTP Version Not Supported: unsupported protocol version");
    else if (c->head->is_other_encoding)
        refuse_head(c, "501 Not Implemented", "Unsupported transfer encoding");
    else
        refuse_head(c, "400 Bad Request", "400 Bad Request");
}

static bool is_host(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        const unsigned char c = (unsigned char)s.p[i], l = c | 0x20;
        if (!(c >= '0' && c <= '9') && !(l >= 'a' && l <= 'z' && c < 0x80) &&
            (!c || !strchr("!$%&'()*+,-.:;=[]_~", c)))
            return false;
    }
    return true;
}

// What a request asks for: a path, a URL, or, to CONNECT, a host; false: nothing.
static bool take_target(struct conn *c)
{
    struct str target = c->head->target;
    const ptrdiff_t question = str_find(target, '?', 0);
    struct url url; // absolute form, as a proxy gets it
    c->path = c->query = (struct str){0};
    if (str_eq(target, STR("*")))
        return true;
    if (str_eq(c->head->method, STR("CONNECT")) && target.p[0] != '/') {
        struct buf text = {0};
        buf_printf(&text, "http://%.*s", STR_ARG(target));
        const err code = url_parse(buf_str(&text), &url, NULL);
        buf_deinit(&text);
        return code == ERR_OK;
    }
    if (question != STR_NONE) {
        c->query = str_from(target, (size_t)question + 1);
        target = str_until(target, (size_t)question);
    }
    if (target.p[0] != '/') {
        if (url_parse(c->head->target, &url, NULL) != ERR_OK)
            return false;
        target = url.path.n ? url.path : STR("/");
    }
    return url_decode(target, false, &c->arena, &c->path) == ERR_OK;
}

// What Go's server asks of a whole head; false: it has been refused. Suspends.
static bool is_acceptable(struct conn *c)
{
    const struct http_head *const head = c->head;
    struct http_header h;
    size_t hosts = 0;
    const char *why = take_target(c) ? NULL : "400 Bad Request";
    for (struct str rest = head->lines; http_next_header(&rest, &h);) {
        if (!str_eq_nocase(h.name, STR("host")))
            continue;
        if (++hosts > 1)
            why = "400 Bad Request";
        else if (!is_host(h.value))
            why = "400 Bad Request: malformed Host header";
    }
    if (!hosts && head->version_minor == 1 && !str_eq(head->method, STR("CONNECT")))
        why = "400 Bad Request: missing required Host header";
    if (why)
        refuse_head(c, why, why);
    return !why;
}

// Reads a head. False: the connection is to be closed; what was wrong has been answered. A head is
// looked at again only when a line has ended, so that single bytes do not cost a pass each.
// Suspends.
static bool read_head(struct conn *c)
{
    set_deadline(c->server->options.read_timeout_ns);
    c->head = arena_new(&c->arena, struct http_head);
    size_t seen = 0;
    for (;;) {
        size_t size = 0;
        skip_empty_lines(c);
        const struct str have = unused(c);
        seen = seen < have.n ? seen : have.n;
        err code = ERR_OK;
        if (str_find(have, '\n', seen) != STR_NONE || have.n >= HTTP_HEAD_BYTES_MAX)
            code = http_parse_request(have, c->head, &size, NULL);
        seen = have.n;
        if (size)
            code = keep_head(c, str_until(have, size));
        if (code) {
            refuse_bad_head(c, code);
            return false;
        }
        if (size)
            return is_acceptable(c);
        if (!hold_head(c)) {
            refuse_head(c, "503 Service Unavailable",
                        "too many undecoded bytes are held; try again later\n");
            return false;
        }
        if (!read_more(c)) {
            if (c->peer_ended && unused(c).n) // and may still listen
                refuse_bad_head(c, ERR_INVALID);
            return false;
        }
    }
}

static void conn_ready(void *arg);

static void conn_wait(struct conn *c)
{
    buf_deinit(&c->in); // an idle connection costs no buffer
    c->at = 0;
    arena_deinit(&c->arena);
    c->waits = true;
    timer_set(&c->idle, clock_mono_ns() + c->server->options.read_timeout_ns);
    stream_when_readable(c->stream, conn_ready, c);
}

static void conn_run(void *arg)
{
    struct conn *c = arg;
    c->fiber = fiber_self();
    for (;;) {
        c->reads_head = true;
        c->body_ended = true;
        const bool has_request = read_head(c);
        c->reads_head = false;
        if (!has_request) {
            release_body(c);
            break;
        }
        start_body(c);
        handle(c);
        if (!skip_body(c) || c->server->draining)
            break;
        arena_reset(&c->arena);
        if (c->at == c->in.n) {
            c->fiber = NULL;
            conn_wait(c);
            return;
        }
        fiber_yield_if_due(); // a pipelining client shares the shard
    }
    linger(c);
    conn_close(c);
}

static void conn_end(void *arg)
{
    conn_close(arg);
}

// A fiber for a connection that was idle; without one to be had the timer asks again.
static void conn_start(struct conn *c, fiber_fn *fn)
{
    timer_cancel(&c->idle);
    c->wants_fiber = false;
    c->waits = fiber_start(c->class, fn, c, NULL) != ERR_OK;
    if (c->waits) {
        c->wants_fiber = fn == conn_run;
        timer_set(&c->idle, clock_mono_ns() + RETRY_NS);
    }
}

static void conn_ready(void *arg)
{
    conn_start(arg, conn_run);
}

static void conn_idle(struct timer *timer)
{
    struct conn *c = container_of(timer, struct conn, idle);
    stream_when_readable_cancel(c->stream);
    conn_start(c, c->wants_fiber && !c->server->draining ? conn_run : conn_end);
}

void http_server_take(struct http_server *s, int fd, const struct address *peer)
{
    shard_connection_opened();
    if (s->draining) {
        socket_discard(fd);
        connection_ended(s);
        return;
    }
    struct conn *c = mem_zalloc(sizeof *c);
    c->server = s;
    c->class = LOOP_QUERY;
    c->stream = stream_from_fd(fd, peer, s->options.tls);
    arena_init(&c->arena, ARENA_LIMIT);
    timer_init(&c->idle, conn_idle);
    timer_init(&c->guard, guard_due);
    waiters_init(&c->guard_ended);
    list_push(&s->conns, &c->link);
    s->conns_count++;
    s->stats.connections++;
    conn_wait(c);
}

void http_server_drain(struct http_server *s)
{
    s->draining = true;
    for (struct list *l = s->conns.next; l != &s->conns; l = l->next) {
        struct conn *c = container_of(l, struct conn, link);
        if (c->waits) {
            stream_when_readable_cancel(c->stream);
            conn_start(c, conn_end);
        } else if (c->reads_head) { // half a request: nobody knows when the rest comes
            stream_abort(c->stream);
        }
    }
    while (s->conns_count && waiters_wait(&s->gone) == ERR_OK) {
    }
    for (struct list *l = s->conns.next; l != &s->conns; l = l->next) {
        struct conn *c = container_of(l, struct conn, link);
        stream_abort(c->stream);
        if (c->fiber) // a query ends, too, not only its answer
            fiber_cancel(c->fiber);
    }
    fiber_shield_begin();
    while (s->conns_count) {
        const err code = waiters_wait(&s->gone);
        (void)code; // behind a shield: only the last one's end counts
    }
    fiber_shield_end();
}
