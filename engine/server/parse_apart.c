#include "engine/server/parse_apart.h"

#include "engine/base/util.h"
#include "io/fiber.h"

enum { REGEXES_MANY = 64 }; // freeing them takes long

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

static err run(struct parsing *p, struct errmsg *e)
{
    if (!regex_text_may_be_large(p->text))
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

struct apart {
    struct op op;
    void (*fn)(void *arg);
    void *arg;
};

static void work_there(struct op *op)
{
    const struct apart *a = container_of(op, struct apart, op);
    a->fn(a->arg);
}

void run_apart(void (*fn)(void *arg), void *arg)
{
    struct apart a = {.op = {.kind = OP_WORK, .work = work_there}, .fn = fn, .arg = arg};
    fiber_shield_begin(); // it comes to its end, whoever was canceled
    fiber_await(&a.op);
    fiber_shield_end();
}

static void free_query(void *query)
{
    promql_parse_done(query);
}

void parse_apart_done(struct promql_query *query)
{
    size_t i = 0;
    while (i < query->regexes_count && i < REGEXES_MANY && !regex_is_large(query->regexes[i]))
        i++;
    if (i == query->regexes_count) {
        promql_parse_done(query);
        return;
    }
    run_apart(free_query, query);
}
