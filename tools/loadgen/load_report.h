// What a run has seen so far, and how it is told: a line while it runs, a table and JSON at its
// end.
#ifndef TOOLS_LOADGEN_LOAD_REPORT_H
#define TOOLS_LOADGEN_LOAD_REPORT_H

#include <stdint.h>

#include "engine/base/buf.h"
#include "io/process.h"
#include "protocol/json_write.h"

// Times in us, 16 steps to each doubling.
enum { LOAD_TIMES_STEPS = 16, LOAD_TIMES_BUCKETS = 64 * LOAD_TIMES_STEPS };
struct load_times {
    uint64_t counts[LOAD_TIMES_BUCKETS], n, max_us;
};
void load_times_add(struct load_times *t, uint64_t us);
uint64_t load_times_at(const struct load_times *t, double share); // 0.99: the 99th percentile

enum { LOAD_STATUS_MAX = 600 };
struct load_stats {
    uint64_t samples, requests, bytes; // acknowledged
    uint64_t refused;                  // 429 and 503: sent again
    uint64_t failed;                   // other 5xx: sent again
    uint64_t rejected;                 // other answers: given up
    uint64_t broken;                   // connections that failed: sent again
    uint64_t late;                     // requests sent later than their turn, on purpose
    uint64_t no_retry_after;           // refused, but not told when to come back
    // On purpose: connections cut in the middle of a request, requests sent once more, requests
    // sent slowly, garbage sent, and what of it was acknowledged, which it should not be.
    uint64_t cut, repeated, slow, garbage, garbage_taken;
    struct load_times acks;      // from where a request was on its way
    struct load_times since_due; // from its turn by the rate, were it sent later: waiting counts
    uint64_t answers[LOAD_STATUS_MAX]; // by status
    char error[256];                   // the last thing that went wrong; empty: nothing did
    int status;                        // of the last answer; 0: there was none
};

static inline void load_answers_add(uint64_t *answers, int status)
{
    answers[status >= 0 && status < LOAD_STATUS_MAX ? status : 0]++;
}

struct load_server { // a process that is watched
    double cpu_seconds;
    uint64_t resident_bytes, peak_bytes, written_bytes;
    uint64_t disk_bytes; // that its data folder takes
};
// Of the process pid, and the folder, which is NULL when it is not known. False: it cannot be read.
bool load_server_read(int64_t pid, const char *folder, struct load_server *out);

struct load_report {
    const struct load_stats *stats;
    double seconds, cpu_seconds;            // of the run, of this process in it
    uint64_t series, templates, text_bytes; // text_bytes: of all templates before compression
    uint64_t template_bytes;
    bool is_live; // requests were compressed as they were sent
    int64_t pid;  // 0: none is watched
    const char *folder;
    struct load_server before, after;
    bool is_read_back;
    uint64_t checked, missing; // samples of loadgen_sequence that were acknowledged, and not found
    char read_error[256];
};
// One line, without its end: what happened since before, over seconds.
void load_report_line(const struct load_stats *now, const struct load_stats *before, double seconds,
                      double elapsed, struct buf *out);
void load_report_table(const struct load_report *r, struct buf *out);
void load_report_json(const struct load_report *r, struct buf *out);

// Percentiles in words, and as members name_p50_seconds and so on of the object at hand.
void load_times_put(const struct load_times *t, struct buf *out);
void load_times_json(const struct load_times *t, const char *name, struct json *j);
// Answers by status: "200: 5, 503: 1", and as a member of the object at hand.
void load_answers_put(const uint64_t *answers, struct buf *out);
void load_answers_json(const uint64_t *answers, struct json *j);

#endif
