// How long queries took lately: quantiles over the last ten minutes, in parts of two that age, as
// Prometheus's summaries. One shard's observations; windows of shards are added up.
#ifndef ENGINE_SERVER_QUERY_SUMMARY_H
#define ENGINE_SERVER_QUERY_SUMMARY_H

#include <stdint.h>

enum query_slice { QUERY_EVAL, QUERY_PREPARE, QUERY_QUEUE, QUERY_SORT, QUERY_SLICES };

// Sixteen buckets an octave of nanoseconds: a value is known within 3 %; the last holds all longer
// than about two hours.
enum { QUERY_BUCKETS = 656, QUERY_AGES = 5 };

struct query_window {
    uint32_t counts[QUERY_SLICES][QUERY_BUCKETS];
};

struct query_summary { // zeroed is empty
    struct query_window ages[QUERY_AGES];
    int64_t period; // the newest; it stands at ages[period % QUERY_AGES]
};

void query_summary_add(struct query_summary *s, const int64_t ns[static QUERY_SLICES],
                       int64_t now_ns);
// Adds what is not too old to out.
void query_summary_gather(struct query_summary *s, int64_t now_ns, struct query_window *out);
// Seconds; NaN without observations.
double query_window_quantile(const struct query_window *w, enum query_slice slice, double q);

#endif
