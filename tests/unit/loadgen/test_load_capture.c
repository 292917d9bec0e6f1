// Targets after a capture: the values of the exporter, from places of their own, counters going on.
#include <criterion/criterion.h>

#include "engine/base/util.h"
#include "engine/model/labels.h"
#include "tools/loadgen/farm_body.h"
#include "tools/loadgen/load_capture.h"

static const char text[] = "# TYPE requests_total counter\n"
                           "requests_total{code=\"200\"} 100\n"
                           "requests_total{code=\"500\"} 7\n"
                           "# TYPE temperature gauge\n"
                           "temperature 21.5\n"
                           "# TYPE took histogram\n"
                           "took_bucket{le=\"1\"} 5\n"
                           "took_bucket{le=\"+Inf\"} 6\n"
                           "took_sum 4.25\n"
                           "took_count 6\n"
                           "# EOF\n"
                           "# TYPE requests_total counter\n"
                           "requests_total{code=\"200\"} 110\n"
                           "requests_total{code=\"500\"} 7\n"
                           "temperature 21.25\n"
                           "new 1\n"
                           "# TYPE took histogram\n"
                           "took_bucket{le=\"1\"} 8\n"
                           "took_bucket{le=\"+Inf\"} 10\n"
                           "took_sum 5.5\n"
                           "took_count 10\n"
                           "# EOF\n"
                           "# TYPE requests_total counter\n"
                           "requests_total{code=\"200\"} 4\n" // it was reset
                           "requests_total{code=\"500\"} 7\n"
                           "temperature 22\n"
                           "# TYPE took histogram\n"
                           "took_bucket{le=\"1\"} 8\n"
                           "took_bucket{le=\"+Inf\"} 10\n"
                           "took_sum 5.5\n"
                           "took_count 10\n";

enum { OK_200, OK_500, TEMPERATURE, LE_1, LE_INF, SUM, COUNT, NEW, SERIES };

static struct load_capture *parse(struct str from)
{
    struct load_capture *c = NULL;
    struct errmsg e;
    cr_assert_eq(load_capture_parse(from, &c, &e), ERR_OK, "%s", e.text);
    return c;
}

Test(load_capture, targets_go_on_from_places_of_their_own)
{
    struct load_capture *const c = parse(str_from_c(text));
    cr_assert_eq(c->n, SERIES);
    cr_assert_eq(c->scrapes, 3);
    bool places[3] = {0};
    double sums[50] = {0}; // no host repeats another
    for (uint32_t target = 0; target < 50; target++) {
        struct load_motion m[SERIES];
        for (size_t i = 0; i < SERIES; i++)
            m[i] = load_capture_motion(c, i, target);
        places[m[OK_200].phase] = true;
        const double pace = m[OK_200].step;
        cr_assert(pace >= 0.5 && pace < 1.5);
        cr_assert_eq(load_value(&m[OK_500], 3), 7, "it never moved");
        for (uint64_t step = 0; step < 100; step++) {
            const uint64_t at = step + m[0].phase;
            // 100, 110, a reset to 4; the mean step (14 / 2) leads from there to the begin again,
            // which is then 11, 21 and a reset.
            static const double first[] = {100, 110, 4}, others[] = {11, 21, 4};
            const double wanted = pace * (at < 3 ? first : others)[at % 3];
            cr_assert_float_eq(load_value(&m[OK_200], step), wanted, 0.5001);
            sums[target] += load_value(&m[COUNT], step);
            const bool is_less = load_value(&m[OK_200], step + 1) < load_value(&m[OK_200], step);
            cr_assert_eq(is_less, (at + 1) % 3 == 2, "it is reset where it was");
            // 6, 10, 10, a mean step of 2: 12 and so on.
            const double count = pace * ((at % 3 ? 10 : 6) + 6 * (double)(at / 3));
            cr_assert_float_eq(load_value(&m[COUNT], step), count, 0.5001);
            static const double degrees[] = {21.5, 21.25, 22};
            cr_assert_float_eq(load_value(&m[TEMPERATURE], step), pace * degrees[at % 3], 0.00501);
            cr_assert(load_value(&m[LE_1], step) <= load_value(&m[LE_INF], step));
            cr_assert_eq(load_value(&m[LE_INF], step), load_value(&m[COUNT], step));
            cr_assert(load_value(&m[SUM], step + 1) >= load_value(&m[SUM], step));
        }
    }
    for (size_t i = 0; i < countof(sums); i++)
        for (size_t k = 0; k < i; k++)
            cr_assert_neq(sums[i], sums[k], "targets %zu and %zu", i, k);
    cr_assert(places[0] && places[1] && places[2]);
    load_capture_destroy(c);
}

