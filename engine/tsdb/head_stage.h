// The scratch memory of a head: what a commit is staged in, and a label set being split.
#ifndef ENGINE_TSDB_HEAD_STAGE_H
#define ENGINE_TSDB_HEAD_STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stage;

struct stage_labels {
    uint32_t *pairs, *tuple, *local;
    bool *is_key, *in_tuple;
    size_t capacity;
};

struct stage *stage_create(void);
void stage_destroy(struct stage *st);
struct stage_labels *stage_labels(struct stage *st, size_t n); // with room for n labels

#endif
