// PromQL's parser: text to tree, with Prometheus's grammar and messages.
#ifndef ENGINE_PROMQL_PARSER_H
#define ENGINE_PROMQL_PARSER_H

#include "engine/base/err.h"
#include "engine/promql/ast.h"

// Positions have 32 bits. What a text costs is bounded by the arena: some 100 bytes a node.
enum { PROMQL_TEXT_MAX = 1 << 30 };

// Zeroed: as Prometheus without feature flags.
struct promql_options {
    bool experimental_functions;   // also limitk and limit_ratio
    bool extended_range_selectors; // anchored, smoothed
    bool binop_fill_modifiers;     // fill(), fill_left(), fill_right()
    bool no_duration_expressions;  // refuses arithmetic in ranges, steps and offsets
    struct str
        *whole_error; // gets a message that an errmsg cuts, in the arena, ends in NUL; or NULL
};

struct promql_query {
    struct promql_expr *expr;
    struct regex **regexes; // of the matchers
    size_t regexes_count, regexes_capacity;
};

// Parses text into *out, which the caller gives to promql_parse_done() once the tree is no longer
// used; on failure *out is untouched. ERR_INVALID: e is Prometheus's text, as in
// `1:5: parse error: unexpected <by> in ...`; ERR_LIMIT: text is too long or nested too deeply, or
// the arena's limit is reached.
err promql_parse(struct str text, const struct promql_options *options, struct arena *a,
                 struct promql_query *out, struct errmsg *e);
void promql_parse_done(struct promql_query *query);

// The matchers of a selector alone, as match[] parameters have them: {job="x"}, up{a!="b"}.
err promql_parse_selector(struct str text, const struct promql_options *options, struct arena *a,
                          struct promql_query *out, struct errmsg *e);

#endif
