// Random traffic for tests of the write-ahead log: cohorts that grow, are forgotten and reused,
// rows that are whole, partial, late, of histograms; every kind of value. What was sent is kept
// beside it.
#ifndef TESTS_UNIT_WAL_WAL_TRAFFIC_H
#define TESTS_UNIT_WAL_WAL_TRAFFIC_H

#include "engine/base/arena.h"
#include "engine/base/rng.h"
#include "engine/tsdb/wal_replay.h"

enum { TRAFFIC_COHORTS = 12, TRAFFIC_MEMBERS = 400 };

struct traffic_sample {
    uint64_t series; // the label id="..."
    int64_t t_ms;
    uint64_t bits;
    uint64_t seq; // sent: of the commit; received: of the record
    int64_t start_ms;
    bool late, histogram; // of a histogram bits are those of its sum (tests/lib/forms.h)
};

struct traffic_list {
    struct traffic_sample *items;
    size_t n, capacity;
};

struct traffic_cohort {
    uint64_t first_series; // members are first_series + index
    uint32_t members;
    int64_t t_ms;
    uint64_t values[TRAFFIC_MEMBERS];
};

struct traffic {
    struct rng rng;
    uint64_t series_count;
    struct traffic_cohort cohorts[TRAFFIC_COHORTS];
    struct traffic_list sent;
    struct buf labels;
    uint32_t members[TRAFFIC_MEMBERS];
    uint64_t bits[TRAFFIC_MEMBERS];
    int64_t starts[TRAFFIC_MEMBERS];
    struct str histograms[TRAFFIC_MEMBERS];
    struct arena forms;
};

void traffic_init(struct traffic *t, uint64_t seed);
void traffic_deinit(struct traffic *t);
struct wal_source traffic_source(struct traffic *t);
// The next row; its memory lives until the next call. true: its cohort must be forgotten first.
bool traffic_row(struct traffic *t, struct wal_row *out);
void traffic_keep(struct traffic *t, const struct wal_row *row, uint64_t seq); // into sent

// What replay's handler gets: into list. The handles are the series' ids.
struct traffic_receiver {
    struct traffic_list list;
    uint64_t defined, corruptions, records_lost;
    bool is_malformed; // a histogram is not what its sum says
    struct wal_replay_progress progress;
};
extern const struct wal_replay_ops traffic_ops;
// received[0..n) equal sent[from..): every bit. Prints the first difference.
bool traffic_equal(const struct traffic_list *sent, size_t from, const struct traffic_list *got);
// Whether every received sample was sent, each at most once, in order.
bool traffic_is_subsequence(const struct traffic_list *sent, const struct traffic_list *got);
void traffic_list_deinit(struct traffic_list *l);

#endif
