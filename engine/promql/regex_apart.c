#include "engine/promql/regex_apart.h"

#include "engine/base/util.h"
#include "io/fiber.h"

struct making {
    struct op op;
    struct str pattern;
    enum regex_mode mode;
    struct regex *made;
    err code;
    struct errmsg e;
};

static void make_there(struct op *op) // on a thread of the helper pool
{
    struct making *m = container_of(op, struct making, op);
    m->code = regex_create(m->pattern, m->mode, &m->made, &m->e);
}

static void destroy_there(struct op *op)
{
    struct making *m = container_of(op, struct making, op);
    regex_destroy(m->made);
}

err regex_create_apart(struct str pattern, enum regex_mode mode, struct regex **out,
                       struct errmsg *e)
{
    if (!fiber_self() || !regex_text_may_be_large(pattern))
        return regex_create(pattern, mode, out, e);
    struct making m = {.op = {.kind = OP_WORK, .work = make_there},
                       .pattern = pattern,
                       .mode = mode,
                       .code = ERR_CANCELED}; // where it does not run
    fiber_await(&m.op);
    if (m.code == ERR_CANCELED)
        return fiber_status() == ERR_TIMEOUT ? ERR_TIMEOUT : ERR_CANCELED;
    if (m.code == ERR_OK)
        *out = m.made;
    else if (e)
        *e = m.e;
    return m.code;
}

void regex_destroy_apart(struct regex *r)
{
    if (!r || !fiber_self() || !regex_is_large(r)) {
        regex_destroy(r);
        return;
    }
    struct making m = {.op = {.kind = OP_WORK, .work = destroy_there}, .made = r};
    fiber_shield_begin();
    fiber_await(&m.op);
    fiber_shield_end();
}
