#include "tools/loadgen/load_table.h"

#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/base/util.h"
#include "engine/model/labels.h"
#include "tools/loadgen/load_families.h"

enum { TARGETS = 10, STEPS = 256 }; // that are measured of an exporter

void load_measure_add(struct load_measure *m, const struct load_motion *motion, bool is_counter,
                      uint64_t from, uint64_t steps)
{
    double last = 0;
    bool was_there = false;
    const uint64_t still = m->still, counted = m->steps, there = m->there;
    const size_t moves_n = m->moves_n;
    for (uint64_t step = from; step < from + steps; step++) {
        const bool is_there = load_is_there(motion, step);
        const double value = is_there ? load_value(motion, step) : 0;
        if (is_there && was_there) {
            m->steps++;
            m->still += value == last || (isnan(value) && isnan(last));
            m->resets += is_counter && value < last;
        }
        if (is_there && was_there && value != last && isfinite(value - last)) {
            m->moves = mem_grow(m->moves, &m->moves_capacity, m->moves_n + 1, sizeof *m->moves);
            m->moves[m->moves_n++] = fabs(value - last);
        }
        m->there += is_there;
        was_there = is_there;
        last = value;
    }
    m->series++;
    m->is_sorted = false;
    if (m->there - there == steps && m->still - still == m->steps - counted) {
        m->constant++;
        m->still = still;
        m->steps = counted;
        m->moves_n = moves_n;
    }
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double load_measure_at(struct load_measure *m, double share)
{
    if (!m->moves_n)
        return 0;
    if (!m->is_sorted)
        qsort(m->moves, m->moves_n, sizeof *m->moves, by_size);
    m->is_sorted = true;
    return m->moves[(size_t)(share * (double)(m->moves_n - 1))];
}

void load_measure_deinit(struct load_measure *m)
{
    mem_free(m->moves);
}

// ---- tables

static void put_steps(struct load_measure *m, struct buf *out)
{
    if (!m->steps) {
        buf_put_str(out, STR(" | | "));
        return;
    }
    buf_printf(out, "%.0f %% | ", 100 * (double)m->still / (double)m->steps);
    if (m->moves_n)
        buf_printf(out, "%.3g, %.3g, %.3g", load_measure_at(m, 0.5), load_measure_at(m, 0.9),
                   load_measure_at(m, 0.99));
    buf_put_str(out, STR(" | "));
}

static void put_labels(const struct load_family *f, struct buf *out)
{
    struct str rest = str_from_c(f->labels ? f->labels : ""), word;
    for (bool first = true; rest.n && str_split(&rest, ';', &word); first = false) {
        const char *const unit =
            str_eq(str_trim(word), STR("@pod")) ? "namespace, pod, uid" : "id, name, image";
        word = str_trim(word);
        const ptrdiff_t equals = str_find(word, '=', 0);
        const struct str name =
            equals == STR_NONE ? str_from_c(unit) : str_until(word, (size_t)equals);
        buf_printf(out, "%s%.*s", first ? "" : ", ", STR_ARG(name));
    }
}

static void put_family(const struct load_exporter_families *x, const struct load_shape *shape,
                       size_t row, struct load_measure *all, struct buf *out)
{
    static const char *const kinds[] = {"constant", "counter",       "counter, bursts",
                                        "gauge",    "gauge, levels", "captured"};
    const struct load_family *const f = &x->families[row];
    const int constant = f->step == 0 ? 100 : f->constant_percent;
    const bool is_counter = f->kind == LOAD_COUNTER || f->kind == LOAD_BURSTS;
    struct load_measure m = {0};
    for (uint32_t target = 0; target < TARGETS; target++)
        for (size_t i = 0; i < load_shape_row_series(shape, row); i++) {
            const struct load_motion motion = load_shape_motion(shape, row, i, target);
            load_measure_add(&m, &motion, is_counter, 0, STEPS);
            load_measure_add(all, &motion, is_counter, 0, STEPS);
        }
    buf_printf(out, "| %s | ", f->name);
    put_labels(f, out);
    buf_printf(out, " | %zu | %s | %d %% | ", load_shape_row_series(shape, row), kinds[f->kind],
               constant);
    if (constant < 100)
        buf_printf(out, "%g to %g", f->step * 0.5 / f->divisor, f->step * 1.5 / f->divisor);
    buf_put_str(out, STR(" | "));
    put_steps(&m, out);
    if (f->labels && f->labels[0] == '@')
        buf_printf(out, "%u %% | ", x->churn_percent_hour);
    else
        buf_put_str(out, STR(" | "));
    if (constant < 100 && x->reset_steps && is_counter)
        buf_printf(out, "every %u steps", x->reset_steps);
    buf_put_str(out, STR(" |\n"));
    load_measure_deinit(&m);
}

void load_table_exporter(enum load_exporter exporter, struct buf *out)
{
    const struct load_exporter_families *const x = &load_exporter_families[exporter];
    const struct load_shape shape = {.exporter = exporter};
    struct load_measure all = {0};
    buf_put_str(out, STR("| families | labels | series | kind | constant | a step, mean | still | "
                         "p50, p90, p99 | replaced an hour | resets |\n"
                         "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"));
    for (size_t row = 0; row < x->n; row++)
        put_family(x, &shape, row, &all, out);
    buf_printf(out, "| all |  | %zu |  | %.0f %% |  | %.0f %% |  | | |\n",
               load_shape_series(&shape), 100 * (double)all.constant / (double)all.series,
               100 * (double)all.still / (double)all.steps);
    load_measure_deinit(&all);
}

static struct str family_of(const struct load_capture *c, size_t series)
{
    return labels_value(c->items[series].labels, LABEL_NAME);
}

static void put_captured(struct str name, const char *kind, size_t scrapes, struct load_measure *m,
                         struct buf *out)
{
    buf_printf(out, "| %.*s | %llu | %s | %.0f %% | ", STR_ARG(name), (unsigned long long)m->series,
               kind, 100 * (double)m->constant / (double)m->series);
    put_steps(m, out);
    buf_printf(out, "%.0f %% | ", 100 * (double)m->there / (double)(m->series * scrapes));
    if (m->resets)
        buf_printf(out, "%llu", (unsigned long long)m->resets);
    buf_put_str(out, STR(" |\n"));
}

void load_table_capture(const struct load_capture *c, struct buf *out)
{
    struct load_measure all = {0};
    buf_put_str(out, STR("| family | series | kind | constant | still | p50, p90, p99 | there | "
                         "resets |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n"));
    for (size_t i = 0, next; i < c->n; i = next) {
        const struct str name = family_of(c, i);
        const bool is_counter = c->items[i].column.is_counter;
        struct load_measure m = {0};
        for (next = i; next < c->n && str_eq(family_of(c, next), name); next++) {
            struct load_motion motion = load_capture_motion(c, next, 0);
            motion.phase = 0;
            motion.step = 1;
            load_measure_add(&m, &motion, is_counter, 0, c->scrapes);
            load_measure_add(&all, &motion, is_counter, 0, c->scrapes);
        }
        put_captured(name, exposition_type_name(c->items[i].type), c->scrapes, &m, out);
        load_measure_deinit(&m);
    }
    all.moves_n = 0; // of all kinds of values
    put_captured(STR("all"), "", c->scrapes, &all, out);
    load_measure_deinit(&all);
}
