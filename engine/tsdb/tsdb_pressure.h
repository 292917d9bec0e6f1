// What the database does when memory is short, and who makes it short.
//
// Who measures memory (engine/server/memory.h) tells how short it is; here samples leave memory
// early, caches of files shrink, and new series are refused: first those of the targets and metrics
// that made most of them of late, then all. Series that are there go on, and replay makes all.
#ifndef ENGINE_TSDB_TSDB_PRESSURE_H
#define ENGINE_TSDB_TSDB_PRESSURE_H

#include "engine/tsdb/makers.h"
#include "engine/tsdb/tsdb.h"

struct tsdb_pressure {
    bool shrinks;                     // caches go, samples are written early and then leave memory
    bool refuses_much;                // new series of who made most of late
    int64_t series_left;              // that may be made until it is told anew, all shards together
    uint64_t used_bytes, limit_bytes; // for what is said of it
};
// Bytes that writing all samples to files would take for a while. From any shard.
uint64_t tsdb_spill_needs(const struct tsdb *db);
// From any shard. Until then there is room for all.
void tsdb_set_pressure(struct tsdb *db, const struct tsdb_pressure *p);
// measure(arg) is called on any shard when series_left is used up; it may set the pressure.
typedef void tsdb_measure_fn(void *arg);
void tsdb_watch_memory(struct tsdb *db, tsdb_measure_fn *measure, void *arg);

enum tsdb_refusal { TSDB_NOT_REFUSED, TSDB_REFUSED_LONG, TSDB_REFUSED_MAX, TSDB_REFUSED_MEMORY };
// On the owner: why its last tsdb_series() that answered 0 did; e (or NULL) says it.
enum tsdb_refusal tsdb_why_refused(struct tsdb *db, struct errmsg *e);

// On each shard: what it knows of who makes series there. Valid until the next suspension.
const struct makers *tsdb_makers(struct tsdb *db);

// Of struct tsdb and struct part.
struct pressure {
    _Atomic bool shrinks, refuses_much;
    _Atomic int64_t series_left;
    _Atomic uint64_t used_bytes, limit_bytes;
    tsdb_measure_fn *measure;
    void *measure_arg;
};
struct part_makers {
    _Atomic uint64_t spill_needs;
    struct makers makers;
    enum tsdb_refusal refusal; // of the last that was refused
    uint64_t refused[TSDB_REFUSED_MEMORY + 1];
    uint64_t refused_told;
    int64_t told_ms;
};
struct part;
// The series is to be made: whether there is room for it.
bool part_admits(struct part *p, struct str labels);
void part_made_series(struct part *p, uint64_t ref, struct str labels);
// Once a second: names who is refused, at most once a minute.
void part_tell_makers(struct part *p, int64_t now_ms);

#endif
