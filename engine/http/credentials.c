#include "engine/http/credentials.h"

#include "engine/base/hash.h"
#include "engine/base/quote.h"
#include "io/file.h"

enum { SECRET_MAX = 1 << 20 };

void credentials_init(struct credentials *c)
{
    arena_init(&c->arena, 0);
    c->headers_n = c->secrets_n = 0;
}

void credentials_deinit(struct credentials *c)
{
    arena_deinit(&c->arena);
}

// Each word of the name begins with a capital letter, as Go writes it.
static struct str canonical(struct str name, struct arena *a)
{
    char *const p = arena_alloc(a, name.n, 1);
    for (size_t i = 0; i < name.n; i++) {
        const char l = (char)(name.p[i] | 0x20);
        const bool letter = l >= 'a' && l <= 'z', first = !i || p[i - 1] == '-';
        p[i] = !letter ? name.p[i] : first ? (char)(l & ~0x20) : l;
    }
    return str_make(p, name.n);
}

err credentials_add(struct credentials *c, bool is_secret, struct str name, struct str value,
                    struct errmsg *e)
{
    size_t *const n = is_secret ? &c->secrets_n : &c->headers_n;
    if (*n == CREDENTIALS_HEADERS_MAX)
        return err_set(e, ERR_LIMIT, "more than %d headers configured", CREDENTIALS_HEADERS_MAX);
    if (!http_is_token(name) || !http_is_header_value(value)) {
        const bool bad_name = !http_is_token(name);
        struct buf quoted = {0};
        buf_put_quoted(&quoted, bad_name ? name : canonical(name, &c->arena));
        const err code = err_set(e, ERR_INVALID, "net/http: invalid header field %s %.*s",
                                 bad_name ? "name" : "value for", STR_ARG(buf_str(&quoted)));
        buf_deinit(&quoted);
        return code;
    }
    (is_secret ? c->secrets : c->headers)[(*n)++] = (struct http_header){name, value};
    return ERR_OK;
}

// A file's text without the spaces around it; what names its kind. Suspends.
static err read_secret(struct credentials *c, const char *what, struct str path, struct str *out,
                       struct errmsg *e)
{
    struct buf content = {0};
    const struct str terminated = arena_printf(&c->arena, "%.*s", STR_ARG(path));
    err code = path_read(terminated.p, SECRET_MAX, &content, e);
    if (code)
        code = err_wrap(e, code, "unable to read %s %s", what, terminated.p);
    else
        *out = str_trim(arena_str(&c->arena, buf_str(&content)));
    buf_deinit(&content);
    return code;
}

// The text itself, or the file's. Suspends.
static err secret_of(struct credentials *c, struct str text, struct str path, struct str *out,
                     struct errmsg *e)
{
    *out = text;
    return path.n ? read_secret(c, "file", path, out, e) : ERR_OK;
}

static struct str base64(struct str s, struct arena *a)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *p = arena_alloc(a, (s.n + 2) / 3 * 4, 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i += 3) {
        const size_t left = s.n - i;
        const uint32_t v = (uint32_t)(unsigned char)s.p[i] << 16 |
                           (left > 1 ? (uint32_t)(unsigned char)s.p[i + 1] << 8 : 0) |
                           (left > 2 ? (uint32_t)(unsigned char)s.p[i + 2] : 0);
        p[n++] = digits[v >> 18];
        p[n++] = digits[v >> 12 & 63];
        p[n++] = left > 1 ? digits[v >> 6 & 63] : '=';
        p[n++] = left > 2 ? digits[v & 63] : '=';
    }
    return str_make(p, n);
}

err credentials_add_basic(struct credentials *c, struct str user, struct str password,
                          struct errmsg *e)
{
    const struct str pair = arena_printf(&c->arena, "%.*s:%.*s", STR_ARG(user), STR_ARG(password));
    const struct str encoded = base64(pair, &c->arena);
    return credentials_add(c, true, STR("Authorization"),
                           arena_printf(&c->arena, "Basic %.*s", STR_ARG(encoded)), e);
}

static err add_authorization(struct credentials *c, const struct http_client_config *http,
                             struct errmsg *e)
{
    if (http->basic_auth) {
        const struct basic_auth_config *const auth = http->basic_auth;
        struct str user, password;
        err code = secret_of(c, auth->username, auth->username_file, &user, e);
        if (code)
            return err_wrap(e, code, "unable to read basic auth username");
        code = secret_of(c, auth->password, auth->password_file, &password, e);
        if (code)
            return err_wrap(e, code, "unable to read basic auth password");
        return credentials_add_basic(c, user, password, e);
    }
    if (http->authorization) {
        const struct authorization_config *const auth = http->authorization;
        struct str credentials;
        const err code = secret_of(c, auth->credentials, auth->credentials_file, &credentials, e);
        if (code)
            return err_wrap(e, code, "unable to read authorization credentials");
        return credentials_add(
            c, true, STR("Authorization"),
            arena_printf(&c->arena, "%.*s %.*s", STR_ARG(auth->type), STR_ARG(credentials)), e);
    }
    return ERR_OK;
}

err credentials_add_config(struct credentials *c, const struct http_client_config *config,
                           struct errmsg *e)
{
    TRY(add_authorization(c, config, e));
    for (size_t i = 0; i < config->headers.n; i++) {
        const struct http_header_config *const h = &config->headers.items[i];
        for (size_t k = 0; k < h->values.n; k++)
            TRY(credentials_add(c, false, h->name, h->values.items[k], e));
        for (size_t k = 0; k < h->secrets.n; k++)
            TRY(credentials_add(c, true, h->name, h->secrets.items[k], e));
        for (size_t k = 0; k < h->files.n; k++) {
            struct str value;
            TRY(read_secret(c, "headers file", h->files.items[k], &value, e));
            TRY(credentials_add(c, true, h->name, value, e));
        }
    }
    return ERR_OK;
}

err credentials_tls(struct credentials *c, const struct tls_client_config *config,
                    struct tls_options *out, uint64_t *out_hash, struct errmsg *e)
{
    struct tls_options o = {.server_name = config->server_name,
                            .insecure_skip_verify = config->insecure_skip_verify,
                            .version_min = config->min_version,
                            .version_max = config->max_version};
    TRY(secret_of(c, config->ca, config->ca_file, &o.ca_pem, e));
    TRY(secret_of(c, config->cert, config->cert_file, &o.cert_pem, e));
    TRY(secret_of(c, config->key, config->key_file, &o.key_pem, e));
    uint64_t hash = hash64(o.ca_pem.p, o.ca_pem.n, 1);
    hash = hash64(o.cert_pem.p, o.cert_pem.n, hash);
    hash = hash64(o.key_pem.p, o.key_pem.n, hash);
    hash = hash64(o.server_name.p, o.server_name.n, hash);
    const int more[] = {o.insecure_skip_verify, o.version_min, o.version_max};
    hash = hash64(more, sizeof more, hash) | 1;
    *out = o;
    *out_hash = hash;
    return ERR_OK;
}
