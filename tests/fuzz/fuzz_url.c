// URLs and forms: slices stay inside, what is encoded decodes to itself, a URL's parts survive.
#include "engine/base/arena.h"
#include "protocol/escape.h"
#include "protocol/url.h"
#include "tests/fuzz/fuzz.h"

static void url(struct str input)
{
    struct url u, again;
    struct errmsg e;
    struct buf shown = {0};
    if (url_parse(input, &u, &e) != ERR_OK)
        return;
    fuzz_must(u.host.n <= input.n && u.path.n <= input.n && u.query.n <= input.n);
    fuzz_must(!u.path.n || u.path.p[0] == '/');
    url_format_redacted(&u, &shown);
    // A password is not shown, the rest stays as it was.
    fuzz_must(url_parse(buf_str(&shown), &again, NULL) == ERR_OK);
    fuzz_must(str_eq(u.scheme, again.scheme) && str_eq(u.host, again.host));
    fuzz_must(u.port == again.port && str_eq(u.path, again.path) && str_eq(u.query, again.query));
    fuzz_must(!again.has_password || str_eq(again.password, STR("xxxxx")));
    buf_deinit(&shown);
}

static void form(struct str input, struct arena *a)
{
    struct form f = {0}, again = {0};
    struct buf text = {0};
    if (form_parse(input, a, &f, NULL) != ERR_OK)
        return;
    for (size_t i = 0; i < f.n; i++) {
        if (i)
            buf_put_char(&text, '&');
        url_encode_query(f.pairs[i].name, &text);
        buf_put_char(&text, '=');
        url_encode_query(f.pairs[i].value, &text);
    }
    fuzz_must(form_parse(buf_str(&text), a, &again, NULL) == ERR_OK && again.n == f.n);
    for (size_t i = 0; i < f.n; i++)
        fuzz_must(str_eq(f.pairs[i].name, again.pairs[i].name) &&
                  str_eq(f.pairs[i].value, again.pairs[i].value));
    buf_deinit(&text);
}

static void encodings(struct str input, struct arena *a)
{
    struct buf text = {0};
    struct str back;
    url_encode_query(input, &text);
    fuzz_must(url_decode(buf_str(&text), true, a, &back) == ERR_OK && str_eq(back, input));
    buf_reset(&text);
    url_encode_path(input, &text);
    fuzz_must(url_decode(buf_str(&text), false, a, &back) == ERR_OK && str_eq(back, input));
    buf_reset(&text);
    url_encode_paths(input, &text);
    fuzz_must(url_decode(buf_str(&text), false, a, &back) == ERR_OK && str_eq(back, input));
    buf_deinit(&text);
    if (url_decode(input, true, a, &back) == ERR_OK)
        fuzz_must(back.n <= input.n);
    back = escape_undo_values(input, a);
    fuzz_must(back.n <= input.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str input = fuzz_exact(data, size);
    struct arena a;
    arena_init(&a, 0);
    url(input);
    form(input, &a);
    encodings(input, &a);
    arena_deinit(&a);
    fuzz_release(input);
    return 0;
}
