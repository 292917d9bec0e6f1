#include <assert.h>

#include "engine/base/mem.h"
#include "engine/model/labels.h"
#include "engine/promql/parser_state.h"

bool token_is_metric_name(enum token_kind kind)
{
    return kind == TOKEN_IDENTIFIER || kind == TOKEN_METRIC_IDENTIFIER || kind == TOKEN_AND ||
           kind == TOKEN_OR || kind == TOKEN_UNLESS || kind == TOKEN_BY || kind == TOKEN_WITHOUT ||
           kind == TOKEN_OFFSET || kind == TOKEN_ANCHORED || kind == TOKEN_SMOOTHED ||
           (kind >= TOKEN_AVG && kind <= TOKEN_TOPK) || kind >= TOKEN_END;
}

// False: not a matching operator.
static bool match_kind(enum token_kind kind, enum matcher_kind *out)
{
    const bool is_regex = kind == TOKEN_EQL_REGEX || kind == TOKEN_NEQ_REGEX;
    if (!is_regex && kind != TOKEN_EQL && kind != TOKEN_NEQ)
        return false;
    if (is_regex)
        *out = kind == TOKEN_EQL_REGEX ? MATCHER_RE : MATCHER_NRE;
    else
        *out = kind == TOKEN_EQL ? MATCHER_EQ : MATCHER_NE;
    return true;
}

err parser_compile(struct parser *p, uint32_t pos, struct matcher *m)
{
    struct regex *regex;
    struct errmsg reason;
    if (regex_create_beside(m->value, REGEX_MATCHER, p->query.regexes_count, &regex, &reason)) {
        struct buf whole = {0};
        regex_say_error(m->value, REGEX_MATCHER, &whole);
        const struct str said = whole.n ? buf_str(&whole) : str_from_c(reason.text);
        const err code = parser_fail(p, pos, "%.*s", STR_ARG(said));
        buf_deinit(&whole);
        return code;
    }
    struct promql_query *q = &p->query;
    if (q->regexes_count == q->regexes_capacity)
        q->regexes =
            mem_grow(q->regexes, &q->regexes_capacity, q->regexes_count + 1, sizeof *q->regexes);
    q->regexes[q->regexes_count++] = regex;
    m->regex = regex;
    return ERR_OK;
}

// One matcher: name="value", "quoted name"=~"value", or "metric name" alone.
static err parse_matcher(struct parser *p, struct matcher *m)
{
    enum token_kind kind;
    TRY(parser_peek(p, &kind));
    const struct token name = p->token;
    if (kind == TOKEN_STRING) {
        TRY(parse_string(p, &m->name));
        TRY(parser_peek(p, &kind));
        if (!match_kind(kind, &m->kind)) {
            *m = (struct matcher){MATCHER_EQ, LABEL_NAME, m->name, NULL};
            return ERR_OK;
        }
    } else if (kind == TOKEN_IDENTIFIER) {
        m->name = parser_text(p, parser_take(p));
        TRY(parser_peek(p, &kind));
        if (!match_kind(kind, &m->kind))
            return parser_unexpected(p, "label matching", "label matching operator");
    } else {
        return parser_unexpected(p, "label matching", "identifier or \"}\"");
    }
    parser_take(p);
    TRY(parser_peek(p, &kind));
    if (kind != TOKEN_STRING)
        return parser_unexpected(p, "label matching", "string");
    TRY(parse_string(p, &m->value));
    return m->kind == MATCHER_RE || m->kind == MATCHER_NRE ? parser_compile(p, name.pos, m)
                                                           : ERR_OK;
}

struct matcher_list {
    struct matcher *items;
    size_t count, capacity;
};

static err matcher_list_push(struct parser *p, struct matcher_list *list, struct matcher **out)
{
    if (list->count == list->capacity) {
        const size_t capacity = list->capacity ? 2 * list->capacity : 4;
        struct matcher *items = arena_array(p->arena, capacity, struct matcher);
        if (!items)
            return parser_no_memory(p);
        if (list->count)
            memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->capacity = capacity;
    }
    *out = &list->items[list->count++];
    return ERR_OK;
}

// {...}, whose opening brace is next; *out_end is behind the closing one.
static err parse_matchers(struct parser *p, struct matcher_list *list, uint32_t *out_end)
{
    enum token_kind kind;
    parser_take(p);
    TRY(parser_peek(p, &kind));
    while (kind != TOKEN_RIGHT_BRACE) {
        struct matcher *m = NULL;
        TRY(matcher_list_push(p, list, &m));
        TRY(parse_matcher(p, m));
        TRY(parser_peek(p, &kind));
        if (kind == TOKEN_COMMA) {
            parser_take(p);
            TRY(parser_peek(p, &kind));
        } else if (kind != TOKEN_RIGHT_BRACE) {
            return parser_unexpected(p, "label matching", "\",\" or \"}\"");
        }
    }
    const struct token brace = parser_take(p);
    *out_end = brace.pos + brace.size;
    return ERR_OK;
}

err parse_selector(struct parser *p, const struct token *name, struct promql_expr **out)
{
    struct matcher_list list = {0};
    assert(p->has_token && (name || p->token.kind == TOKEN_LEFT_BRACE));
    const uint32_t start = name ? name->pos : p->token.pos;
    uint32_t end = name ? name->pos + name->size : 0;
    if (p->token.kind == TOKEN_LEFT_BRACE)
        TRY(parse_matchers(p, &list, &end));
    const struct str text = name ? parser_text(p, *name) : STR("");
    if (name) {
        struct matcher *m = NULL;
        TRY(matcher_list_push(p, &list, &m));
        *m = (struct matcher){MATCHER_EQ, LABEL_NAME, text, NULL};
    }
    TRY(parser_node(p, PROMQL_VECTOR, PROMQL_TYPE_VECTOR, start, end, out));
    (*out)->vector.name = text;
    (*out)->vector.matchers = list.items;
    (*out)->vector.matchers_count = list.count;
    return ERR_OK;
}
