// The text format as client libraries read it: what is read fits the text, and what was read twice
// is the same; the linter takes all of it.
#include "tests/fuzz/fuzz.h"
#include "tools/promtool/metric_lint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str text = fuzz_exact(data, size);
    struct metric_families f = {0}, again = {0};
    struct metric_problems problems = {0};
    struct errmsg e = {{0}};
    const err code = metric_families_parse(text, &f, &e);
    fuzz_must((code == ERR_OK) == !e.text[0]);
    size_t metrics = 0;
    for (size_t i = 0; i < f.n; i++) {
        fuzz_must(f.items[i].name.n && f.items[i].name.n <= size);
        metrics += f.items[i].n;
    }
    fuzz_must(metrics <= size / 2); // a name and what ends it
    metric_lint(&f, &problems);
    for (size_t i = 1; i < problems.n; i++)
        fuzz_must(str_cmp(problems.items[i - 1].metric, problems.items[i].metric) <= 0);
    fuzz_must(metric_families_parse(text, &again, NULL) == code && again.n == f.n);
    metric_problems_deinit(&problems);
    metric_families_deinit(&f);
    metric_families_deinit(&again);
    fuzz_release(text);
    return 0;
}
