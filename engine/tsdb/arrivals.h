// The series that a shard came to know in the last hour, in lists of five minutes each: four bytes
// for each that came, none for the others. Series that replay brings are not among them.
#ifndef ENGINE_TSDB_ARRIVALS_H
#define ENGINE_TSDB_ARRIVALS_H

#include "engine/tsdb/id_list.h"

enum {
    ARRIVALS_LIST_MS = 5 * 60 * 1000,
    ARRIVALS_LISTS = 13,
    ARRIVALS_SPAN_MS = (ARRIVALS_LISTS - 1) * ARRIVALS_LIST_MS // what can be asked for
};

struct arrivals { // zeroed is empty
    struct id_list lists[ARRIVALS_LISTS];
    int64_t newest; // number of the newest list, since the clock's beginning
};

void arrivals_deinit(struct arrivals *a);
void arrivals_add(struct arrivals *a, uint32_t series, int64_t now_ms); // on the loop's clock
void arrivals_expire(struct arrivals *a, int64_t now_ms);               // what is older goes
// The list that holds those of a time, NULL: there is none any more.
const struct id_list *arrivals_at(const struct arrivals *a, int64_t t_ms);

#endif
