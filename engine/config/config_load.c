#include "engine/config/config_load.h"

#include "engine/base/quote.h"
#include "engine/base/utf8.h"
#include "engine/config/yaml_encode.h"

enum { LISTS_MAX = 1024 };

static void insert_list(struct config_lists *all, struct config_named_list list)
{
    size_t at = all->n++;
    for (; at && yaml_key_cmp(all->items[at - 1].name, list.name) > 0; at--)
        all->items[at] = all->items[at - 1];
    all->items[at] = list;
}

static err decode_lists(struct yaml_decoder *d, const struct yaml_node *n, const char *go,
                        const char *value_go, void *field)
{
    if (n->kind != YAML_MAPPING) {
        yaml_type_error(d, n, go);
        return ERR_OK;
    }
    if (n->n > 2 * LISTS_MAX)
        return yaml_fail(d, n, "more than %d keys", LISTS_MAX);
    struct config_lists all = {arena_array(d->arena, n->n / 2 + 1, struct config_named_list), 0};
    for (size_t i = 0; i < n->n; i += 2) {
        struct config_named_list list = {0};
        if (!yaml_decode_str(d, n->items[i], &list.name))
            continue;
        const struct yaml_node *const values = n->items[i + 1];
        if (!yaml_is_null(values))
            TRY(yaml_decode_strs(d, values, value_go, &list.values));
        bool seen = false;
        for (size_t k = 0; k < all.n && !seen; k++)
            seen = str_eq(all.items[k].name, list.name);
        if (seen)
            yaml_collect(d, values, "key \"%.*s\" already set in map", STR_ARG(list.name));
        else
            insert_list(&all, list);
    }
    memcpy(field, &all, sizeof all);
    return ERR_OK;
}

static err decode_params(struct yaml_decoder *d, const struct yaml_node *n, void *field)
{
    return decode_lists(d, n, "url.Values", "[]string", field);
}

static err decode_proxy_headers(struct yaml_decoder *d, const struct yaml_node *n, void *field)
{
    return decode_lists(d, n, "config.ProxyHeader", "[]config.Secret", field);
}

static void encode_params(struct yaml_writer *w, const void *field)
{
    const struct config_lists *all = field;
    yaml_put_map(w);
    for (size_t i = 0; i < all->n; i++) {
        yaml_put_str(w, all->items[i].name);
        yaml_put_strs(w, &all->items[i].values);
    }
    yaml_put_map_end(w);
}

static void encode_proxy_headers(struct yaml_writer *w, const void *field)
{
    const struct config_lists *all = field;
    yaml_put_map(w);
    for (size_t i = 0; i < all->n; i++) {
        yaml_put_str(w, all->items[i].name);
        yaml_put_secrets(w, &all->items[i].values);
    }
    yaml_put_map_end(w);
}

static bool lists_are_zero(const void *field)
{
    return !((const struct config_lists *)field)->n;
}

static void zero_lists(void *field)
{
    memset(field, 0, sizeof(struct config_lists));
}

const struct yaml_custom config_params_field = {decode_params, encode_params, lists_are_zero,
                                                zero_lists};
const struct yaml_custom config_proxy_headers_field = {decode_proxy_headers, encode_proxy_headers,
                                                       lists_are_zero, zero_lists};

// Takes "." away and lets ".." eat the part before it.
static struct str clean(struct arena *a, struct str path)
{
    char *const out = arena_alloc(a, path.n + 1, 1);
    const bool rooted = path.n && path.p[0] == '/';
    size_t n = 0, floor = rooted; // nothing below floor can be eaten
    if (rooted)
        out[n++] = '/';
    struct str rest = path, part;
    while (rest.n && str_split(&rest, '/', &part)) {
        if (!part.n || str_eq(part, STR(".")))
            continue;
        if (str_eq(part, STR("..")) && n > floor) {
            for (n--; n > floor && out[n - 1] != '/'; n--)
                ;
            if (n > floor)
                n--; // the slash
            continue;
        }
        if (str_eq(part, STR("..")) && rooted)
            continue;
        if (n > (size_t)rooted)
            out[n++] = '/';
        memcpy(out + n, part.p, part.n);
        n += part.n;
        if (str_eq(part, STR("..")))
            floor = n;
    }
    if (!n)
        out[n++] = '.';
    return str_make(out, n);
}

