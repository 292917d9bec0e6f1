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

// Counters grow, in every step or in bursts; gauges stray in every step, levels every few.
enum load_motion_kind { LOAD_CONSTANT, LOAD_COUNTER, LOAD_BURSTS, LOAD_GAUGE, LOAD_LEVELS };
enum { LOAD_HOLD_STEPS = 16 }; // from one burst or level to the next

struct load_motion {
    double base, step; // of a counter the growth a step; of a gauge how far it strays from base
    double divisor;    // values are whole numbers divided by this
    uint32_t seed;
    uint32_t period, phase; // a counter begins anew at 0 where step + phase is a multiple of period
    enum load_motion_kind kind;
};

// 0 to 1, of a step of a series.
static inline double load_noise(const struct load_motion *m, uint64_t step)
{
    uint64_t h = (step + 1) * 0x9e3779b97f4a7c15U ^ (uint64_t)m->seed * 0xd6e8feb86659fd93U;
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93U;
    return (double)(uint32_t)(h >> 32) * 0x1p-32;
}

static inline double load_counter(const struct load_motion *m, uint64_t step)
{
    double base = m->base;
    uint64_t since = step;
    if (m->period && (uint32_t)step + m->phase >= m->period) {
        since = ((uint32_t)step + m->phase) % m->period;
        base = 0;
    }
    if (m->kind == LOAD_COUNTER)
        return base + m->step * ((double)since + load_noise(m, step));
    const uint64_t burst = since / LOAD_HOLD_STEPS;
    return base + m->step * LOAD_HOLD_STEPS * ((double)burst + load_noise(m, burst));
}

static inline double load_value(const struct load_motion *m, uint64_t step)
{
    if (m->kind == LOAD_CONSTANT)
        return m->base / m->divisor;
    if (m->kind == LOAD_COUNTER || m->kind == LOAD_BURSTS)
        return floor(load_counter(m, step)) / m->divisor;
    if (m->kind == LOAD_LEVELS)
        step = (step + m->seed % LOAD_HOLD_STEPS) / LOAD_HOLD_STEPS;
    return floor(m->base + m->step * (load_noise(m, step) - 0.5)) / m->divisor;
}

// Where the generation of what is replaced stands in the values of labels: this byte as often as
// the digits take. What is replaced is named by a key: a target's number; with LOAD_UNIT one of the
// pods or containers of a target, which come and go at the exporter's own pace unless targets do.
enum { LOAD_GENERATION_BYTE = 1, LOAD_GENERATION_DIGITS = 4 };
static const uint32_t LOAD_UNIT = 0x80000000;
// share: replaced in a period.
unsigned load_generation(uint32_t key, double share, double periods);
double load_unit_share(enum load_exporter exporter); // in an hour of sample time

struct load_shape {
    enum load_exporter exporter;
    bool is_operator;     // 14 labels as prometheus-operator has them; otherwise job and instance
    bool is_bare;         // no labels of a scrape: what the exporter itself shows
    bool has_generations; // targets are replaced
    struct str run;       // a label of the load's own series: run="..."
};

// labels: encoded as engine/model/labels.h has it, valid until the call returns. key: of the
// generation in them.
typedef void load_series_fn(void *arg, uint32_t key, struct str labels,
                            const struct load_motion *motion);
// All series of one target, in the order of the exporter.
void load_shape_target(const struct load_shape *shape, uint32_t target, load_series_fn *each,
                       void *arg);
size_t load_shape_series(const struct load_shape *shape); // of one target
// The labels that a scrape puts on all of a target's series, encoded. Appended to out.
void load_shape_target_labels(const struct load_shape *shape, uint32_t target, struct buf *out);
// An exporter's table has rows, of one family or several.
size_t load_shape_rows(enum load_exporter exporter);
size_t load_shape_row_series(enum load_exporter exporter, size_t row);
bool load_shape_is_counter(enum load_exporter exporter, size_t row);
// How a target's series of a row moves, counted from 0 within it.
struct load_motion load_shape_motion(enum load_exporter exporter, size_t row, size_t series,
                                     uint32_t target);
// A Markdown table of an exporter's families: labels, series, how values move, come and go.
void load_shape_table(enum load_exporter exporter, struct buf *out);
// The labels of loadgen_sequence, whose value counts a template's requests. Appended to out.
void load_shape_sequence(const struct load_shape *shape, uint32_t template, struct buf *out);

#endif
