// A tree as RE2 reads it.
#include <assert.h>

#include "engine/base/mem.h"
#include "engine/base/regex_syntax.h"

static void print_literal(struct str s, bool fold, struct buf *out)
{
    buf_put_str(out, fold ? STR("(?i:") : STR(""));
    for (size_t i = 0; i < s.n; i++) {
        const unsigned char c = (unsigned char)s.p[i];
        const bool is_word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                             (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
        if (!is_word && (c < 0x20 || c == 0x7f)) {
            buf_printf(out, "\\x{%x}", c);
            continue;
        }
        if (!is_word)
            buf_put_char(out, '\\');
        buf_put_char(out, (char)c);
    }
    buf_put_str(out, fold ? STR(")") : STR(""));
}

static void print_leaf(const struct regex_tree *t, const struct regex_node *node, struct buf *out)
{
    static const struct str texts[] = {
        [REGEX_EMPTY] = STR("(?:)"),        [REGEX_ANY] = STR("(?s:.)"),
        [REGEX_ANY_NOT_NL] = STR("[^\\n]"), [REGEX_BEGIN_LINE] = STR("(?m:^)"),
        [REGEX_END_LINE] = STR("(?m:$)"),   [REGEX_BEGIN_TEXT] = STR("\\A"),
        [REGEX_END_TEXT] = STR("\\z"),      [REGEX_WORD] = STR("\\b"),
        [REGEX_NOT_WORD] = STR("\\B"),
    };
    const struct str text = str_make(node->n ? t->text.p + node->at : NULL, node->n);
    if (node->op == REGEX_LITERAL)
        print_literal(text, node->fold, out);
    else if (node->op == REGEX_CLASS)
        buf_printf(out, node->fold ? "(?i:%.*s)" : "%.*s", STR_ARG(text));
    else
        buf_put_str(out, texts[node->op]);
}

static void print_end(const struct regex_node *node, struct buf *out)
{
    buf_put_char(out, ')');
    if (node->op != REGEX_REPEAT)
        return;
    if (node->max == REGEX_INFINITE && node->min < 2)
        buf_put_char(out, node->min ? '+' : '*');
    else if (node->max == REGEX_INFINITE)
        buf_printf(out, "{%d,}", node->min);
    else if (node->min == 0 && node->max == 1)
        buf_put_char(out, '?');
    else
        buf_printf(out, "{%d,%d}", node->min, node->max);
    if (node->is_lazy)
        buf_put_char(out, '?');
}

void regex_tree_print(const struct regex_tree *t, struct buf *out)
{
    struct level {
        uint32_t at, child; // child: the next to print
    };
    // The tree's height and the root's own level are all that can be open.
    struct level *levels = mem_alloc_array(REGEX_HEIGHT_MAX + 1, sizeof *levels);
    size_t count = 0;
    uint32_t entered = t->root;
    do {
        if (entered) {
            const struct regex_node *node = &t->nodes[entered];
            assert(count <= REGEX_HEIGHT_MAX);
            levels[count++] = (struct level){entered, node->child};
            if (!node->child)
                print_leaf(t, node, out);
            else
                buf_put_str(out, node->op == REGEX_CAPTURE ? STR("(") : STR("(?:"));
        }
        struct level *top = &levels[count - 1];
        const struct regex_node *node = &t->nodes[top->at];
        entered = top->child;
        if (entered) {
            if (node->op == REGEX_ALTERNATE && entered != node->child)
                buf_put_char(out, '|');
            top->child = t->nodes[entered].next;
        } else {
            if (node->child)
                print_end(node, out);
            count--;
        }
    } while (count);
    mem_free(levels);
}
