// remote_write requests made before the clock starts: compressed, with the HTTP head in front,
// times and values patched in place before each sending.
//
// A template always holds the same series, so its bytes and their number never change but for the
// patches. Sending it for step S puts the values of step S and the times of S on all of them.
#ifndef TOOLS_LOADGEN_WRITE_TEMPLATE_H
#define TOOLS_LOADGEN_WRITE_TEMPLATE_H

#include "tools/loadgen/holey_match.h"
#include "tools/loadgen/load_shape.h"

enum { WRITE_SAMPLES_MAX = 64 }; // of a series in one request
typedef unsigned write_generation_fn(void *arg, uint32_t key, int64_t t_ms);

struct write_options {
    int version;      // 1 or 2
    bool is_zstd;     // otherwise snappy
    uint32_t samples; // of each series in a request, step_ms apart
    int64_t step_ms;
    struct str target; // of the request line: "/api/v1/write"
    struct str host;   // and more header lines, each with its end
    bool keeps_series; // of templates, for write_template_encode()
};

struct write_moment { // what a request is made for
    uint64_t step;
    int64_t t_ms;                       // of the first sample of each series
    write_generation_fn *generation_of; // of a key of load_shape.h
    void *arg;
};

struct write_patch { // a value that moves
    struct load_motion motion;
    uint32_t at; // in bytes
    uint32_t sample;
};

struct write_presence { // of a series that comes and goes: where its tag is
    struct load_motion motion;
    uint32_t at;
    uint8_t tag;
};

struct write_histogram { // where its parts are, in bytes
    struct load_motion motion;
    uint32_t count_at, sum_at, deltas_at, sample;
};

struct write_template {
    struct buf bytes;                // head and body
    size_t head_n, series_n, text_n; // text_n: of the body before compression
    struct write_patch *patches;
    size_t patches_n, patches_capacity;
    struct write_presence *presences;
    size_t presences_n, presences_capacity;
    struct write_histogram *histograms;
    size_t histograms_n, histograms_capacity;
    struct write_place { // times, sequence numbers and generations
        uint32_t at, of; // of: which sample, or which target
    } * times, *sequences, *generations;
    size_t times_n, sequences_n, generations_n;
    struct buf kept_labels;
    struct write_kept { // a series, in the order of the message
        struct load_motion motion;
        size_t labels_at, labels_n; // in kept_labels
        uint32_t key;
        bool is_histogram, is_sequence;
    } * kept; // NULL unless options.keeps_series
};
void write_template_deinit(struct write_template *t);

// Collects series into a template.
struct write_builder;
struct write_builder *write_builder_create(const struct write_options *options);
void write_builder_destroy(struct write_builder *b);
void write_builder_add(struct write_builder *b, uint32_t key, struct str labels,
                       const struct load_motion *motion);
// A native histogram; motion->step is how many observations come in a step.
void write_builder_add_histogram(struct write_builder *b, uint32_t key, struct str labels,
                                 const struct load_motion *motion);
// The series that counts the template's sendings: its values are step * samples + 1 and on.
void write_builder_add_sequence(struct write_builder *b, struct str labels);
size_t write_builder_series(const struct write_builder *b);
// Compresses what was added into *out and empties the builder.
void write_builder_finish(struct write_builder *b, struct write_template *out);

// How many series the request has: those of a capture that are not there are left out.
size_t write_template_patch(struct write_template *t, const struct write_options *options,
                            const struct write_moment *moment);
// The request made afresh instead, as a sender does: each series written, then compressed with
// libsnappy or libzstd. b: without series. Appends head and body to out; how many series it has.
size_t write_template_encode(const struct write_template *t, struct write_builder *b,
                             const struct write_moment *moment, struct buf *out);

// The parts of a request: the HTTP head of a body of body_n bytes, and a body. Appended to out.
void write_put_head(const struct write_options *options, size_t body_n, struct buf *out);
void write_compress(const struct write_options *options, struct str text, struct buf *out);

#endif
