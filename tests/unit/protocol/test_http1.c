#include "protocol/http1.h"

#include <criterion/criterion.h>

#include "engine/base/mem.h"
#include "engine/base/util.h"

Test(http1, reads_a_request)
{
    const struct str text = STR("\r\nPOST /api/v1/query?x=1 HTTP/1.1\r\nHost: a:9090\r\n"
                                "Content-Length:  5 \r\nAccept-Encoding: gzip;q=1, deflate\r\n"
                                "X-Empty:\r\n\r\nhello");
    struct http_head head;
    size_t size;
    cr_assert_eq(http_parse_request(text, &head, &size, NULL), ERR_OK);
    cr_assert_eq(size, text.n - 5);
    cr_assert(str_eq(head.method, STR("POST")));
    cr_assert(str_eq(head.target, STR("/api/v1/query?x=1")));
    cr_assert(str_eq(http_header(&head, STR("host")), STR("a:9090")));
    cr_assert_eq(head.content_length, 5);
    cr_assert(head.keep_alive && !head.chunked);
    cr_assert(http_has_token(http_header(&head, STR("accept-encoding")), STR("GZIP")));
    cr_assert_null(http_header(&head, STR("absent")).p);
    for (size_t n = 0; n < text.n - 5; n++) { // any part of it: more is needed
        char *part = mem_alloc(n);
        memcpy(part, text.p, n);
        cr_assert_eq(http_parse_request(str_make(part, n), &head, &size, NULL), ERR_OK);
        cr_assert_eq(size, 0);
        mem_free(part);
    }
}

