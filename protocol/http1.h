// HTTP/1.1 message heads and chunked bodies (RFC 9112): bytes to structures, no input or output.
//
// Requests are read strictly where leniency lets two parties disagree on where a message ends: no
// folded headers, no space before a colon, no bare CR, no bare LF around chunks, one
// Content-Length, never together with Transfer-Encoding. Of answers the client is the only reader:
// they are taken as Go takes them, with its texts where they are not, but for folded headers.
#ifndef PROTOCOL_HTTP1_H
#define PROTOCOL_HTTP1_H

#include <stdint.h>

#include "engine/base/buf.h"
#include "engine/base/err.h"

enum {
    HTTP_HEAD_BYTES_MAX = (1 << 20) + 4096, // of the first line and all headers: Go's limit
};

struct http_header {
    struct str name, value; // as sent; the value without the spaces around it
};

struct http_head {
    struct str method, target; // of a request
    int status;                // of a response
    struct str reason;
    bool is_answer;         // a response
    bool is_folded;         // see http_unfold()
    int version_minor;      // of HTTP/1.x: 0 or 1; of an answer 1 for what is newer, too
    struct str lines;       // all headers, each with its end of line
    int64_t content_length; // -1: not said
    bool chunked;
    bool keep_alive; // what version and Connection say together
    bool expects_continue;
    bool expects_other; // than 100-continue, which is all that anybody may expect
    // Of a request that is refused, what it asks for: a version other than 1, a transfer encoding
    // other than chunked.
    bool is_other_version, is_other_encoding;
};

// Parses the head at the start of bytes. *out_size: its bytes with the empty line, 0: more bytes
// are needed. All slices point into bytes. ERR_INVALID: not HTTP; ERR_LIMIT: too long.
err http_parse_request(struct str bytes, struct http_head *out, size_t *out_size, struct errmsg *e);
err http_parse_response(struct str bytes, struct http_head *out, size_t *out_size,
                        struct errmsg *e);
// Headers may be folded: go on in lines that begin with a space. A folded head's headers are not
// read: once it is complete, is_folded says so; then its lines are to be joined here, in place, and
// the same bytes parsed again.
void http_unfold(char *head, size_t size);
// Takes the next header off rest, which begins as a head's lines; false: that was the last.
bool http_next_header(struct str *rest, struct http_header *out);
// The first of that name, in any case; NULL p: absent.
struct str http_header(const struct http_head *head, struct str name);
// Whether a comma-separated header value holds a token, in any case, parameters aside.
bool http_has_token(struct str value, struct str token);
const char *http_status_text(int status);  // "Not Found"; "" for unknown ones
bool http_is_token(struct str s);          // method and header names
struct str http_take_token(struct str *s); // off its start; empty: none stands there
bool http_is_header_value(struct str s);   // no control characters: nothing can be smuggled in

// A chunked body as it comes in. Zeroed is the start.
struct http_chunks {
    uint64_t left; // of the present chunk
    uint8_t state;
    uint32_t line_bytes; // of a size line or the trailers so far
};
// Takes some of in: *out_used bytes of it, of which *out_data (a part of in) belong to the body;
// both may be empty when more is needed. *out_end: the body is complete. Call until used up.
err http_chunks_feed(struct http_chunks *c, struct str in, size_t *out_used, struct str *out_data,
                     bool *out_end, struct errmsg *e);

#endif
