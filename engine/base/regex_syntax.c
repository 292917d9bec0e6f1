// The parser keeps a stack of finished nodes with open parentheses and bars between them, as Go's
// does: which error comes first depends on it.
#include "engine/base/regex_syntax.h"

#include <assert.h>

#include "engine/base/mem.h"
#include "engine/base/utf8.h"

enum { REPEAT_MAX = 1000, NUMBER_MAX = 100000000 };

struct parser {
    struct regex_tree *tree;
    struct str whole, rest;
    uint32_t flags;
    uint32_t *stack;
    size_t stack_count, stack_capacity;
    struct str last_repeat; // from the repetition that was just read; p NULL: none was
    struct errmsg *e;
    struct buf *said; // gets the error, however long; or NULL
};

static err fail(struct parser *p, const char *wrong, struct str where)
{
    static const char format[] = "error parsing regexp: %s: `%.*s`";
    if (p->said)
        buf_printf(p->said, format, wrong, STR_ARG(where));
    return err_set(p->e, ERR_INVALID, format, wrong, STR_ARG(where));
}

static err fail_as(struct parser *p, const struct regex_class_result *r)
{
    return fail(p, r->wrong, r->where);
}

static struct str before(struct str from, struct str rest)
{
    return str_until(from, from.n - rest.n);
}

// ---- the stack

static struct regex_node *node_at(const struct parser *p, uint32_t at)
{
    assert(at > 0 && at < p->tree->nodes_count);
    return &p->tree->nodes[at];
}

static uint32_t new_node(struct parser *p, struct regex_node node)
{
    struct regex_tree *t = p->tree;
    if (t->nodes_count == t->nodes_capacity)
        t->nodes = mem_grow(t->nodes, &t->nodes_capacity, t->nodes_count + 1, sizeof *t->nodes);
    node.size = node.size > 0 ? node.size : 1;
    node.height = node.height ? node.height : 1;
    t->nodes[t->nodes_count] = node;
    return (uint32_t)t->nodes_count++;
}

static err check_limits(struct parser *p, const struct regex_node *node)
{
    if (node->size > REGEX_SIZE_MAX)
        return fail(p, "expression too large", p->whole);
    if (node->height > REGEX_HEIGHT_MAX)
        return fail(p, "expression nests too deeply", p->whole);
    return ERR_OK;
}

static struct regex_node *top(const struct parser *p, size_t below)
{
    return below < p->stack_count ? node_at(p, p->stack[p->stack_count - 1 - below]) : NULL;
}

// Two literals under what comes next are one: no repetition can be meant for the upper alone.
static void merge_literals(struct parser *p)
{
    struct regex_node *upper = top(p, 0), *lower = top(p, 1);
    if (!upper || !lower || upper->op != REGEX_LITERAL || lower->op != REGEX_LITERAL ||
        upper->fold != lower->fold || lower->at + lower->n != upper->at)
        return;
    lower->n += upper->n;
    lower->size += upper->size;
    p->stack_count--;
}

static err push(struct parser *p, uint32_t at)
{
    merge_literals(p);
    if (p->stack_count == p->stack_capacity)
        p->stack = mem_grow(p->stack, &p->stack_capacity, p->stack_count + 1, sizeof *p->stack);
    p->stack[p->stack_count++] = at;
    return check_limits(p, node_at(p, at));
}

static err push_op(struct parser *p, enum regex_op op)
{
    return push(p, new_node(p, (struct regex_node){.op = op}));
}

// As a class, if RE2 does not know both.
static bool put_both_forms(uint32_t rune, struct buf *text)
{
    const size_t n = text->n;
    buf_printf(text, "[\\x{%x}", (unsigned)rune);
    const bool any = regex_newer_forms_put(rune, rune, text);
    buf_put_char(text, ']');
    if (!any)
        text->n = n;
    return any;
}

