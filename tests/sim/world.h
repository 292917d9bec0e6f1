// A simulated world: time, disk and network in memory, from one seed, behind io/backend.h.
//
// Any number of backends (one a shard) run in one thread, in turns drawn from the seed. Time moves
// a little with each look at the clock, and jumps to the next event when nobody has anything to do.
// Each operation takes effect at a moment between its submission and its end. What no program may
// do, and what no world may do to a program, is reported as a violation.
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include "engine/base/list.h"
#include "io/backend.h"
#include "io/loop.h"
#include "tests/sim/disk.h"
#include "tests/sim/network.h"
#include "tests/sim/pieces.h"

enum { WORLD_SHARDS_MAX = 8, WORLD_FDS_MAX = 4096 };

enum world_crash { WORLD_KILL, WORLD_POWER_LOSS };

struct world_backend {
    struct backend backend;
    struct world *world;
    struct list flights; // operations, in the order of submission
};

enum descriptor_kind { DESCRIPTOR_FREE, DESCRIPTOR_INODE, DESCRIPTOR_SOCK };

struct descriptor {
    enum descriptor_kind kind;
    struct inode *inode;
    struct sock *sock;
    unsigned in_flight; // operations on it
};

struct world_violation {
    char text[4096]; // the first one; empty: none
    uint64_t count;
};

struct world {
    uint64_t seed;
    struct rng rng;     // order of turns, delays
    struct rng secrets; // randomness for programs
    struct faults faults;
    struct disk *disk;
    struct network network;
    int64_t now_ns, wall_offset_ms;
    int64_t look_ns;     // what a look at the clock takes
    int64_t delay_ns;    // the usual delay of an operation is below it
    bool calls_the_dead; // a broken world: completions come also after a cancel was answered
    struct world_backend *backends[WORLD_SHARDS_MAX];
    unsigned backends_n;
    struct descriptor fds[WORLD_FDS_MAX];
    unsigned fds_open;
    struct world_violation violation;
    int64_t turn_cpu_ns_max; // of the machine's time
    bool watches_pieces;     // of turns: see io/turn_watch.h; for loops that are made from now on
    struct pieces pieces;    // the longest ones, where watched
    int64_t judging_ns;      // of it, in the present turn: what the simulator itself took
    uint64_t turns;
    bool verbose;
};

struct world *world_create(uint64_t seed);
void world_destroy(struct world *w); // no backend is left
// Backends of a program that starts; each is given to loop_create() and freed by loop_destroy().
struct backend *world_backend_create(struct world *w);

// One turn of each shard, in an order drawn; then, if nobody did anything, time jumps to the next
// event, at most to until_ns. False: nothing will ever happen again.
bool world_turn(struct world *w, int64_t until_ns);
bool world_is_writing(const struct world *w); // a write is in flight
bool world_is_quiet(const struct world *w);   // no operation in flight, no descriptor open

// The program and all it had is gone, between two turns; the disk holds what it would. Its loops
// and memory are abandoned, not freed.
void world_crash(struct world *w, enum world_crash crash);
void world_step_wall(struct world *w, int64_t ms);
int64_t world_wall_ms(const struct world *w);

// Options of the loops of a program that starts.
struct loop_options world_loop_options(struct world *w, size_t fibers_max, uint64_t seed);

void world_violate(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Between them the machine's time is not the program's.
int64_t world_judging_begin(void);
void world_judging_end(struct world *w, int64_t begin);

// What is allocated between them may be lost: memory of programs that will crash.
void world_leaks_begin(void);
void world_leaks_end(void);

#endif
