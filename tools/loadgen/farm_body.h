// What virtual targets answer to a scrape: the text format, made anew for each from shared lines.
#ifndef TOOLS_LOADGEN_FARM_BODY_H
#define TOOLS_LOADGEN_FARM_BODY_H

#include "engine/base/arena.h"
#include "tools/loadgen/load_shape.h"

struct farm_lines { // of an exporter: all targets have the same
    enum load_exporter exporter;
    struct farm_line {
        struct str text; // name{labels} and a blank; with LOAD_GENERATION_BYTE where there is churn
        uint32_t family, series;
    } * items;
    size_t n, capacity;
    struct str *comments; // HELP and TYPE, by family
    size_t families_n;
    struct arena arena;
};

// has_generations: each series has a label generation="0000".
void farm_lines_init(struct farm_lines *l, enum load_exporter exporter, bool has_generations);
void farm_lines_deinit(struct farm_lines *l);
// Appends the body of a target at a step. first: the family that comes first, the others follow in
// a ring; 0 is the usual order.
void farm_body(const struct farm_lines *l, uint32_t target, uint64_t step, unsigned generation,
               size_t first, struct buf *out);

#endif
