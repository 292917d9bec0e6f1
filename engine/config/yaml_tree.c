#include "engine/config/yaml_tree.h"

#include <assert.h>
#include <yaml.h>

#include "engine/base/hash.h"
#include "engine/base/mem.h"

enum { ANCHOR_SLOTS = 2 * YAML_ANCHORS_MAX };

struct anchor {
    struct str name;
    struct yaml_node *node;
    bool open; // its collection has not ended: an alias to it would contain itself
};

struct frame {
    struct yaml_node *node;
    size_t from;           // of its items among the pending ones
    struct anchor *anchor; // NULL: none
};

struct composer {
    struct arena *arena;
    struct errmsg *e;
    yaml_parser_t parser;
    struct frame stack[YAML_DEPTH_MAX];
    size_t depth;
    struct yaml_node **pending; // items of the open collections
    size_t pending_n, pending_capacity;
    struct anchor anchors[ANCHOR_SLOTS];
    size_t anchors_n;
    size_t merges;
};

static struct str copy(struct composer *c, const void *p, size_t n)
{
    return arena_str(c->arena, str_make(p, n));
}

// libyaml's error as go-yaml puts it: lines count from 0 in errors of the parser, from 1 in those
// of the scanner, and a 0 is not printed.
static err parser_error(struct composer *c)
{
    const yaml_parser_t *p = &c->parser;
    size_t line = p->context_mark.line;
    if (p->problem_mark.line)
        line = p->problem_mark.line + (p->error == YAML_SCANNER_ERROR);
    const char *problem = p->problem ? p->problem : "unknown problem parsing YAML content";
    if (line)
        return err_set(c->e, ERR_INVALID, "yaml: line %zu: %s", line, problem);
    return err_set(c->e, ERR_INVALID, "yaml: %s", problem);
}

static struct anchor *anchor_slot(struct composer *c, struct str name)
{
    size_t at = hash64(name.p, name.n, 0) % ANCHOR_SLOTS;
    while (c->anchors[at].node && !str_eq(c->anchors[at].name, name))
        at = (at + 1) % ANCHOR_SLOTS;
    return &c->anchors[at];
}

// The slot of an anchor, if there is one, into *out.
static err set_anchor(struct composer *c, const yaml_char_t *name, struct yaml_node *node,
                      struct anchor **out)
{
    *out = NULL;
    if (!name)
        return ERR_OK;
    const struct str text = str_from_c((const char *)name);
    struct anchor *const slot = anchor_slot(c, text);
    if (!slot->node) {
        if (c->anchors_n == YAML_ANCHORS_MAX)
            return err_set(c->e, ERR_LIMIT, "yaml: line %u: more than %d anchors", node->line,
                           YAML_ANCHORS_MAX);
        c->anchors_n++;
        slot->name = copy(c, text.p, text.n);
    }
    slot->node = node;
    slot->open = node->kind != YAML_SCALAR;
    *out = slot;
    return ERR_OK;
}

static struct str short_tag(struct composer *c, const yaml_char_t *tag)
{
    static const struct str prefix = {"tag:yaml.org,2002:", 18};
    if (!tag)
        return (struct str){0};
    const struct str text = str_from_c((const char *)tag);
    if (!str_has_prefix(text, prefix))
        return copy(c, text.p, text.n);
    return arena_printf(c->arena, "!!%.*s", STR_ARG(str_from(text, prefix.n)));
}

static struct yaml_node *new_node(struct composer *c, enum yaml_kind kind, const yaml_event_t *ev,
                                  const yaml_char_t *tag)
{
    struct yaml_node *node = arena_new(c->arena, struct yaml_node);
    node->kind = kind;
    node->line = (uint32_t)ev->start_mark.line + 1;
    node->column = (uint32_t)ev->start_mark.column + 1;
    node->tag = short_tag(c, tag);
    node->weight = 1;
    return node;
}

