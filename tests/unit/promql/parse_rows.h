// Queries and what Prometheus makes of them.
#ifndef TESTS_UNIT_PROMQL_PARSE_ROWS_H
#define TESTS_UNIT_PROMQL_PARSE_ROWS_H

#include <stddef.h>

struct parse_row {
    const char *query;
    const char *want; // its canonical form; NULL: the query itself; behind a '!': the error
};

extern const struct parse_row parse_rows[];
extern const size_t parse_rows_count;

#endif
