// A body of metrics beside the one that the same source sent before, which it mostly repeats: the
// same lines in the same order, most with the same value. What is equal is found by comparing
// bytes, many lines at a time; where only a number changed, only that is parsed.
//
// The caller keeps the previous body and its lines, and for each line what series it is. It runs
// exposition_diff_run() until that stops, then lets exposition_next() decide the line at hand
// (there is a new series, one is missing, or the line is of an unusual form), finds the place in
// the previous lines where to go on, sets at to it, and runs again.
#ifndef PROTOCOL_EXPOSITION_DIFF_H
#define PROTOCOL_EXPOSITION_DIFF_H

#include "protocol/exposition.h"

struct exposition_line {
    uint32_t start; // offset in the body
    uint32_t value; // offset of the value in the line; 0: not a sample
    uint32_t type;  // of a TYPE line, enum exposition_type; EXPOSITION_TYPES: another line
};

// The lines of a body but for "# EOF". A zeroed struct is empty and valid.
struct exposition_lines {
    struct exposition_line *items;
    size_t n, capacity;
    uint32_t end; // of the last line, perhaps with empty lines behind it
};
void exposition_lines_deinit(struct exposition_lines *l);
void exposition_lines_reset(struct exposition_lines *l); // empties, keeps the memory
// Adds the line of the event that exposition_next() just gave.
void exposition_lines_push(struct exposition_lines *l, const struct exposition *x);

// A sample whose value or timestamp has another text than before.
struct exposition_change {
    uint32_t line; // index in the previous lines
    struct exposition_sample sample;
};

struct exposition_diff {
    struct str body; // the previous one
    const struct exposition_lines *lines;
    size_t at;     // the line of it that should come next; lines->n: none is left
    bool is_cut;   // the last run ended for its length, not for what comes next: run again
    bool is_alone; // a run is one line at most; it is never cut
};

// Takes lines from x and d as long as they go together, some thousands at most; all that are taken
// and are not in out, at most max, are as they were. Their places are added to lines. How many
// changed.
size_t exposition_diff_run(struct exposition_diff *d, struct exposition *x,
                           struct exposition_lines *lines, struct exposition_change *out,
                           size_t max);

#endif
