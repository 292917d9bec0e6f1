// Go's syntax of regular expressions (regexp/syntax, Perl flags): text to tree, with Go's errors.
//
// The tree is an array of nodes that point at each other by index; no function here recurses.
// Height is at most REGEX_HEIGHT_MAX, and the expression with all its repetitions written out at
// most REGEX_SIZE_MAX instructions: Go's limits.
#ifndef ENGINE_BASE_REGEX_SYNTAX_H
#define ENGINE_BASE_REGEX_SYNTAX_H

#include <stdint.h>

#include "engine/base/buf.h"
#include "engine/base/err.h"

enum { REGEX_HEIGHT_MAX = 1000, REGEX_SIZE_MAX = (128 << 20) / 40, REGEX_INFINITE = -1 };

enum regex_op {
    REGEX_EMPTY,
    REGEX_LITERAL,
    REGEX_CLASS,
    REGEX_ANY,        // also a newline
    REGEX_ANY_NOT_NL, // every character but a newline
    REGEX_BEGIN_LINE,
    REGEX_END_LINE,
    REGEX_BEGIN_TEXT,
    REGEX_END_TEXT,
    REGEX_WORD,
    REGEX_NOT_WORD,
    REGEX_CAPTURE,
    REGEX_REPEAT,
    REGEX_CONCAT,
    REGEX_ALTERNATE,
    REGEX_LEFT_PAREN, // of the parser's stack only, and so is the next
    REGEX_BAR,
};

struct regex_node {
    enum regex_op op;
    bool fold;       // a literal or class: whatever the case
    bool is_lazy;    // REPEAT
    bool is_capture; // LEFT_PAREN
    bool is_ascii;   // CLASS: its characters are those of ascii, and no others
    uint16_t height;
    int32_t min, max; // REPEAT; max may be REGEX_INFINITE
    uint32_t flags;   // LEFT_PAREN: those in front of it
    uint32_t child;   // the first of CAPTURE, REPEAT, CONCAT, ALTERNATE
    uint32_t last;    // of CONCAT, ALTERNATE
    uint32_t next;    // of one parent; 0: the last
    uint32_t at, n;   // bytes of the tree's text: of a LITERAL, or a CLASS as RE2 reads it
    int64_t size;     // instructions
    uint64_t ascii[2];
};

struct regex_name {
    uint32_t group, at, n; // bytes of the tree's text
};

struct regex_tree {
    struct regex_node *nodes; // nodes[0] is nobody's child, so 0 is no node
    size_t nodes_count, nodes_capacity;
    uint32_t root;
    struct buf text;
    struct regex_name *names; // of groups, in their order
    size_t names_count, names_capacity;
    uint32_t groups_count;
};

// dot_all: the flag s is on at the start. ERR_INVALID: `error parsing regexp: ...` as Go says it,
// which is appended to *said, too, if that is not NULL.
err regex_tree_parse(struct str pattern, bool dot_all, struct regex_tree *out, struct buf *said,
                     struct errmsg *e);
void regex_tree_deinit(struct regex_tree *t);
// The same expression for RE2: groups without names, flags at each place that needs one.
void regex_tree_print(const struct regex_tree *t, struct buf *out);

// regex_class.c: [...], \d, \pL and their like at the start of *rest, which moves behind it.
// A node of REGEX_CLASS without its place in the tree; the class's text goes to *text.
struct regex_class_result {
    const char *wrong; // the error's sentence, NULL: none
    struct str where;  // what the error names
};
enum regex_flag { REGEX_FOLD = 1, REGEX_DOT_ALL = 2, REGEX_MULTI_LINE = 4, REGEX_LAZY = 8 };
bool regex_class_parse(struct str *rest, bool fold, struct regex_node *out, struct buf *text,
                       struct regex_class_result *result);
// Only an escape, outside of brackets: false and no error where it is no class.
bool regex_class_escape_parse(struct str *rest, bool fold, struct regex_node *out, struct buf *text,
                              struct regex_class_result *result);
// \n, \x41, \.: one character.
bool regex_escape_parse(struct str *rest, uint32_t *out, struct regex_class_result *result);
bool regex_rune_parse(struct str *rest, uint32_t *out, struct regex_class_result *result);
bool regex_text_is_valid(struct str s, struct regex_class_result *result);

// Appends the other case of the letters in [low, high], as they stand between brackets, where RE2
// does not know it: pairs of Unicode 15.1 and later. False: there are none.
bool regex_newer_forms_put(uint32_t low, uint32_t high, struct buf *text);

struct regex_range {
    uint32_t low, high;
};

// regex_unicode.c: appends the runes of Go's class of that name, or all others, as they stand
// between brackets; false: there is none, or the pattern is too long. fold: the case will not
// matter.
bool regex_unicode_put(struct str name, bool negated, bool fold, struct buf *text);

#endif
