// Runs a flow on a loop of its own, for tests of what suspends.
#ifndef TESTS_LIB_IN_LOOP_H
#define TESTS_LIB_IN_LOOP_H

#include "io/fiber.h"

enum in_loop_backend {
    IN_LOOP_URING,
    IN_LOOP_URING_BARE, // as on a kernel of 5.15
    IN_LOOP_URING_UNBUFFERED,
    IN_LOOP_POLL,
    IN_LOOP_BACKENDS
};

// Makes a loop, runs fn(arg) there as a fiber and turns until it and all it started have ended.
// Asserts that nothing is left in flight. Do not assert with Criterion inside of a fiber: leave
// what was seen in arg, and check it after the return.
void in_loop(enum in_loop_backend backend, fiber_fn *fn, void *arg);

#endif
