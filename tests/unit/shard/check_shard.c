// Runs the flows by itself, on both backends: for ThreadSanitizer. "N passed, N failed", 0 when
// none failed.
#include <stdio.h>

#include "tests/unit/shard/shard_flows.h"

int main(void)
{
    const enum shard_backend backends[] = {SHARD_BACKEND_URING, SHARD_BACKEND_POLL};
    int failed = 0;
    for (size_t i = 0; i < SHARD_FLOWS; i++) {
        for (size_t k = 0; k < countof(backends); k++) {
            struct findings f = {""};
            shard_flow_run(&shard_flows[i], backends[k], &f);
            if (f.text[0])
                printf("%s, backend %zu: %s\n", shard_flows[i].name, k, f.text);
            failed += f.text[0] != '\0';
        }
    }
    printf("%d passed, %d failed\n", (int)(SHARD_FLOWS * countof(backends)) - failed, failed);
    return failed ? 1 : 0;
}
