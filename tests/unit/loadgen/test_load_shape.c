// What the tables of the README say is what the values do: families are measured against their row.
#include <criterion/criterion.h>

#include "engine/base/util.h"
#include "tools/loadgen/load_families.h"

enum { TARGETS = 200, HORIZON = 1600 };

static bool is_counter(const struct load_family *f)
{
    return f->kind == LOAD_COUNTER || f->kind == LOAD_BURSTS;
}

// How much a series moves a step: of a counter its growth, of a gauge the width it strays in.
static double measure(const struct load_motion *m, uint64_t from)
{
    if (m->kind == LOAD_COUNTER || m->kind == LOAD_BURSTS)
        return (load_value(m, from + HORIZON) - load_value(m, from)) / HORIZON;
    double low = load_value(m, from), high = low;
    for (uint64_t step = from; step < from + HORIZON; step++) {
        low = fmin(low, load_value(m, step));
        high = fmax(high, load_value(m, step));
    }
    return high - low;
}

// From where on a counter is not reset for a while.
static uint64_t quiet_step(const struct load_motion *m)
{
    if (!m->period || (m->phase % m->period) + HORIZON < m->period)
        return 0;
    return m->period - m->phase % m->period;
}

static void check_row(const struct load_exporter_families *x, const struct load_shape *shape,
                      size_t row)
{
    const struct load_family *const f = &x->families[row];
    const size_t each = load_shape_row_series(shape, row);
    const double constant = f->step == 0 ? 1 : f->constant_percent / 100.0;
    size_t still = 0, n = 0;
    for (uint32_t target = 0; target < TARGETS; target++) {
        for (size_t i = 0; i < each; i++, n++) {
            const struct load_motion m = load_shape_motion(shape, row, i, target);
            still += m.kind == LOAD_CONSTANT;
            if (m.kind == LOAD_CONSTANT)
                cr_assert_eq(load_value(&m, 0), load_value(&m, 12345));
            else if (i == 0)
                cr_assert_eq(m.period, is_counter(f) ? x->reset_steps : 0, "%s", f->name);
            if (m.kind == LOAD_CONSTANT || n % 7)
                continue;
            // Noise moves a counter by a burst at most; values are whole before they are divided.
            const double step = f->step / f->divisor;
            const double slack = is_counter(f) ? step * 1.5 * LOAD_HOLD_STEPS / HORIZON : 0;
            const double moved = measure(&m, quiet_step(&m)), whole = 1 / f->divisor;
            const double low = (is_counter(f) ? 0.5 : 0.3) * step - slack - whole;
            cr_assert(moved >= low && moved <= 1.5 * step + slack + whole,
                      "%s moves %g a step, not %g to %g", f->name, moved, step * 0.5, step * 1.5);
        }
    }
    const double sigma = sqrt(constant * (1 - constant) / (double)n);
    cr_assert_float_eq((double)still / (double)n, constant, 5 * sigma + 0.01, "%s: %zu of %zu",
                       f->name, still, n);
}

Test(load_shape, families_move_as_their_rows_say)
{
    for (int exporter = 0; exporter < LOAD_EXPORTERS; exporter++) {
        const struct load_exporter_families *const x = &load_exporter_families[exporter];
        const struct load_shape shape = {.exporter = (enum load_exporter)exporter};
        for (size_t row = 0; row < x->n; row++) {
            cr_assert(load_shape_row_series(&shape, row) > 0, "%s", x->families[row].name);
            check_row(x, &shape, row);
        }
    }
}

// All counters of a target are reset at the same steps, so far apart; targets at steps of their
// own.
Test(load_shape, resets)
{
    for (int exporter = 0; exporter < LOAD_EXPORTERS; exporter++) {
        const struct load_exporter_families *const x = &load_exporter_families[exporter];
        const struct load_shape shape = {.exporter = (enum load_exporter)exporter};
        size_t row = 0, others = 0;
        uint64_t first[2] = {0};
        while (!is_counter(&x->families[row]) || x->families[row].constant_percent > 40)
            if (++row == x->n)
                break;
        for (uint32_t target = 0; x->reset_steps && target < 20; target++) {
            struct load_motion m;
            for (size_t i = 0; m = load_shape_motion(&shape, row, i, target), !m.period; i++)
                ;
            uint64_t before = 0;
            size_t resets = 0;
            for (uint64_t step = 1; step <= 2 * (uint64_t)x->reset_steps; step++) {
                if (load_value(&m, step) >= load_value(&m, step - 1))
                    continue;
                cr_assert(!before || step - before == x->reset_steps);
                first[1] = before ? first[1] : step;
                before = step;
                resets++;
            }
            cr_assert_eq(resets, 2);
            others += first[0] != first[1];
            first[0] = first[1];
        }
        cr_assert(!x->reset_steps || others >= 19);
    }
}

// Of so many pods or containers the share that the table says has been replaced after an hour.
Test(load_shape, units_are_replaced)
{
    for (int exporter = 0; exporter < LOAD_EXPORTERS; exporter++) {
        const struct load_shape shape = {.exporter = (enum load_exporter)exporter};
        const double share = load_unit_share(&shape);
        const uint32_t n = 20000;
        uint32_t replaced = 0;
        for (uint32_t unit = 0; unit < n; unit++) {
            const uint32_t key = LOAD_UNIT | unit;
            replaced += load_generation(key, share, 11) != load_generation(key, share, 10);
        }
        const double wanted = load_exporter_families[exporter].churn_percent_hour / 100.0;
        cr_assert_float_eq((double)replaced / n, wanted, 5 * sqrt(wanted / n));
    }
}

struct moves { // of a target: its series' values at a step
    uint64_t hash;
    size_t n;
};

static void add_moves(void *arg, uint32_t key, struct str labels, const struct load_motion *motion)
{
    struct moves *const m = arg;
    (void)key;
    (void)labels;
    for (uint64_t step = 0; step < 4; step++) {
        const double value = load_value(motion, step * 100);
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        m->hash = (m->hash ^ bits) * 0x9e3779b97f4a7c15U;
    }
    m->n++;
}

Test(load_shape, no_host_repeats_another)
{
    for (int exporter = 0; exporter < LOAD_EXPORTERS; exporter++) {
        const struct load_shape shape = {.exporter = (enum load_exporter)exporter};
        uint64_t seen[TARGETS / 2];
        for (uint32_t target = 0; target < countof(seen); target++) {
            struct moves m = {0};
            load_shape_target(&shape, target, add_moves, &m);
            cr_assert_eq(m.n, load_shape_series(&shape));
            for (uint32_t i = 0; i < target; i++)
                cr_assert_neq(seen[i], m.hash, "targets %u and %u", i, target);
            seen[target] = m.hash;
        }
    }
}