static const struct {
    const char *text;
    err code;
    bool keep_alive;
} requests[] = {
    {"GET / HTTP/1.0\r\n\r\n", ERR_OK, false},
    {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", ERR_OK, true},
    {"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", ERR_OK, false},
    {"GET / HTTP/1.1\nHost: x\n\n", ERR_OK, true},
    {"GET  / HTTP/1.1\r\n\r\n", ERR_INVALID, false},
    {"GET / HTTP/2.0\r\n\r\n", ERR_INVALID, false},
    {"G\x01T / HTTP/1.1\r\n\r\n", ERR_INVALID, false},
    {"GET /\r\n\r\n", ERR_INVALID, false},
    {"GET / HTTP/1.1\r\nA : b\r\n\r\n", ERR_INVALID, false},
    {"GET / HTTP/1.1\r\n A: b\r\n\r\n", ERR_INVALID, false},
    {"GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", ERR_INVALID, false},
    {"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", ERR_INVALID, false},
    {"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", ERR_INVALID, false},
    {"GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", ERR_INVALID, false},
    {"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", ERR_INVALID,
     false},
    {"GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", ERR_INVALID, false},
};

Test(http1, refuses_what_two_parties_could_read_differently)
{
    for (size_t i = 0; i < countof(requests); i++) {
        struct http_head head;
        size_t size;
        cr_assert_eq(http_parse_request(str_from_c(requests[i].text), &head, &size, NULL),
                     requests[i].code, "row %zu", i);
        if (requests[i].code == ERR_OK)
            cr_assert_eq(head.keep_alive, requests[i].keep_alive, "row %zu", i);
    }
}

// As Go reads them; the number of spaces is ours.
Test(http1, joins_folded_lines)
{
    char text[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain;\r\n version=0.0.4\r\n"
                  "Content-Length:\n\t 5\r\nX-A: b\r\n \r\n\tc\r\n\r\nhello\n six";
    struct http_head head;
    size_t size, again;
    const struct str all = str_from_c(text);
    cr_assert_eq(http_parse_response(all, &head, &size, NULL), ERR_OK);
    cr_assert(head.is_folded && str_eq(str_from(all, size), STR("hello\n six")));
    for (size_t n = 0; n < size; n++) {
        cr_assert_eq(http_parse_response(str_until(all, n), &head, &again, NULL), ERR_OK);
        cr_assert_eq(again, 0);
    }
    http_unfold(text, size);
    cr_assert_eq(http_parse_response(all, &head, &again, NULL), ERR_OK);
    cr_assert(!head.is_folded && again == size);
    cr_assert_eq(head.content_length, 5);
    cr_assert(str_eq(http_header(&head, STR("content-type")), STR("text/plain;   version=0.0.4")));
    cr_assert(str_has_prefix(http_header(&head, STR("x-a")), STR("b ")));
    cr_assert(str_eq(str_from(all, size), STR("hello\n six")));
    struct errmsg e;
    cr_assert_eq(http_parse_response(STR("HTTP/1.1 200 OK\r\n A: b\r\n\r\n"), &head, &size, &e),
                 ERR_INVALID);
    cr_assert_str_eq(e.text, "malformed MIME header initial line: \" A: b\"");
}

Test(http1, bounds_the_head)
{
    struct buf b = {0};
    struct http_head head;
    size_t size;
    buf_put_str(&b, STR("GET / HTTP/1.1\r\n"));
    for (int i = 0; i < 50000; i++) // as many as fit
        buf_printf(&b, "a%d: b%d\r\n", i, i);
    buf_put_str(&b, STR("\r\n"));
    cr_assert_eq(http_parse_request(buf_str(&b), &head, &size, NULL), ERR_OK);
    cr_assert_eq(size, b.n);
    cr_assert(str_eq(http_header(&head, STR("A49999")), STR("b49999")));
    buf_reset(&b);
    buf_put_str(&b, STR("GET / HTTP/1.1\r\na: "));
    while (b.n < HTTP_HEAD_BYTES_MAX)
        buf_put_char(&b, 'x');
    cr_assert_eq(http_parse_request(buf_str(&b), &head, &size, NULL), ERR_LIMIT);
    buf_deinit(&b);
}

Test(http1, reads_a_response)
{
    struct http_head head;
    size_t size;
    cr_assert_eq(http_parse_response(STR("HTTP/1.1 204 No Content\r\n\r\n"), &head, &size, NULL),
                 ERR_OK);
    cr_assert_eq(head.status, 204);
    cr_assert_eq(http_parse_response(STR("HTTP/1.1 200\r\n\r\n"), &head, &size, NULL), ERR_OK);
    cr_assert_eq(http_parse_response(STR("SSH-2.0-OpenSSH\r\n\r\n"), &head, &size, NULL),
                 ERR_INVALID);
}

static err read_chunks(struct str text, size_t step, struct buf *body, bool *end)
{
    struct http_chunks c = {0};
    *end = false;
    for (size_t at = 0; at < text.n && !*end;) {
        struct str data;
        size_t used;
        const size_t n = text.n - at < step ? text.n - at : step;
        const err code = http_chunks_feed(&c, str_make(text.p + at, n), &used, &data, end, NULL);
        if (code)
            return code;
        cr_assert(used > 0);
        buf_put_str(body, data);
        at += used;
    }
    return ERR_OK;
}

static const struct {
    const char *text, *body; // body NULL: refused
} chunked[] = {
    {"5\r\nhello\r\n0\r\n\r\n", "hello"},
    {"5;ext=1\r\nhello\r\n1\r\n!\r\n0\r\nTrailer: x\r\n\r\n", "hello!"},
    {"0\r\n\r\n", ""},
    {"A\r\n0123456789\r\n00\r\n\r\n", "0123456789"},
    {"\r\n", NULL},
    {"x\r\n", NULL},
    {"1\r\nab", NULL},
    {"ffffffffffffffff1\r\n", NULL},
    {"-1\r\n", NULL},
    {"5\nhello\r\n0\r\n\r\n", NULL}, // a bare LF: others see another end
    {"5\r\nhello\n0\r\n\r\n", NULL},
    {"5\r\rhello\r\n0\r\n\r\n", NULL},
    {"5;a\rb\nhello\r\n", NULL},
    {"5\r\nhello\r\r\n", NULL},
    {" 5\r\nhello\r\n", NULL},
    {"0x5\r\nhello\r\n", NULL},
};

Test(http1, reads_chunks_however_they_are_cut)
{
    for (size_t i = 0; i < countof(chunked); i++) {
        for (size_t step = 1; step < 20; step++) {
            struct buf body = {0};
            bool end;
            const err code = read_chunks(str_from_c(chunked[i].text), step, &body, &end);
            cr_assert_eq(code, chunked[i].body ? ERR_OK : ERR_INVALID, "row %zu", i);
            if (chunked[i].body) {
                cr_assert(end, "row %zu", i);
                cr_assert(str_eq(buf_str(&body), str_from_c(chunked[i].body)), "row %zu", i);
            }
            buf_deinit(&body);
        }
    }
}
