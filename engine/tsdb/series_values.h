// The values of one series by slot, as the head holds them: a run of the last value, and behind it
// a chain of small blocks.
//
// Slots are numbers of the cohort's time column, ascending. A series that does not change is the
// run alone. A block holds up to BLOCK_VALUES values, as 32-bit differences of decimals where that
// gives back the same bits, raw otherwise; or one run that ended.
#ifndef ENGINE_TSDB_SERIES_VALUES_H
#define ENGINE_TSDB_SERIES_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct value_block;

enum { BLOCK_VALUES = 32 };

struct series_values {
    uint64_t last_bits;         // of the newest value, also when its slot has been released
    uint32_t run_first;         // the run covers [run_first, run_end)
    uint32_t run_end;           // one behind the newest slot; 0: no value yet
    struct value_block *blocks; // newest first
};

// An open run ends with the cohort: with each slot it grows. Appending and releasing are for
// series whose run is closed.
enum { SERIES_RUN_OPEN = UINT32_MAX };
static inline bool series_values_is_open(const struct series_values *v)
{
    return v->run_end == SERIES_RUN_OPEN;
}
static inline void series_values_open(struct series_values *v)
{
    v->run_end = SERIES_RUN_OPEN;
}
static inline void series_values_close(struct series_values *v,
                                       uint32_t end) // one behind the newest
{
    v->run_end = end;
}

static inline bool series_values_is_empty(const struct series_values *v)
{
    return v->run_first == v->run_end && !v->blocks;
}

// The common append: the value has not changed, and the slot is the next one. False: nothing is
// done.
static inline bool series_values_extend(struct series_values *v, uint32_t slot, uint64_t bits)
{
    if (slot != v->run_end || bits != v->last_bits || v->run_first == v->run_end)
        return false;
    v->run_end++;
    return true;
}
// Appends at a slot at or above run_end. How many blocks it took.
size_t series_values_append(struct series_values *v, uint32_t slot, uint64_t bits);
// The same of a value that is known, but not there, as if it had been released.
size_t series_values_append_gone(struct series_values *v, uint32_t slot, uint64_t bits);
// The slots in [from, to) that have a value and their values, ascending; at most to - from.
size_t series_values_decode(const struct series_values *v, uint32_t from, uint32_t to,
                            uint32_t *slots, uint64_t *bits);
bool series_values_at(const struct series_values *v, uint32_t slot, uint64_t *out_bits);
// The oldest slot that has a value; the struct is not empty.
uint32_t series_values_first(const struct series_values *v);
// Frees blocks that lie wholly below slot, and that part of the run. How many blocks.
size_t series_values_release(struct series_values *v, uint32_t slot);
size_t series_values_blocks(const struct series_values *v); // how many

#endif