static err push_literal(struct parser *p, uint32_t rune)
{
    char bytes[UTF8_MAX];
    struct buf *text = &p->tree->text;
    struct regex_node node = {
        .op = REGEX_LITERAL, .fold = p->flags & REGEX_FOLD, .at = (uint32_t)text->n};
    if (rune >= 0xd800 && rune < 0xe000) { // in no text: a class without a character
        node.op = REGEX_CLASS;
        buf_put_str(text, STR("[^\\x{0}-\\x{10ffff}]"));
    } else if (node.fold && rune >= 128 && put_both_forms(rune, text)) {
        node.op = REGEX_CLASS;
    } else {
        buf_put(text, bytes, utf8_encode(bytes, rune));
    }
    node.n = (uint32_t)(text->n - node.at);
    return push(p, new_node(p, node));
}

static bool is_open(const struct parser *p, size_t at)
{
    const enum regex_op op = node_at(p, p->stack[at])->op;
    return op == REGEX_LEFT_PAREN || op == REGEX_BAR;
}

// One node of all above index from, without bars; nodes of the same kind among them are dissolved.
static err join(struct parser *p, enum regex_op op, size_t from)
{
    struct regex_node all = {.op = op};
    size_t count = 0;
    uint32_t only = 0;
    for (size_t i = from; i < p->stack_count; i++) {
        const uint32_t at = p->stack[i];
        const struct regex_node *node = node_at(p, at);
        if (node->op == REGEX_BAR)
            continue;
        only = at;
        const bool same = node->op == op;
        const uint32_t first = same ? node->child : at;
        if (count++)
            node_at(p, all.last)->next = first;
        else
            all.child = first;
        all.last = same ? node->last : at;
        all.size += node->size + (op == REGEX_ALTERNATE && count > 1);
        const unsigned height = same ? node->height : node->height + 1u;
        if (height > all.height)
            all.height = (uint16_t)height;
    }
    p->stack_count = from;
    if (count == 1)
        return push(p, only);
    return push(p, new_node(p, count ? all : (struct regex_node){.op = REGEX_EMPTY}));
}

static err concat(struct parser *p)
{
    merge_literals(p);
    size_t from = p->stack_count;
    while (from > 0 && !is_open(p, from - 1))
        from--;
    return join(p, REGEX_CONCAT, from);
}

// Everything behind the last open parenthesis becomes one node.
static err close_group(struct parser *p)
{
    TRY(concat(p));
    size_t from = p->stack_count;
    while (from > 0 && node_at(p, p->stack[from - 1])->op != REGEX_LEFT_PAREN)
        from--;
    return join(p, REGEX_ALTERNATE, from);
}

// ---- parentheses

static err open_group(struct parser *p, bool is_capture)
{
    p->tree->groups_count += is_capture;
    return push(p, new_node(p, (struct regex_node){.op = REGEX_LEFT_PAREN,
                                                   .is_capture = is_capture,
                                                   .flags = p->flags}));
}

static err parse_right_paren(struct parser *p)
{
    TRY(close_group(p));
    if (p->stack_count < 2)
        return fail(p, "unexpected )", p->whole);
    const uint32_t inside = p->stack[p->stack_count - 1];
    const struct regex_node paren = *top(p, 1);
    assert(paren.op == REGEX_LEFT_PAREN);
    p->stack_count -= 2;
    p->flags = paren.flags;
    p->rest = str_from(p->rest, 1);
    if (!paren.is_capture)
        return push(p, inside);
    const struct regex_node *node = node_at(p, inside);
    return push(p, new_node(p, (struct regex_node){.op = REGEX_CAPTURE,
                                                   .child = inside,
                                                   .size = 2 + node->size,
                                                   .height = (uint16_t)(node->height + 1)}));
}

static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        const char c = s.p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              c == '_'))
            return false;
    }
    return s.n > 0;
}

