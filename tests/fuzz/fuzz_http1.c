// Heads and chunked bodies: however the bytes come in, the same is read of them.
#include "engine/base/buf.h"
#include "engine/base/mem.h"
#include "protocol/http1.h"
#include "tests/fuzz/fuzz.h"

typedef err parse_fn(struct str bytes, struct http_head *out, size_t *out_size, struct errmsg *e);

static bool is_within(struct str part, struct str all)
{
    return !part.n || (part.p >= all.p && part.p + part.n <= all.p + all.n);
}

static void check_head(const struct http_head *h, struct str all)
{
    fuzz_must(is_within(h->method, all) && is_within(h->target, all) && is_within(h->reason, all));
    fuzz_must(is_within(h->lines, all) && h->content_length >= -1);
    fuzz_must(!h->chunked || h->content_length < 0);
    struct http_header one;
    size_t looked_up = 0;
    for (struct str rest = h->lines; http_next_header(&rest, &one);) {
        fuzz_must(is_within(one.name, all) && is_within(one.value, all));
        fuzz_must(h->is_answer || http_is_token(one.name));
        fuzz_must(http_is_header_value(one.value));
        fuzz_must(looked_up++ > 100 || http_header(h, one.name).p != NULL);
    }
}

// What is sent again as it was read is read again as it was.
static void check_again(const struct http_head *h)
{
    struct buf b = {0};
    struct http_head again;
    size_t size;
    buf_printf(&b, "%.*s %.*s HTTP/1.%d\r\n", STR_ARG(h->method), STR_ARG(h->target),
               h->version_minor);
    struct http_header one;
    for (struct str rest = h->lines; http_next_header(&rest, &one);)
        buf_printf(&b, "%.*s:%.*s\r\n", STR_ARG(one.name), STR_ARG(one.value));
    buf_put_str(&b, STR("\r\n"));
    if (b.n < HTTP_HEAD_BYTES_MAX) {
        fuzz_must(http_parse_request(buf_str(&b), &again, &size, NULL) == ERR_OK && size == b.n);
        fuzz_must(again.chunked == h->chunked);
        fuzz_must(again.content_length == h->content_length && again.keep_alive == h->keep_alive);
        fuzz_must(str_eq(again.target, h->target));
    }
    buf_deinit(&b);
}

// Joined, the same bytes are a head of the same size that is folded no more, or none.
static void unfold(parse_fn *parse, const uint8_t *data, size_t size, bool is_request)
{
    char *const bytes = mem_alloc(size);
    memcpy(bytes, data, size);
    http_unfold(bytes, size);
    struct http_head h;
    size_t again;
    if (parse(str_make(bytes, size), &h, &again, NULL) == ERR_OK) {
        fuzz_must(again == size && !h.is_folded);
        check_head(&h, str_make(bytes, size));
        if (is_request)
            check_again(&h);
    }
    mem_free(bytes);
}

static void head(parse_fn *parse, const uint8_t *data, size_t size, bool is_request)
{
    const struct str input = fuzz_exact(data, size);
    struct http_head whole;
    size_t whole_size = 0;
    struct errmsg e;
    const err code = parse(input, &whole, &whole_size, &e);
    if (code == ERR_OK && whole_size && whole.is_folded) {
        unfold(parse, data, whole_size, is_request);
    } else if (code == ERR_OK && whole_size) {
        check_head(&whole, input);
        if (is_request)
            check_again(&whole);
    }
    // A part of it is not enough, or says the same already.
    const size_t step = size / 64 + 1;
    for (size_t n = 0; n < size; n += step) {
        const struct str part = fuzz_exact(data, n);
        struct http_head h;
        size_t part_size = 0;
        const err part_code = parse(part, &h, &part_size, NULL);
        if (part_code)
            fuzz_must(code != ERR_OK);
        else if (part_size)
            fuzz_must(code == ERR_OK && part_size == whole_size);
        fuzz_release(part);
    }
    fuzz_release(input);
}

static err feed(const uint8_t *data, size_t size, size_t step, struct buf *body, size_t *used,
                bool *end)
{
    struct http_chunks c = {0};
    *end = false;
    *used = 0;
    while (*used < size && !*end) {
        const size_t n = size - *used < step ? size - *used : step;
        const struct str part = fuzz_exact(data + *used, n);
        struct str out;
        size_t took;
        const err code = http_chunks_feed(&c, part, &took, &out, end, NULL);
        if (!code) {
            fuzz_must(is_within(out, part) && took <= n && (took > 0 || *end));
            buf_put_str(body, out);
            *used += took;
        }
        fuzz_release(part);
        if (code)
            return code;
    }
    return ERR_OK;
}

static void chunks(const uint8_t *data, size_t size)
{
    struct buf whole = {0}, pieces = {0};
    size_t whole_used, used;
    bool whole_end, end;
    const err code = feed(data, size, size + 1, &whole, &whole_used, &whole_end);
    for (size_t step = 1; step < 8; step += 2) {
        buf_reset(&pieces);
        fuzz_must(feed(data, size, step, &pieces, &used, &end) == code);
        fuzz_must(code || (used == whole_used && end == whole_end));
        fuzz_must(str_eq(buf_str(&pieces), buf_str(&whole)));
    }
    buf_deinit(&whole);
    buf_deinit(&pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    head(http_parse_request, data, size, true);
    head(http_parse_response, data, size, false);
    chunks(data, size);
    return 0;
}
