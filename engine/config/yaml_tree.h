// YAML: bytes to a tree of nodes. libyaml finds the events; aliases, merges, tags and limits are
// ours and follow go-yaml, which Prometheus uses, down to the texts of errors.
//
// An alias is another pointer to its anchor's node, so the tree is a graph without cycles. A key
// `<<` is gone: what it merged stands behind the mapping's own pairs, which win.
#ifndef ENGINE_CONFIG_YAML_TREE_H
#define ENGINE_CONFIG_YAML_TREE_H

#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/err.h"

enum {
    YAML_DEPTH_MAX = 100,        // nested collections
    YAML_ANCHORS_MAX = 4096,     // of one document
    YAML_MERGED_MAX = 1000,      // pairs of a mapping that has a key `<<`
    YAML_MERGES_MAX = 100 * 1000 // pairs looked at for merging, in one document
};

enum yaml_kind { YAML_SCALAR, YAML_SEQUENCE, YAML_MAPPING };

struct yaml_node {
    enum yaml_kind kind;
    uint32_t line, column;    // from 1
    bool plain;               // a scalar without quotes and without a tag
    struct str tag;           // as written, short: "!!int", "!x"; empty: none
    struct str value;         // of a scalar
    struct yaml_node **items; // of a sequence; of a mapping key, value, key, value
    size_t n;                 // how many items: twice the pairs of a mapping
    uint64_t weight, aliased; // nodes below and this one, aliases followed; how many through them
};

// The first document of text, in the arena; NULL when there is none. Errors as go-yaml's:
// "yaml: line 3: mapping values are not allowed in this context".
err yaml_parse(struct arena *a, struct str text, const struct yaml_node **out, struct errmsg *e);

// go-yaml's v2 takes yes, no, on, off, y and n for booleans everywhere; v3 only where a boolean is
// wanted. Prometheus's own file is read with v2, rule files with v3.
enum yaml_version { YAML_V2, YAML_V3 };

enum yaml_type { YAML_NULL, YAML_BOOL, YAML_INT, YAML_UINT, YAML_FLOAT, YAML_TIME, YAML_STR };

struct yaml_value {
    enum yaml_type type;
    bool boolean;
    int64_t number;   // of YAML_INT
    uint64_t natural; // of YAML_UINT: above INT64_MAX
    double fraction;
};

// What a scalar stands for. ERR_INVALID: its tag says another type than its text has.
err yaml_resolve(const struct yaml_node *scalar, enum yaml_version version, struct yaml_value *out);
// What a plain scalar with this text would stand for.
enum yaml_type yaml_type_of(struct str text, enum yaml_version version);
// "!!str": the tag that error texts name.
struct str yaml_tag(const struct yaml_node *n, enum yaml_version version);
// Nothing, ~ or null: decoding leaves a zero value and runs no checks.
bool yaml_is_null(const struct yaml_node *n);
// The value of a key of a mapping; NULL: absent.
const struct yaml_node *yaml_get(const struct yaml_node *mapping, struct str key);

#endif
