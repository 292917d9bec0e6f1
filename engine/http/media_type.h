// A Content-Type's media type, read as Go's mime.ParseMediaType does.
#ifndef ENGINE_HTTP_MEDIA_TYPE_H
#define ENGINE_HTTP_MEDIA_TYPE_H

#include "engine/base/err.h"
#include "engine/base/str.h"

// *out is the part before the parameters, as sent (compare in any case), a part of text. The
// messages are Go's. Parameters are checked for their form only.
err media_type_parse(struct str text, struct str *out, struct errmsg *e);

#endif
