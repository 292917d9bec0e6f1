// remote_write 2.0: the series of an io.prometheus.write.v2.Request, walked where they lie.
//
// As remote_write.h: a series is checked whole before it is given out, a later one may still be
// bad, error texts are those of Prometheus's decoder. Texts stand once, in a table of symbols;
// series refer to them by number. That a reference is in the table, and that they come in pairs, is
// not checked here: it spoils one series, not the request. Nothing is allocated; the index of the
// table is the caller's.
#ifndef PROTOCOL_REMOTE_WRITE2_H
#define PROTOCOL_REMOTE_WRITE2_H

#include "protocol/remote_write.h"

struct remote_write2 {
    struct pb in;
};

struct remote_write2_series {
    // From the first field of each kind to the last; other fields may lie between.
    struct str refs, samples, exemplars, histograms;
    uint32_t refs_count, samples_count, exemplars_count, histograms_count;
    int64_t start_ms; // of all its samples that have none of their own; 0: none
    struct remote_write2_metadata {
        uint32_t type;       // any number, see remote_write_type
        uint32_t help, unit; // symbols
    } metadata;
    bool has_starts; // a sample has one of its own
};

// The next symbol of a request, walked from its start: it may have them anywhere. False: there are
// no more, up to where it is malformed.
bool remote_write2_next_symbol(struct pb *request, struct str *out);

// How many bytes of a request the symbols take that lead it, each in its usual form.
size_t remote_write2_leading_symbols(struct str request, uint32_t *out_count);

void remote_write2_init(struct remote_write2 *w, struct str request); // at most REMOTE_WRITE_MAX
// The next series; *out_more is false, and *out not set, when there is none.
err remote_write2_next(struct remote_write2 *w, struct remote_write2_series *out, bool *out_more,
                       struct errmsg *e);

// A series as nearly all are: one packed field of references, samples without start timestamps,
// perhaps metadata of a few bytes.
enum {
    REMOTE_WRITE2_USUAL_REFS = 127, // bytes
    REMOTE_WRITE2_USUAL_METADATA = 8,
};
struct remote_write2_usual {
    const uint8_t *refs; // numbers; that they are whole is not checked
    size_t refs_n;
    struct str samples;
    uint32_t samples_count;           // 1 at least
    uint32_t metadata_n;              // bytes, which are not checked
    uint64_t metadata;                // those, the first one lowest
    struct remote_write_sample first; // sample
    const uint8_t *end;               // of the series, where the walk goes on
};
// Whether the series comes next in that form. Nothing is taken.
bool remote_write2_peek(const struct remote_write2 *w, struct remote_write2_usual *out);
// What the bytes of its metadata say; false: nothing in the usual form.
bool remote_write2_usual_metadata(const struct remote_write2_usual *s,
                                  struct remote_write2_metadata *out);

// References to symbols, of a series (name, value, ...) or of an exemplar's labels.
struct remote_write2_refs {
    struct pb region;
    struct pb_numbers packed;
};
static inline struct remote_write2_refs remote_write2_refs(struct str region)
{
    return (struct remote_write2_refs){.region = pb_of(region)};
}
bool remote_write2_refs_field(struct remote_write2_refs *i); // moves to the next field of them
static inline bool remote_write2_refs_next(struct remote_write2_refs *i, uint32_t *out)
{
    uint64_t n;
    while (i->packed.in.at == i->packed.in.end)
        if (!remote_write2_refs_field(i))
            return false;
    if (pb_varint(&i->packed.in, &n, NULL) != ERR_OK)
        return false; // was checked: does not happen
    *out = (uint32_t)n;
    return true;
}

// Over pb_of(series->samples) and so on. Who wants no start timestamps may walk samples with
// remote_write_samples_next(): the rest of them is the same in both messages.
struct remote_write2_sample {
    uint64_t bits;             // of the value
    int64_t time_ms, start_ms; // start: 0 is none
};
bool remote_write2_samples_next(struct pb *i, struct remote_write2_sample *out);
bool remote_write2_exemplars_next(struct pb *i, struct remote_write_exemplar *out);
bool remote_write2_histograms_next(struct pb *i, struct remote_write_histogram *out);

#endif
