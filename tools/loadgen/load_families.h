// The families of the virtual exporters: a table that load_shape.c makes series of.
#ifndef TOOLS_LOADGEN_LOAD_FAMILIES_H
#define TOOLS_LOADGEN_LOAD_FAMILIES_H

#include "tools/loadgen/load_shape.h"

struct load_family {
    const char *name, *labels; // as load_families.c says; NULL: no labels
    enum load_motion_kind kind;
    double base, step, divisor; // as struct load_motion has them, for a target of middling pace
    int constant_percent;       // of its series never change; all do where step is 0
};

struct load_exporter_families {
    const struct load_family *families;
    size_t n;
    const char *job;
    unsigned port;
    unsigned units;              // pods or containers of a target
    unsigned churn_percent_hour; // of them, replaced in an hour of sample time
    uint32_t reset_steps;        // from one reset of a target's counters to the next; 0: never
};
extern const struct load_exporter_families load_exporter_families[LOAD_EXPORTERS];

#endif
