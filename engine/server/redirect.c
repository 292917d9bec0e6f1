// Paths that are nearly right: Go's multiplexer and the router behind it send the client on.
#include "engine/server/redirect.h"

#include "engine/base/buf.h"
#include "engine/http/server.h"
#include "engine/server/server.h"
#include "protocol/url.h"

struct str redirect_clean(struct str path, struct arena *a)
{
    char *out = arena_alloc(a, path.n + 2, 1);
    size_t n = 0;
    struct str rest = path, part;
    bool ends_open = false; // behind the last part a slash is wanted
    while (str_split(&rest, '/', &part)) {
        const bool is_up = str_eq(part, STR(".."));
        ends_open = !part.n || is_up || str_eq(part, STR("."));
        if (is_up)
            while (n && out[--n] != '/')
                continue;
        if (ends_open)
            continue;
        out[n++] = '/';
        memcpy(out + n, part.p, part.n);
        n += part.n;
    }
    if (!n || (path.n && path.p[path.n - 1] == '/'))
        out[n++] = '/';
    return str_make(out, n);
}

static void put_html(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        const char c = s.p[i];
        if (c == '&' || c == '<' || c == '>' || c == '"' || c == '\'')
            buf_put_str(out, c == '&'   ? STR("&amp;")
                             : c == '<' ? STR("&lt;")
                             : c == '>' ? STR("&gt;")
                             : c == '"' ? STR("&#34;")
                                        : STR("&#39;"));
        else
            buf_put_char(out, c);
    }
}

void redirect(const struct server *s, struct http_exchange *x, int status, struct str path)
{
    struct buf to = {0}, body = {0};
    const bool is_get = str_eq(x->method, STR("GET")) || str_eq(x->method, STR("HEAD"));
    url_encode_paths(s->prefix, &to);
    url_encode_paths(path, &to);
    if (x->query.n) {
        buf_put_char(&to, '?');
        buf_put_str(&to, x->query);
    }
    http_add_header(x, "Location", buf_str(&to));
    if (is_get) {
        buf_put_str(&body, STR("<a href=\""));
        put_html(&body, buf_str(&to));
        buf_printf(&body, "\">%s</a>.\n\n", http_status_text(status));
    }
    http_answer(x, status, is_get ? "text/html; charset=utf-8" : NULL, buf_str(&body));
    buf_deinit(&to);
    buf_deinit(&body);
}
