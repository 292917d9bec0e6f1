// The system's backend with faults: a judge sees each operation before it is carried out.
#ifndef TESTS_UNIT_WAL_WAL_FAULTS_H
#define TESTS_UNIT_WAL_WAL_FAULTS_H

#include "io/fiber.h"

// 0: carry it out (a judge may have made op->n smaller: a short write); below 0: it fails so.
typedef int32_t faults_judge_fn(void *arg, struct op *op);

// As in_loop(): runs fn(arg) until it and all it started have ended. judge may be NULL.
void faults_loop(faults_judge_fn *judge, void *judge_arg, fiber_fn *fn, void *arg);

#endif
