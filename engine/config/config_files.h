// The configuration's files and variables, from the system.
#ifndef ENGINE_CONFIG_CONFIG_FILES_H
#define ENGINE_CONFIG_CONFIG_FILES_H

#include "engine/config/prom_config.h"

enum { CONFIG_FILE_MAX = 64 << 20 }; // bytes of one file

// For prom_config_load, which then suspends while it reads.
extern const struct prom_config_source config_files;
// prom_config_load() of these, on a thread of the helper pool: a file may be large, and so may be
// the expressions in it. Comes to its end, whoever was canceled. Suspends.
err config_files_load(const char *path, const struct prom_config_options *options,
                      struct prom_config **out, struct errmsg *e);

// A file that is one http_client_config, as --http.config.file of tools names it. What this version
// cannot do is an error; which proxy is to be asked the caller decides. Texts are in the arena.
// Suspends.
err config_files_http_client(const char *path, struct arena *a, struct http_client_config *out,
                             struct errmsg *e);

#endif
