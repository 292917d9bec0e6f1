// Bodies of multipart/form-data; what Go's ParseMultipartForm makes of the same bytes.
#include <criterion/criterion.h>

#include "engine/base/util.h"
#include "protocol/multipart.h"

static const struct {
    const char *content_type, *boundary; // NULL: none
} types[] = {
    {"multipart/form-data; boundary=abc", "abc"},
    {"Multipart/Form-Data;boundary=\"a b\"", "a b"},
    {"multipart/form-data; charset=x; BOUNDARY=----WebKit1;", "----WebKit1"},
    {"multipart/form-data", NULL},
    {"multipart/mixed; boundary=abc", NULL},
    {"multipart/form-data; boundary=\"abc", NULL},
    {"multipart/form-data; boundary", NULL},
    {"", NULL},
};

Test(multipart, boundaries)
{
    struct arena a;
    arena_init(&a, 0);
    for (size_t i = 0; i < countof(types); i++) {
        const struct str got = multipart_boundary(str_from_c(types[i].content_type), &a);
        cr_assert_eq(got.p == NULL, types[i].boundary == NULL, "%s", types[i].content_type);
        if (got.p)
            cr_assert(str_eq(got, str_from_c(types[i].boundary)), "%.*s", STR_ARG(got));
    }
    arena_deinit(&a);
}

#define PART "--b\r\nContent-Disposition: form-data; name="

static const struct {
    const char *body, *values; // name=value, each with a newline; NULL: refused
} bodies[] = {
    {PART "\"query\"\r\n\r\nup\r\n--b--\r\n", "query=up\n"},
    {PART "query\r\n\r\nup\r\n--b--", "query=up\n"},
    {"preamble\r\n--x\r\n" PART "\"a\"\r\nContent-Type: text/plain\r\n\r\n1\r\n\r\n2\r\n" PART
     "\"b\\\"\\\\c\"\r\n\r\n\r\n--b-- \r\nepilogue",
     "a=1\r\n\r\n2\nb\"\\c=\n"},
    {PART
     "\"a\"\r\n\r\n--b\r\nContent-Disposition: form-data; name=\"c\"\r\n\r\n--b\r\n--bb\r\n--b--",
     NULL}, // the second --b begins a part whose headers are none
    {PART "\"a\"\r\n\r\n--bb\r\n --b\r\n--b--", "a=--bb\r\n --b\n"},
    {PART "\"f\"; filename=\"x.txt\"\r\n\r\nfile\r\n" PART "\"v\"\r\n\r\nv\r\n--b--", "v=v\n"},
    {"--b\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\n1\r\n--b\r\nX: y\r\n\r\n2\r\n--b--",
     ""},
    {"--b\nContent-Disposition: form-data; name=\"a\"\n\n1\n--b--\n", "a=1\n"},
    {"--b--\r\n", ""},
    {PART "\"a\"\r\n\r\n1\r\n--b\r\n", NULL},
    {PART "\"a\"\r\n\r\n1\r\n", NULL},
    {PART "\"a\"\r\n", NULL},
    {"--b\r\nno header\r\n\r\n1\r\n--b--", NULL},
    {"", NULL},
    {"query=up", NULL},
};

Test(multipart, values)
{
    struct arena a;
    arena_init(&a, 0);
    for (size_t i = 0; i < countof(bodies); i++) {
        struct form f = {0};
        struct buf got = {0};
        cr_assert_eq(form_parse(STR("z=0"), &a, &f, NULL), ERR_OK);
        const err code = multipart_parse(str_from_c(bodies[i].body), STR("b"), &a, &f);
        cr_assert_eq(code != ERR_OK, bodies[i].values == NULL, "%zu", i);
        cr_assert(str_eq(f.pairs[0].name, STR("z")));
        for (size_t k = 1; k < f.n; k++)
            buf_printf(&got, "%.*s=%.*s\n", STR_ARG(f.pairs[k].name), STR_ARG(f.pairs[k].value));
        const struct str wanted = bodies[i].values ? str_from_c(bodies[i].values) : STR("");
        cr_assert(str_eq(buf_str(&got), wanted), "%zu: %.*s", i, STR_ARG(buf_str(&got)));
        buf_deinit(&got);
    }
    arena_deinit(&a);
}

Test(multipart, too_many_parts)
{
    struct arena a;
    struct buf body = {0};
    arena_init(&a, 0);
    for (int i = 0; i <= MULTIPART_PARTS_MAX; i++)
        buf_put_str(&body, STR(PART "a\r\n\r\n1\r\n"));
    buf_put_str(&body, STR("--b--"));
    struct form f = {0};
    cr_assert_eq(multipart_parse(buf_str(&body), STR("b"), &a, &f), ERR_INVALID);
    cr_assert_eq(f.n, 0);
    buf_deinit(&body);
    arena_deinit(&a);
}
