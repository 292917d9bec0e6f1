// Names that are not [a-zA-Z_:][a-zA-Z0-9_:]*, for readers that know only such: Prometheus's
// schemes.
#ifndef PROTOCOL_ESCAPE_H
#define PROTOCOL_ESCAPE_H

#include "engine/base/arena.h"
#include "engine/base/buf.h"

// Undoes value escaping: "U__http_2e_requests" is "http.requests". What is not well formed comes
// back as it is, as Prometheus's model.UnescapeName has it.
struct str escape_undo_values(struct str name, struct arena *a);

enum escape_scheme {
    ESCAPE_UNDERSCORES, // http_requests: what is not legal becomes _
    ESCAPE_DOTS,        // http_dot_requests
    ESCAPE_VALUES,      // U__http_2e_requests
    ESCAPE_NONE,        // allow-utf-8: as it is, in quotes where that is needed
};
bool escape_is_legal(struct str name); // needs no escape
// Appends name as scheme writes it; a legal one may change too (ESCAPE_DOTS doubles underscores).
void escape_name(struct str name, enum escape_scheme scheme, struct buf *out);
const char *escape_scheme_text(enum escape_scheme scheme); // "allow-utf-8"
bool escape_scheme_parse(struct str text, enum escape_scheme *out);

#endif
