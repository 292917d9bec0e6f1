#include <criterion/criterion.h>
#include <stdio.h>

#include "engine/base/util.h"
#include "engine/http/media_type.h"

// Wanted as Go's mime.ParseMediaType answers.
static const struct {
    const char *text, *media, *error;
} rows[] = {
    {"text/plain", "text/plain", NULL},
    {" text/plain ; charset=utf-8", "text/plain", NULL},
    {"text", "text", NULL},
    {"text/plain;", "text/plain", NULL},
    {"text/plain; a=b; ", "text/plain", NULL},
    {"text/plain; a=b ;", "text/plain", NULL},
    {"text/plain; a=\"b;c\\\"d\"; e=f", "text/plain", NULL},
    {"text/plain;a = b", "text/plain", NULL},
    {"", NULL, "mime: no media type"},
    {";a=b", NULL, "mime: no media type"},
    {"/plain", NULL, "mime: no media type"},
    {"text plain", NULL, "mime: expected slash after first token"},
    {"text/", NULL, "mime: expected token after slash"},
    {"text/plain/x", NULL, "mime: unexpected content after media subtype"},
    {"text/plain x", NULL, "mime: unexpected content after media subtype"},
    {"text/plain; a", NULL, "mime: invalid media parameter"},
    {"text/plain; =b", NULL, "mime: invalid media parameter"},
    {"text/plain; a=", NULL, "mime: invalid media parameter"},
    {"text/plain; a=\"b", NULL, "mime: invalid media parameter"},
    {"text/plain; a=b c", NULL, "mime: invalid media parameter"},
    {"text/plain; a=\"b\nc\"", NULL, "mime: invalid media parameter"},
    {"text/plain; a=b; c=d; a=e", NULL, "mime: duplicate parameter name"},
    {"text/plain; a=b; c=d; a=b", "text/plain", NULL},
    {"text/plain;;", NULL, "mime: invalid media parameter"},
};

Test(media_type, rows)
{
    for (size_t i = 0; i < countof(rows); i++) {
        struct errmsg e = {""};
        struct str media = {0};
        const err code = media_type_parse(str_from_c(rows[i].text), &media, &e);
        cr_expect_eq(code, rows[i].error ? ERR_INVALID : ERR_OK, "%s: %s", rows[i].text, e.text);
        cr_expect_str_eq(e.text, rows[i].error ? rows[i].error : "", "%s", rows[i].text);
        if (rows[i].media)
            cr_expect(str_eq(media, str_from_c(rows[i].media)), "%s: %.*s", rows[i].text,
                      STR_ARG(media));
    }
}
