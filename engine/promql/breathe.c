#include "engine/promql/fragment.h"
#include "io/fiber.h"

err query_breathe(const struct arena *a, struct errmsg *e)
{
    if (arena_is_over(a))
        return query_too_many_samples(e);
    if (!fiber_self())
        return ERR_OK;
    fiber_yield_if_due();
    const err code = fiber_status();
    if (code == ERR_TIMEOUT)
        return err_set(e, code, "query timed out in expression evaluation");
    if (code == ERR_CANCELED)
        return err_set(e, code, "query was canceled in expression evaluation");
    return code;
}
