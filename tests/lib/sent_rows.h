// What each source of a test committed last: from it a commit can say that its row comes again
// (struct tsdb_commit, row).
#ifndef TESTS_LIB_SENT_ROWS_H
#define TESTS_LIB_SENT_ROWS_H

#include "engine/tsdb/tsdb.h"

enum { SENT_ROWS = 8 }; // by source

struct sent_rows { // to one shard; a zeroed struct is empty and valid
    struct sent_row {
        uint64_t source, row;
        uint64_t *refs, *bits;
        size_t n;
    } rows[SENT_ROWS];
    uint32_t *changed; // of the last commit
    uint64_t steady;   // commits whose row came again
    uint64_t before;
    struct sent_row *last;
};

void sent_rows_deinit(struct sent_rows *s); // also when the database is opened anew
// Before and after the commit of a source.
void sent_rows_say(struct sent_rows *s, uint64_t source, struct tsdb_commit *c);
void sent_rows_note(struct sent_rows *s);

#endif
