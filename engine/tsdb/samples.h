// Samples of one series put together from several columns: floats, histograms, start timestamps.
#ifndef ENGINE_TSDB_SAMPLES_H
#define ENGINE_TSDB_SAMPLES_H

#include "engine/model/storage.h"

struct samples {
    int64_t *t; // NULL: not wanted
    double *v;
    struct str *histograms; // NULL: no part has any
    int64_t *starts;        // likewise
    size_t n, capacity;
};

// Room in the arena for all samples of the parts. False: its limit is reached.
bool samples_init(struct samples *s, struct arena *a, const struct column *parts, size_t parts_n,
                  bool times);
void samples_put(struct samples *s, const struct column *part, size_t from, size_t n);
struct column samples_column(const struct samples *s);

void column_skip(struct column *c, size_t n); // goes on behind its first n samples

#endif
