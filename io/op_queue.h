// Operations in order, linked through their next: first in, first out.
#ifndef IO_OP_QUEUE_H
#define IO_OP_QUEUE_H

#include "io/op.h"

struct op_queue {
    struct op *first, **end;
};

static inline void op_queue_init(struct op_queue *q)
{
    q->first = NULL;
    q->end = &q->first;
}

static inline void op_queue_push(struct op_queue *q, struct op *op)
{
    op->next = NULL;
    *q->end = op;
    q->end = &op->next;
}

static inline struct op *op_queue_pop(struct op_queue *q) // NULL when empty
{
    struct op *op = q->first;
    if (op) {
        q->first = op->next;
        if (!q->first)
            q->end = &q->first;
    }
    return op;
}

// op is in q.
static inline void op_queue_remove(struct op_queue *q, struct op *op)
{
    struct op **at = &q->first;
    while (*at != op)
        at = &(*at)->next;
    *at = op->next;
    if (!*at)
        q->end = at;
}

#endif
