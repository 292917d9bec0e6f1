#include "engine/base/regex.h"

#include "engine/base/mem.h"
#include "engine/base/regex_glob.h"
#include "engine/base/regex_shim.h"
#include "engine/base/regex_syntax.h"
#include "engine/base/util.h"

// Of a program, and of the states that matching makes: what the program needs, and a share of what
// all those of one query have; more where the program does not fit.
enum {
    RE2_BYTES = 1 << 20,
    RE2_BYTES_MIN = 64 << 10,
    RE2_BYTES_ALL = 64 << 20,
    RE2_BYTES_LARGE = 32 << 20,
    RE2_BYTES_MAX = 256 << 20,
    SIZE_LARGE = 1 << 16, // instructions
    SIZE_BYTES = 512,     // for each of them
};
// RE2 writes a class like \pL out in bytes, each time it stands there: hundreds of instructions.
// Such expressions are compiled with all that is not ASCII in them, which is right for texts
// of ASCII, and else says what need not be asked for.
enum { CLASS_LARGE = 512, CLASSES_MAX = 1200 };
enum { TEXT_LARGE = 1024, PROGRAM_LARGE = 4096, GLOBS_LARGE = 4096 };

struct regex {
    struct re2_shim *re; // NULL: the globs say all that is asked
    enum regex_mode mode;
    struct str pattern; // as given
    struct regex_globs globs;
    size_t groups_count;
    struct regex_name *names; // in the order of their groups
    size_t names_count;
    struct buf text; // that holds the names
};

// What QuoteMeta would quote, but for the bar.
static bool is_list_of_literals(struct str p)
{
    static const char special[] = "\\.+*?()[]{}^$";
    for (size_t i = 0; i < p.n; i++)
        if (memchr(special, p.p[i], sizeof special - 1))
            return false;
    return true;
}

static struct str anchored(struct str pattern, struct buf *text)
{
    buf_put_str(text, STR("^(?s:"));
    buf_put_str(text, pattern);
    buf_put_str(text, STR(")$"));
    return buf_str(text);
}

static err parse(struct str pattern, enum regex_mode mode, struct regex_tree *out, struct buf *said,
                 struct errmsg *e)
{
    if (mode == REGEX_SEARCH)
        return regex_tree_parse(pattern, false, out, said, e);
    struct buf text = {0};
    err code = ERR_OK;
    if (mode == REGEX_MATCHER) {
        code = regex_tree_parse(pattern, true, out, said, e);
        if (code)
            return code;
        // Prometheus reads it a second time with anchors around, which are one level more.
        const struct regex_node *root = &out->nodes[out->root];
        if (root->height < REGEX_HEIGHT_MAX || root->op == REGEX_CONCAT)
            return ERR_OK;
        regex_tree_deinit(out);
    }
    code = regex_tree_parse(anchored(pattern, &text), false, out, said, e);
    buf_deinit(&text);
    return code;
}

static bool is_large_class(const struct regex_node *node)
{
    return node->op == REGEX_CLASS && node->n > CLASS_LARGE;
}

static bool wants_rough(const struct regex_tree *tree, enum regex_mode mode)
{
    const int64_t size = tree->nodes[tree->root].size;
    if (mode != REGEX_MATCHER || size > CLASSES_MAX)
        return false;
    for (size_t i = 1; i < tree->nodes_count; i++)
        if (is_large_class(&tree->nodes[i]))
            return true;
    return false;
}

// A class in words for RE2 of all that is not ASCII and what of ASCII the node's class has.
static void put_rough_class(const struct regex_tree *tree, const struct regex_node *node,
                            struct buf *out)
{
    struct buf text = {0};
    struct re2_shim_error error = {0};
    buf_printf(&text, node->fold ? "(?i:%.*s)" : "%.*s", (int)node->n, tree->text.p + node->at);
    struct re2_shim *class = re2_shim_create(text.p, text.n, RE2_BYTES_LARGE, &error);
    buf_put_char(out, '[');
    for (int c = 0; c < 0x80; c++) {
        const char byte = (char)c;
        if (!class || re2_shim_match(class, &byte, 1, true, NULL, 0))
            buf_printf(out, "\\x{%x}", (unsigned)c);
    }
    buf_put_str(out, STR("\\x{80}-\\x{10ffff}]"));
    re2_shim_destroy(class);
    buf_deinit(&text);
}

// The tree's text as it was belongs to others.
static void make_rough(struct regex_tree *tree, struct buf *text)
{
    for (size_t i = 1; i < tree->nodes_count; i++) {
        struct regex_node *node = &tree->nodes[i];
        struct buf class = {0};
        if (!is_large_class(node))
            continue;
        put_rough_class(tree, node, &class);
        node->at = (uint32_t)text->n;
        node->n = (uint32_t) class.n;
        node->fold = false;
        buf_put_str(text, buf_str(&class));
        buf_deinit(&class);
    }
}

