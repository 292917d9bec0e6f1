// Threads, for those who run loops in them. All else is fibers.
#ifndef IO_THREAD_H
#define IO_THREAD_H

#include "engine/base/err.h"

struct thread; // on the heap
typedef void thread_fn(void *arg);

// name: at most 15 bytes are shown. Signals of the process are not delivered to it.
err thread_start(const char *name, thread_fn *fn, void *arg, struct thread **out, struct errmsg *e);
void thread_join(struct thread *t); // frees; NULL is accepted

// Opens when it has been passed count times; then stays open.
struct gate;
struct gate *gate_create(unsigned count);
void gate_destroy(struct gate *g);
void gate_pass(struct gate *g); // does not wait
void gate_wait(struct gate *g);

#endif
