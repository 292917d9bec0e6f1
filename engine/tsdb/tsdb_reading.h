// A data folder opened to be read alone: what its files and its log say, by programs beside a
// server.
//
// Nothing in the folder is made, locked, changed or removed. Log and files are read as one state of
// the catalogue; when a server changed it meanwhile they are read again. What a running server has
// not yet written to its log is not seen.
#ifndef ENGINE_TSDB_TSDB_READING_H
#define ENGINE_TSDB_TSDB_READING_H

#include "engine/tsdb/tsdb.h"

// Complete when it returns: the log was read into memory. tsdb_close() ends it. log: where damage
// is told. Suspends.
err tsdb_open_reading(const char *path, const struct log_sink *log, struct tsdb **out,
                      struct errmsg *e);

#endif
