// What virtual targets answer to a scrape: the text format, made anew for each from shared lines.
#ifndef TOOLS_LOADGEN_FARM_BODY_H
#define TOOLS_LOADGEN_FARM_BODY_H

#include "engine/base/arena.h"
#include "tools/loadgen/load_shape.h"

struct farm_lines {          // of an exporter: all targets have the same
    struct load_shape shape; // bare
    struct farm_line {
        struct str text;                   // name{labels} and a blank, with LOAD_GENERATION_BYTE
        struct str comment;                // HELP and TYPE, where a family begins; otherwise empty
        uint32_t family, row, series, key; // key: of load_generation(), as target 0 has it
        enum farm_part { FARM_VALUE, FARM_BUCKET, FARM_SUM, FARM_COUNT } part;
        int bucket; // of FARM_BUCKET; parts of histograms have their number as series
    } * items;
    size_t n, capacity, families_n;
    struct arena arena;
};

// With shape->has_generations each series has a label generation="0000". shape->histograms are
// classic ones behind the exporter's own series: the text format has no others.
void farm_lines_init(struct farm_lines *l, const struct load_shape *shape);
void farm_lines_deinit(struct farm_lines *l);
struct farm_moment {
    uint64_t step;
    unsigned generation; // of the target
    double hours;        // since the begin: how many units were replaced
};
// Appends the body of a target. first: the family that comes first, the others follow in a ring; 0
// is the usual order.
void farm_body(const struct farm_lines *l, uint32_t target, const struct farm_moment *moment,
               size_t first, struct buf *out);

#endif