static uint64_t add(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

// Puts a finished node, or one an alias names, into the collection that is open.
static void give(struct composer *c, struct yaml_node *node, bool alias, struct yaml_node **root)
{
    if (!c->depth) {
        *root = node;
        return;
    }
    struct yaml_node *const parent = c->stack[c->depth - 1].node;
    parent->weight = add(parent->weight, node->weight);
    parent->aliased = add(parent->aliased, alias ? node->weight : node->aliased);
    c->pending = mem_grow(c->pending, &c->pending_capacity, c->pending_n + 1, sizeof *c->pending);
    c->pending[c->pending_n++] = node;
}

static err open_node(struct composer *c, struct yaml_node *node, const yaml_char_t *anchor)
{
    if (c->depth == YAML_DEPTH_MAX)
        return err_set(c->e, ERR_LIMIT, "yaml: line %u: exceeded max depth of %d", node->line,
                       YAML_DEPTH_MAX);
    struct anchor *slot;
    TRY(set_anchor(c, anchor, node, &slot));
    c->stack[c->depth++] = (struct frame){node, c->pending_n, slot};
    return ERR_OK;
}

static bool is_merge(const struct yaml_node *key)
{
    return key->kind == YAML_SCALAR && str_eq(key->value, STR("<<")) &&
           (key->plain || str_eq(key->tag, STR("!!merge")));
}

static bool has_key(const struct yaml_node *m, const struct yaml_node *key)
{
    for (size_t i = 0; i < m->n; i += 2)
        if (m->items[i]->kind == YAML_SCALAR && key->kind == YAML_SCALAR &&
            str_eq(m->items[i]->value, key->value))
            return true;
    return false;
}

static err merge_one(struct composer *c, struct yaml_node *m, const struct yaml_node *from)
{
    if (from->kind != YAML_MAPPING)
        return err_set(c->e, ERR_INVALID,
                       "yaml: map merge requires map or sequence of maps as the value");
    for (size_t i = 0; i < from->n; i += 2) {
        if (++c->merges > YAML_MERGES_MAX)
            return err_set(c->e, ERR_LIMIT, "yaml: line %u: document contains excessive merging",
                           m->line);
        if (has_key(m, from->items[i]))
            continue;
        if (m->n >= 2 * (size_t)YAML_MERGED_MAX)
            return err_set(c->e, ERR_LIMIT, "yaml: line %u: more than %d keys after a merge",
                           m->line, YAML_MERGED_MAX);
        m->items[m->n++] = from->items[i];
        m->items[m->n++] = from->items[i + 1];
    }
    return ERR_OK;
}

// Replaces the pairs whose key is `<<` by what their values hold.
static err merge(struct composer *c, struct yaml_node *m)
{
    size_t merges = 0;
    for (size_t i = 0; i < m->n; i += 2)
        merges += is_merge(m->items[i]);
    if (!merges)
        return ERR_OK;
    struct yaml_node **const old = m->items;
    const size_t old_n = m->n;
    const size_t room = (old_n > 2 * (size_t)YAML_MERGED_MAX ? old_n : 2 * (size_t)YAML_MERGED_MAX);
    m->items = arena_alloc(c->arena, room * sizeof *m->items, _Alignof(struct yaml_node *));
    m->n = 0;
    for (size_t i = 0; i < old_n; i += 2) {
        if (is_merge(old[i]))
            continue;
        m->items[m->n++] = old[i];
        m->items[m->n++] = old[i + 1];
    }
    for (size_t i = 0; i < old_n; i += 2) {
        const struct yaml_node *const value = old[i + 1];
        if (!is_merge(old[i]))
            continue;
        if (value->kind != YAML_SEQUENCE) {
            TRY(merge_one(c, m, value));
            continue;
        }
        for (size_t k = 0; k < value->n; k++)
            TRY(merge_one(c, m, value->items[k]));
    }
    return ERR_OK;
}

static err close_node(struct composer *c, struct yaml_node **root)
{
    const struct frame f = c->stack[--c->depth];
    struct yaml_node *const node = f.node;
    node->n = c->pending_n - f.from;
    node->items = arena_alloc(c->arena, node->n * sizeof *node->items, _Alignof(void *));
    if (node->n)
        memcpy(node->items, c->pending + f.from, node->n * sizeof *node->items);
    c->pending_n = f.from;
    if (f.anchor && f.anchor->node == node)
        f.anchor->open = false;
    if (node->kind == YAML_MAPPING) {
        assert(node->n % 2 == 0);
        TRY(merge(c, node));
    }
    give(c, node, false, root);
    return ERR_OK;
}

static err take_alias(struct composer *c, const yaml_event_t *ev, struct yaml_node **root)
{
    const struct str name = str_from_c((const char *)ev->data.alias.anchor);
    const struct anchor *const slot = anchor_slot(c, name);
    if (!slot->node)
        return err_set(c->e, ERR_INVALID, "yaml: unknown anchor '%.*s' referenced", STR_ARG(name));
    if (slot->open)
        return err_set(c->e, ERR_INVALID, "yaml: anchor '%.*s' value contains itself",
                       STR_ARG(name));
    give(c, slot->node, true, root);
    return ERR_OK;
}

static err take_scalar(struct composer *c, const yaml_event_t *ev, struct yaml_node **root)
{
    struct yaml_node *const node = new_node(c, YAML_SCALAR, ev, ev->data.scalar.tag);
    node->plain = ev->data.scalar.plain_implicit && !node->tag.n;
    node->value = copy(c, ev->data.scalar.value, ev->data.scalar.length);
    struct anchor *slot;
    TRY(set_anchor(c, ev->data.scalar.anchor, node, &slot));
    give(c, node, false, root);
    return ERR_OK;
}

// libyaml also reads 1.2, go-yaml's port of it does not.
static err check_version(struct composer *c, const yaml_event_t *ev)
{
    const yaml_version_directive_t *const v = ev->data.document_start.version_directive;
    if (!v || (v->major == 1 && v->minor == 1))
        return ERR_OK;
    return err_set(c->e, ERR_INVALID, "yaml: found incompatible YAML document");
}

// One event; *out_end when the first document has ended.
static err take(struct composer *c, const yaml_event_t *ev, struct yaml_node **root, bool *out_end)
{
    switch (ev->type) {
    case YAML_SCALAR_EVENT:
        return take_scalar(c, ev, root);
    case YAML_ALIAS_EVENT:
        return take_alias(c, ev, root);
    case YAML_SEQUENCE_START_EVENT:
        return open_node(c, new_node(c, YAML_SEQUENCE, ev, ev->data.sequence_start.tag),
                         ev->data.sequence_start.anchor);
    case YAML_MAPPING_START_EVENT:
        return open_node(c, new_node(c, YAML_MAPPING, ev, ev->data.mapping_start.tag),
                         ev->data.mapping_start.anchor);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return close_node(c, root);
    case YAML_DOCUMENT_END_EVENT:
    case YAML_STREAM_END_EVENT:
        *out_end = true;
        return ERR_OK;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
        return ERR_OK;
    case YAML_DOCUMENT_START_EVENT:
        return check_version(c, ev);
    }
    return ERR_OK;
}

// How much of a document may come through aliases, as go-yaml allows it: nearly all of a small one,
// a tenth of one with millions of nodes.
static bool is_excessive(const struct yaml_node *root)
{
    const double low = 400000, high = 4000000;
    const double all = (double)root->weight;
    double ratio = 0.99;
    if (all >= high)
        ratio = 0.10;
    else if (all > low)
        ratio = 0.99 - 0.89 * ((all - low) / (high - low));
    return root->aliased > 100 && root->weight > 1000 && (double)root->aliased / all > ratio;
}

static err compose(struct composer *c, struct yaml_node **root)
{
    for (bool end = false; !end;) {
        yaml_event_t ev;
        if (!yaml_parser_parse(&c->parser, &ev))
            return parser_error(c);
        const err code = take(c, &ev, root, &end);
        yaml_event_delete(&ev);
        TRY(code);
    }
    if (*root && is_excessive(*root))
        return err_set(c->e, ERR_INVALID, "yaml: document contains excessive aliasing");
    return ERR_OK;
}

err yaml_parse(struct arena *a, struct str text, const struct yaml_node **out, struct errmsg *e)
{
    struct composer *c = mem_zalloc(sizeof *c);
    c->arena = a;
    c->e = e;
    struct yaml_node *root = NULL;
    err code;
    if (!yaml_parser_initialize(&c->parser)) {
        code = err_set(e, ERR_LIMIT, "yaml: out of memory");
    } else {
        yaml_parser_set_input_string(&c->parser, (const unsigned char *)(text.n ? text.p : ""),
                                     text.n);
        code = compose(c, &root);
        yaml_parser_delete(&c->parser);
    }
    mem_free(c->pending);
    mem_free(c);
    if (!code)
        *out = root;
    return code;
}

const struct yaml_node *yaml_get(const struct yaml_node *mapping, struct str key)
{
    assert(mapping->kind == YAML_MAPPING);
    for (size_t i = 0; i < mapping->n; i += 2)
        if (mapping->items[i]->kind == YAML_SCALAR && str_eq(mapping->items[i]->value, key))
            return mapping->items[i + 1];
    return NULL;
}
