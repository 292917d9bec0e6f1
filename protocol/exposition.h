// Metrics as text, line by line: Prometheus's format 0.0.4 and 1.0.0 (quoted UTF-8 names) and
// OpenMetrics 1.0.0. Accepts and refuses what Prometheus's parsers do, with their error texts.
//
// Slices point into the body, which must stay; nothing is allocated but texts of errors. A line of
// the usual form costs one pass; any other goes through the lexer of exposition_lex.h.
#ifndef PROTOCOL_EXPOSITION_H
#define PROTOCOL_EXPOSITION_H

#include "engine/base/buf.h"
#include "engine/base/err.h"
#include "protocol/exposition_lex.h"

enum exposition_format {
    EXPOSITION_TEXT,
    EXPOSITION_OPENMETRICS,
};

enum exposition_event {
    EXPOSITION_END,
    EXPOSITION_SERIES,  // series, bits, time, exemplar
    EXPOSITION_TYPE,    // name, type
    EXPOSITION_HELP,    // name, text
    EXPOSITION_UNIT,    // name, text
    EXPOSITION_COMMENT, // text: the line without its end
};

enum exposition_type {
    EXPOSITION_UNKNOWN, // also before any TYPE line
    EXPOSITION_COUNTER,
    EXPOSITION_GAUGE,
    EXPOSITION_HISTOGRAM,
    EXPOSITION_GAUGE_HISTOGRAM,
    EXPOSITION_SUMMARY,
    EXPOSITION_INFO,
    EXPOSITION_STATESET,
    EXPOSITION_TYPES,
};

// What a line says beside its series. Any NaN that text gives is 0x7ff8000000000001.
struct exposition_sample {
    uint64_t bits; // of the value
    int64_t time_ms;
    bool has_time;
};

struct exposition {
    struct lex lex;
    enum exposition_format format;
    enum exposition_type type; // of the last TYPE line, whatever metric it named

    enum exposition_event event; // the current one, and of it:
    size_t line;                 // offset of its first byte, blanks included
    size_t value;                // offset of a sample's value; 0 for other events
    struct str series;           // name and labels as they stand in the line: what to hash
    struct str name;             // raw: without quotes, escapes in it
    struct str text;             // raw
    bool has_exemplar;
    struct str exemplar_labels; // {...} as it stands in the line
    struct exposition_sample sample, exemplar;
};

void exposition_init(struct exposition *x, enum exposition_format format, struct str body);
// The next event. ERR_INVALID ends the parse: the whole body counts as bad.
err exposition_next(struct exposition *x, enum exposition_event *out, struct errmsg *e);
// The word of a TYPE line in OpenMetrics's terms: "counter", "unknown".
const char *exposition_type_name(enum exposition_type type);
// The text of a HELP line without escapes; uses scratch where there are any.
struct str exposition_help(const struct exposition *x, struct buf *scratch);

// The labels of the current sample in the order of the line, names and values without escapes, the
// metric name first as `__name__`. `le` of histograms and `quantile` of summaries come as
// OpenMetrics writes floats ("1.0"). Slices live as long as the body and scratch, whose content is
// replaced. Names may repeat and values be empty: that is for the caller to judge.
struct exposition_labels {
    const char *at, *end;
    struct str name; // of the metric, not yet given
    bool has_name, is_exemplar;
    enum exposition_type type;
    struct buf *scratch;
};
void exposition_labels_init(struct exposition_labels *i, const struct exposition *x,
                            struct buf *scratch);
// The same for the exemplar of the current sample; escapes stay, as in Prometheus.
void exposition_exemplar_init(struct exposition_labels *i, const struct exposition *x,
                              struct buf *scratch);
bool exposition_labels_next(struct exposition_labels *i, struct str *out_name,
                            struct str *out_value);

// A float as OpenMetrics writes it ("1" is "1.0"), or s itself where it is no float.
enum { EXPOSITION_FLOAT_MAX = 40 };
struct str exposition_canonical_float(struct str s, char out[static EXPOSITION_FLOAT_MAX]);

// Takes the line at the parser's position if it is prefix (all bytes up to the value, which an
// earlier parse of the same bytes found), a plain number and at most a plain timestamp. False, and
// nothing is taken: exposition_next() has to decide.
bool exposition_take(struct exposition *x, struct str prefix, struct exposition_sample *out);

#endif