// (?P<name> or (?<name>, whose name starts at index from.
static err parse_named_group(struct parser *p, size_t from)
{
    struct regex_tree *t = p->tree;
    const struct str s = p->rest;
    struct regex_class_result r = {0};
    const ptrdiff_t end = str_find(s, '>', 0);
    if (end < 0)
        return regex_text_is_valid(s, &r) ? fail(p, "invalid named capture", s) : fail_as(p, &r);
    const struct str name = str_make(s.p + from, (size_t)end - from);
    if (!regex_text_is_valid(name, &r))
        return fail_as(p, &r);
    if (!is_name(name))
        return fail(p, "invalid named capture", str_until(s, (size_t)end + 1));
    TRY(open_group(p, true));
    if (t->names_count == t->names_capacity)
        t->names = mem_grow(t->names, &t->names_capacity, t->names_count + 1, sizeof *t->names);
    t->names[t->names_count++] =
        (struct regex_name){t->groups_count, (uint32_t)t->text.n, (uint32_t)name.n};
    buf_put_str(&t->text, name);
    p->rest = str_from(s, (size_t)end + 1);
    return ERR_OK;
}

static uint32_t flag_of(uint32_t c)
{
    return c == 'i'   ? REGEX_FOLD
           : c == 'm' ? REGEX_MULTI_LINE
           : c == 's' ? REGEX_DOT_ALL
           : c == 'U' ? REGEX_LAZY
                      : 0;
}

// (?i-s) or (?i-s:
static err parse_flags(struct parser *p)
{
    struct str t = str_from(p->rest, 2);
    struct regex_class_result r = {0};
    uint32_t flags = p->flags, c;
    bool minus = false, saw_flag = false;
    while (t.n) {
        if (!regex_rune_parse(&t, &c, &r))
            return fail_as(p, &r);
        const uint32_t flag = flag_of(c);
        if (flag) {
            flags = minus ? flags & ~flag : flags | flag;
            saw_flag = true;
        } else if (c == '-' && !minus) {
            minus = true;
            saw_flag = false;
        } else if ((c == ':' || c == ')') && (!minus || saw_flag)) {
            if (c == ':')
                TRY(open_group(p, false));
            p->flags = flags;
            p->rest = t;
            return ERR_OK;
        } else {
            break;
        }
    }
    return fail(p, "invalid or unsupported Perl syntax", before(p->rest, t));
}

static err parse_left_paren(struct parser *p)
{
    const struct str t = p->rest;
    if (t.n >= 2 && t.p[1] == '?') {
        if (t.n > 4 && t.p[2] == 'P' && t.p[3] == '<')
            return parse_named_group(p, 4);
        return t.n > 3 && t.p[2] == '<' ? parse_named_group(p, 3) : parse_flags(p);
    }
    p->rest = str_from(t, 1);
    return open_group(p, true);
}

// ---- repetitions

// A decimal number; false: none. The too large are -1.
static bool parse_number(struct str *s, int32_t *out)
{
    if (s->n == 0 || s->p[0] < '0' || s->p[0] > '9')
        return false;
    if (s->n >= 2 && s->p[0] == '0' && s->p[1] >= '0' && s->p[1] <= '9')
        return false;
    int32_t number = 0;
    size_t i = 0;
    for (; i < s->n && s->p[i] >= '0' && s->p[i] <= '9'; i++)
        if (number >= 0)
            number = number >= NUMBER_MAX ? -1 : number * 10 + (s->p[i] - '0');
    *s = str_from(*s, i);
    *out = number;
    return true;
}

// {n}, {n,} or {n,m}; false: the brace is text.
static bool parse_braces(struct str *rest, int32_t *out_min, int32_t *out_max)
{
    struct str s = str_from(*rest, 1);
    if (!parse_number(&s, out_min) || s.n == 0)
        return false;
    *out_max = *out_min;
    if (s.p[0] == ',') {
        s = str_from(s, 1);
        if (s.n == 0)
            return false;
        if (s.p[0] == '}')
            *out_max = REGEX_INFINITE;
        else if (!parse_number(&s, out_max))
            return false;
        else if (*out_max < 0)
            *out_min = -1;
    }
    if (s.n == 0 || s.p[0] != '}')
        return false;
    *rest = str_from(s, 1);
    return true;
}

static int64_t repeat_size(const struct regex_node *sub, int32_t min, int32_t max)
{
    if (max == REGEX_INFINITE)
        return min == 0 ? 2 + sub->size : min == 1 ? 1 + sub->size : 1 + min * sub->size;
    return min == 0 && max == 1 ? 1 + sub->size : max * sub->size + (max - min);
}

