// multipart/form-data bodies (RFC 7578), read as Go's net/http reads them into a form.
#ifndef PROTOCOL_MULTIPART_H
#define PROTOCOL_MULTIPART_H

#include "protocol/url.h"

enum { MULTIPART_PARTS_MAX = 1000 };

// The boundary that a Content-Type of multipart/form-data names; NULL p: it is none, or names none.
struct str multipart_boundary(struct str content_type, struct arena *a);
// Adds the body's values behind the pairs of f; files are passed over. ERR_INVALID: the body is not
// whole or malformed, and nothing was added. Values are slices of body.
err multipart_parse(struct str body, struct str boundary, struct arena *a, struct form *f);

#endif
