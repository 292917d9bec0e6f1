// sink: answers every request with 204 and keeps nothing, to see what a generator can do.
#include <stdio.h>

#include "engine/base/list.h"
#include "engine/base/mem.h"
#include "engine/base/util.h"
#include "io/clock.h"
#include "io/process.h"
#include "io/stream.h"
#include "protocol/http1.h"
#include "tools/loadgen/loadgen.h"

enum { INPUT_PART = 256 * 1024, NS_PER_MS = 1000000 };

struct sink {
    int64_t port;
    struct str host;
    bool stops; // atomic
    struct list conns;
    uint64_t requests, bytes;
    err code;
    struct errmsg e;
};

struct sink_conn {
    struct list link;
    struct sink *sink;
    struct stream *stream;
};

// Heads are read into b, bodies are passed over. Suspends.
static err serve_one(struct sink_conn *c, struct buf *b, struct http_head *head, char *scratch)
{
    static const char answer[] = "HTTP/1.1 204 No Content\r\n\r\n";
    size_t head_n = 0, n;
    TRY(http_parse_request(buf_str(b), head, &head_n, NULL));
    while (!head_n) {
        TRY(stream_read(c->stream, buf_reserve(b, INPUT_PART), INPUT_PART, &n, NULL));
        if (!n)
            return ERR_IO;
        b->n += n;
        TRY(http_parse_request(buf_str(b), head, &head_n, NULL));
    }
    const uint64_t body = head->content_length > 0 ? (uint64_t)head->content_length : 0;
    const uint64_t whole = head_n + body;
    c->sink->bytes += whole;
    c->sink->requests++;
    if (b->n > whole) {
        memmove(b->p, b->p + whole, b->n - (size_t)whole);
        b->n -= (size_t)whole;
    } else {
        for (uint64_t left = whole - b->n; left; left -= n) {
            TRY(stream_read(c->stream, scratch, left < INPUT_PART ? (size_t)left : INPUT_PART, &n,
                            NULL));
            if (!n)
                return ERR_IO;
        }
        buf_reset(b);
    }
    return stream_write(c->stream, answer, sizeof answer - 1, NULL);
}

static void serve(void *arg)
{
    struct sink_conn *const c = arg;
    struct buf b = {0};
    struct http_head *const head = mem_alloc(sizeof *head);
    char *const scratch = mem_alloc(INPUT_PART);
    while (serve_one(c, &b, head, scratch) == ERR_OK)
        fiber_yield_if_due();
    list_remove(&c->link);
    stream_close(c->stream);
    buf_deinit(&b);
    mem_free(scratch);
    mem_free(head);
    mem_free(c);
}

static void accepted(void *arg, int fd, const struct address *peer)
{
    struct sink_conn *const c = mem_zalloc(sizeof *c);
    c->sink = arg;
    c->stream = stream_from_fd(fd, peer, NULL);
    list_push(&c->sink->conns, &c->link);
    fiber_start_always(LOOP_RECEIVE, serve, c, NULL);
}

static void end(void *arg)
{
    __atomic_store_n(&((struct sink *)arg)->stops, true, __ATOMIC_RELAXED);
}

static void flow(void *arg)
{
    struct sink *const s = arg;
    struct listener *listener = NULL;
    char host[256];
    snprintf(host, sizeof host, "%.*s", STR_ARG(s->host));
    s->code = listener_open(host, (uint16_t)s->port, accepted, s, &listener, &s->e);
    if (s->code)
        return;
    printf("listening on http://%s:%u\n", host, listener_port(listener));
    fflush(stdout);
    while (!__atomic_load_n(&s->stops, __ATOMIC_RELAXED))
        if (fiber_sleep_ns(100 * NS_PER_MS))
            break;
    listener_close(listener);
    for (struct list *i = s->conns.next; i != &s->conns; i = i->next)
        stream_abort(container_of(i, struct sink_conn, link)->stream);
    struct process_numbers numbers;
    process_numbers(&numbers);
    printf("%llu requests, %llu bytes, %.2f CPU s\n", (unsigned long long)s->requests,
           (unsigned long long)s->bytes, numbers.cpu_seconds);
}

static int run(const struct loadgen_command *c, int argc, const char *const *argv)
{
    struct sink s = {0};
    list_init(&s.conns);
    bool help = false;
    int code;
    const struct setting rows[] = {
        {"help", 'h', .flag = &help, .help = "Show this help."},
        {"host", .text = &s.host, .default_text = "127.0.0.1", .help = "Address to listen on."},
        {"port", .number = &s.port, .max = 65535, .default_text = "9091",
         .help = "Port to listen on; 0: the system chooses."},
    };
    if (!loadgen_parse(c, rows, countof(rows), argc, argv, &help, &code))
        return code;
    struct errmsg e;
    if (loadgen_run(flow, &s, end, &e))
        return loadgen_fail("%s", e.text);
    return s.code ? loadgen_fail("%s", s.e.text) : 0;
}

const struct loadgen_command loadgen_sink = {
    "sink", "", "Answers every request with 204 and keeps nothing.",
    "Ends with SIGINT or SIGTERM, and says what came.\n\n"
    "Example:\n  ferula-loadgen sink --port=9091 &\n"
    "  ferula-loadgen remote-write --no-read-back http://127.0.0.1:9091/api/v1/write\n",
    run};
