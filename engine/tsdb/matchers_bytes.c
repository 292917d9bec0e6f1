// Of each matcher a byte for its kind (0 =, 1 !=, 2 =~, 3 !~), the bytes of its name as a varint,
// the name, the bytes of its value as a varint, the value.
#include "engine/tsdb/matchers_bytes.h"

#include "engine/base/bits.h"

static void put_text(struct buf *out, struct str text)
{
    uint8_t bytes[VARINT_MAX];
    buf_put(out, bytes, varint_store(bytes, text.n));
    buf_put_str(out, text);
}

void matchers_put(const struct matcher *ms, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n; i++) {
        buf_put_char(out, (char)ms[i].kind);
        put_text(out, ms[i].name);
        put_text(out, ms[i].value);
    }
}

static bool take_text(const uint8_t **at, const uint8_t *end, struct str *out)
{
    uint64_t n;
    const size_t size = varint_load(*at, end, &n);
    if (!size || n > (size_t)(end - *at) - size)
        return false;
    *out = str_make((const char *)*at + size, (size_t)n);
    *at += size + n;
    return true;
}

static bool take_matcher(const uint8_t **at, const uint8_t *end, struct matcher *out)
{
    *out = (struct matcher){0};
    if (*at == end || **at > MATCHER_NRE)
        return false;
    out->kind = (enum matcher_kind) * (*at)++;
    return take_text(at, end, &out->name) && take_text(at, end, &out->value);
}

static err compile(struct matcher *m, struct errmsg *e)
{
    struct regex *regex;
    if (m->kind != MATCHER_RE && m->kind != MATCHER_NRE)
        return ERR_OK;
    TRY(regex_create(m->value, REGEX_MATCHER, &regex, e));
    m->regex = regex;
    return ERR_OK;
}

err matchers_load(struct str bytes, struct arena *a, struct matcher **out, size_t *out_n,
                  struct errmsg *e)
{
    const uint8_t *p = (const uint8_t *)bytes.p, *const end = p + bytes.n;
    size_t n = 0;
    struct matcher one;
    for (const uint8_t *at = p; at < end; n++)
        if (!take_matcher(&at, end, &one))
            return err_set(e, ERR_CORRUPT, "matchers that cannot be read");
    struct matcher *ms = arena_array(a, n + 1, struct matcher);
    err code = ERR_OK;
    for (size_t i = 0; i < n && code == ERR_OK; i++) {
        (void)take_matcher(&p, end, &ms[i]);
        code = compile(&ms[i], e);
    }
    if (code != ERR_OK) {
        matchers_unload(ms, n);
        return err_wrap(e, ERR_CORRUPT, "matchers");
    }
    *out = ms;
    *out_n = n;
    return ERR_OK;
}

void matchers_unload(struct matcher *ms, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        regex_destroy((struct regex *)(uintptr_t)ms[i].regex);
        ms[i].regex = NULL;
    }
}
