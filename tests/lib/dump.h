// Everything a database holds, as text, for tests that look at what came of a flow.
#ifndef TESTS_LIB_DUMP_H
#define TESTS_LIB_DUMP_H

#include "engine/base/buf.h"
#include "engine/tsdb/tsdb.h"

// A line for each series of every shard, sorted: up{job="x"} 1 0 stale, and with times
// up{job="x"} 1@1700000000000; behind a sample that has a start timestamp <1600000000000.
// Histograms are [schema,hint,count,zero,threshold,sum|index:count,...|index:count,...|bounds],
// positive buckets first, doubles as the hex digits of their bits, all counts of float histograms
// too, which begin with f. On a fiber of a shard. Suspends.
void dump_samples(struct tsdb *db, bool with_times, struct buf *out);
// The same for programs that compare: labels as their bytes, samples as bits or [packed histogram],
// all in hex, each with its time.
void dump_bits(struct tsdb *db, struct buf *out);
// The line of the series that begins with name, without it; empty: none such.
struct str dump_line(const struct buf *dump, const char *series);

#endif
