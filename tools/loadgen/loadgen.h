// The commands of ferula-loadgen: each has flags, a help text and a function.
#ifndef TOOLS_LOADGEN_LOADGEN_H
#define TOOLS_LOADGEN_LOADGEN_H

#include "engine/config/setting.h"
#include "tools/flow.h"

struct loadgen_command {
    const char *name, *args, *summary;
    const char *lesson; // what --help says behind the flags
    int (*run)(const struct loadgen_command *c, int argc, const char *const *argv);
};
extern const struct loadgen_command loadgen_remote_write, loadgen_scrape_farm, loadgen_query,
    loadgen_sink, loadgen_capture;

// Parses the flags behind the command's name, of which the first two rows are --help and the
// arguments. False: all is said and done, with *out_code.
bool loadgen_parse(const struct loadgen_command *c, const struct setting *rows, size_t n, int argc,
                   const char *const *argv, const bool *help, int *out_code);
// flow_run, and ended(arg) from another thread when SIGINT or SIGTERM asks for an end.
err loadgen_run(fiber_fn *flow, void *arg, void (*ended)(void *arg), struct errmsg *e);
int loadgen_fail(const char *format, ...) __attribute__((format(printf, 1, 2))); // exit code 1

#endif
