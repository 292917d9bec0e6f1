#include "engine/server/parse_apart.h"

#include "engine/base/util.h"
#include "io/fiber.h"

enum { HERE_MAX = 1024 };

typedef err parse_fn(struct str text, const struct promql_options *options, struct arena *a,
                     struct promql_query *out, struct errmsg *e);

struct parsing {
    struct op op;
    parse_fn *parse;
    struct str text;
    const struct promql_options *options;
    struct arena *arena;
    struct promql_query *out;
    err code;
    struct errmsg e;
};

static void parse_there(struct op *op) // on a thread of the helper pool
{
    struct parsing *p = container_of(op, struct parsing, op);
    p->code = p->parse(p->text, p->options, p->arena, p->out, &p->e);
}

// Also \pL{1000} is short: counts and Unicode's classes make programs large.
static bool may_take_long(struct str text)
{
    for (size_t i = 0; i + 1 < text.n; i++) {
        const char c = text.p[i], next = text.p[i + 1];
        if ((c == '{' && next >= '0' && next <= '9') ||
            (c == '\\' && (next == 'p' || next == 'P' || next == 'x' || next == 'u')))
            return true;
    }
    return text.n > HERE_MAX;
}

static err run(struct parsing *p, struct errmsg *e)
{
    if (!may_take_long(p->text))
        return p->parse(p->text, p->options, p->arena, p->out, e);
    // A cancelled one may have run, or not.
    p->op = (struct op){.kind = OP_WORK, .work = parse_there};
    p->code = ERR_CANCELED;
    const int32_t result = fiber_await(&p->op);
    if (p->code == ERR_CANCELED && result < 0 && fiber_status() == ERR_TIMEOUT)
        return err_set(e, ERR_TIMEOUT, "query timed out in query parsing");
    if (p->code == ERR_CANCELED)
        return err_set(e, ERR_CANCELED, "query was canceled in query parsing");
    if (p->code && e)
        *e = p->e;
    return p->code;
}

err parse_apart(struct str text, const struct promql_options *options, struct arena *a,
                struct promql_query *out, struct errmsg *e)
{
    struct parsing p = {
        .parse = promql_parse, .text = text, .options = options, .arena = a, .out = out};
    return run(&p, e);
}

err parse_selector_apart(struct str text, const struct promql_options *options, struct arena *a,
                         struct promql_query *out, struct errmsg *e)
{
    struct parsing p = {
        .parse = promql_parse_selector, .text = text, .options = options, .arena = a, .out = out};
    return run(&p, e);
}
