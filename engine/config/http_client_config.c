#include "engine/config/http_client_config.h"

#include "engine/base/util.h"
#include "engine/config/yaml_encode.h"
#include "protocol/url.h"

static const struct yaml_field basic_auth_fields[] = {
    {"username", YAML_FIELD_STR, YAML_AT(basic_auth_config, username)},
    {"username_file", YAML_FIELD_STR, YAML_AT(basic_auth_config, username_file)},
    {"username_ref", YAML_FIELD_STR, YAML_AT(basic_auth_config, username_ref)},
    {"password", YAML_FIELD_SECRET, YAML_AT(basic_auth_config, password)},
    {"password_file", YAML_FIELD_STR, YAML_AT(basic_auth_config, password_file)},
    {"password_ref", YAML_FIELD_STR, YAML_AT(basic_auth_config, password_ref)},
};

static err note_refs(struct yaml_decoder *d, const struct yaml_node *n)
{
    for (size_t i = 0; n->kind == YAML_MAPPING && i < n->n; i += 2)
        if (str_has_suffix(n->items[i]->value, STR("_ref")) && !yaml_is_null(n->items[i + 1]))
            yaml_note_unsupported(d, n->items[i], "%.*s (a secret manager)",
                                  STR_ARG(n->items[i]->value));
    return ERR_OK;
}

static err check_refs(struct yaml_decoder *d, const struct yaml_node *n, void *object)
{
    (void)object;
    return note_refs(d, n);
}

static const struct yaml_struct basic_auth_type = {.go = "config.plain",
                                                   .size = sizeof(struct basic_auth_config),
                                                   .fields = basic_auth_fields,
                                                   .n = countof(basic_auth_fields),
                                                   .check = check_refs};

static const struct yaml_field authorization_fields[] = {
    {"type", YAML_FIELD_STR, YAML_AT(authorization_config, type)},
    {"credentials", YAML_FIELD_SECRET, YAML_AT(authorization_config, credentials)},
    {"credentials_file", YAML_FIELD_STR, YAML_AT(authorization_config, credentials_file)},
    {"credentials_ref", YAML_FIELD_STR, YAML_AT(authorization_config, credentials_ref)},
};
static const struct yaml_struct authorization_type = {.go = "config.Authorization",
                                                      .size = sizeof(struct authorization_config),
                                                      .fields = authorization_fields,
                                                      .n = countof(authorization_fields),
                                                      .check = check_refs};

static const struct {
    int version;
    const char *text;
} tls_versions[] = {{0, ""},
                    {TLS_VERSION_10, "TLS10"},
                    {TLS_VERSION_11, "TLS11"},
                    {TLS_VERSION_12, "TLS12"},
                    {TLS_VERSION_13, "TLS13"}};

static err decode_tls_version(struct yaml_decoder *d, const struct yaml_node *n, void *field)
{
    struct str text;
    if (!yaml_decode_str(d, n, &text))
        return ERR_OK;
    for (size_t i = 1; i < countof(tls_versions); i++) {
        if (str_eq(text, str_from_c(tls_versions[i].text))) {
            *(int *)field = tls_versions[i].version;
            return ERR_OK;
        }
    }
    return yaml_fail(d, n, "unknown TLS version: %.*s", STR_ARG(text));
}

static void encode_tls_version(struct yaml_writer *w, const void *field)
{
    for (size_t i = 0; i < countof(tls_versions); i++)
        if (tls_versions[i].version == *(const int *)field)
            yaml_put_str(w, str_from_c(tls_versions[i].text));
}

static bool tls_version_is_zero(const void *field)
{
    return *(const int *)field == 0;
}

static void zero_tls_version(void *field)
{
    *(int *)field = 0;
}

static const struct yaml_custom tls_version_field = {decode_tls_version, encode_tls_version,
                                                     tls_version_is_zero, zero_tls_version};

