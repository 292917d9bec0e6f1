#include "protocol/http1.h"

#include "engine/base/number.h"
#include "engine/base/quote.h"
#include "engine/base/util.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

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

struct str http_take_token(struct str *s)
{
    size_t n = 0;
    while (n < s->n && is_token_byte((unsigned char)s->p[n]))
        n++;
    const struct str token = str_until(*s, n);
    *s = str_from(*s, n);
    return token;
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

bool http_next_header(struct str *rest, struct http_header *out)
{
    struct str line;
    if (!take_line(rest, &line))
        return false;
    const ptrdiff_t colon = str_find(line, ':', 0); // it was found before
    out->name = str_until(line, (size_t)colon);
    out->value = str_trim(str_from(line, (size_t)colon + 1));
    return true;
}

struct str http_header(const struct http_head *head, struct str name)
{
    struct http_header h;
    for (struct str rest = head->lines; http_next_header(&rest, &h);)
        if (str_eq_nocase(h.name, name))
            return h.value;
    return (struct str){0};
}

// "what", and the text as %q of Go.
static err malformed(const char *what, struct str text, struct errmsg *e)
{
    struct buf quoted = {0};
    buf_put_quoted(&quoted, text);
    const err code = err_set(e, ERR_INVALID, "%s %.*s", what, STR_ARG(buf_str(&quoted)));
    buf_deinit(&quoted);
    return code;
}

static err read_length(struct http_head *head, struct str value, struct errmsg *e)
{
    uint64_t length;
    if (!value.n || number_parse_u64(value, &length) != ERR_OK || length > INT64_MAX)
        return err_set(e, ERR_INVALID, "bad Content-Length \"%.*s\"", STR_ARG(value));
    if (head->content_length >= 0 && head->content_length != (int64_t)length)
        return err_set(e, ERR_INVALID,
                       "http: message cannot contain multiple Content-Length headers; got "
                       "[\"%lld\" \"%.*s\"]",
                       (long long)head->content_length, STR_ARG(value));
    head->content_length = (int64_t)length;
    return ERR_OK;
}

// What a header means for the framing of the message.
static err read_framing(struct http_head *head, const struct http_header *h, struct errmsg *e)
{
    if (str_eq_nocase(h->name, STR("content-length")))
        return read_length(head, h->value, e);
    if (str_eq_nocase(h->name, STR("transfer-encoding"))) {
        head->is_other_encoding = head->chunked || !str_eq_nocase(h->value, STR("chunked"));
        if (head->is_other_encoding)
            return malformed("unsupported transfer encoding:", h->value, e);
        head->chunked = true;
    } else if (str_eq_nocase(h->name, STR("connection"))) {
        if (http_has_token(h->value, STR("close")))
            head->keep_alive = false;
        else if (http_has_token(h->value, STR("keep-alive")))
            head->keep_alive = true;
    } else if (str_eq_nocase(h->name, STR("expect"))) {
        if (head->expects_continue || head->expects_other)
            return ERR_OK; // the first counts
        head->expects_continue = http_has_token(h->value, STR("100-continue"));
        head->expects_other = h->value.n && !head->expects_continue;
    }
    return ERR_OK;
}

// What Go takes for a name in an answer: with a space it is no header that anybody asks for.
static bool is_spaced_token(struct str s)
{
    bool any = false;
    for (size_t i = 0; i < s.n; i++) {
        any |= s.p[i] != ' ';
        if (s.p[i] != ' ' && !is_token_byte((unsigned char)s.p[i]))
            return false;
    }
    return any && s.p[0] != ' ';
}

static err read_header(struct http_head *head, struct str line, struct errmsg *e)
{
    const ptrdiff_t colon = str_find(line, ':', 0);
    if (colon == STR_NONE)
        return malformed("malformed MIME header: missing colon:", line, e);
    const struct http_header h = {str_until(line, (size_t)colon),
                                  str_trim(str_from(line, (size_t)colon + 1))};
    const bool named = head->is_answer ? is_spaced_token(h.name) : http_is_token(h.name);
    if (!named || !http_is_header_value(h.value))
        return malformed("malformed MIME header line:", line, e);
    return read_framing(head, &h, e);
}

static err read_version(struct http_head *head, struct str version, struct errmsg *e)
{
    const bool is_version = version.n == 8 && str_has_prefix(version, STR("HTTP/")) &&
                            is_digit(version.p[5]) && version.p[6] == '.' && is_digit(version.p[7]);
    head->is_other_version = is_version && version.p[5] != '1';
    if (!is_version || head->is_other_version)
        return err_set(e, ERR_INVALID, "malformed HTTP version \"%.*s\"", STR_ARG(version));
    head->version_minor = version.p[7] > '0';
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
    const ptrdiff_t space = str_find(line, ' ', 0);
    if (space == STR_NONE)
        return malformed("malformed HTTP response", line, e);
    const struct str version = str_until(line, (size_t)space);
    struct str rest = str_from(line, (size_t)space + 1), code = {0};
    while (rest.n && rest.p[0] == ' ')
        rest = str_from(rest, 1);
    if (rest.n)
        str_split(&rest, ' ', &code);
    uint64_t status = 0;
    if (code.n != 3 || number_parse_u64(code, &status) != ERR_OK)
        return malformed("malformed HTTP status code", code, e);
    if (version.n != 8 || !str_has_prefix(version, STR("HTTP/")) || !is_digit(version.p[5]) ||
        version.p[6] != '.' || !is_digit(version.p[7]))
        return malformed("malformed HTTP version", version, e);
    head->status = (int)status;
    head->is_answer = true;
    head->reason = rest.p ? rest : (struct str){0};
    head->version_minor = version.p[5] > '1' || (version.p[5] == '1' && version.p[7] > '0');
    head->keep_alive = head->version_minor == 1;
    return ERR_OK;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

void http_unfold(char *head, size_t size)
{
    for (size_t i = 1; i + 1 < size; i++) {
        if (head[i] != '\n' || !is_blank(head[i + 1]))
            continue;
        if (head[i - 1] == '\r')
            head[i - 1] = ' ';
        head[i] = ' ';
    }
}

typedef err first_line_fn(struct http_head *head, struct str line, struct errmsg *e);

static err parse_head(struct str bytes, first_line_fn *first, struct http_head *out,
                      size_t *out_size, struct errmsg *e)
{
    *out_size = 0;
    out->method = out->target = out->reason = (struct str){0};
    out->status = 0;
    out->content_length = -1;
    out->lines = (struct str){0};
    out->is_answer = out->is_folded = false;
    out->chunked = out->expects_continue = out->expects_other = false;
    out->is_other_version = out->is_other_encoding = false;
    struct str rest =
        str_until(bytes, bytes.n < HTTP_HEAD_BYTES_MAX ? bytes.n : HTTP_HEAD_BYTES_MAX);
    bool is_first = true;
    for (struct str line; take_line(&rest, &line);) {
        if (line.n && memchr(line.p, '\r', line.n))
            return err_set(e, ERR_INVALID, "bare carriage return in a header");
        if (is_first && !line.n && first == read_request_line)
            continue; // RFC 9112 2.2: an empty line before the first is passed over
        if (!is_first && !line.n) {
            const size_t size = (size_t)(rest.p - bytes.p);
            if (!out->is_folded && out->chunked && out->content_length >= 0 &&
                first == read_request_line)
                return err_set(e, ERR_INVALID, "both Content-Length and Transfer-Encoding");
            if (out->chunked)
                out->content_length = -1;
            out->lines.n = (size_t)(line.p - out->lines.p);
            *out_size = size;
            return ERR_OK;
        }
        if (is_first)
            TRY(first(out, line, e));
        else if (line.p == out->lines.p && is_blank(line.p[0]))
            return malformed("malformed MIME header initial line:", line, e);
        else if (!rest.n)
            break; // it may go on
        else if (is_blank(rest.p[0]))
            out->is_folded = true;
        else if (!out->is_folded)
            TRY(read_header(out, line, e));
        if (is_first)
            out->lines.p = rest.p;
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
            return err_set(e, ERR_INVALID, "http chunk length too large");
        c->left = c->left << 4 | (unsigned)digit;
        return ERR_OK;
    }
    if (c->state == CHUNK_SIZE && c->line_bytes == 1 && (byte == '\r' || byte == ';'))
        return err_set(e, ERR_INVALID, "empty hex number for chunk length");
    if ((c->state == CHUNK_SIZE && c->line_bytes == 1) ||
        (byte == '\n') != (c->state == CHUNK_SIZE_END))
        return err_set(e, ERR_INVALID, "invalid byte in chunk length");
    if (byte == '\n') {
        c->state = c->left ? CHUNK_DATA : CHUNK_TRAILER;
        c->line_bytes = 0;
    } else if (byte == '\r') {
        c->state = CHUNK_SIZE_END;
    } else if (byte == ';' || byte == ' ' || byte == '\t') {
        c->state = CHUNK_EXTENSION;
    } else if (c->state == CHUNK_SIZE) {
        return err_set(e, ERR_INVALID, "invalid byte in chunk length");
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
