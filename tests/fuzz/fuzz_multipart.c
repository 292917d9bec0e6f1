// Multipart bodies: the first line of the input is the Content-Type. Values stand inside the body,
// and none holds the boundary that ended it.
#include "engine/base/arena.h"
#include "protocol/multipart.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str input = fuzz_exact(data, size);
    struct arena a;
    struct form f = {0};
    arena_init(&a, 0);
    const ptrdiff_t end = str_find(input, '\n', 0);
    if (end != STR_NONE) {
        const struct str body = str_from(input, (size_t)end + 1);
        const struct str boundary = multipart_boundary(str_until(input, (size_t)end), &a);
        if (boundary.p && multipart_parse(body, boundary, &a, &f) == ERR_OK) {
            fuzz_must(f.n <= MULTIPART_PARTS_MAX);
            for (size_t i = 0; i < f.n; i++)
                fuzz_must(!f.pairs[i].value.n ||
                          (f.pairs[i].value.p >= body.p && f.pairs[i].value.n <= body.n));
        }
    }
    arena_deinit(&a);
    fuzz_release(input);
    return 0;
}
