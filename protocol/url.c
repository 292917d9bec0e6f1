#include "protocol/url.h"

#include <stdarg.h>
#include <stdio.h>

#include "engine/base/number.h"
#include "engine/base/quote.h"

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    const char l = (char)(c | 0x20);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

// The first escape that is none, as far as it goes.
static struct str bad_escape(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '%')
            continue;
        if (s.n - i < 3 || hex_value(s.p[i + 1]) < 0 || hex_value(s.p[i + 2]) < 0)
            return str_make(s.p + i, s.n - i < 3 ? s.n - i : 3);
        i += 2;
    }
    return (struct str){0};
}

// parse "TEXT": why
static err refuse(struct str text, struct errmsg *e, const char *why, ...)
    __attribute__((format(printf, 3, 4)));
static err refuse(struct str text, struct errmsg *e, const char *why, ...)
{
    struct buf quoted = {0};
    va_list args;
    va_start(args, why);
    char reason[sizeof e->text];
    vsnprintf(reason, sizeof reason, why, args);
    va_end(args);
    buf_put_quoted(&quoted, text);
    const err code = err_set(e, ERR_INVALID, "parse %.*s: %s", STR_ARG(buf_str(&quoted)), reason);
    buf_deinit(&quoted);
    return code;
}

static err check_bytes(struct str text, struct errmsg *e)
{
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] < ' ' || text.p[i] == 0x7f)
            return refuse(text, e, "net/url: invalid control character in URL");
    return ERR_OK;
}

static err check_escapes(struct str path, struct str text, struct errmsg *e)
{
    const struct str bad = bad_escape(path);
    if (!bad.n)
        return ERR_OK;
    return refuse(text, e, "invalid URL escape \"%.*s\"", STR_ARG(bad));
}

