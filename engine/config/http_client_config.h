// How to reach something over HTTP: the fields that scrapes, discovery and remote storage share.
//
// Secrets are never printed. Files are named, not read: who connects reads them each time, so that
// a renewed certificate or password is taken up.
#ifndef ENGINE_CONFIG_HTTP_CLIENT_CONFIG_H
#define ENGINE_CONFIG_HTTP_CLIENT_CONFIG_H

#include "engine/config/config_load.h"
#include "io/stream.h"

struct basic_auth_config {
    struct str username, username_file, username_ref;
    struct str password, password_file, password_ref; // password is a secret
};

struct authorization_config {
    struct str type;                                           // "Bearer", or as given
    struct str credentials, credentials_file, credentials_ref; // credentials is a secret
};

struct tls_client_config {
    struct str ca, cert, key; // PEM; key is a secret
    struct str ca_file, cert_file, key_file;
    struct str ca_ref, cert_ref, key_ref;
    struct str server_name;
    bool insecure_skip_verify;
    int min_version, max_version; // TLS_VERSION_*; 0: the library's
};

struct http_header_config {
    struct str name;
    struct yaml_strs values, secrets, files;
};
struct http_headers_config {
    struct http_header_config *items; // in the order of yaml_key_cmp
    size_t n;
};

struct proxy_config {
    struct str url; // empty: none; may hold a password, so it is not for messages
    struct str no_proxy;
    bool from_environment;
    struct config_lists connect_headers; // values are secrets
};

struct http_client_config {
    struct basic_auth_config *basic_auth;       // NULL: none
    struct authorization_config *authorization; // NULL: none
    struct str bearer_token, bearer_token_file; // become authorization; empty once checked
    bool oauth2;                                // asked for, which is not supported
    struct tls_client_config tls;
    bool follow_redirects, enable_http2;
    struct proxy_config proxy;
    struct http_headers_config headers;
};

extern const struct yaml_struct http_client_config_type;
void http_client_config_init(struct http_client_config *c);
// What one field cannot say about the others. Also moves bearer_token to authorization.
err http_client_config_check(struct yaml_decoder *d, const struct yaml_node *n,
                             struct http_client_config *c);
// Joins the files' paths to dir.
void http_client_config_set_dir(struct http_client_config *c, struct arena *a, struct str dir);

#endif