static const struct yaml_field tls_fields[] = {
    {"ca", YAML_FIELD_STR, YAML_AT(tls_client_config, ca)},
    {"cert", YAML_FIELD_STR, YAML_AT(tls_client_config, cert)},
    {"key", YAML_FIELD_SECRET, YAML_AT(tls_client_config, key)},
    {"ca_file", YAML_FIELD_STR, YAML_AT(tls_client_config, ca_file)},
    {"cert_file", YAML_FIELD_STR, YAML_AT(tls_client_config, cert_file)},
    {"key_file", YAML_FIELD_STR, YAML_AT(tls_client_config, key_file)},
    {"ca_ref", YAML_FIELD_STR, YAML_AT(tls_client_config, ca_ref)},
    {"cert_ref", YAML_FIELD_STR, YAML_AT(tls_client_config, cert_ref)},
    {"key_ref", YAML_FIELD_STR, YAML_AT(tls_client_config, key_ref)},
    {"server_name", YAML_FIELD_STR, YAML_AT(tls_client_config, server_name)},
    {"insecure_skip_verify", YAML_FIELD_BOOL, YAML_AT(tls_client_config, insecure_skip_verify),
     .always = true},
    {"min_version", YAML_FIELD_CUSTOM, YAML_AT(tls_client_config, min_version),
     .custom = &tls_version_field},
    {"max_version", YAML_FIELD_CUSTOM, YAML_AT(tls_client_config, max_version),
     .custom = &tls_version_field},
};

static size_t count_set(struct str a, struct str b, struct str c)
{
    return (size_t)(a.n > 0) + (size_t)(b.n > 0) + (size_t)(c.n > 0);
}

static err check_tls(struct yaml_decoder *d, const struct yaml_node *n, void *object)
{
    const struct tls_client_config *c = object;
    const size_t certs = count_set(c->cert, c->cert_file, c->cert_ref);
    const size_t keys = count_set(c->key, c->key_file, c->key_ref);
    if (count_set(c->ca, c->ca_file, c->ca_ref) > 1)
        return yaml_fail(d, n, "at most one of ca, ca_file & ca_ref must be configured");
    if (certs > 1)
        return yaml_fail(d, n, "at most one of cert, cert_file & cert_ref must be configured");
    if (keys > 1)
        return yaml_fail(d, n, "at most one of key and key_file must be configured");
    if (certs && !keys)
        return yaml_fail(d, n,
                         "exactly one of key or key_file must be configured when a client "
                         "certificate is configured");
    if (keys && !certs)
        return yaml_fail(d, n,
                         "exactly one of cert or cert_file must be configured when a client "
                         "key is configured");
    if (c->min_version && c->max_version && c->max_version < c->min_version)
        return yaml_fail(d, n,
                         "tls_config.max_version must be greater than or equal to "
                         "tls_config.min_version if both are specified");
    return note_refs(d, n);
}

static const struct yaml_struct tls_type = {.go = "config.plain",
                                            .size = sizeof(struct tls_client_config),
                                            .fields = tls_fields,
                                            .n = countof(tls_fields),
                                            .check = check_tls};

static err decode_url(struct yaml_decoder *d, const struct yaml_node *n, void *field)
{
    struct str text;
    if (!yaml_decode_str(d, n, &text))
        return ERR_OK;
    struct url url;
    struct errmsg why;
    // An empty one is no proxy, as in Go, where it is a URL without parts.
    if (text.n && url_parse(text, &url, &why))
        return yaml_fail(d, n, "%s", why.text);
    *(struct str *)field = text;
    return ERR_OK;
}

static void encode_url(struct yaml_writer *w, const void *field)
{
    struct buf text = {0};
    struct url url;
    if (url_parse(*(const struct str *)field, &url, NULL) == ERR_OK)
        url_format_redacted(&url, &text);
    yaml_put_str(w, buf_str(&text));
    buf_deinit(&text);
}

static bool text_is_zero(const void *field)
{
    return !((const struct str *)field)->n;
}

static void zero_text(void *field)
{
    *(struct str *)field = (struct str){0};
}

static const struct yaml_custom url_field = {decode_url, encode_url, text_is_zero, zero_text};

