// What the parts of a configuration share while it is read, and the functions they check with.
#ifndef ENGINE_CONFIG_CONFIG_LOAD_H
#define ENGINE_CONFIG_CONFIG_LOAD_H

#include "engine/base/regex.h"
#include "engine/config/yaml_decode.h"

enum { CONFIG_REGEXES_MAX = 65536 };

struct config_load {
    struct regex *default_regex; // (.*), shared by all rules that name none
    struct regex **regexes;      // of the others: the configuration frees them
    size_t regexes_n, regexes_capacity;
    bool protobuf_first;                // the default of scrape_protocols begins with protobuf
    bool has_alerting, has_remote_read; // noted as unsupported, and refused to agents
};

// map[string][]string, in the order of yaml_key_cmp.
struct config_lists {
    struct config_named_list {
        struct str name;
        struct yaml_strs values;
    } * items;
    size_t n;
};
extern const struct yaml_custom config_params_field;        // url.Values
extern const struct yaml_custom config_proxy_headers_field; // values are secrets

// A path relative to the file that names it: joined to the file's folder and cleaned, as Go's
// filepath.Join does. Empty and absolute ones stay.
struct str config_join(struct arena *a, struct str dir, struct str path);
struct str config_dir(struct arena *a, struct str path); // filepath.Dir

// "\"a b\"" as %q prints it, in the arena.
struct str config_quote(struct arena *a, struct str text);
// Does one segment of a path match a pattern with *, ? and [a-z]? As Go's filepath.Match.
bool config_glob_matches(struct str pattern, struct str name);
bool config_glob_is_valid(struct str pattern); // what is not names no file

#endif