static void print_rough(struct regex_tree *tree, struct buf *out)
{
    struct buf text = {0};
    const struct buf own = tree->text;
    buf_put_str(&text, buf_str(&own));
    make_rough(tree, &text);
    tree->text = text;
    regex_tree_print(tree, out);
    tree->text = own;
    buf_deinit(&text);
}

// Less than 20 states of the program's size, and RE2 makes none.
static size_t bytes_first(const struct regex_tree *tree, enum regex_mode mode, size_t others)
{
    if (mode != REGEX_MATCHER)
        return RE2_BYTES_LARGE;
    const int64_t size = tree->nodes[tree->root].size;
    const size_t program = (size_t)(size < SIZE_LARGE ? size : SIZE_LARGE) * SIZE_BYTES;
    const size_t share = RE2_BYTES_ALL / (others + 1);
    return program + (share < RE2_BYTES_MIN ? RE2_BYTES_MIN
                      : share > RE2_BYTES   ? RE2_BYTES
                                            : share);
}

static err compile(struct regex_tree *tree, struct regex *r, size_t others, struct errmsg *e)
{
    struct buf text = {0}, rough = {0};
    struct re2_shim_error error = {0};
    regex_tree_print(tree, &text);
    const bool is_rough = wants_rough(tree, r->mode);
    if (is_rough)
        print_rough(tree, &rough);
    const struct str first = buf_str(is_rough ? &rough : &text);
    size_t bytes = bytes_first(tree, r->mode, others);
    while (!(r->re = re2_shim_create(first.p, first.n, bytes, &error)) && error.is_too_large &&
           bytes < RE2_BYTES_MAX)
        bytes = bytes < RE2_BYTES_LARGE ? RE2_BYTES_LARGE : RE2_BYTES_MAX;
    if (r->re && is_rough)
        re2_shim_set_exact(r->re, text.p, text.n, RE2_BYTES_MAX);
    buf_deinit(&text);
    buf_deinit(&rough);
    if (r->re)
        return ERR_OK;
    if (error.is_too_large)
        return err_set(e, ERR_INVALID, "error parsing regexp: expression too large: `%.*s`",
                       STR_ARG(r->pattern));
    return err_set(e, ERR_INVALID, "error parsing regexp: %s", error.text);
}

static struct regex *make(struct str pattern, enum regex_mode mode)
{
    struct regex *r = mem_zalloc(sizeof *r);
    char *copy = mem_alloc(pattern.n);
    if (pattern.n)
        memcpy(copy, pattern.p, pattern.n);
    r->mode = mode;
    r->pattern = str_make(copy, pattern.n);
    return r;
}

// Takes the names from the tree.
static err finish(struct regex *r, struct regex_tree *tree, size_t others, struct errmsg *e)
{
    r->groups_count = tree->groups_count;
    r->names = tree->names;
    r->names_count = tree->names_count;
    tree->names = NULL;
    if (r->mode != REGEX_SEARCH)
        regex_globs_make(tree, &r->globs);
    const bool wants_groups = r->mode != REGEX_MATCHER && r->groups_count;
    err code = ERR_OK;
    if (wants_groups || !r->globs.is_exact || r->globs.is_one_line)
        code = compile(tree, r, others, e);
    r->text = tree->text;
    tree->text = (struct buf){0};
    return code;
}

err regex_create(struct str pattern, enum regex_mode mode, struct regex **out, struct errmsg *e)
{
    return regex_create_beside(pattern, mode, 0, out, e);
}

err regex_create_beside(struct str pattern, enum regex_mode mode, size_t others, struct regex **out,
                        struct errmsg *e)
{
    if (pattern.n > REGEX_PATTERN_MAX)
        return err_set(e, ERR_INVALID, "error parsing regexp: expression too large");
    if (mode == REGEX_MATCHER && is_list_of_literals(pattern)) {
        *out = make(pattern, mode);
        regex_globs_of_list(pattern, &(*out)->globs);
        return ERR_OK;
    }
    struct regex_tree tree;
    TRY(parse(pattern, mode, &tree, NULL, e));
    struct regex *r = make(pattern, mode);
    const err code = finish(r, &tree, others, e);
    regex_tree_deinit(&tree);
    if (code)
        regex_destroy(r);
    else
        *out = r;
    return code;
}

void regex_say_error(struct str pattern, enum regex_mode mode, struct buf *out)
{
    struct regex_tree tree;
    if (parse(pattern, mode, &tree, out, NULL) == ERR_OK)
        regex_tree_deinit(&tree);
}

