#include "engine/tsdb/tsdb_reading.h"

#include "engine/tsdb/tsdb_part.h"
#include "io/fiber.h"

enum { TRIES = 5, POLL_NS = 1000000 };

static err open_once(const struct tsdb_options *options, struct tsdb **out, bool *out_is_whole,
                     struct errmsg *e)
{
    struct tsdb *db;
    *out_is_whole = false;
    TRY(tsdb_open(options, &db, e));
    err code;
    while ((code = tsdb_start_result(db, e)) == ERR_OK && !tsdb_is_ready(db))
        (void)!fiber_sleep_ns(POLL_NS);
    if (code == ERR_OK)
        code = catalogue_is_current(db->catalogue, out_is_whole, e);
    if (code == ERR_OK && *out_is_whole)
        *out = db;
    else
        (void)!tsdb_close(db, NULL);
    return code;
}

err tsdb_open_reading(const char *path, const struct log_sink *log, struct tsdb **out,
                      struct errmsg *e)
{
    const struct tsdb_options options = {.path = path, .read_only = true, .log = log};
    bool is_whole = false;
    err code = ERR_OK;
    for (int i = 0; i < TRIES && !is_whole; i++) {
        code = open_once(&options, out, &is_whole, e);
        // A file that a server merged away between catalogue and opening is found again.
        if (code != ERR_OK && code != ERR_NOTFOUND && code != ERR_CORRUPT)
            return code;
    }
    if (code != ERR_OK || is_whole)
        return code;
    return err_set(e, ERR_TIMEOUT,
                   "%s: the server that has it changed it each of %d times that it "
                   "was read: try again",
                   path, TRIES);
}
