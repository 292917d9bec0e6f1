#include "tests/fuzz/exposition_properties.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str body = fuzz_exact(data, size);
    exposition_check(EXPOSITION_TEXT, body);
    fuzz_release(body);
    return 0;
}
