// The program that is simulated: shards with a database on the simulated disk, senders of traffic,
// queries at random moments, all judged against the truth.
#ifndef TESTS_SIM_PROGRAM_H
#define TESTS_SIM_PROGRAM_H

#include "engine/shard/shard.h"
#include "tests/lib/sent_rows.h"
#include "tests/lib/traffic.h"
#include "tests/sim/truth.h"
#include "tests/sim/world.h"

enum { SENDERS_MAX = 4 };

struct program_options { // drawn from the seed
    enum tsdb_wal_sync wal_sync;
    int64_t sync_interval_ms, spill_ms, seal_ms, retention_ms;
    uint64_t spill_bytes;
    uint64_t segment_bytes;
    uint32_t commit_piece;
    bool forms;          // samples get the forms that their bits say (tests/lib/forms.h)
    int64_t holds_ns;    // a flow does, of the machine's time, again and again; 0: none does
    int64_t duration_ns; // of the traffic
    unsigned senders;
    size_t rounds;
};

struct sender {
    struct program *program;
    struct sent_rows rows[WORLD_SHARDS_MAX]; // by owner
    struct traffic traffic;
    size_t next; // batch to be sent
    enum traffic_shape shape;
    struct shard_post post;
};

struct program {
    struct world *world;
    struct truth truth;
    struct program_options options;
    struct sender senders[SENDERS_MAX];
    struct rng rng;
    struct log_sink log;
    // Of the present run.
    struct shards *shards;
    unsigned shards_n;
    struct tsdb *db;
    bool recovers_from_power_loss;
    bool stopping; // asks the flows to end
    bool is_open, is_closed;
    bool is_fatal; // the database cannot go on: the program must be killed
    unsigned flows;
    struct shard_post query_post;
    // Counts.
    uint64_t batches, commits, commit_errors, queries, query_errors, opens, open_errors;
    uint64_t logged_errors, spilled_files, corruptions, segments_max, deletions;
    uint64_t merges, divisions; // of files
    uint64_t refused_starts;
};

void program_init(struct program *p, struct world *w, const struct program_options *o,
                  uint64_t seed);
void program_deinit(struct program *p);

// Makes the shards and lets them open the database, look at all there is, and work.
void program_start(struct program *p, unsigned shards_n);
void program_stop(struct program *p); // asks for a clean end; is_closed follows
void program_free(struct program *p); // after is_closed
void program_crash(struct program *p, enum world_crash crash);

// query.c: asks everything / something random on every shard; what is wrong is a violation. False:
// it could not be answered. Suspends.
bool program_check_all(struct program *p);
bool program_check_some(struct program *p);

#endif
