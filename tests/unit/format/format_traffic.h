// What the data folders of tests/data/format-N hold: samples made from a seed and written down
// here, so that any later version knows what it must find in them.
//
// Nothing here may change: a new format gets a folder, and where it needs one, traffic of its own.
#ifndef TESTS_UNIT_FORMAT_FORMAT_TRAFFIC_H
#define TESTS_UNIT_FORMAT_FORMAT_TRAFFIC_H

#include "tests/lib/traffic.h"

enum {
    FORMAT_SEALED_ROUNDS = 90,  // written, spilled, merged; then the folder was closed
    FORMAT_SPILLED_ROUNDS = 15, // written and spilled
    FORMAT_LOGGED_ROUNDS = 12,  // in the log alone, as of a process that was killed
    FORMAT_ROUNDS = FORMAT_SEALED_ROUNDS + FORMAT_SPILLED_ROUNDS + FORMAT_LOGGED_ROUNDS,
};
static const int64_t FORMAT_STEP_MS = 15000, FORMAT_SEAL_MS = 300000;

// The batches of rounds from..to-1: traffic_deinit() frees them.
void format_traffic(struct traffic *t, int from, int to);

#endif