static bool is_scheme(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        const char c = s.p[i], l = (char)(c | 0x20);
        const bool letter = l >= 'a' && l <= 'z';
        if (!letter && (i == 0 || !((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.')))
            return false;
    }
    return s.n > 0;
}

// host, host:port, [v6], [v6]:port
static err parse_host(struct str s, struct url *u, struct str text, struct errmsg *e)
{
    struct str port = {0};
    if (s.n && s.p[0] == '[') {
        const ptrdiff_t end = str_find(s, ']', 0);
        if (end == STR_NONE)
            return refuse(text, e, "missing ']' in host");
        u->host = str_make(s.p + 1, (size_t)end - 1);
        s = str_from(s, (size_t)end + 1);
        if (str_find(u->host, ':', 0) == STR_NONE && str_find(u->host, '[', 0) == STR_NONE)
            return refuse(text, e, "invalid host: ParseAddr(\"%.*s\"): unable to parse IP",
                          STR_ARG(u->host));
        if (s.n && s.p[0] != ':')
            return refuse(text, e, "invalid port \"%.*s\" after host", STR_ARG(s));
        port = s.n ? str_from(s, 1) : s;
    } else {
        const ptrdiff_t colon = str_find_last(s, ':');
        u->host = colon == STR_NONE ? s : str_until(s, (size_t)colon);
        if (colon != STR_NONE)
            port = str_from(s, (size_t)colon + 1);
    }
    TRY(check_escapes(u->host, text, e));
    for (size_t i = 0; i < u->host.n; i++) {
        const char c = u->host.p[i];
        if (c == '%' && i + 2 < u->host.n && (u->host.p[i + 1] & 0xff) < '8' &&
            !str_eq(str_make(u->host.p + i, 3), STR("%25")))
            return refuse(text, e, "invalid URL escape \"%.3s\"", u->host.p + i);
        if (c == '[' || c == ']' || (c && (unsigned char)c < 0x80 && strchr(" @\\^`{|}/?#", c)))
            return refuse(text, e, "invalid character \"%c\" in host name", c);
    }
    for (size_t i = 0; i < port.n; i++)
        if (port.p[i] < '0' || port.p[i] > '9')
            return refuse(text, e, "invalid port \":%.*s\" after host", STR_ARG(port));
    uint64_t number;
    u->port_text = port;
    if (number_parse_u64(port, &number) == ERR_OK && number <= 65535)
        u->port = (uint16_t)number;
    return ERR_OK;
}

static err parse_user(struct str s, struct url *u, struct str text, struct errmsg *e)
{
    for (size_t i = 0; i < s.n; i++) {
        const char l = (char)(s.p[i] | 0x20);
        if (!(l >= 'a' && l <= 'z') && (!s.p[i] || !strchr("0123456789-._:~!$&'()*+,;=%@", s.p[i])))
            return refuse(text, e, "net/url: invalid userinfo");
    }
    TRY(check_escapes(s, text, e));
    const ptrdiff_t colon = str_find(s, ':', 0);
    u->has_user = true;
    u->user = colon == STR_NONE ? s : str_until(s, (size_t)colon);
    u->has_password = colon != STR_NONE;
    if (u->has_password)
        u->password = str_from(s, (size_t)colon + 1);
    return ERR_OK;
}

err url_parse(struct str text, struct url *out, struct errmsg *e)
{
    struct url u = {0};
    TRY(check_bytes(text, e));
    const ptrdiff_t colon = str_find(text, ':', 0);
    if (colon == STR_NONE || !is_scheme(str_until(text, (size_t)colon)))
        return refuse(text, e, "missing protocol scheme");
    u.scheme = str_until(text, (size_t)colon);
    struct str rest = str_from(text, (size_t)colon + 1);
    if (!str_has_prefix(rest, STR("//")))
        return refuse(text, e, "no host in URL");
    rest = str_from(rest, 2);
    const ptrdiff_t hash = str_find(rest, '#', 0);
    if (hash != STR_NONE) {
        u.fragment = str_from(rest, (size_t)hash + 1);
        rest = str_until(rest, (size_t)hash);
    }
    const ptrdiff_t question = str_find(rest, '?', 0);
    if (question != STR_NONE) {
        u.query = str_from(rest, (size_t)question + 1);
        rest = str_until(rest, (size_t)question);
    }
    const ptrdiff_t slash = str_find(rest, '/', 0);
    struct str authority = slash == STR_NONE ? rest : str_until(rest, (size_t)slash);
    u.path = slash == STR_NONE ? (struct str){0} : str_from(rest, (size_t)slash);
    const ptrdiff_t at = str_find_last(authority, '@');
    if (at != STR_NONE) {
        TRY(parse_user(str_until(authority, (size_t)at), &u, text, e));
        authority = str_from(authority, (size_t)at + 1);
    }
    TRY(parse_host(authority, &u, text, e));
    TRY(check_escapes(u.path, text, e));
    *out = u;
    return ERR_OK;
}

// Takes "." away and lets ".." eat the part before it; path begins with a slash.
static struct str without_dots(struct str path, struct arena *a)
{
    char *const out = arena_alloc(a, path.n + 1, 1);
    size_t n = 0;
    struct str rest = str_from(path, 1), part;
    bool is_folder = true;
    while (str_split(&rest, '/', &part)) {
        const bool up = str_eq(part, STR(".."));
        is_folder = up || str_eq(part, STR("."));
        while (up && n && out[--n] != '/')
            ;
        if (is_folder)
            continue;
        out[n++] = '/';
        if (part.n)
            memcpy(out + n, part.p, part.n);
        n += part.n;
    }
    if (is_folder)
        out[n++] = '/';
    return str_make(out, n);
}

// A reference without scheme or host, its path joined with that of base.
static err resolve_path(const struct url *base, struct str reference, struct arena *a,
                        struct str *out, struct errmsg *e)
{
    size_t end = 0;
    while (end < reference.n && reference.p[end] != '?' && reference.p[end] != '#')
        end++;
    const struct str path = str_until(reference, end), tail = str_from(reference, end);
    TRY(check_bytes(reference, e));
    TRY(check_escapes(path, reference, e));
    const ptrdiff_t slash = str_find_last(base->path, '/');
    const struct str folder =
        slash == STR_NONE ? STR("/") : str_until(base->path, (size_t)slash + 1);
    struct str whole = path.n ? path : base->path;
    if (path.n && path.p[0] != '/')
        whole = arena_printf(a, "%.*s%.*s", STR_ARG(folder), STR_ARG(path));
    if (path.n)
        whole = without_dots(whole, a);
    *out = arena_printf(a, "%.*s%.*s", STR_ARG(whole), STR_ARG(tail));
    return ERR_OK;
}

err url_resolve(const struct url *base, struct str origin, struct str reference, struct arena *a,
                struct str *out, struct errmsg *e)
{
    const ptrdiff_t colon = str_find(reference, ':', 0);
    struct url u;
    if (colon != STR_NONE && is_scheme(str_until(reference, (size_t)colon))) {
        *out = arena_str(a, reference);
        return str_has_prefix(str_from(reference, (size_t)colon + 1), STR("//"))
                   ? url_parse(reference, &u, e)
                   : ERR_OK;
    }
    if (str_has_prefix(reference, STR("//"))) {
        *out = arena_printf(a, "%.*s:%.*s", STR_ARG(base->scheme), STR_ARG(reference));
        return url_parse(*out, &u, e);
    }
    struct str path;
    TRY(resolve_path(base, reference, a, &path, e));
    *out = arena_printf(a, "%.*s%.*s", STR_ARG(origin), STR_ARG(path));
    return ERR_OK;
}

uint16_t url_default_port(struct str scheme)
{
    if (str_eq_nocase(scheme, STR("http")))
        return 80;
    return str_eq_nocase(scheme, STR("https")) ? 443 : 0;
}

void url_put_named(struct str text, struct buf *out)
{
    const ptrdiff_t slash = str_find(text, '/', 0);
    const bool has_scheme =
        slash != STR_NONE && (size_t)slash + 1 < text.n && text.p[slash + 1] == '/';
    const size_t begin = has_scheme ? (size_t)slash + 2 : 0;
    size_t end = begin, at = 0, colon = 0;
    for (; end < text.n && !strchr("/?#", text.p[end]); end++) {
        if (text.p[end] == '@')
            at = end;
        if (text.p[end] == ':' && !colon)
            colon = end;
    }
    const bool has_password = at && colon && colon < at;
    buf_put_str(out, str_until(text, has_password ? colon + 1 : text.n));
    if (has_password)
        buf_printf(out, "***%.*s", STR_ARG(str_from(text, at)));
}

void url_format_redacted(const struct url *u, struct buf *out)
{
    buf_put_str(out, u->scheme);
    buf_put_str(out, STR("://"));
    if (u->has_user) {
        buf_put_str(out, u->user);
        if (u->has_password)
            buf_put_str(out, STR(":xxxxx"));
        buf_put_char(out, '@');
    }
    const bool v6 = u->host.n && memchr(u->host.p, ':', u->host.n);
    buf_printf(out, v6 ? "[%.*s]" : "%.*s", STR_ARG(u->host));
    if (u->port_text.n)
        buf_printf(out, ":%.*s", STR_ARG(u->port_text));
    buf_put_str(out, u->path);
    if (u->query.p)
        buf_printf(out, "?%.*s", STR_ARG(u->query));
    if (u->fragment.p)
        buf_printf(out, "#%.*s", STR_ARG(u->fragment));
}

err url_decode(struct str s, bool plus_is_space, struct arena *a, struct str *out)
{
    char *p = arena_alloc(a, s.n, 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '+' && plus_is_space) {
            c = ' ';
        } else if (c == '%') {
            const int high = i + 2 < s.n ? hex_value(s.p[i + 1]) : -1;
            const int low = i + 2 < s.n ? hex_value(s.p[i + 2]) : -1;
            if (high < 0 || low < 0)
                return ERR_INVALID;
            c = (char)(high << 4 | low);
            i += 2;
        }
        p[n++] = c;
    }
    *out = str_make(p, n);
    return ERR_OK;
}

static void encode(struct str s, const char *keep, const char *space, struct buf *out)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        const unsigned char c = (unsigned char)s.p[i];
        const unsigned char l = c | 0x20;
        if ((c >= '0' && c <= '9') || (l >= 'a' && l <= 'z' && c < 0x80) ||
            (c && strchr(keep, c))) {
            buf_put_char(out, (char)c);
        } else if (c == ' ') {
            buf_put_str(out, str_from_c(space));
        } else {
            const char escape[3] = {'%', digits[c >> 4], digits[c & 15]};
            buf_put(out, escape, 3);
        }
    }
}

