// What must hold for any body in a text format.
#ifndef TESTS_FUZZ_EXPOSITION_PROPERTIES_H
#define TESTS_FUZZ_EXPOSITION_PROPERTIES_H

#include "protocol/exposition.h"

// The fast path, the lexer alone and every set of kernels give the same events; what is printed
// from a sample reads back as that sample.
void exposition_check(enum exposition_format format, struct str body);
// A body read beside another gives the samples of the body read alone.
void exposition_check_beside(enum exposition_format format, struct str old, struct str body);

#endif
