// The scratch memory of a head: what a commit is staged in, and a label set being split.
#ifndef ENGINE_TSDB_HEAD_STAGE_H
#define ENGINE_TSDB_HEAD_STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/buf.h"

struct stage;

struct stage_labels {
    uint32_t *pairs, *tuple, *local;
    bool *is_key, *in_tuple;
    size_t capacity;
    // The series that was interned last: the next one has most of its labels, as a rule.
    struct buf last; // its labels
    struct stage_label {
        struct str name, value; // in last
        uint32_t pair;
        bool is_key;
    } * last_labels;
    size_t last_n, last_capacity;
    uint64_t pairs_removed; // of the store then: its pairs are good while none was removed
};

// head_row.c: a commit that is rows and nothing else. They point into the head's memory, until the
// next commit; NULL: this one is not. Nothing is changed before head_rows_apply().
struct head;
struct head_rows;
struct tsdb_commit;
struct head_rows *head_rows_create(void);
void head_rows_destroy(struct head_rows *r);
const struct wal_row *head_rows_stage(struct head *h, const struct tsdb_commit *c, size_t *out_n);
void head_rows_apply(struct head *h, uint64_t seq);
void head_rows_drop(struct head *h, const struct tsdb_commit *c); // instead of it

struct stage *stage_create(void);
void stage_destroy(struct stage *st);
struct stage_labels *stage_labels(struct stage *st, size_t n); // with room for n labels

#endif
