// Answers of a server that is not to be trusted: the first byte says how they are read. What is
// printed as JSON ends its line, and an error has a text.
#include "tests/fuzz/fuzz.h"
#include "tools/promtool/query_result.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {200, 400, 404, 503};
    if (!size)
        return 0;
    const struct str body = fuzz_exact(data + 1, size - 1);
    const int status = statuses[data[0] >> 3 & 3];
    const enum query_result_kind kind = (enum query_result_kind)((data[0] & 3) % 3);
    const bool as_json = data[0] >> 2 & 1;
    struct buf out = {0}, warnings = {0};
    struct errmsg e = {{0}};
    const err code = query_result_print(status, body, kind, as_json, &out, &warnings, &e);
    fuzz_must((code == ERR_OK) == !e.text[0]);
    if (!code && as_json)
        fuzz_must(out.n && out.p[out.n - 1] == '\n' && !memchr(out.p, '\n', out.n - 1));
    buf_deinit(&out);
    buf_deinit(&warnings);
    fuzz_release(body);
    return 0;
}