void url_encode_query(struct str s, struct buf *out)
{
    encode(s, "-_.~", "+", out);
}

void url_encode_path(struct str s, struct buf *out)
{
    encode(s, "-_.~$&+=:@", "%20", out);
}

void url_encode_paths(struct str s, struct buf *out)
{
    encode(s, "-_.~$&+,/:;=@", "%20", out);
}

void url_encode_host(struct str s, struct buf *out)
{
    encode(s, "-_.~!$&'()*+,;=:[]<>\"", "%20", out);
}

static err parse_pair(struct str part, struct arena *a, struct form_pair *out, struct errmsg *e)
{
    const ptrdiff_t equals = str_find(part, '=', 0);
    const struct str name = equals == STR_NONE ? part : str_until(part, (size_t)equals);
    const struct str value =
        equals == STR_NONE ? (struct str){0} : str_from(part, (size_t)equals + 1);
    if (str_find(part, ';', 0) != STR_NONE)
        return err_set(e, ERR_INVALID, "invalid semicolon separator in query");
    if (url_decode(name, true, a, &out->name) != ERR_OK ||
        url_decode(value, true, a, &out->value) != ERR_OK) {
        const struct str in_name = bad_escape(name);
        const struct str bad = in_name.n ? in_name : bad_escape(value);
        return err_set(e, ERR_INVALID, "invalid URL escape \"%.*s\"", STR_ARG(bad));
    }
    return ERR_OK;
}

err form_parse(struct str text, struct arena *a, struct form *f, struct errmsg *e)
{
    size_t count = f->n + 1;
    for (size_t i = 0; i < text.n; i++)
        count += text.p[i] == '&';
    if (count > FORM_PAIRS_MAX)
        return err_set(e, ERR_LIMIT, "more than %d parameters", FORM_PAIRS_MAX);
    struct form_pair *pairs = arena_alloc(a, count * sizeof *pairs, _Alignof(struct form_pair));
    if (f->n)
        memcpy(pairs, f->pairs, f->n * sizeof *pairs);
    size_t n = f->n;
    err first = ERR_OK;
    for (struct str part; str_split(&text, '&', &part);) {
        if (!part.n)
            continue;
        const err code = parse_pair(part, a, &pairs[n], first ? NULL : e);
        n += code == ERR_OK;
        first = first ? first : code;
    }
    *f = (struct form){pairs, n};
    return first;
}

struct str form_get(const struct form *f, struct str name)
{
    for (size_t i = 0; i < f->n; i++)
        if (str_eq(f->pairs[i].name, name))
            return f->pairs[i].value;
    return (struct str){0};
}
