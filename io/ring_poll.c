#include "io/backend.h"

err backend_poll_create(struct backend **out, struct errmsg *e)
{
    (void)out;
    return err_set(e, ERR_IO, "the poll backend is not there yet");
}
