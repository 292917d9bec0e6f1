// The load of remote_write: connections that send templates, at a rate or as fast as they are
// answered.
#ifndef TOOLS_LOADGEN_WRITE_LOAD_H
#define TOOLS_LOADGEN_WRITE_LOAD_H

#include "io/stream.h"
#include "tools/loadgen/load_report.h"
#include "tools/loadgen/write_template.h"

// What a connection carries: whole targets; series by the hash of their labels; by time, the next
// request whatever its series, so that a series goes over all of them.
enum write_split { WRITE_SPLIT_TARGET, WRITE_SPLIT_HASH, WRITE_SPLIT_TIME };

struct write_load_options {
    const char *host;
    uint16_t port;
    struct tls *tls; // NULL: plain
    struct write_options write;
    struct load_shape shape;
    enum write_split split;
    uint64_t series; // about how many: whole targets
    uint32_t batch;  // series of a request
    unsigned connections;
    double rate;       // samples/s; 0: flat out
    uint64_t rounds;   // then all is sent; UINT64_MAX: until it is stopped
    int64_t start_ms;  // of the first round
    double churn;      // targets replaced a minute of sample time, as a share
    double late_share; // of requests held back
    uint32_t late_rounds;
    // Shares of requests: cut in their middle, and sent again; sent once more after they were
    // acknowledged; trickling in over slow_ms; behind a request that no server can read.
    double cut_share, repeat_share, slow_share, garbage_share;
    int64_t slow_ms;
    bool encodes_live;
};

struct write_load;
// Makes all templates.
struct write_load *write_load_create(const struct write_load_options *options);
void write_load_destroy(struct write_load *l);
const struct load_stats *write_load_stats(const struct write_load *l);
void write_load_describe(const struct write_load *l, struct load_report *out);

// Sends until write_load_stop(), then waits a few seconds for what is under way. Suspends.
void write_load_run(struct write_load *l);
void write_load_stop(struct write_load *l); // from any thread

// What was acknowledged: for each template its rounds, and when the last sample was.
size_t write_load_templates(const struct write_load *l);
bool write_load_is_acked(const struct write_load *l, size_t template, uint64_t round);
uint32_t write_load_sequence(const struct write_load *l, size_t template); // its number
uint64_t write_load_rounds(const struct write_load *l, size_t template);   // sent at most so many
int64_t write_load_last_ms(const struct write_load *l);

#endif
