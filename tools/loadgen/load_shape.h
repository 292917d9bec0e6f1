// The series of virtual targets: what an exporter of a kind shows, with the labels that a scrape
// puts on it, and how each value moves.
#ifndef TOOLS_LOADGEN_LOAD_SHAPE_H
#define TOOLS_LOADGEN_LOAD_SHAPE_H

#include "engine/base/buf.h"
#include "engine/base/err.h"
#include "tools/loadgen/load_motion.h"

enum load_exporter { LOAD_NODE, LOAD_CADVISOR, LOAD_KUBE_STATE, LOAD_EXPORTERS };
extern const char *const load_exporter_names[LOAD_EXPORTERS + 1]; // ends with NULL

// Where the generation of what is replaced stands in the values of labels: this byte as often as
// the digits take. What is replaced is named by a key: a target's number; with LOAD_UNIT one of the
// pods or containers of a target, which come and go at the exporter's own pace unless targets do.
enum { LOAD_GENERATION_BYTE = 1, LOAD_GENERATION_DIGITS = 4 };
static const uint32_t LOAD_UNIT = 0x80000000;
// share: replaced in a period.
unsigned load_generation(uint32_t key, double share, double periods);

struct load_shape {
    enum load_exporter exporter;
    const struct load_capture *capture; // instead of the exporter's series; NULL: none
    bool is_operator;     // 14 labels as prometheus-operator has them; otherwise job and instance
    bool is_bare;         // no labels of a scrape: what the exporter itself shows
    bool has_generations; // targets are replaced
    uint32_t histograms;  // of a target, beside the exporter's
    struct str run;       // a label of the load's own series: run="..."
};

// Of a target's units, replaced
double load_unit_share(const struct load_shape *shape); // in an hour of sample time

// labels: encoded as engine/model/labels.h has it, valid until the call returns. key: of the
// generation in them.
typedef void load_series_fn(void *arg, uint32_t key, struct str labels,
                            const struct load_motion *motion);
// All series of one target, in the order of the exporter.
void load_shape_target(const struct load_shape *shape, uint32_t target, load_series_fn *each,
                       void *arg);
size_t load_shape_series(const struct load_shape *shape); // of one target, without histograms
// The histograms of one target, which move as load_histogram.h says.
void load_shape_histograms(const struct load_shape *shape, uint32_t target, load_series_fn *each,
                           void *arg);
struct load_motion load_shape_histogram(uint32_t histogram, uint32_t target);
// The labels that a scrape puts on all of a target's series, encoded. Appended to out.
void load_shape_target_labels(const struct load_shape *shape, uint32_t target, struct buf *out);
// An exporter's table has rows, of one family or several; a capture has one a series.
size_t load_shape_rows(const struct load_shape *shape);
size_t load_shape_row_series(const struct load_shape *shape, size_t row);
bool load_shape_is_counter(const struct load_shape *shape, size_t row);
// How a target's series of a row moves, counted from 0 within it.
struct load_motion load_shape_motion(const struct load_shape *shape, size_t row, size_t series,
                                     uint32_t target);
// The labels of loadgen_sequence, whose value counts a template's requests. Appended to out.
void load_shape_sequence(const struct load_shape *shape, uint32_t template, struct buf *out);

#endif