static const struct yaml_field proxy_fields[] = {
    {"proxy_url", YAML_FIELD_CUSTOM, YAML_AT(proxy_config, url), .custom = &url_field},
    {"no_proxy", YAML_FIELD_STR, YAML_AT(proxy_config, no_proxy)},
    {"proxy_from_environment", YAML_FIELD_BOOL, YAML_AT(proxy_config, from_environment)},
    {"proxy_connect_header", YAML_FIELD_CUSTOM, YAML_AT(proxy_config, connect_headers),
     .custom = &config_proxy_headers_field},
};
static const struct yaml_struct proxy_type = {
    .size = sizeof(struct proxy_config), .fields = proxy_fields, .n = countof(proxy_fields)};

static const struct yaml_field header_fields[] = {
    {"values", YAML_FIELD_STRS, YAML_AT(http_header_config, values)},
    {"secrets", YAML_FIELD_STRS, YAML_AT(http_header_config, secrets), .go = "[]config.Secret"},
    {"files", YAML_FIELD_STRS, YAML_AT(http_header_config, files)},
};
static const struct yaml_struct header_type = {.go = "config.Header",
                                               .size = sizeof(struct http_header_config),
                                               .fields = header_fields,
                                               .n = countof(header_fields)};

static err decode_headers(struct yaml_decoder *d, const struct yaml_node *n, void *field)
{
    enum { HEADERS_MAX = 256 };
    if (n->kind != YAML_MAPPING) {
        yaml_type_error(d, n, "config.Headers");
        return ERR_OK;
    }
    if (n->n > 2 * HEADERS_MAX)
        return yaml_fail(d, n, "more than %d headers", HEADERS_MAX);
    struct http_headers_config all = {
        arena_array(d->arena, n->n / 2 + 1, struct http_header_config), 0};
    for (size_t i = 0; i < n->n; i += 2) {
        struct http_header_config one = {0};
        struct str name;
        if (!yaml_decode_str(d, n->items[i], &name))
            continue;
        if (!yaml_is_null(n->items[i + 1]))
            TRY(yaml_decode_struct(d, n->items[i + 1], &header_type, &one));
        one.name = name;
        size_t at = all.n++;
        for (; at && yaml_key_cmp(all.items[at - 1].name, name) > 0; at--)
            all.items[at] = all.items[at - 1];
        all.items[at] = one;
    }
    memcpy(field, &all, sizeof all);
    return ERR_OK;
}

static void encode_headers(struct yaml_writer *w, const void *field)
{
    const struct http_headers_config *all = field;
    yaml_put_map(w);
    for (size_t i = 0; i < all->n; i++) {
        const struct http_header_config *const h = &all->items[i];
        yaml_put_str(w, h->name);
        yaml_put_map(w);
        if (h->values.n) {
            yaml_put_str(w, STR("values"));
            yaml_put_strs(w, &h->values);
        }
        if (h->secrets.n) {
            yaml_put_str(w, STR("secrets"));
            yaml_put_secrets(w, &h->secrets);
        }
        if (h->files.n) {
            yaml_put_str(w, STR("files"));
            yaml_put_strs(w, &h->files);
        }
        yaml_put_map_end(w);
    }
    yaml_put_map_end(w);
}

static bool headers_are_zero(const void *field)
{
    return !((const struct http_headers_config *)field)->n;
}

static void zero_headers(void *field)
{
    memset(field, 0, sizeof(struct http_headers_config));
}

static const struct yaml_custom headers_field = {decode_headers, encode_headers, headers_are_zero,
                                                 zero_headers};

// Asked for, noted, not kept.
static err decode_oauth2(struct yaml_decoder *d, const struct yaml_node *n, void *field)
{
    *(bool *)field = true;
    yaml_note_unsupported(d, n, "oauth2");
    return ERR_OK;
}

static void encode_nothing(struct yaml_writer *w, const void *field)
{
    (void)field;
    yaml_put_plain(w, STR("null"));
}

static bool always_zero(const void *field)
{
    (void)field;
    return true;
}

static void zero_bool(void *field)
{
    *(bool *)field = false;
}

static const struct yaml_custom oauth2_field = {decode_oauth2, encode_nothing, always_zero,
                                                zero_bool};

