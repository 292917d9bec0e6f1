// Prometheus's text format, read into families as client libraries do it (expfmt), to be looked at
// as a whole. Errors are that parser's, which differ from those of scraping:
// text format parsing error in line 3: expected float as value, got "x".
#ifndef TOOLS_PROMTOOL_METRIC_FAMILIES_H
#define TOOLS_PROMTOOL_METRIC_FAMILIES_H

#include "engine/base/arena.h"
#include "engine/base/err.h"
#include "engine/base/hash.h"

enum metric_type { // as dto.MetricType counts them
    METRIC_COUNTER,
    METRIC_GAUGE,
    METRIC_SUMMARY,
    METRIC_UNTYPED,
    METRIC_HISTOGRAM,
    METRIC_GAUGE_HISTOGRAM,
    METRIC_TYPES
};
extern const struct str metric_type_names[METRIC_TYPES]; // lower case

struct family_metric {
    struct str *label_names; // in the order of the line; le and quantile are parts
    size_t labels_n;
    struct hash128 labels_hash; // of names and values in that order
    size_t parts;               // buckets of a histogram, quantiles of a summary
};

struct metric_family {
    struct str name;
    bool has_help, has_type; // has_type: a line gave one, or a sample came first
    enum metric_type type;
    struct family_metric *metrics;
    size_t n, capacity;
};

struct metric_families {
    struct metric_family *items; // in the order of their first line; those without metrics too
    size_t n, capacity;
    struct arena arena; // of texts
};

void metric_families_deinit(struct metric_families *f); // of a zeroed or filled one
// Reads all of text into *out, which is zeroed. On failure it holds what was read so far.
err metric_families_parse(struct str text, struct metric_families *out, struct errmsg *e);

#endif
