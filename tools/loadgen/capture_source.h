// Captures of exporters, from a file or from the exporter itself.
#ifndef TOOLS_LOADGEN_CAPTURE_SOURCE_H
#define TOOLS_LOADGEN_CAPTURE_SOURCE_H

#include "tools/loadgen/load_capture.h"

// from: a file, or a URL that is scraped ten times, a second apart; empty: *out stays NULL.
err capture_load(struct str from, struct load_capture **out, struct errmsg *e);

#endif