// Whether nested counts of at least two, multiplied, stay within what is allowed.
static bool is_repeat_valid(const struct parser *p, uint32_t root)
{
    struct level {
        uint32_t at;
        int32_t left;
    } *levels = NULL;
    size_t count = 0, capacity = 0;
    bool is_valid = true;
    levels = mem_grow(levels, &capacity, 1, sizeof *levels);
    levels[count++] = (struct level){root, REPEAT_MAX};
    while (count && is_valid) {
        const struct level l = levels[--count];
        const struct regex_node *node = node_at(p, l.at);
        int32_t left = l.left;
        if (node->op == REGEX_REPEAT && (node->min > 1 || node->max > 1 || node->max == 0)) {
            const int32_t times = node->max == REGEX_INFINITE ? node->min : node->max;
            if (times == 0)
                continue;
            is_valid = times <= left;
            left /= times;
        }
        for (uint32_t child = node->child; child && is_valid; child = node_at(p, child)->next) {
            if (count == capacity)
                levels = mem_grow(levels, &capacity, count + 1, sizeof *levels);
            levels[count++] = (struct level){child, left};
        }
    }
    mem_free(levels);
    return is_valid;
}

// from begins with the operator, p->rest is behind it.
static err repeat(struct parser *p, struct str from, int32_t min, int32_t max, bool braces)
{
    bool is_lazy = p->flags & REGEX_LAZY;
    if (p->rest.n && p->rest.p[0] == '?') {
        p->rest = str_from(p->rest, 1);
        is_lazy = !is_lazy;
    }
    if (p->last_repeat.p)
        return fail(p, "invalid nested repetition operator", before(p->last_repeat, p->rest));
    if (p->stack_count == 0 || is_open(p, p->stack_count - 1))
        return fail(p, "missing argument to repetition operator", before(from, p->rest));
    const uint32_t sub = p->stack[p->stack_count - 1];
    const struct regex_node *node = node_at(p, sub);
    const uint32_t at = new_node(p, (struct regex_node){.op = REGEX_REPEAT,
                                                        .is_lazy = is_lazy,
                                                        .min = min,
                                                        .max = max,
                                                        .child = sub,
                                                        .size = repeat_size(node, min, max),
                                                        .height = (uint16_t)(node->height + 1)});
    p->stack[p->stack_count - 1] = at;
    TRY(check_limits(p, node_at(p, at)));
    if (braces && (min >= 2 || max >= 2) && !is_repeat_valid(p, at))
        return fail(p, "invalid repeat count", before(from, p->rest));
    p->last_repeat = from;
    return ERR_OK;
}

static err parse_repeat(struct parser *p)
{
    const struct str from = p->rest;
    int32_t min = from.p[0] == '+', max = from.p[0] == '?' ? 1 : REGEX_INFINITE;
    if (from.p[0] != '{') {
        p->rest = str_from(from, 1);
        return repeat(p, from, min, max, false);
    }
    if (!parse_braces(&p->rest, &min, &max)) {
        p->rest = str_from(from, 1);
        p->last_repeat = (struct str){0};
        return push_literal(p, '{');
    }
    if (min < 0 || min > REPEAT_MAX || max > REPEAT_MAX || (max >= 0 && min > max))
        return fail(p, "invalid repeat count", before(from, p->rest));
    return repeat(p, from, min, max, true);
}

// ---- the rest

static err parse_quoted(struct parser *p)
{
    struct str text = str_from(p->rest, 2);
    const char *end = text.n ? memmem(text.p, text.n, "\\E", 2) : NULL;
    p->rest = end ? str_from(text, (size_t)(end - text.p) + 2) : str_from(text, text.n);
    text = end ? str_until(text, (size_t)(end - text.p)) : text;
    struct regex_class_result r = {0};
    uint32_t rune;
    while (text.n) {
        if (!regex_rune_parse(&text, &rune, &r))
            return fail_as(p, &r);
        TRY(push_literal(p, rune));
    }
    return ERR_OK;
}

