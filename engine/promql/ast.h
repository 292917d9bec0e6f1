// PromQL's syntax tree: the kinds of nodes, their positions, types and children.
//
// Nodes, arrays and texts live in the arena given to promql_parse(); texts without escapes are
// slices of the query itself, which must live as long. Compiled regular expressions are on the
// heap: promql_parse_done() (parser.h) frees them.
//
// A tree may be as deep as its text is long (100,000 parentheses): nothing walks one by recursion.
// promql_list() is the walk for those who do not care about the order of visits.
#ifndef ENGINE_PROMQL_AST_H
#define ENGINE_PROMQL_AST_H

#include <assert.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/model/matcher.h"
#include "engine/promql/operator.h"

struct promql_function; // function_table.h

enum promql_kind {
    PROMQL_AGGREGATE,
    PROMQL_BINARY,
    PROMQL_CALL,
    PROMQL_MATRIX, // a selector with a range
    PROMQL_NUMBER,
    PROMQL_PAREN,
    PROMQL_STRING,
    PROMQL_SUBQUERY,
    PROMQL_UNARY,
    PROMQL_VECTOR,   // a selector
    PROMQL_DURATION, // only below range_expr, step_expr and offset_expr
};

enum promql_card { PROMQL_ONE_TO_ONE, PROMQL_MANY_TO_ONE, PROMQL_ONE_TO_MANY, PROMQL_MANY_TO_MANY };
enum promql_at { PROMQL_AT_NONE, PROMQL_AT_TIME, PROMQL_AT_START, PROMQL_AT_END };

// offset and @ of a selector or subquery.
struct promql_shift {
    int64_t offset_ns;               // as written; evaluation cuts it to milliseconds
    struct promql_expr *offset_expr; // PROMQL_DURATION to evaluate first, or NULL
    enum promql_at at;
    int64_t at_ms; // of PROMQL_AT_TIME
};

struct promql_matching { // of a binary expression between two vectors
    enum promql_card card;
    bool on; // on (labels), otherwise ignoring (labels)
    bool has_fill_left, has_fill_right;
    size_t labels_count, include_count;
    struct str *labels;
    struct str *include; // of group_left and group_right
    double fill_left, fill_right;
};

struct promql_expr {
    enum promql_kind kind;
    enum promql_type type; // of the result
    uint32_t start, end;   // bytes of the query, [start, end)
    uint32_t size;         // nodes of the tree: itself and its children's
    union {
        struct { // param: NULL where the aggregation has none
            enum promql_aggregate op;
            bool without;
            struct promql_expr *expr, *param;
            struct str *grouping;
            size_t grouping_count;
        } aggregate;
        struct {
            enum promql_op op;
            bool return_bool;
            struct promql_expr *lhs, *rhs;
            struct promql_matching *matching; // NULL: a side is a scalar
        } binary;
        struct {
            const struct promql_function *function;
            struct promql_expr **args;
            size_t args_count;
        } call;
        struct {                                     // offset and @ are the vector's
            struct promql_expr *vector, *range_expr; // range_expr: PROMQL_DURATION, or NULL
            int64_t range_ms, range_ns;              // cut, and exactly; 0 with range_expr
        } matrix;
        struct {
            double value;
            bool is_duration; // written as one: 5m is 300
        } number;
        struct promql_expr *paren;
        struct str string; // unquoted
        struct {
            struct promql_expr *expr, *range_expr, *step_expr;
            int64_t range_ms, step_ms; // cut; 0 with an expression
            int64_t range_ns, step_ns; // exactly; step_ns 0 without step_expr: the default
            struct promql_shift shift;
        } subquery;
        struct {
            enum promql_op op; // ADD or SUB
            struct promql_expr *expr;
        } unary;
        struct {
            struct str name; // empty, or what a matcher of __name__ says too
            struct matcher *matchers;
            size_t matchers_count;
            struct promql_shift shift;
            bool anchored, smoothed;
            bool may_be_empty;    // the label selector of info(): no matcher need be non-empty
            struct matcher *also; // of info(): what evaluation adds; NULL: nothing
        } vector;
        struct { // lhs NULL: a sign before rhs, or a call; operands are NUMBER or DURATION
            enum promql_op op;
            bool wrapped; // in parentheses
            struct promql_expr *lhs, *rhs;
        } duration;
    };
};
static_assert(sizeof(struct promql_expr) <= 128, "two cache lines");

// What stands below e (not the duration expressions), in the order of the text; NULL: no index-th.
struct promql_expr *promql_child(const struct promql_expr *e, size_t index);
void promql_set_size(struct promql_expr *e); // from its children's
// All nodes of the tree, root->size of them: each before its children, whose trees stand one behind
// the other. NULL: the arena's limit.
const struct promql_expr **promql_list(const struct promql_expr *root, struct arena *a);
// The same, calling pause() now and then.
const struct promql_expr **promql_list_gently(const struct promql_expr *root, struct arena *a,
                                              void (*pause)(void));

#endif
