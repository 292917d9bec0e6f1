// Samples leaving the head: written to files, released from memory, series that have ended.
//
// A spill covers the commits up to a sequence. It reads while other commits go on; its caller
// writes, and may suspend between any two calls. Memory is released later than it is written: the
// newest part stays for the queries of the present.
#ifndef ENGINE_TSDB_HEAD_SPILL_H
#define ENGINE_TSDB_HEAD_SPILL_H

#include "engine/tsdb/head.h"

enum { SPILL_RANGES_MAX = 16 };

struct head_spill {
    struct head *head;
    uint64_t seq;
    // Where the ranges begin that samples to write lie in, ascending; the first one also takes what
    // is older.
    int64_t starts[SPILL_RANGES_MAX];
    size_t ranges;
    // The samples of one series.
    int64_t *t;
    uint64_t *bits;
    uint32_t *slots;
    struct held_place *held; // where histograms are among them
    size_t n, held_n, t_capacity, bits_capacity, slots_capacity, held_capacity;
    struct arena arena; // what else they have
};

// Closes the slots there are. Suspends if head.may_yield; nobody may commit meanwhile.
void head_spill_begin(struct head_spill *spill, struct head *h);
// Before the first read, and commits up to head->seq must be kept by then. Suspends likewise.
void head_spill_find_ranges(struct head_spill *spill, int64_t range_ms);
// The unwritten samples of a series within the range, until the next call.
struct column head_spill_read(struct head_spill *spill, uint32_t id, size_t range);
void head_spill_end(struct head_spill *spill, bool written); // frees; suspends likewise

// Metric names and their series, ascending: pairs of `__name__`; LABEL_NONE first, for those
// without. The caller frees *out with mem_free.
void head_metrics(const struct head *h, uint32_t **out, size_t *out_n);
// The series of a metric, into *ids, which may grow; how many. Both suspend if head.may_yield; no
// series may leave.
size_t head_metric_series(const struct head *h, uint32_t pair, uint32_t **ids, size_t *capacity);

// Releases what is written and older than keep_t. No snapshot may be older than the files. Suspends
// if head.may_yield.
void head_release(struct head *h, int64_t keep_t);
// Lets series without samples in memory and none since before_t leave, of ids from on, n at most;
// where to go on, 0 when done. It may end early, when that was much work. No select may be running.
uint32_t head_collect(struct head *h, int64_t before_t, uint32_t from, uint32_t n);
// Takes back samples of a commit that could not be kept: their outcomes say which. Suspends if
// head.may_yield: meanwhile nothing may be judged by what memory has, nor written.
void head_undo(struct head *h, const struct tsdb_sample *samples, const uint8_t *outcomes,
               size_t n);

#endif
