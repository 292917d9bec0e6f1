// URLs and form encoding, as Go's net/url reads and writes them where that shows.
#ifndef PROTOCOL_URL_H
#define PROTOCOL_URL_H

#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/err.h"

struct url {
    struct str scheme; // lower case as given
    struct str user, password;
    bool has_user, has_password;
    struct str host;      // without brackets, as given: %XX stands for itself
    struct str port_text; // digits, as given; "": none
    uint16_t port;        // of them; 0: none, or too many for one
    struct str path;      // as given, "" or from the first slash on
    struct str query;     // without the ?
    struct str fragment;
};

// An absolute URL with a host. Slices point into text.
err url_parse(struct str text, struct url *out, struct errmsg *e);
// scheme's port: 80, 443, or 0.
uint16_t url_default_port(struct str scheme);
// Where a reference leads to, seen from base, whose scheme and host are origin ("http://a:1"): an
// absolute URL, in the arena.
err url_resolve(const struct url *base, struct str origin, struct str reference, struct arena *a,
                struct str *out, struct errmsg *e);
// A text that may be no URL, with what stands where a password does replaced by ***, as errors of
// Go's clients name it.
void url_put_named(struct str text, struct buf *out);
// The text with its password replaced by xxxxx, as Go's URL.Redacted().
void url_format_redacted(const struct url *u, struct buf *out);

// Undoes %XX, and + when plus_is_space; ERR_INVALID: a bad escape.
err url_decode(struct str s, bool plus_is_space, struct arena *a, struct str *out);
void url_encode_query(struct str s, struct buf *out); // all but letters, digits, -_.~; space is +
void url_encode_path(struct str s, struct buf *out);  // one path segment; space is %20
void url_encode_paths(struct str s, struct buf *out); // a whole path: / , and ; stay
void url_encode_host(struct str s, struct buf *out);  // with port and brackets

// A request's parameters: pairs of a query string or a form body, in order.
struct form_pair {
    struct str name, value;
};
struct form {
    struct form_pair *pairs;
    size_t n;
};
enum { FORM_PAIRS_MAX = 10000 };
// Adds the pairs of text behind those of f. ERR_INVALID: some cannot be read; the others stand, as
// in Go, whose handlers may pass that over. ERR_LIMIT: more than FORM_PAIRS_MAX, and none was
// added.
err form_parse(struct str text, struct arena *a, struct form *f, struct errmsg *e);
// The first value of that name; NULL p: absent.
struct str form_get(const struct form *f, struct str name);

#endif
