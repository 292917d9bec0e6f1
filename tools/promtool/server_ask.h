// Requests of commands to a server's HTTP API: one at a time, on a loop of their own.
#ifndef TOOLS_PROMTOOL_SERVER_ASK_H
#define TOOLS_PROMTOOL_SERVER_ASK_H

#include "engine/http/client.h"
#include "tools/promtool/promtool.h"

struct server_ask {
    struct str server;         // the URL as given
    struct str path;           // "/api/v1/query", behind the URL's own
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

// Looks at the flags and arguments that say whom to ask and how; false: one is wrong, which
// standard error says.
bool server_ask_check(const struct promtool *p, const struct server_ask *ask);
// Asks. Any status is an answer; errors are Go's of the transport: Post "http://...": dial tcp ...
err server_ask_run(const struct server_ask *ask, struct server_answer *out, struct errmsg *e);

#endif
