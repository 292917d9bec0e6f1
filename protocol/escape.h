// Escaped metric and label names: the "values" scheme that APIs take in paths (U__...).
#ifndef PROTOCOL_ESCAPE_H
#define PROTOCOL_ESCAPE_H

#include "engine/base/arena.h"

// Undoes value escaping: "U__http_2e_requests" is "http.requests". What is not well formed comes
// back as it is, as Prometheus's model.UnescapeName has it.
struct str escape_undo_values(struct str name, struct arena *a);

#endif
