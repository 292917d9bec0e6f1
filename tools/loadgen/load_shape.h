// The series of virtual targets: what an exporter of a kind shows, with the labels that a scrape
// puts on it, and how each value moves.
//
// A series' value at a step is a function of the step alone, so any step can be made at any time.
#ifndef TOOLS_LOADGEN_LOAD_SHAPE_H
#define TOOLS_LOADGEN_LOAD_SHAPE_H

#include <math.h>
#include <stdint.h>

#include "engine/base/buf.h"
#include "engine/base/err.h"

enum load_exporter { LOAD_NODE, LOAD_CADVISOR, LOAD_KUBE_STATE, LOAD_EXPORTERS };
extern const char *const load_exporter_names[LOAD_EXPORTERS + 1]; // ends with NULL

enum load_motion_kind { LOAD_CONSTANT, LOAD_COUNTER, LOAD_GAUGE };
struct load_motion {
    double base, step; // of a counter the growth a step; of a gauge how far it strays from base
    double divisor;    // values are whole numbers divided by this
    uint32_t seed;
    enum load_motion_kind kind;
};

static inline double load_value(const struct load_motion *m, uint64_t step)
{
    if (m->kind == LOAD_CONSTANT)
        return m->base / m->divisor;
    uint64_t h = (step + 1) * 0x9e3779b97f4a7c15U ^ (uint64_t)m->seed * 0xd6e8feb86659fd93U;
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93U;
    const double noise = (double)(uint32_t)(h >> 32) * 0x1p-32; // 0 to 1
    const double whole = m->kind == LOAD_COUNTER ? m->base + m->step * ((double)step + noise)
                                                 : m->base + m->step * (noise - 0.5);
    return floor(whole) / m->divisor;
}

// Where the generation of a target that is replaced stands in the values of labels: this byte as
// often as the digits take.
enum { LOAD_GENERATION_BYTE = 1, LOAD_GENERATION_DIGITS = 4 };

struct load_shape {
    enum load_exporter exporter;
    bool is_operator;     // 14 labels as prometheus-operator has them; otherwise job and instance
    bool is_bare;         // no labels of a scrape: what the exporter itself shows
    bool has_generations; // targets are replaced
    struct str run;       // a label of the load's own series: run="..."
};

// labels: encoded as engine/model/labels.h has it, valid until the call returns.
typedef void load_series_fn(void *arg, uint32_t target, struct str labels,
                            const struct load_motion *motion);
// All series of one target, in the order of the exporter.
void load_shape_target(const struct load_shape *shape, uint32_t target, load_series_fn *each,
                       void *arg);
size_t load_shape_series(const struct load_shape *shape); // of one target
// The labels that a scrape puts on all of a target's series, encoded. Appended to out.
void load_shape_target_labels(const struct load_shape *shape, uint32_t target, struct buf *out);
// The families of an exporter, in the order of their series.
size_t load_shape_families(enum load_exporter exporter);
enum load_motion_kind load_shape_kind(enum load_exporter exporter, size_t family);
// How a target's series of a family moves, counted from 0 within it.
struct load_motion load_shape_motion(enum load_exporter exporter, size_t family, size_t series,
                                     uint32_t target);
// A Markdown table of an exporter's families: labels, series, how values move.
void load_shape_table(enum load_exporter exporter, struct buf *out);
// The labels of loadgen_sequence, whose value counts a template's requests. Appended to out.
void load_shape_sequence(const struct load_shape *shape, uint32_t template, struct buf *out);

#endif
