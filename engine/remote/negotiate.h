// What a remote_write request says it is, by its headers, and what its answer says was written.
//
// Content-Type names the message (without one it is 1.0, as senders of old have it); parameters are
// read as RFC 9110 has them. Content-Encoding is snappy, also when nothing is said, or zstd, which
// vmagent prefers.
#ifndef ENGINE_REMOTE_NEGOTIATE_H
#define ENGINE_REMOTE_NEGOTIATE_H

#include "engine/http/server.h"

enum remote_message {      // bits of a set
    REMOTE_MESSAGE_V1 = 1, // prometheus.WriteRequest
    REMOTE_MESSAGE_V2 = 2, // io.prometheus.write.v2.Request
    REMOTE_MESSAGES = 3,
};

enum remote_encoding { REMOTE_SNAPPY, REMOTE_ZSTD };

struct remote_format {
    enum remote_message message;
    enum remote_encoding encoding;
};

struct str remote_message_name(enum remote_message message);
// The message of this full name; false: there is none.
bool remote_message_parse(struct str name, enum remote_message *out);

// False: answered 415, in Prometheus's words. accepted is a set of enum remote_message. Suspends.
bool remote_negotiate(struct http_exchange *x, unsigned accepted, struct remote_format *out);

// What of a request of 2.0 is kept: its sender reads it from the answer.
struct remote_written {
    uint64_t samples, histograms, exemplars;
};
void remote_add_written(struct http_exchange *x, const struct remote_written *written);

#endif
