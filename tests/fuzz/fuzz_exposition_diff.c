// The first byte says the format and where the rest is cut into the previous body and the new one.
#include "simd/simd.h"
#include "tests/fuzz/exposition_properties.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    simd_init(SIMD_ALL);
    const enum exposition_format format = data[0] & 1 ? EXPOSITION_OPENMETRICS : EXPOSITION_TEXT;
    const size_t cut = (size - 1) * (data[0] >> 1) / 127;
    const struct str old = fuzz_exact(data + 1, cut);
    const struct str body = fuzz_exact(data + 1 + cut, size - 1 - cut);
    exposition_check_beside(format, old, body);
    exposition_check_beside(format, body, old);
    fuzz_release(old);
    fuzz_release(body);
    return 0;
}