static err parse_backslash(struct parser *p)
{
    const char next = p->rest.n >= 2 ? p->rest.p[1] : 0;
    const enum regex_op op = next == 'A'   ? REGEX_BEGIN_TEXT
                             : next == 'b' ? REGEX_WORD
                             : next == 'B' ? REGEX_NOT_WORD
                             : next == 'z' ? REGEX_END_TEXT
                                           : REGEX_EMPTY;
    if (op != REGEX_EMPTY) {
        p->rest = str_from(p->rest, 2);
        return push_op(p, op);
    }
    if (next == 'C')
        return fail(p, "invalid escape sequence", str_until(p->rest, 2));
    if (next == 'Q')
        return parse_quoted(p);
    struct regex_node node;
    struct regex_class_result r;
    if (regex_class_escape_parse(&p->rest, p->flags & REGEX_FOLD, &node, &p->tree->text, &r))
        return push(p, new_node(p, node));
    uint32_t rune;
    if (r.wrong || !regex_escape_parse(&p->rest, &rune, &r))
        return fail_as(p, &r);
    return push_literal(p, rune);
}

static err parse_class(struct parser *p)
{
    struct regex_node node;
    struct regex_class_result r;
    if (!regex_class_parse(&p->rest, p->flags & REGEX_FOLD, &node, &p->tree->text, &r))
        return fail_as(p, &r);
    return push(p, new_node(p, node));
}

static err parse_single(struct parser *p)
{
    const char c = p->rest.p[0];
    const bool lines = p->flags & REGEX_MULTI_LINE;
    p->rest = str_from(p->rest, 1);
    if (c == '^')
        return push_op(p, lines ? REGEX_BEGIN_LINE : REGEX_BEGIN_TEXT);
    if (c == '$')
        return push_op(p, lines ? REGEX_END_LINE : REGEX_END_TEXT);
    if (c == '.')
        return push_op(p, p->flags & REGEX_DOT_ALL ? REGEX_ANY : REGEX_ANY_NOT_NL);
    assert(c == '|');
    TRY(concat(p));
    return push_op(p, REGEX_BAR);
}

static err parse_one(struct parser *p)
{
    const char c = p->rest.p[0];
    if (c == '*' || c == '+' || c == '?' || c == '{')
        return parse_repeat(p);
    p->last_repeat = (struct str){0};
    switch (c) {
    case '(':
        return parse_left_paren(p);
    case ')':
        return parse_right_paren(p);
    case '[':
        return parse_class(p);
    case '\\':
        return parse_backslash(p);
    case '^':
    case '$':
    case '.':
    case '|':
        return parse_single(p);
    default:
        break;
    }
    struct regex_class_result r = {0};
    uint32_t rune;
    if (!regex_rune_parse(&p->rest, &rune, &r))
        return fail_as(p, &r);
    return push_literal(p, rune);
}

static err parse(struct parser *p)
{
    while (p->rest.n)
        TRY(parse_one(p));
    TRY(close_group(p));
    if (p->stack_count != 1)
        return fail(p, "missing closing )", p->whole);
    p->tree->root = p->stack[0];
    return ERR_OK;
}

err regex_tree_parse(struct str pattern, bool dot_all, struct regex_tree *out, struct buf *said,
                     struct errmsg *e)
{
    struct regex_tree tree = {0};
    struct parser p = {.tree = &tree,
                       .whole = pattern,
                       .rest = pattern,
                       .flags = dot_all ? REGEX_DOT_ALL : 0,
                       .e = e,
                       .said = said};
    (void)new_node(&p, (struct regex_node){.op = REGEX_EMPTY}); // nobody's
    const err code = parse(&p);
    mem_free(p.stack);
    if (code)
        regex_tree_deinit(&tree);
    else
        *out = tree;
    return code;
}

void regex_tree_deinit(struct regex_tree *t)
{
    mem_free(t->nodes);
    mem_free(t->names);
    buf_deinit(&t->text);
    *t = (struct regex_tree){0};
}