struct str config_join(struct arena *a, struct str dir, struct str path)
{
    if (!path.n || path.p[0] == '/')
        return path;
    if (!dir.n)
        return clean(a, path);
    return clean(a, arena_printf(a, "%.*s/%.*s", STR_ARG(dir), STR_ARG(path)));
}

struct str config_dir(struct arena *a, struct str path)
{
    const ptrdiff_t slash = str_find_last(path, '/');
    if (slash == STR_NONE)
        return STR(".");
    return clean(a, str_until(path, slash ? (size_t)slash : 1));
}

struct str config_quote(struct arena *a, struct str text)
{
    struct buf b = {0};
    buf_put_quoted(&b, text);
    const struct str quoted = arena_str(a, buf_str(&b));
    buf_deinit(&b);
    return quoted;
}

// A class [...] at p.p[*at], moved behind it; false: it is not closed.
static bool match_class(struct str p, size_t *at, uint32_t rune, bool *out_match)
{
    size_t i = *at + 1;
    const bool negated = i < p.n && p.p[i] == '^';
    i += negated;
    bool match = false;
    for (size_t first = i; i < p.n && (p.p[i] != ']' || i == first);) {
        uint32_t low, high;
        i += p.p[i] == '\\' && i + 1 < p.n;
        i += utf8_decode(str_from(p, i), &low);
        high = low;
        if (i + 1 < p.n && p.p[i] == '-' && p.p[i + 1] != ']') {
            i++;
            i += p.p[i] == '\\' && i + 1 < p.n;
            i += utf8_decode(str_from(p, i), &high);
        }
        match |= low <= rune && rune <= high;
    }
    if (i >= p.n)
        return false;
    *at = i + 1;
    *out_match = match != negated;
    return true;
}

// One end of a range at p.p[*at], moved behind it, before which more must come.
static bool skip_class_rune(struct str p, size_t *at)
{
    if (*at >= p.n || p.p[*at] == '-' || p.p[*at] == ']')
        return false;
    *at += p.p[*at] == '\\';
    if (*at >= p.n)
        return false;
    uint32_t rune;
    const size_t n = utf8_decode(str_from(p, *at), &rune);
    *at += n;
    return (rune != UTF8_BAD || n > 1) && *at < p.n;
}

bool config_glob_is_valid(struct str p)
{
    for (size_t at = 0; at < p.n; at++) {
        if (p.p[at] == '\\') {
            if (++at == p.n)
                return false;
            continue;
        }
        if (p.p[at] != '[')
            continue;
        at += at + 1 < p.n && p.p[at + 1] == '^';
        at++;
        for (size_t first = at; at >= p.n || p.p[at] != ']' || at == first;) {
            if (!skip_class_rune(p, &at))
                return false;
            if (p.p[at] == '-' && (++at, !skip_class_rune(p, &at)))
                return false;
        }
    }
    return true;
}

// One element of the pattern that is not a star against the start of name; 0: no match, else how
// many bytes of name it takes.
static size_t match_one(struct str p, size_t *at, struct str name)
{
    if (!name.n)
        return 0;
    uint32_t rune;
    const size_t n = utf8_decode(name, &rune);
    if (p.p[*at] == '?') {
        ++*at;
        return n;
    }
    if (p.p[*at] == '[') {
        bool match;
        return match_class(p, at, rune, &match) && match ? n : 0;
    }
    *at += p.p[*at] == '\\' && *at + 1 < p.n;
    if (p.p[*at] != name.p[0])
        return 0;
    ++*at;
    return 1;
}

bool config_glob_matches(struct str pattern, struct str name)
{
    size_t at = 0, from = 0, star = SIZE_MAX, star_from = 0;
    for (;;) {
        if (at < pattern.n && pattern.p[at] == '*') {
            star = ++at;
            star_from = from;
            continue;
        }
        if (at == pattern.n && from == name.n)
            return true;
        size_t next = at;
        const size_t n = at < pattern.n ? match_one(pattern, &next, str_from(name, from)) : 0;
        if (n) {
            at = next;
            from += n;
        } else if (star != SIZE_MAX && star_from < name.n) {
            at = star; // the last star takes one byte more
            from = ++star_from;
        } else {
            return false;
        }
    }
}