// What comes later in the capture, and goes, does so in targets; its counter goes on meanwhile.
Test(load_capture, series_come_and_go)
{
    static const char scrapes[] = "# TYPE a_total counter\na_total 5\n# EOF\n"
                                  "# TYPE a_total counter\n# TYPE b_total counter\n"
                                  "a_total 6\nb_total 10\n# EOF\n"
                                  "# TYPE b_total counter\nb_total 14\n# EOF\n"
                                  "# TYPE a_total counter\na_total 9\nc NaN\n# EOF\n";
    struct load_capture *const c = parse(str_from_c(scrapes));
    static const bool is_there[][4] = {{1, 1, 0, 1}, {0, 1, 1, 0}, {0, 0, 0, 1}};
    cr_assert_eq(c->n, 3);
    for (uint32_t target = 0; target < 20; target++) {
        double before = 0;
        for (uint64_t step = 0; step < 40; step++) {
            for (size_t i = 0; i < 3; i++) {
                const struct load_motion m = load_capture_motion(c, i, target);
                const bool there = is_there[i][(step + m.phase) % 4];
                cr_assert_eq(load_is_there(&m, step), there);
                cr_assert(there || bits_from_double(load_value(&m, step)) == VALUE_STALE_BITS);
            }
            const struct load_motion b = load_capture_motion(c, 1, target);
            if (!load_is_there(&b, step))
                continue;
            // 10, 14, and from there a mean step on: 18, 22 and so on.
            const uint64_t at = step + b.phase, time = at / 4;
            const double wanted = 10 + 8 * (double)time + (at % 4 == 2 ? 4 : 0);
            cr_assert_float_eq(load_value(&b, step), b.step * wanted, 0.5001);
            cr_assert(load_value(&b, step) >= before);
            before = load_value(&b, step);
        }
    }
    load_capture_destroy(c);
}

Test(load_capture, one_scrape)
{
    struct load_capture *const c =
        parse(STR("# TYPE a_total counter\na_total 50000\n# TYPE b gauge\nb 5\n"));
    const struct load_motion a = load_capture_motion(c, 0, 1), b = load_capture_motion(c, 1, 1);
    for (uint64_t step = 0; step < 10; step++)
        cr_assert_float_eq(load_value(&a, step + 1) - load_value(&a, step), 5 * a.step, 1);
    cr_assert_eq(load_value(&b, 9), 5);
    load_capture_destroy(c);
}

Test(load_capture, is_shown_by_a_farm)
{
    struct load_capture *const c = parse(str_from_c(text));
    const struct load_shape shape = {.capture = c};
    const struct farm_moment moment = {.step = 3};
    struct farm_lines l;
    struct buf body = {0};
    farm_lines_init(&l, &shape);
    cr_assert_eq(l.n, SERIES);
    farm_body(&l, 5, &moment, 0, &body);
    struct load_capture *const again = parse(buf_str(&body));
    size_t n = 0;
    for (size_t i = 0; i < SERIES; i++) {
        const struct load_motion m = load_capture_motion(c, i, 5);
        if (!load_is_there(&m, 3))
            continue;
        cr_assert(str_eq(again->items[n].labels, c->items[i].labels));
        cr_assert_eq(again->items[n++].column.values[0], load_value(&m, 3));
    }
    cr_assert_eq(again->n, n);
    load_capture_destroy(again);
    load_capture_destroy(c);
    farm_lines_deinit(&l);
    buf_deinit(&body);
}

Test(load_capture, what_is_none)
{
    static const struct {
        const char *text, *says;
    } rows[] = {{"", "it holds no scrape"},
                {"# EOF\n\n# EOF\n", "it holds no scrape"},
                {"# a comment\n", "its scrapes have no series"},
                {"a 1\n# EOF\na b\n", "scrape 2: "}};
    for (size_t i = 0; i < countof(rows); i++) {
        struct load_capture *c = NULL;
        struct errmsg e = {0};
        cr_assert_eq(load_capture_parse(str_from_c(rows[i].text), &c, &e), ERR_INVALID);
        cr_assert(strstr(e.text, rows[i].says), "%s", e.text);
        cr_assert_null(c);
    }
}
