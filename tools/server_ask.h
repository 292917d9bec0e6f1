// Requests of commands to a server's HTTP API: one at a time, on a loop of their own.
#ifndef TOOLS_SERVER_ASK_H
#define TOOLS_SERVER_ASK_H

#include "engine/http/client.h"

struct server_ask {
    struct str server;         // the URL as given
    struct str path;           // "/api/v1/query", behind the URL's own
    bool is_text;              // path stands behind the URL's text, whatever that ends with
    struct str params;         // form-encoded; empty: none
    bool is_post;              // with params as the body; GET where the server refuses POST
    const struct str *headers; // more, as KEY=VALUE
    size_t headers_n;
    int64_t timeout_ms;
    struct str http_config_file; // empty: none
};

struct server_answer {
    int status;
    struct buf body; // not compressed
};
void server_answer_deinit(struct server_answer *a);

// The part of a URL before its first colon when it stands where a scheme would; empty: none.
// *out_bad: what stands there is none.
struct str server_ask_scheme(struct str url, bool *out_bad);
// KEY=VALUE or KEY:VALUE taken apart; false: it is neither.
bool server_ask_header(struct str pair, struct str *out_name, struct str *out_value);
// The user and password of the URL, in the arena; *out_has: it has them.
err server_ask_user(struct str server, struct arena *a, struct str *out_user,
                    struct str *out_password, bool *out_has);
// Asks. Any status is an answer; errors are Go's of the transport: Post "http://...": dial tcp ...
err server_ask_run(const struct server_ask *ask, struct server_answer *out, struct errmsg *e);

#endif
