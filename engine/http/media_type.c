#include "engine/http/media_type.h"

#include "protocol/http1.h"

static struct str trim_left(struct str s)
{
    const struct str trimmed = str_trim(s);
    return trimmed.n ? str_from(s, (size_t)(trimmed.p - s.p)) : str_from(s, s.n);
}

// Takes a quoted string off *s; false: it does not end, or a line does.
static bool skip_quoted(struct str *s)
{
    for (size_t i = 1; i < s->n; i++) {
        if (s->p[i] == '"') {
            *s = str_from(*s, i + 1);
            return true;
        }
        if (s->p[i] == '\\' && i + 1 < s->n)
            i++;
        else if (s->p[i] == '\r' || s->p[i] == '\n')
            return false;
    }
    return false;
}

// Takes one `; name=value` off *s; a value in quotes keeps them.
static bool take_parameter(struct str *s, struct str *out_name, struct str *out_value)
{
    struct str rest = trim_left(str_from(*s, 1));
    *out_name = http_take_token(&rest);
    if (!out_name->n)
        return false;
    rest = trim_left(rest);
    if (!rest.n || rest.p[0] != '=')
        return false;
    rest = trim_left(str_from(rest, 1));
    const struct str value = rest;
    if (rest.n && rest.p[0] == '"' ? !skip_quoted(&rest) : !http_take_token(&rest).n)
        return false;
    *out_value = str_until(value, value.n - rest.n);
    *s = rest;
    return true;
}

// Whether parameters, up to the one called name, have that name with another value.
static bool is_duplicate(struct str parameters, struct str name, struct str value)
{
    struct str other, was;
    while (take_parameter(&parameters, &other, &was) && other.p != name.p) {
        if (str_eq_nocase(other, name) && !str_eq(was, value))
            return true;
        parameters = trim_left(parameters);
    }
    return false;
}

err media_type_parse(struct str text, struct str *out, struct errmsg *e)
{
    const ptrdiff_t semicolon = str_find(text, ';', 0);
    const struct str media =
        str_trim(semicolon == STR_NONE ? text : str_until(text, (size_t)semicolon));
    struct str rest = media;
    if (!http_take_token(&rest).n)
        return err_set(e, ERR_INVALID, "mime: no media type");
    if (rest.n) {
        if (rest.p[0] != '/')
            return err_set(e, ERR_INVALID, "mime: expected slash after first token");
        rest = str_from(rest, 1);
        if (!http_take_token(&rest).n)
            return err_set(e, ERR_INVALID, "mime: expected token after slash");
        if (rest.n)
            return err_set(e, ERR_INVALID, "mime: unexpected content after media subtype");
    }
    rest = semicolon == STR_NONE ? (struct str){0} : str_from(text, (size_t)semicolon);
    const struct str parameters = rest;
    while ((rest = trim_left(rest)).n) {
        struct str name, value;
        if (str_eq(str_trim(rest), STR(";"))) // one at the end is passed over
            break;
        if (rest.p[0] != ';' || !take_parameter(&rest, &name, &value))
            return err_set(e, ERR_INVALID, "mime: invalid media parameter");
        if (is_duplicate(parameters, name, value))
            return err_set(e, ERR_INVALID, "mime: duplicate parameter name");
    }
    *out = media;
    return ERR_OK;
}
