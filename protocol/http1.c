#include "protocol/http1.h"

#include "engine/base/number.h"
#include "engine/base/util.h"

static bool is_token_byte(unsigned char c)
{
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        return true;
    return c && memchr("!#$%&'*+-.^_`|~", c, 15) != NULL;
}

bool http_is_token(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_token_byte((unsigned char)s.p[i]))
            return false;
    return s.n > 0;
}

bool http_is_header_value(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        const unsigned char c = (unsigned char)s.p[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

// The next line without its end, which is CRLF or LF; false: it is not complete.
static bool take_line(struct str *rest, struct str *out)
{
    const ptrdiff_t at = str_find(*rest, '\n', 0);
    if (at == STR_NONE)
        return false;
    *out = str_until(*rest, (size_t)at);
    *rest = str_from(*rest, (size_t)at + 1);
    if (out->n && out->p[out->n - 1] == '\r')
        out->n--;
    return true;
}

bool http_has_token(struct str value, struct str token)
{
    for (struct str part; str_split(&value, ',', &part);) {
        const ptrdiff_t end = str_find(part, ';', 0);
        const struct str name = str_trim(end == STR_NONE ? part : str_until(part, (size_t)end));
        if (str_eq_nocase(name, token))
            return true;
    }
    return false;
}

struct str http_header(const struct http_head *head, struct str name)
{
    for (size_t i = 0; i < head->headers_count; i++)
        if (str_eq_nocase(head->headers[i].name, name))
            return head->headers[i].value;
    return (struct str){0};
}

static err read_length(struct http_head *head, struct str value, struct errmsg *e)
{
    uint64_t length;
    if (!value.n || number_parse_u64(value, &length) != ERR_OK || length > INT64_MAX)
        return err_set(e, ERR_INVALID, "bad Content-Length \"%.*s\"", STR_ARG(value));
    if (head->content_length >= 0 && head->content_length != (int64_t)length)
        return err_set(e, ERR_INVALID, "two different Content-Length headers");
    head->content_length = (int64_t)length;
    return ERR_OK;
}

// What a header means for the framing of the message.
static err read_framing(struct http_head *head, const struct http_header *h, struct errmsg *e)
{
    if (str_eq_nocase(h->name, STR("content-length")))
        return read_length(head, h->value, e);
    if (str_eq_nocase(h->name, STR("transfer-encoding"))) {
        if (head->chunked || !str_eq_nocase(h->value, STR("chunked")))
            return err_set(e, ERR_INVALID, "unsupported Transfer-Encoding \"%.*s\"",
                           STR_ARG(h->value));
        head->chunked = true;
    } else if (str_eq_nocase(h->name, STR("connection"))) {
        if (http_has_token(h->value, STR("close")))
            head->keep_alive = false;
        else if (http_has_token(h->value, STR("keep-alive")))
            head->keep_alive = true;
    } else if (str_eq_nocase(h->name, STR("expect"))) {
        head->expects_continue = str_eq_nocase(h->value, STR("100-continue"));
    }
    return ERR_OK;
}

static err read_header(struct http_head *head, struct str line, struct errmsg *e)
{
    const ptrdiff_t colon = str_find(line, ':', 0);
    if (colon == STR_NONE || !http_is_token(str_until(line, (size_t)colon)))
        return err_set(e, ERR_INVALID, "malformed header line");
    if (head->headers_count == HTTP_HEADERS_MAX)
        return err_set(e, ERR_LIMIT, "more than %d headers", HTTP_HEADERS_MAX);
    struct http_header *h = &head->headers[head->headers_count];
    h->name = str_until(line, (size_t)colon);
    h->value = str_trim(str_from(line, (size_t)colon + 1));
    if (!http_is_header_value(h->value))
        return err_set(e, ERR_INVALID, "control character in a header value");
    head->headers_count++;
    return read_framing(head, h, e);
}

static err read_version(struct http_head *head, struct str version, struct errmsg *e)
{
    if (str_eq(version, STR("HTTP/1.1")))
        head->version_minor = 1;
    else if (str_eq(version, STR("HTTP/1.0")))
        head->version_minor = 0;
    else
        return err_set(e, ERR_INVALID, "malformed HTTP version \"%.*s\"", STR_ARG(version));
    head->keep_alive = head->version_minor == 1;
    return ERR_OK;
}

static err read_request_line(struct http_head *head, struct str line, struct errmsg *e)
{
    struct str rest = line, version;
    if (!str_split(&rest, ' ', &head->method) || !str_split(&rest, ' ', &head->target) ||
        !str_split(&rest, ' ', &version) || rest.p || !http_is_token(head->method) ||
        !head->target.n || !http_is_header_value(head->target))
        return err_set(e, ERR_INVALID, "malformed request line");
    return read_version(head, version, e);
}

static err read_status_line(struct http_head *head, struct str line, struct errmsg *e)
{
    struct str rest = line, version, code;
    uint64_t status;
    if (!str_split(&rest, ' ', &version) || !str_split(&rest, ' ', &code) || code.n != 3 ||
        number_parse_u64(code, &status) != ERR_OK || status < 100)
        return err_set(e, ERR_INVALID, "malformed HTTP response \"%.*s\"",
                       (int)(line.n < 64 ? line.n : 64), line.p ? line.p : "");
    head->status = (int)status;
    head->reason = rest.p ? rest : (struct str){0};
    return read_version(head, version, e);
}

typedef err first_line_fn(struct http_head *head, struct str line, struct errmsg *e);

static err parse_head(struct str bytes, first_line_fn *first, struct http_head *out,
                      size_t *out_size, struct errmsg *e)
{
    *out_size = 0;
    out->method = out->target = out->reason = (struct str){0};
    out->status = 0;
    out->content_length = -1;
    out->headers_count = 0;
    out->chunked = out->expects_continue = false;
    struct str rest =
        str_until(bytes, bytes.n < HTTP_HEAD_BYTES_MAX ? bytes.n : HTTP_HEAD_BYTES_MAX);
    bool is_first = true;
    for (struct str line; take_line(&rest, &line);) {
        if (line.n && memchr(line.p, '\r', line.n))
            return err_set(e, ERR_INVALID, "bare carriage return in a header");
        if (is_first && !line.n)
            continue; // RFC 9112 2.2: an empty line before the first is passed over
        if (!is_first && !line.n) {
            if (out->chunked && out->content_length >= 0)
                return err_set(e, ERR_INVALID, "both Content-Length and Transfer-Encoding");
            *out_size = (size_t)(rest.p - bytes.p);
            return ERR_OK;
        }
        TRY(is_first ? first(out, line, e) : read_header(out, line, e));
        is_first = false;
    }
    if (bytes.n >= HTTP_HEAD_BYTES_MAX)
        return err_set(e, ERR_LIMIT, "headers of more than %d bytes", HTTP_HEAD_BYTES_MAX);
    return ERR_OK;
}

err http_parse_request(struct str bytes, struct http_head *out, size_t *out_size, struct errmsg *e)
{
    return parse_head(bytes, read_request_line, out, out_size, e);
}

err http_parse_response(struct str bytes, struct http_head *out, size_t *out_size, struct errmsg *e)
{
    return parse_head(bytes, read_status_line, out, out_size, e);
}

const char *http_status_text(int status)
{
    static const struct {
        int status;
        const char *text;
    } rows[] = {
        {100, "Continue"},
        {200, "OK"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {413, "Request Entity Too Large"},
        {414, "Request URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {418, "I'm a teapot"},
        {422, "Unprocessable Entity"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {499, "Client Closed Request"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < countof(rows); i++)
        if (rows[i].status == status)
            return rows[i].text;
    return "";
}

// A chunked body: size line, data, CRLF, ..., size line of 0, trailers, empty line.
enum {
    CHUNK_SIZE,
    CHUNK_EXTENSION,
    CHUNK_SIZE_END, // behind its CR
    CHUNK_DATA,
    CHUNK_DATA_END,
    CHUNK_TRAILER,
    CHUNK_DONE,
};
enum { CHUNK_LINE_MAX = 4096, CHUNK_TRAILERS_MAX = 16 * 1024 };

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    const char l = (char)(c | 0x20);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

// One byte of a size line. line_bytes counts it, so an empty size is seen.
static err feed_size(struct http_chunks *c, char byte, struct errmsg *e)
{
    const int digit = hex_value(byte);
    if (++c->line_bytes > CHUNK_LINE_MAX)
        return err_set(e, ERR_LIMIT, "chunk size line too long");
    if (c->state == CHUNK_SIZE && digit >= 0) {
        if (c->left >> 58)
            return err_set(e, ERR_INVALID, "chunk size too large");
        c->left = c->left << 4 | (unsigned)digit;
        return ERR_OK;
    }
    if (c->state == CHUNK_SIZE && c->line_bytes == 1)
        return err_set(e, ERR_INVALID, "malformed chunk size");
    if ((byte == '\n') != (c->state == CHUNK_SIZE_END))
        return err_set(e, ERR_INVALID, "malformed chunk size");
    if (byte == '\n') {
        c->state = c->left ? CHUNK_DATA : CHUNK_TRAILER;
        c->line_bytes = 0;
    } else if (byte == '\r') {
        c->state = CHUNK_SIZE_END;
    } else if (byte == ';' || byte == ' ' || byte == '\t') {
        c->state = CHUNK_EXTENSION;
    } else if (c->state == CHUNK_SIZE) {
        return err_set(e, ERR_INVALID, "malformed chunk size");
    }
    return ERR_OK;
}

// Trailers are passed over; the high bit of line_bytes says that the present line has bytes.
static err feed_trailer(struct http_chunks *c, char byte, struct errmsg *e)
{
    static const uint32_t NOT_EMPTY = 1u << 31;
    const unsigned count = (c->line_bytes & ~NOT_EMPTY) + 1;
    if (count > CHUNK_TRAILERS_MAX)
        return err_set(e, ERR_LIMIT, "trailers too long");
    if (byte != '\n')
        c->line_bytes = count | (c->line_bytes & NOT_EMPTY) | (byte == '\r' ? 0 : NOT_EMPTY);
    else if (c->line_bytes & NOT_EMPTY)
        c->line_bytes = count;
    else
        c->state = CHUNK_DONE;
    return ERR_OK;
}

static err feed_data_end(struct http_chunks *c, char byte, struct errmsg *e)
{
    if (byte == '\r' && c->line_bytes++ == 0)
        return ERR_OK;
    if (byte != '\n' || c->line_bytes != 1)
        return err_set(e, ERR_INVALID, "malformed chunked encoding");
    *c = (struct http_chunks){.state = CHUNK_SIZE};
    return ERR_OK;
}

err http_chunks_feed(struct http_chunks *c, struct str in, size_t *out_used, struct str *out_data,
                     bool *out_end, struct errmsg *e)
{
    size_t at = 0;
    *out_data = (struct str){0};
    while (at < in.n && c->state != CHUNK_DONE) {
        if (c->state == CHUNK_DATA) {
            const size_t n = in.n - at < c->left ? in.n - at : (size_t)c->left;
            *out_data = str_make(in.p + at, n);
            c->left -= n;
            at += n;
            if (!c->left)
                c->state = CHUNK_DATA_END;
            break;
        }
        const char byte = in.p[at++];
        if (c->state == CHUNK_DATA_END)
            TRY(feed_data_end(c, byte, e));
        else if (c->state == CHUNK_TRAILER)
            TRY(feed_trailer(c, byte, e));
        else
            TRY(feed_size(c, byte, e));
    }
    *out_used = at;
    *out_end = c->state == CHUNK_DONE;
    return ERR_OK;
}
