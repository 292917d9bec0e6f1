// What virtual targets answer to a scrape, made anew for each from what all share: the text format,
// or protobuf, which has native histograms, too.
#ifndef TOOLS_LOADGEN_FARM_BODY_H
#define TOOLS_LOADGEN_FARM_BODY_H

#include "engine/base/arena.h"
#include "tools/loadgen/load_shape.h"

struct farm_lines {          // of an exporter: all targets have the same
    struct load_shape shape; // bare
    struct farm_line {
        struct str text;                   // name{labels} and a blank, with LOAD_GENERATION_BYTE
        struct str pairs;                  // its labels as a Metric of protobuf has them
        uint32_t family, row, series, key; // key: of load_generation(), as target 0 has it
        enum farm_part { FARM_VALUE, FARM_BUCKET, FARM_SUM, FARM_COUNT } part;
        int bucket; // of FARM_BUCKET; parts of histograms have their number as series
        // Of a captured histogram or summary the part that the line is; FARM_BUCKET: a quantile,
        // too
        enum farm_part captured;
        double bound;
    } * items;
    size_t n, capacity;
    struct farm_family {
        struct str comment; // HELP and TYPE
        struct str head;    // name, help and type of a MetricFamily
        struct str name;
        int type; // of a MetricFamily
    } * families;
    size_t families_n, families_capacity;
    struct arena arena;
};

// With shape->has_generations each series has a label generation="0000". shape->histograms come
// behind the exporter's own series: classic ones, and native ones with the same buckets beside them
// in protobuf; the text format has no others.
void farm_lines_init(struct farm_lines *l, const struct load_shape *shape);
void farm_lines_deinit(struct farm_lines *l);
struct farm_moment {
    uint64_t step;
    unsigned generation; // of the target
    double hours;        // since the begin: how many units were replaced
};
// Appends the body of a target. first: the family that comes first, the others follow in a ring; 0
// is the usual order. How many lines it has with a sample: what a capture does not have then is
// left out.
size_t farm_body(const struct farm_lines *l, uint32_t target, const struct farm_moment *moment,
                 size_t first, struct buf *out);
// The same as io.prometheus.client.MetricFamily messages, each behind its size.
size_t farm_body_protobuf(const struct farm_lines *l, uint32_t target,
                          const struct farm_moment *moment, size_t first, struct buf *out);
// What a scraper would rather have, by its Accept header: protobuf or text.
bool farm_wants_protobuf(struct str accept);

#endif
