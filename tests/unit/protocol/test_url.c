#include "protocol/url.h"

#include <criterion/criterion.h>

#include "engine/base/util.h"

static const struct {
    const char *text, *host, *path, *query;
    uint16_t port;
    const char *redacted;
} good[] = {
    {"http://a", "a", "", "", 0, "http://a"},
    {"https://u:p@a.b:9090/x/y?q=1&r=%20#f", "a.b", "/x/y", "q=1&r=%20", 9090,
     "https://u:xxxxx@a.b:9090/x/y?q=1&r=%20#f"},
    {"http://[::1]:80/", "::1", "/", "", 80, "http://[::1]:80/"},
    {"http://u@a?x", "a", "", "x", 0, "http://u@a?x"},
    {"http://a:99999", "a", "", "", 0, "http://a:99999"},
    {"http://a:0080/", "a", "/", "", 80, "http://a:0080/"},
};
static const char *const bad[] = {"",
                                  "a",
                                  "a/b",
                                  "://a",
                                  "http:a",
                                  "http://[::1",
                                  "http://a b",
                                  "http://a:x",
                                  "http://a]",
                                  "http://[a[b]",
                                  "http://u:p%4%20::1]:9090/x"};

Test(url, parse)
{
    for (size_t i = 0; i < countof(good); i++) {
        struct url u;
        cr_assert_eq(url_parse(str_from_c(good[i].text), &u, NULL), ERR_OK, "%s", good[i].text);
        cr_assert(str_eq(u.host, str_from_c(good[i].host)));
        cr_assert(str_eq(u.path, str_from_c(good[i].path)));
        cr_assert(str_eq(u.query, str_from_c(good[i].query)));
        cr_assert_eq(u.port, good[i].port);
        struct buf b = {0};
        url_format_redacted(&u, &b);
        cr_assert(str_eq(buf_str(&b), str_from_c(good[i].redacted)), "%.*s", STR_ARG(buf_str(&b)));
        buf_deinit(&b);
    }
    for (size_t i = 0; i < countof(bad); i++) {
        struct url u;
        cr_assert_eq(url_parse(str_from_c(bad[i]), &u, NULL), ERR_INVALID, "%s", bad[i]);
    }
}

Test(url, forms)
{
    struct arena a;
    arena_init(&a, 0);
    struct form f = {0};
    cr_assert_eq(
        form_parse(STR("match[]=up&x=a+b%26c&match%5B%5D=%7Ba%3D%22b%22%7D&e&"), &a, &f, NULL),
        ERR_OK);
    cr_assert_eq(form_parse(STR("x=2"), &a, &f, NULL), ERR_OK);
    cr_assert_eq(f.n, 5);
    cr_assert(str_eq(form_get(&f, STR("x")), STR("a b&c")));
    cr_assert(str_eq(f.pairs[2].name, STR("match[]")));
    cr_assert(str_eq(f.pairs[2].value, STR("{a=\"b\"}")));
    struct errmsg e;
    cr_assert_eq(form_parse(STR("x=%zz"), &a, &f, &e), ERR_INVALID);
    cr_assert_str_eq(e.text, "invalid URL escape \"%zz\"");
    cr_assert_eq(form_parse(STR("a%41=%42%4"), &a, &f, &e), ERR_INVALID);
    cr_assert_str_eq(e.text, "invalid URL escape \"%4\""); // the one that is wrong
    cr_assert_eq(form_parse(STR("a=1;b=2"), &a, &f, &e), ERR_INVALID);
    cr_assert_str_eq(e.text, "invalid semicolon separator in query");
    arena_deinit(&a);
}

Test(url, encoding_and_back)
{
    char all[256];
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    struct buf b = {0};
    struct arena a;
    arena_init(&a, 0);
    url_encode_query(str_make(all, 256), &b);
    struct str back;
    cr_assert_eq(url_decode(buf_str(&b), true, &a, &back), ERR_OK);
    cr_assert(str_eq(back, str_make(all, 256)));
    buf_reset(&b);
    url_encode_path(str_make(all, 256), &b);
    cr_assert_eq(url_decode(buf_str(&b), false, &a, &back), ERR_OK);
    cr_assert(str_eq(back, str_make(all, 256)));
    buf_deinit(&b);
    arena_deinit(&a);
}

Test(url, names_no_password)
{
    static const struct {
        const char *text, *named;
    } rows[] = {
        {"http://u:p@h:1/x?a:b@c", "http://u:***@h:1/x?a:b@c"},
        {"http://u:p@q:r@h", "http://u:***@h"},
        {"http://:@h/", "http://:***@h/"},
        {"//u:p@h", "//u:***@h"},
        {"u:p@h", "u:***@h"},
        {"http://u@h:1/", "http://u@h:1/"},
        {"http://h:1/a:b@c", "http://h:1/a:b@c"},
        {"/x:y@z", "/x:y@z"},
        {"http://", "http://"},
        {"", ""},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct buf b = {0};
        url_put_named(str_from_c(rows[i].text), &b);
        cr_assert(str_eq(buf_str(&b), str_from_c(rows[i].named)), "%s: %.*s", rows[i].text,
                  STR_ARG(buf_str(&b)));
        buf_deinit(&b);
    }
}
