// What a series of the head has beside the values in its slots: late samples, histograms, and start
// timestamps. Most series have nothing of it.
#ifndef ENGINE_TSDB_HEAD_BESIDE_H
#define ENGINE_TSDB_HEAD_BESIDE_H

#include <assert.h>

#include "engine/base/buf.h"

struct held; // a histogram in memory

struct late_sample { // that has no slot: a late one, or a histogram
    int64_t t_ms;
    union {
        uint64_t bits;
        struct held *histogram; // owned
    };
    uint64_t seq : 63;
    uint64_t is_histogram : 1;
};
static_assert(sizeof(struct late_sample) == 24, "memory per late sample");

// From from_ms on, until the next run, samples have this start timestamp; 0: none.
struct start_run {
    int64_t from_ms, start_ms;
};

struct late {
    uint32_t n, capacity;
    struct start_run *starts; // ascending; NULL: none
    uint32_t starts_n, starts_capacity;
    struct late_sample items[]; // by time
};

// ---- samples

const struct late_sample *late_find(const struct late *l, int64_t t_ms); // NULL: none
uint32_t late_after(const struct late *l, int64_t t_ms);      // index of the first above t_ms
void late_insert(struct late **l, struct late_sample sample); // its time is not in it
void late_insert_histogram(struct late **l, int64_t t_ms, struct str packed, uint64_t seq);
void late_remove(struct late *l, uint32_t at);
// Removes the samples below t_ms of commits up to seq, but for that of time but; and start
// timestamps that neither what is left nor samples from slots_t_ms on have.
void late_release(struct late **l, int64_t t_ms, uint64_t seq, int64_t but, int64_t slots_t_ms);
void late_destroy(struct late *l);

// Appends the packed form.
void held_pack(const struct held *h, struct buf *out);

// ---- start timestamps

static inline bool late_has_starts(const struct late *l)
{
    return l && l->starts_n;
}
int64_t late_start_at(const struct late *l, int64_t t_ms); // 0: none
// Of a sample that is the series' newest, or not. Nothing is kept where no series has any.
void late_set_start(struct late **l, int64_t t_ms, int64_t start_ms, bool is_newest);

#endif
