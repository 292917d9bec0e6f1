// How values move, in numbers and as Markdown tables.
#ifndef TOOLS_LOADGEN_LOAD_TABLE_H
#define TOOLS_LOADGEN_LOAD_TABLE_H

#include "tools/loadgen/load_capture.h"

struct load_measure {          // of some series
    uint64_t series, constant; // constant: always there, and always the same
    uint64_t there, resets;    // samples; counters that fell
    uint64_t steps, still;     // of series that are not constant, from one sample to the next
    double *moves;             // sizes of the other steps
    size_t moves_n, moves_capacity;
    bool is_sorted;
};
// From step from on so many steps; all zero, it is empty.
void load_measure_add(struct load_measure *m, const struct load_motion *motion, bool is_counter,
                      uint64_t from, uint64_t steps);
double load_measure_at(struct load_measure *m, double share); // of the moves; 0: there are none
void load_measure_deinit(struct load_measure *m);

// Of an exporter's families: labels, series, how values move, come and go.
void load_table_exporter(enum load_exporter exporter, struct buf *out);
// The same of the families of a capture, as it has them.
void load_table_capture(const struct load_capture *c, struct buf *out);

#endif
