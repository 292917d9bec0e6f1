// A broken world: after a loss of power a recycled segment shows, behind the records of its new
// life, those of its old one, with checksums and sequences that are good.
#ifndef TESTS_SIM_RECYCLED_H
#define TESTS_SIM_RECYCLED_H

#include "tests/sim/disk.h"

// Of all files that disk.remembers what they held before.
void recycled_show_old_records(struct disk *d);

#endif