static const struct yaml_field fields[] = {
    {"basic_auth", YAML_FIELD_POINTER, YAML_AT(http_client_config, basic_auth),
     .of = &basic_auth_type},
    {"authorization", YAML_FIELD_POINTER, YAML_AT(http_client_config, authorization),
     .of = &authorization_type},
    {"oauth2", YAML_FIELD_CUSTOM, YAML_AT(http_client_config, oauth2), .custom = &oauth2_field},
    {"bearer_token", YAML_FIELD_SECRET, YAML_AT(http_client_config, bearer_token)},
    {"bearer_token_file", YAML_FIELD_STR, YAML_AT(http_client_config, bearer_token_file)},
    {"tls_config", YAML_FIELD_STRUCT, YAML_AT(http_client_config, tls), .of = &tls_type},
    {"follow_redirects", YAML_FIELD_BOOL, YAML_AT(http_client_config, follow_redirects),
     .always = true},
    {"enable_http2", YAML_FIELD_BOOL, YAML_AT(http_client_config, enable_http2), .always = true},
    {"", YAML_FIELD_INLINE, YAML_AT(http_client_config, proxy), .of = &proxy_type},
    {"http_headers", YAML_FIELD_CUSTOM, YAML_AT(http_client_config, headers),
     .custom = &headers_field},
};

const struct yaml_struct http_client_config_type = {.go = "config.plain",
                                                    .size = sizeof(struct http_client_config),
                                                    .fields = fields,
                                                    .n = countof(fields)};

void http_client_config_init(struct http_client_config *c)
{
    c->follow_redirects = true;
    c->enable_http2 = true;
}

// What would go past the proxy, or not through it.
static void note_proxy(struct yaml_decoder *d, const struct yaml_node *n,
                       const struct proxy_config *p)
{
    struct url url;
    if (p->no_proxy.n)
        yaml_note_field(d, n, "no_proxy");
    if (p->from_environment)
        yaml_note_field(d, n, "proxy_from_environment");
    if (p->connect_headers.n)
        yaml_note_field(d, n, "proxy_connect_header");
    if (!p->url.n || url_parse(p->url, &url, NULL) != ERR_OK)
        return;
    const struct yaml_node *const at = yaml_get(n, STR("proxy_url"));
    if (!str_eq_nocase(url.scheme, STR("http")))
        yaml_note_unsupported(d, at ? at : n, "proxy_url (of a scheme other than http)");
    if (url.user.n)
        yaml_note_unsupported(d, at ? at : n, "proxy_url (with a user)");
}

static err check_proxy(struct yaml_decoder *d, const struct yaml_node *n,
                       const struct proxy_config *p)
{
    if (p->connect_headers.n && !p->from_environment && !p->url.n)
        return yaml_fail(d, n,
                         "if proxy_connect_header is configured, proxy_url or "
                         "proxy_from_environment must also be configured");
    if (p->from_environment && p->url.n)
        return yaml_fail(
            d, n, "if proxy_from_environment is configured, proxy_url must not be configured");
    if (p->from_environment && p->no_proxy.n)
        return yaml_fail(
            d, n, "if proxy_from_environment is configured, no_proxy must not be configured");
    if (!p->url.n && p->no_proxy.n)
        return yaml_fail(d, n, "if no_proxy is configured, proxy_url must also be configured");
    note_proxy(d, n, p);
    return ERR_OK;
}

// User-Agent of user-agent.
static struct str canonical(struct arena *a, struct str name)
{
    char *const p = arena_alloc(a, name.n + 1, 1);
    bool upper = true;
    for (size_t i = 0; i < name.n; i++) {
        const char c = name.p[i];
        p[i] = upper && c >= 'a' && c <= 'z'    ? (char)(c - 32)
               : !upper && c >= 'A' && c <= 'Z' ? (char)(c + 32)
                                                : c;
        upper = c == '-';
    }
    return str_make(p, name.n);
}

