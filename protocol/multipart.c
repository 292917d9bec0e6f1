// A body is lines of "--boundary" around parts, the last with "--" behind it; what stands before
// the first is passed over. A part is header lines, an empty line and bytes up to the line end
// before the next boundary. Line ends are CRLF, or LF where the first boundary ends so.
#include "protocol/multipart.h"

#include "engine/base/util.h"
#include "protocol/http1.h"

static struct str skip_space(struct str s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = str_from(s, 1);
    return s;
}

// A quoted string's content, without its backslashes. False: it does not end.
static bool take_quoted(struct str *s, struct arena *a, struct str *out)
{
    char *text = arena_alloc(a, s->n, 1);
    size_t n = 0;
    for (size_t i = 1; i < s->n; i++) {
        if (s->p[i] == '"') {
            *s = str_from(*s, i + 1);
            *out = str_make(text, n);
            return true;
        }
        // Only what needs it is escaped: browsers send paths of Windows as they are.
        if (s->p[i] == '\\' && i + 1 < s->n && (s->p[i + 1] == '"' || s->p[i + 1] == '\\'))
            i++;
        text[n++] = s->p[i];
    }
    return false;
}

// The value of a parameter of a header like `form-data; name="x"`. False: malformed; NULL p: it has
// none of that name.
static bool find_parameter(struct str header, struct str wanted, struct arena *a, struct str *out)
{
    const ptrdiff_t first = str_find(header, ';', 0);
    struct str rest = first == STR_NONE ? (struct str){0} : str_from(header, (size_t)first);
    *out = (struct str){0};
    while ((rest = skip_space(rest)).n) {
        struct str value;
        if (rest.p[0] != ';')
            return false;
        rest = skip_space(str_from(rest, 1));
        if (!rest.n)
            return true; // one at the end is passed over
        const struct str name = http_take_token(&rest);
        rest = skip_space(rest);
        if (!name.n || !rest.n || rest.p[0] != '=')
            return false;
        rest = skip_space(str_from(rest, 1));
        if (rest.n && rest.p[0] == '"') {
            if (!take_quoted(&rest, a, &value))
                return false;
        } else {
            value = http_take_token(&rest);
            if (!value.n)
                return false;
        }
        if (str_eq_nocase(name, wanted))
            *out = value;
    }
    return true;
}

static bool is_media(struct str header, struct str wanted)
{
    const ptrdiff_t end = str_find(header, ';', 0);
    return str_eq_nocase(str_trim(end == STR_NONE ? header : str_until(header, (size_t)end)),
                         wanted);
}

struct str multipart_boundary(struct str content_type, struct arena *a)
{
    struct str boundary;
    if (!is_media(content_type, STR("multipart/form-data")) ||
        !find_parameter(content_type, STR("boundary"), a, &boundary))
        return (struct str){0};
    return boundary;
}

// The rest of a line that began with a boundary, without spaces; false: the line does not end.
static bool take_line(struct str *body, struct str *out)
{
    const ptrdiff_t end = str_find(*body, '\n', 0);
    if (end == STR_NONE)
        return false;
    *out = str_until(*body, (size_t)end);
    *body = str_from(*body, (size_t)end + 1);
    return true;
}

static bool is_boundary(struct str line, struct str boundary, bool *is_last)
{
    if (!str_has_prefix(line, STR("--")) || !str_has_prefix(str_from(line, 2), boundary))
        return false;
    struct str rest = str_from(line, 2 + boundary.n);
    *is_last = str_has_prefix(rest, STR("--"));
    rest = skip_space(*is_last ? str_from(rest, 2) : rest);
    return !rest.n || str_eq(rest, STR("\r"));
}

// What the header lines of a part say of its name; takes them and the empty line off body.
static bool take_headers(struct str *body, struct arena *a, struct str *out_name, bool *is_file)
{
    struct str line;
    *out_name = (struct str){0};
    *is_file = false;
    for (;;) {
        if (!take_line(body, &line))
            return false;
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        if (!line.n)
            return true;
        const ptrdiff_t colon = str_find(line, ':', 0);
        if (colon == STR_NONE || !http_is_token(str_until(line, (size_t)colon)))
            return false;
        if (!str_eq_nocase(str_until(line, (size_t)colon), STR("content-disposition")))
            continue;
        const struct str value = str_trim(str_from(line, (size_t)colon + 1));
        struct str file;
        if (!is_media(value, STR("form-data")) ||
            !find_parameter(value, STR("name"), a, out_name) ||
            !find_parameter(value, STR("filename"), a, &file))
            *out_name = (struct str){0}; // nameless parts are passed over
        else
            *is_file = file.n > 0;
    }
}

// The part's bytes, up to the line end before the next boundary; body then begins with that.
static bool take_content(struct str *body, struct str boundary, bool *is_last, struct str *out)
{
    for (size_t at = 0; at <= body->n;) {
        const struct str rest = str_from(*body, at);
        const ptrdiff_t end = str_find(rest, '\n', 0);
        const struct str line = end == STR_NONE ? rest : str_until(rest, (size_t)end);
        if (is_boundary(line, boundary, is_last) && (end != STR_NONE || *is_last)) {
            size_t n = at ? at - 1 : 0; // without the line end before it
            n -= n && body->p[n - 1] == '\r';
            *out = str_until(*body, n);
            *body = end == STR_NONE ? (struct str){0} : str_from(rest, (size_t)end + 1);
            return true;
        }
        if (end == STR_NONE)
            return false;
        at += (size_t)end + 1;
    }
    return false;
}

err multipart_parse(struct str body, struct str boundary, struct arena *a, struct form *f)
{
    size_t n = f->n, parts = 0;
    struct str line;
    bool is_last = false;
    do { // up to the first boundary
        if (!take_line(&body, &line))
            return ERR_INVALID;
    } while (!is_boundary(line, boundary, &is_last));
    struct form_pair *pairs =
        arena_alloc(a, (n + MULTIPART_PARTS_MAX) * sizeof *pairs, _Alignof(struct form_pair));
    if (n)
        memcpy(pairs, f->pairs, n * sizeof *pairs);
    while (!is_last) {
        struct form_pair pair;
        bool is_file;
        if (++parts > MULTIPART_PARTS_MAX || !take_headers(&body, a, &pair.name, &is_file) ||
            !take_content(&body, boundary, &is_last, &pair.value))
            return ERR_INVALID;
        if (pair.name.n && !is_file)
            pairs[n++] = pair;
    }
    *f = (struct form){pairs, n};
    return ERR_OK;
}
