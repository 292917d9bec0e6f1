// What the server knows of its own address, and the web configuration it cannot honour yet.
#include "engine/base/number.h"
#include "engine/server/server.h"
#include "io/process.h"
#include "protocol/url.h"

static struct str keep(struct server *s, struct str text)
{
    return arena_str(&s->arena, text);
}

// --web.external-url and --web.route-prefix: the URL's path is the prefix unless that is given.
err server_set_urls(struct server *s, struct errmsg *e)
{
    struct str prefix = s->flags.prom.web.route_prefix;
    struct url u = {0};
    uint64_t port = 0;
    s->external_scheme = STR("http");
    const struct str first = s->flags.prom.web.listen_address.items[0];
    const ptrdiff_t colon = str_find_last(first, ':');
    if (s->flags.prom.web.external_url.n) {
        const err code = url_parse(s->flags.prom.web.external_url, &u, e);
        if (code)
            return err_wrap(e, code, "--web.external-url");
        const bool v6 = str_find(u.host, ':', 0) != STR_NONE;
        s->external_host =
            arena_printf(&s->arena, v6 ? "[%.*s]%s%.*s" : "%.*s%s%.*s", STR_ARG(u.host),
                         u.port_text.n ? ":" : "", STR_ARG(u.port_text));
        s->external_scheme = keep(s, u.scheme);
        if (!prefix.n)
            prefix = u.path;
    } else {
        s->external_host =
            arena_printf(&s->arena, "%s%.*s", process_hostname(),
                         colon == STR_NONE ? 0 : (int)(first.n - (size_t)colon), first.p + colon);
    }
    if (colon != STR_NONE && number_parse_u64(str_from(first, (size_t)colon + 1), &port) == ERR_OK)
        s->own_port = (uint16_t)port;
    while (prefix.n && prefix.p[prefix.n - 1] == '/')
        prefix.n--;
    if (prefix.n && prefix.p[0] != '/')
        prefix = arena_printf(&s->arena, "/%.*s", STR_ARG(prefix));
    s->prefix = keep(s, prefix);
    return ERR_OK;
}
