// Bodies are the text format: the parser of scrapes takes them, and their values are those of the
// step.
#include <criterion/criterion.h>

#include "engine/base/number.h"
#include "engine/base/util.h"
#include "tools/loadgen/farm_body.h"

static void check_body(const struct farm_lines *l, struct str body, uint32_t target, uint64_t step,
                       const char *generation)
{
    struct str line;
    size_t series = 0, types = 0;
    while (body.n && str_split(&body, '\n', &line)) {
        if (line.p[0] == '#') {
            types += str_has_prefix(line, STR("# TYPE "));
            continue;
        }
        const ptrdiff_t blank = str_find_last(line, ' ');
        double value;
        cr_assert(blank != STR_NONE);
        cr_assert_eq(number_parse(str_from(line, (size_t)blank + 1), &value), ERR_OK);
        const struct farm_line *const at = &l->items[series++];
        const struct load_motion m = load_shape_motion(&l->shape, at->row, at->series, target);
        cr_assert_float_eq(value, load_value(&m, step), 0);
        if (generation)
            cr_assert(str_contains(line, str_from_c(generation)), "%.*s", STR_ARG(line));
    }
    cr_assert_eq(series, l->n);
    cr_assert_eq(types, l->families_n);
}

Test(farm_body, holds_the_values_of_the_step)
{
    for (int exporter = 0; exporter < LOAD_EXPORTERS; exporter++) {
        for (int churn = 0; churn < 2; churn++) {
            struct farm_lines l;
            struct buf body = {0};
            const struct load_shape shape = {.exporter = (enum load_exporter)exporter,
                                             .has_generations = churn};
            farm_lines_init(&l, &shape);
            cr_assert_eq(l.n, load_shape_series(&shape));
            cr_assert(l.families_n >= load_shape_rows(&shape));
            for (uint64_t step = 0; step < 1000; step += 333) {
                buf_reset(&body);
                const struct farm_moment moment = {.step = step, .generation = 0x1af};
                farm_body(&l, 7, &moment, 0, &body);
                check_body(&l, buf_str(&body), 7, step, churn ? "generation=\"01af\"" : NULL);
            }
            buf_deinit(&body);
            farm_lines_deinit(&l);
        }
    }
}

// Buckets go up to what _count says, nothing shrinks, and another target has others.
Test(farm_body, classic_histograms)
{
    struct farm_lines l;
    const struct load_shape shape = {.exporter = LOAD_CADVISOR, .histograms = 3};
    farm_lines_init(&l, &shape);
    const size_t own = load_shape_series(&shape), each = 9 + 2;
    cr_assert_eq(l.n, own + 3 * each);
    double before[3 * 11] = {0};
    for (uint64_t step = 10; step < 500; step += 100) {
        struct buf body = {0};
        const struct farm_moment moment = {.step = step};
        farm_body(&l, 2, &moment, 0, &body);
        struct str rest = buf_str(&body), line;
        rest = str_from(rest, (size_t)(strstr(rest.p, "# HELP http_request_") - rest.p));
        double last = 0;
        for (size_t i = 0; rest.n && str_split(&rest, '\n', &line);) {
            if (!line.n || line.p[0] == '#')
                continue;
            double value;
            const ptrdiff_t blank = str_find_last(line, ' ');
            cr_assert_eq(number_parse(str_from(line, (size_t)blank + 1), &value), ERR_OK);
            const bool is_bucket = i % each < 9;
            cr_assert_eq(str_contains(line, STR("_bucket{handler=\"/api/")), is_bucket);
            cr_assert_eq(str_contains(line, STR("le=\"+Inf\"")), i % each == 8);
            cr_assert_eq(str_contains(line, STR("le=\"0.125\"")), i % each == 0);
            cr_assert(!is_bucket || value >= (i % each ? last : 0));
            cr_assert(i % each != 10 || value == before[i - 2], "_count is +Inf's");
            cr_assert(value >= before[i]);
            before[i++] = value;
            last = value;
        }
        cr_assert(before[10] > 40 * 0.5 * (double)step - 9 &&
                  before[10] < 40 * 1.5 * (double)step + 80);
        buf_deinit(&body);
    }
    cr_assert(strstr(l.items[own].comment.p, "# TYPE http_request_duration_seconds histogram\n"));
    farm_lines_deinit(&l);
}

Test(farm_body, families_go_round)
{
    struct farm_lines l;
    struct buf usual = {0}, turned = {0};
    const struct load_shape shape = {.exporter = LOAD_CADVISOR};
    farm_lines_init(&l, &shape);
    const struct farm_moment moment = {.step = 5};
    farm_body(&l, 7, &moment, 0, &usual);
    farm_body(&l, 7, &moment, 3, &turned);
    cr_assert_eq(usual.n, turned.n);
    cr_assert(str_has_prefix(buf_str(&turned), STR("# HELP container_cpu_cfs_periods_total")));
    const ptrdiff_t at =
        (ptrdiff_t)(strstr(usual.p, "# HELP container_cpu_cfs_periods_total") - usual.p);
    cr_assert_eq(memcmp(turned.p, usual.p + at, usual.n - (size_t)at), 0);
    buf_deinit(&usual);
    buf_deinit(&turned);
    farm_lines_deinit(&l);
}

// At the pace of the table some units are replaced in an hour, and each only once in a while.
Test(farm_body, units_come_and_go)
{
    struct farm_lines l;
    struct buf before = {0}, after = {0};
    const struct load_shape shape = {.exporter = LOAD_KUBE_STATE};
    farm_lines_init(&l, &shape);
    size_t replaced = 0, pods = 0;
    for (uint32_t target = 0; target < 20; target++) {
        const struct farm_moment first = {.step = 5}, later = {.step = 5, .hours = 1};
        buf_reset(&before);
        buf_reset(&after);
        farm_body(&l, target, &first, 0, &before);
        farm_body(&l, target, &later, 0, &after);
        struct str a = buf_str(&before), b = buf_str(&after), x, y;
        while (a.n && str_split(&a, '\n', &x) && str_split(&b, '\n', &y)) {
            if (!str_has_prefix(x, STR("kube_pod_info{")))
                continue;
            pods++;
            replaced += !str_eq(x, y);
        }
    }
    cr_assert_eq(pods, 20 * 64, "%zu", pods);
    cr_assert(replaced > pods * 2 / 100 && replaced < pods * 6 / 100, "%zu of %zu", replaced, pods);
    buf_deinit(&before);
    buf_deinit(&after);
    farm_lines_deinit(&l);
}