void regex_destroy(struct regex *r)
{
    if (!r)
        return;
    re2_shim_destroy(r->re);
    regex_globs_deinit(&r->globs);
    mem_free((char *)(uintptr_t)r->pattern.p);
    mem_free(r->names);
    buf_deinit(&r->text);
    mem_free(r);
}

struct str regex_pattern(const struct regex *r)
{
    return r->pattern;
}

bool regex_text_may_be_large(struct str text)
{
    if (text.n > TEXT_LARGE)
        return true;
    for (size_t i = 0; i + 1 < text.n; i++) {
        const char c = text.p[i], next = text.p[i + 1];
        if ((c == '{' && next >= '0' && next <= '9') ||
            (c == '\\' && (next == 'p' || next == 'P' || next == 'x' || next == 'u')))
            return true;
    }
    return false;
}

bool regex_is_large(const struct regex *r)
{
    return r->globs.n > GLOBS_LARGE || (r->re && re2_shim_size(r->re) > PROGRAM_LARGE);
}

bool regex_matches(const struct regex *r, struct str text)
{
    const bool is_known =
        r->globs.n && !(r->globs.is_one_line && str_find(text, '\n', 0) != STR_NONE);
    if (is_known && !regex_globs_fit(&r->globs, text))
        return false;
    if (is_known && r->globs.is_exact)
        return true;
    return re2_shim_match(r->re, text.p, text.n, r->mode != REGEX_SEARCH, NULL, 0);
}

bool regex_match_groups(const struct regex *r, struct str text, struct str *groups, size_t n)
{
    struct re2_shim_span spans[REGEX_GROUPS_MAX + 1];
    const size_t want = n < countof(spans) ? n : countof(spans);
    if (!r->re) { // anchored, without groups
        if (want)
            groups[0] = text;
        return regex_matches(r, text);
    }
    if (!re2_shim_match(r->re, text.p, text.n, r->mode != REGEX_SEARCH, spans, want))
        return false;
    for (size_t i = 0; i < want; i++)
        groups[i] = str_make(spans[i].p, spans[i].n);
    return true;
}

size_t regex_groups_count(const struct regex *r)
{
    return r->groups_count;
}

static bool is_name_byte(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

// The name behind a $ at t.p[*at]; false: not one, the $ is text. Moves *at behind it.
static bool take_name(struct str t, size_t *at, struct str *out)
{
    size_t from = *at;
    const bool braced = from < t.n && t.p[from] == '{';
    from += braced;
    size_t end = from;
    while (end < t.n && is_name_byte(t.p[end]))
        end++;
    if (end == from || (braced && (end == t.n || t.p[end] != '}')))
        return false;
    *out = str_make(t.p + from, end - from);
    *at = end + braced;
    return true;
}

// The group of a name: a number, or the first that took part of those so named; -1: none, which
// expands to nothing.
static int group_of(const struct regex *r, struct str name, const struct str *groups, size_t n)
{
    int number = 0;
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] < '0' || name.p[i] > '9' || number >= 100000000) {
            for (size_t k = 0; k < r->names_count; k++) {
                const struct regex_name *one = &r->names[k];
                if (str_eq(name, str_make(r->text.p + one->at, one->n)) && one->group < n &&
                    groups[one->group].p)
                    return (int)one->group;
            }
            return -1;
        }
        number = number * 10 + (name.p[i] - '0');
    }
    return name.p[0] == '0' && name.n > 1 ? -1 : number;
}

void regex_expand(const struct regex *r, struct str template, const struct str *groups,
                  size_t groups_count, struct buf *out)
{
    for (size_t at = 0; at < template.n;) {
        const char c = template.p[at++];
        if (c != '$') {
            buf_put_char(out, c);
            continue;
        }
        if (at < template.n && template.p[at] == '$') {
            buf_put_char(out, '$');
            at++;
            continue;
        }
        struct str name;
        if (!take_name(template, &at, &name)) {
            buf_put_char(out, '$');
            continue;
        }
        const int group = group_of(r, name, groups, groups_count);
        if (group >= 0 && (size_t)group < groups_count)
            buf_put_str(out, groups[group]);
    }
}

size_t regex_literals(const struct regex *r, struct str *out, size_t max)
{
    if (!r->globs.is_set || r->globs.n > max)
        return 0;
    for (size_t i = 0; i < r->globs.n; i++)
        out[i] = r->globs.items[i].n ? r->globs.items[i].parts[0].text : STR("");
    return r->globs.n;
}

struct str regex_prefix(const struct regex *r)
{
    return regex_globs_prefix(&r->globs);
}
