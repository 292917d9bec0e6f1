// Bodies are the text format: the parser of scrapes takes them, and their values are those of the
// step.
#include <criterion/criterion.h>

#include "engine/base/number.h"
#include "engine/base/util.h"
#include "protocol/protobuf.h"
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
    cr_assert(strstr(l.families[l.items[own].family].comment.p,
                     "# TYPE http_request_duration_seconds histogram\n"));
    farm_lines_deinit(&l);
}

static struct str field(struct str message, uint32_t number)
{
    struct pb m = pb_of(message);
    struct str found = {0};
    return pb_next(&m, number, &found) ? found : (struct str){0};
}

static double double_behind(struct str message, uint8_t tag) // its first field
{
    cr_assert(message.n >= 9 && (uint8_t)message.p[0] == tag);
    return double_from_bits(load_le64((const uint8_t *)message.p + 1));
}

// The metrics of a family, against the text's lines from *rest on: one each, of a histogram one
// for all its lines, its last bucket's and _count's value beside the native ones.
static void check_family(struct str family, struct str *rest, size_t *samples)
{
    struct str line, metric;
    struct pb m = pb_of(family);
    const struct str name = field(family, 1);
    for (int i = 0; i < 2; i++) {
        cr_assert(str_split(rest, '\n', &line));
        cr_assert(line.p[0] == '#' && str_contains(line, name), "%.*s", STR_ARG(line));
    }
    const bool is_histogram = str_has_suffix(line, STR(" histogram"));
    const uint32_t kind = is_histogram ? 7 : str_has_suffix(line, STR(" counter")) ? 3 : 2;
    while (pb_next(&m, 4, &metric)) {
        const struct str value = field(metric, kind);
        double wanted = 0;
        for (int i = 0; i < (is_histogram ? 11 : 1); i++) {
            cr_assert(str_split(rest, '\n', &line));
            const ptrdiff_t blank = str_find_last(line, ' ');
            cr_assert_eq(number_parse(str_from(line, (size_t)blank + 1), &wanted), ERR_OK);
            ++*samples;
        }
        cr_assert(str_contains(line, field(field(metric, 1), 2)), "a label's value");
        if (!is_histogram) {
            cr_assert_eq(double_behind(value, 0x09), wanted);
            continue;
        }
        struct pb histogram = pb_of(value);
        uint64_t tag, count, total = 0;
        cr_assert(!pb_varint(&histogram, &tag, NULL) && tag == 0x08);
        cr_assert(!pb_varint(&histogram, &count, NULL));
        cr_assert_eq((double)count, wanted);
        struct pb deltas = pb_of(field(value, 13));
        for (int64_t n = 0; pb_left(&deltas); total += (uint64_t)n) {
            uint64_t delta;
            cr_assert_eq(pb_varint(&deltas, &delta, NULL), ERR_OK);
            n += unzigzag(delta);
        }
        cr_assert_eq(total, count);
    }
}

// The same in protobuf as in text: families, series, values; histograms native, too.
Test(farm_body, protobuf)
{
    for (int exporter = 0; exporter < LOAD_EXPORTERS; exporter++) {
        struct farm_lines l;
        struct buf text = {0}, body = {0};
        const struct load_shape shape = {.exporter = (enum load_exporter)exporter,
                                         .has_generations = exporter != LOAD_CADVISOR,
                                         .histograms = 3};
        const struct farm_moment moment = {.step = 77, .generation = 0x2bc};
        farm_lines_init(&l, &shape);
        const size_t n = farm_body(&l, 4, &moment, 2, &text);
        cr_assert_eq(farm_body_protobuf(&l, 4, &moment, 2, &body), n);
        struct pb at = pb_of(buf_str(&body));
        struct str rest = buf_str(&text);
        size_t families = 0, samples = 0;
        for (; pb_left(&at); families++) {
            struct str family;
            cr_assert_eq(pb_bytes(&at, &family, NULL), ERR_OK);
            check_family(family, &rest, &samples);
        }
        cr_assert_eq(rest.n, 0);
        cr_assert_eq(families, l.families_n);
        cr_assert_eq(samples, n);
        buf_deinit(&text);
        buf_deinit(&body);
        farm_lines_deinit(&l);
    }
}

#define FAMILY "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding="

Test(farm_body, who_wants_protobuf)
{
    static const struct {
        const char *accept;
        bool wanted;
    } rows[] = {
        {"", false},
        {"*/*", false},
        {"text/plain;version=0.0.4;q=0.5,*/*;q=0.1", false},
        {FAMILY "delimited", true},
        {FAMILY "text", false},
        {FAMILY "delimited;q=0", false},
        {FAMILY "delimited;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,"
                "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
         true},
        {"application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5," FAMILY
         "delimited;q=0.4",
         false},
        {"text/plain , " FAMILY "delimited ; q=x", false},
        {"application/vnd.google.protobuf;encoding=delimited", false}};
    for (size_t i = 0; i < countof(rows); i++)
        cr_assert_eq(farm_wants_protobuf(str_from_c(rows[i].accept)), rows[i].wanted, "%s",
                     rows[i].accept);
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
