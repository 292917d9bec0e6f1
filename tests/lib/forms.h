// Tests speak of samples as (time, bits). Some bits stand for a native histogram here, and all for
// a start timestamp, both functions of the bits: so maps of bits judge histograms too. What is sent
// gets its form on the way in, what is read must have the form that its bits say. Nothing here may
// change: tests/data/format-2 holds samples in these forms.
#ifndef TESTS_LIB_FORMS_H
#define TESTS_LIB_FORMS_H

#include "engine/model/storage.h"
#include "engine/tsdb/tsdb.h"

bool form_is_histogram(uint64_t bits);
void form_histogram(uint64_t bits, struct buf *out); // packed; bits of its sum are these
int64_t form_start(uint64_t bits, int64_t t_ms);

// A column of n samples in their forms; in the arena.
struct column form_column(const int64_t *t, const uint64_t *bits, size_t n, struct arena *a);
// Gives the commit's samples their forms; what the arena holds must outlive the commit.
void form_commit(struct tsdb_commit *c, struct arena *a);
// The reverse of form_column(), in place. False: a sample has not the form that its bits say, of
// which only the sum of a histogram is looked at unless thorough.
bool form_undo(struct column *c, bool thorough, struct arena *a);

#endif
