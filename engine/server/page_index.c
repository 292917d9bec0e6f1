// The page at /: what this server is, and where its answers are. It needs no script and nothing
// from elsewhere.
#include "engine/base/util.h"
#include "engine/server/handlers.h"
#include "engine/server/server.h"
#include "engine/server/version.h"

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n<title>Ferula</title>\n"
    "<link rel=\"icon\" href=\"data:,\">\n<style>\n"
    "body{margin:0;font:16px/1.5 system-ui,sans-serif;background:Canvas;color:CanvasText}\n"
    "main{max-width:60rem;margin:0 auto;padding:2.5rem 1.25rem}\n"
    "h1{margin:0;font-size:2rem;font-weight:650}\nh2{margin:0 0 .5rem;font-size:1.05rem}\n"
    "p{margin:.25rem 0 1.5rem;opacity:.75}\n"
    "form{display:flex;gap:.5rem;margin:0 0 2rem}\n"
    "input{flex:1;min-width:0;padding:.55rem .7rem;font:inherit;font-family:ui-monospace,monospace;"
    "border:1px solid GrayText;border-radius:.4rem;background:Field;color:FieldText}\n"
    "button{padding:.55rem 1.1rem;font:inherit;border:0;border-radius:.4rem;background:#4a7c1f;"
    "color:#fff;cursor:pointer}\n"
    "div{display:grid;grid-template-columns:repeat(auto-fit,minmax(16rem,1fr));gap:1.75rem}\n"
    "ul{margin:0;padding:0;list-style:none}\nli{margin:.2rem 0}\n"
    "a{color:#4a7c1f;text-underline-offset:.2em}\n"
    "@media(prefers-color-scheme:dark){a{color:#a5d66f}}\n"
    "</style>\n</head>\n<body>\n<main>\n<h1>Ferula</h1>\n";

static const struct {
    const char *title;
    struct {
        const char *path, *text;
    } links[7];
} sections[] = {
    {"What is measured",
     {{"/api/v1/targets", "Targets and how their scrapes went"},
      {"/api/v1/label/__name__/values", "Names of metrics"},
      {"/api/v1/labels", "Names of labels"},
      {"/api/v1/metadata", "What metrics mean"},
      {"/federate?match%5B%5D=up", "Newest samples, for another server"}}},
    {"How it is set up",
     {{"/api/v1/status/config", "Configuration in effect"},
      {"/api/v1/status/flags", "Command line"},
      {"/api/v1/scrape_pools", "Scrape pools"},
      {"/api/v1/features", "Features"}}},
    {"How this server does",
     {{"/metrics", "Metrics of this server"},
      {"/api/v1/status/tsdb", "What the head holds"},
      {"/api/v1/status/tsdb?growth=1h", "What grew"},
      {"/api/v1/status/runtimeinfo", "Run time"},
      {"/api/v1/status/buildinfo", "Version"},
      {"/api/v1/notifications", "Notices"},
      {"/-/ready", "Ready?"}}},
};

static void put_sections(const struct server *s, struct buf *out)
{
    buf_put_str(out, STR("<div>\n"));
    for (size_t i = 0; i < countof(sections); i++) {
        buf_printf(out, "<section>\n<h2>%s</h2>\n<ul>\n", sections[i].title);
        for (size_t k = 0; k < countof(sections[i].links) && sections[i].links[k].path; k++)
            buf_printf(out, "<li><a href=\"%.*s%s\">%s</a></li>\n", STR_ARG(s->prefix),
                       sections[i].links[k].path, sections[i].links[k].text);
        buf_put_str(out, STR("</ul>\n</section>\n"));
    }
    buf_put_str(out, STR("</div>\n"));
}

void page_index(struct server *s, struct http_exchange *x)
{
    static const char *const states[] = {
        [SERVER_STARTING] = "starting", [SERVER_READY] = "ready", [SERVER_STOPPING] = "stopping"};
    const struct str since = api_date(x->arena, s->start_ms / 1000 * 1000);
    struct buf out = {0};
    buf_put_str(&out, str_from_c(head));
    buf_printf(&out,
               "<p>Version %s, answers as Prometheus %s does. It is %s and runs since "
               "<time>%.*s</time>. There are no graphs here yet: point Grafana at this address, "
               "with a data source of the kind Prometheus.</p>\n",
               FERULA_VERSION, PROMETHEUS_VERSION, states[server_state(s)], STR_ARG(since));
    buf_printf(&out,
               "<form action=\"%.*s/api/v1/query\">\n<input name=\"query\" value=\"up\" "
               "aria-label=\"PromQL\" spellcheck=\"false\" autocomplete=\"off\">\n"
               "<button>Ask</button>\n</form>\n",
               STR_ARG(s->prefix));
    put_sections(s, &out);
    buf_put_str(&out, STR("</main>\n</body>\n</html>\n"));
    http_answer(x, 200, "text/html; charset=utf-8", buf_str(&out));
    buf_deinit(&out);
}
