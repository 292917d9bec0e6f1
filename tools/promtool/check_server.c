// check healthy, check ready.
#include <stdio.h>

#include "engine/base/util.h"
#include "tools/promtool/server_check.h"

enum { TIMEOUT_MS = 10000, STATUS_OK = 200 };

size_t check_server_flags(struct promtool *p, struct setting *rows)
{
    const struct setting all[] = {
        {"http.config.file", .text = &p->http_config_file, .placeholder = "<filename>",
         .help = "HTTP client configuration file for promtool to connect to Prometheus."},
        {"url", .text = &p->url, .default_text = "http://localhost:9090",
         .help = "The URL for the Prometheus server."},
    };
    memcpy(rows, all, sizeof all);
    return countof(all);
}

static int check(const struct promtool *p, struct str path)
{
    const struct server_ask ask = {.server = p->url,
                                   .path = path,
                                   .is_text = true,
                                   .timeout_ms = TIMEOUT_MS,
                                   .http_config_file = p->http_config_file};
    struct server_answer answer = {0};
    struct errmsg e;
    if (!server_check(p, &ask))
        return PROMTOOL_FAILED;
    int code = PROMTOOL_FAILED;
    if (server_ask_run(&ask, &answer, &e))
        fprintf(stderr, "%s\n", e.text);
    else if (answer.status != STATUS_OK)
        fprintf(stderr, "check failed: URL=%.*s, status=%d\n", STR_ARG(p->url), answer.status);
    else
        code = PROMTOOL_OK;
    if (code == PROMTOOL_OK)
        fprintf(stderr, "  SUCCESS:  %.*s\n", STR_ARG(buf_str(&answer.body)));
    server_answer_deinit(&answer);
    return code;
}

int check_healthy(const struct promtool *p)
{
    return check(p, STR("/-/healthy"));
}

int check_ready(const struct promtool *p)
{
    return check(p, STR("/-/ready"));
}
