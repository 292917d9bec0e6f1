// What the server acknowledged, asked for again.
#ifndef TOOLS_LOADGEN_WRITE_READ_BACK_H
#define TOOLS_LOADGEN_WRITE_READ_BACK_H

#include "engine/config/setting.h"
#include "protocol/url.h"
#include "tools/loadgen/write_load.h"

// Asks /api/v1/query of the server that took the samples (the URL's path without /write and what is
// behind /api/v1) for each template's sequence, and fills checked, missing and read_error of *out.
void write_read_back(const struct write_load *load, const struct write_load_options *options,
                     const struct url *url, const struct setting_list *headers,
                     struct load_report *out);

#endif
