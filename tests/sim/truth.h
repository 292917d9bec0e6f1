// What was sent to a database, what it said, and what it must therefore answer.
//
// The oracle's map with a state per sample: it may be there, it must, it must not. Answers may come
// at any time and are judged by what had been acknowledged or shown before they began.
#ifndef TESTS_SIM_TRUTH_H
#define TESTS_SIM_TRUTH_H

#include "engine/model/storage.h"
#include "engine/tsdb/tsdb.h"
#include "tests/sim/world.h"

enum truth_state {
    TRUTH_SENT,    // may be there: nobody has said
    TRUTH_KEPT,    // acknowledged or shown: must be there
    TRUTH_REFUSED, // must not be there
    TRUTH_EXPIRED, // was too old and not shown any more
};

struct truth_sample {
    int64_t t_ms;
    uint64_t bits;
    uint64_t known_at;  // KEPT: the number of the event that said so
    uint64_t commit;    // of this run that brought it; 0: none
    int64_t durable_ns; // must survive a loss of power from then on; INT64_MAX: nobody said
    enum truth_state state;
    bool is_fresh;     // of the commit under way
    bool is_found;     // by the answer that is being judged
    bool is_recovered; // found since the last crash
};

struct truth_series {
    struct str labels;
    uint64_t hash;
    struct truth_sample *samples; // by time
    size_t n, capacity;
};

struct truth {
    struct world *world; // whose violation a wrong answer is
    struct truth_series *series;
    size_t n, capacity;
    uint32_t *table; // open addressing: index + 1
    size_t table_size;
    uint64_t events;
    int64_t newest_t; // accepted, of all series; INT64_MIN: none
    int64_t retention_ms;
    uint64_t samples_judged;
    uint64_t commits, first_commit; // numbers: of the newest, and of this run's first
    uint8_t *shown;                 // by commit of this run: the answer has of it (1), lacks (2)
    size_t shown_capacity;
    uint64_t samples_gone; // that no crash had to leave
};

void truth_init(struct truth *t, struct world *w, int64_t retention_ms);
void truth_deinit(struct truth *t);

void truth_send(struct truth *t, struct str labels, int64_t t_ms, uint64_t bits);
// After the commit of a sample that was sent; durable_ns: see struct truth_sample. commit: a new
// number from truth_commit(), the same for all samples that must become visible together.
uint64_t truth_commit(struct truth *t);
void truth_outcome(struct truth *t, struct str labels, int64_t t_ms, uint64_t bits,
                   enum tsdb_outcome outcome, int64_t durable_ns, uint64_t commit);
// The commit failed. is_certain: nothing of it was kept.
void truth_failed(struct truth *t, struct str labels, int64_t t_ms, uint64_t bits, bool is_certain);

// One shard's answer to ms over (mint, maxt], which began at event began: all series that match
// and for which owned() says so. What it shows is kept from now on. Of a commit of this run it
// shows all or nothing.
struct truth_answer {
    const struct matcher *ms;
    size_t ms_count;
    int64_t mint, maxt;
    uint64_t began;
    const struct storage_set *set;
    const struct column *columns;
    bool (*owned)(const void *arg, struct str labels);
    const void *owned_arg;
};
void truth_judge(struct truth *t, const struct truth_answer *a);

// A crash at crash_ns: from here on only what must have survived it must be there. When everything
// has been asked for, truth_recovered() makes what was found the whole truth.
void truth_crashed(struct truth *t, bool power_lost, int64_t crash_ns);
void truth_recovered(struct truth *t, bool power_lost, int64_t now_ns);

#endif
