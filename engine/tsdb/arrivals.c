#include "engine/tsdb/arrivals.h"

void arrivals_deinit(struct arrivals *a)
{
    for (size_t i = 0; i < ARRIVALS_LISTS; i++)
        id_list_deinit(&a->lists[i]);
}

void arrivals_expire(struct arrivals *a, int64_t now_ms)
{
    const int64_t now = now_ms / ARRIVALS_LIST_MS;
    if (now - a->newest >= ARRIVALS_LISTS)
        a->newest = now - ARRIVALS_LISTS; // all go
    while (a->newest < now)
        id_list_deinit(&a->lists[++a->newest % ARRIVALS_LISTS]);
}

void arrivals_add(struct arrivals *a, uint32_t series, int64_t now_ms)
{
    arrivals_expire(a, now_ms);
    id_list_push(&a->lists[a->newest % ARRIVALS_LISTS], series);
}

const struct id_list *arrivals_at(const struct arrivals *a, int64_t t_ms)
{
    const int64_t at = t_ms / ARRIVALS_LIST_MS;
    return at > a->newest || at <= a->newest - ARRIVALS_LISTS || at < 0
               ? NULL
               : &a->lists[at % ARRIVALS_LISTS];
}