static err check_headers(struct yaml_decoder *d, const struct yaml_node *n,
                         const struct http_headers_config *h)
{
    static const char *const reserved[] = {"authorization",
                                           "host",
                                           "content-encoding",
                                           "content-length",
                                           "content-type",
                                           "user-agent",
                                           "connection",
                                           "keep-alive",
                                           "proxy-authenticate",
                                           "proxy-authorization",
                                           "www-authenticate",
                                           "accept-encoding",
                                           "x-prometheus-remote-write-version",
                                           "x-prometheus-remote-read-version",
                                           "x-prometheus-scrape-timeout-seconds",
                                           "x-amz-date",
                                           "x-amz-security-token",
                                           "x-amz-content-sha256"};
    for (size_t i = 0; i < h->n; i++)
        for (size_t k = 0; k < countof(reserved); k++)
            if (str_eq_nocase(h->items[i].name, str_from_c(reserved[k])))
                return yaml_fail(d, n, "setting header \"%.*s\" is not allowed",
                                 STR_ARG(canonical(d->arena, h->items[i].name)));
    return ERR_OK;
}

static err check_authorization(struct yaml_decoder *d, const struct yaml_node *n,
                               struct http_client_config *c)
{
    struct authorization_config *const auth = c->authorization;
    if (c->bearer_token.n || c->bearer_token_file.n)
        return yaml_fail(d, n,
                         "authorization is not compatible with bearer_token & bearer_token_file");
    if (count_set(auth->credentials, auth->credentials_file, auth->credentials_ref) > 1)
        return yaml_fail(
            d, n, "at most one of authorization credentials & credentials_file must be configured");
    auth->type = str_trim(auth->type);
    if (!auth->type.n)
        auth->type = STR("Bearer");
    if (str_eq_nocase(auth->type, STR("basic")))
        return yaml_fail(
            d, n, "authorization type cannot be set to \"basic\", use \"basic_auth\" instead");
    if (c->basic_auth || c->oauth2)
        return yaml_fail(d, n,
                         "at most one of basic_auth, oauth2 & authorization must be configured");
    return ERR_OK;
}

err http_client_config_check(struct yaml_decoder *d, const struct yaml_node *n,
                             struct http_client_config *c)
{
    const struct basic_auth_config *const basic = c->basic_auth;
    if (c->bearer_token.n && c->bearer_token_file.n)
        return yaml_fail(d, n,
                         "at most one of bearer_token & bearer_token_file must be configured");
    if ((basic || c->oauth2) && (c->bearer_token.n || c->bearer_token_file.n))
        return yaml_fail(d, n,
                         "at most one of basic_auth, oauth2, bearer_token & "
                         "bearer_token_file must be configured");
    if (basic && count_set(basic->username, basic->username_file, basic->username_ref) > 1)
        return yaml_fail(d, n,
                         "at most one of basic_auth username, username_file & username_ref "
                         "must be configured");
    if (basic && count_set(basic->password, basic->password_file, basic->password_ref) > 1)
        return yaml_fail(d, n,
                         "at most one of basic_auth password, password_file & password_ref "
                         "must be configured");
    if (c->authorization) {
        TRY(check_authorization(d, n, c));
    } else if (c->bearer_token.n || c->bearer_token_file.n) {
        c->authorization = arena_new(d->arena, struct authorization_config);
        *c->authorization = (struct authorization_config){.type = STR("Bearer"),
                                                          .credentials = c->bearer_token,
                                                          .credentials_file = c->bearer_token_file};
        c->bearer_token = c->bearer_token_file = (struct str){0};
    }
    if (c->oauth2 && basic)
        return yaml_fail(d, n,
                         "at most one of basic_auth, oauth2 & authorization must be configured");
    TRY(check_proxy(d, n, &c->proxy));
    return check_headers(d, n, &c->headers);
}

void http_client_config_set_dir(struct http_client_config *c, struct arena *a, struct str dir)
{
    struct str *const paths[] = {
        &c->tls.ca_file,
        &c->tls.cert_file,
        &c->tls.key_file,
        c->basic_auth ? &c->basic_auth->username_file : NULL,
        c->basic_auth ? &c->basic_auth->password_file : NULL,
        c->authorization ? &c->authorization->credentials_file : NULL,
    };
    for (size_t i = 0; i < countof(paths); i++)
        if (paths[i])
            *paths[i] = config_join(a, dir, *paths[i]);
    for (size_t i = 0; i < c->headers.n; i++) {
        const struct yaml_strs *const files = &c->headers.items[i].files;
        for (size_t k = 0; k < files->n; k++)
            files->items[k] = config_join(a, dir, files->items[k]);
    }
}
