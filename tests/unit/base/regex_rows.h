// Patterns and Prometheus's answers to them.
#ifndef TESTS_UNIT_BASE_REGEX_ROWS_H
#define TESTS_UNIT_BASE_REGEX_ROWS_H

#include <stddef.h>
#include <stdint.h>

enum { REGEX_TEXTS_COUNT = 44 };

struct regex_row {
    const char *pattern;
    uint64_t matches;  // of regex_texts
    const char *wrong; // behind "error parsing regexp: "; NULL: the pattern is good
};

extern const char *const regex_texts[REGEX_TEXTS_COUNT];
extern const struct regex_row regex_rows[];
extern const size_t regex_rows_count;

#endif
