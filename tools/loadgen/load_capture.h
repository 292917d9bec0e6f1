// What an exporter showed over some time, to make the series of virtual targets after it.
//
// A capture is text: scrapes in the text format, each ended by a line "# EOF"; the last may do
// without. The series are those of all scrapes; targets show one where the capture has it.
#ifndef TOOLS_LOADGEN_LOAD_CAPTURE_H
#define TOOLS_LOADGEN_LOAD_CAPTURE_H

#include "engine/base/arena.h"
#include "protocol/exposition.h"
#include "tools/loadgen/load_shape.h"

enum { CAPTURE_SERIES_MAX = 1 << 20, CAPTURE_SCRAPES_MAX = 100000 };

struct load_capture {
    struct captured_series {
        struct str labels; // encoded
        struct str family; // its name: "took" of took_bucket; series of one stand together
        enum exposition_type type;
        uint64_t place; // of the family in the upper half, and in it
        struct load_column column;
    } * items;
    size_t n, capacity, scrapes;
    struct arena arena;
};

// The caller frees with load_capture_destroy(). e names the scrape and what is wrong with it.
err load_capture_parse(struct str text, struct load_capture **out, struct errmsg *e);
void load_capture_destroy(struct load_capture *c);
// How a target's series moves: from a place of the capture of its own, at a pace of its own, and
// from its end on where it began, counters going on, and reset where they were.
struct load_motion load_capture_motion(const struct load_capture *c, size_t series,
                                       uint32_t target);

#endif
