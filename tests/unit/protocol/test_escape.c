#include "protocol/escape.h"

#include <criterion/criterion.h>

#include "engine/base/util.h"

// As model.UnescapeName(name, ValueEncodingEscaping) of prometheus/common; out NULL: unchanged.
static const struct {
    const char *in, *out;
} rows[] = {
    {"", NULL},
    {"plain", NULL},
    {"U__", ""},
    {"U__http_2e_requests", "http.requests"},
    {"U__a__b", "a_b"},
    {"U__mysystem_2e_prod_2e_west_2e_cpu_2e_load__total", "mysystem.prod.west.cpu.load_total"},
    {"U__label_20_with_20__100_", "label with \xc4\x80"},
    {"U___2E_", "."},
    {"U___1f600_", "\xf0\x9f\x98\x80"},
    {"U___10ffff_", NULL}, // six digits are too many there
    {"U___d900_", NULL},   // a surrogate
    {"U___zz_", NULL},
    {"U__a_", NULL},
    {"U__a_2", NULL},
    {"U__a_2e", NULL},
    {"U__bad__utf_2a", NULL},
    {"u__a_2e_", NULL},
};

Test(escape, undo_values)
{
    struct arena a;
    arena_init(&a, 0);
    for (size_t i = 0; i < countof(rows); i++) {
        const struct str got = escape_undo_values(str_from_c(rows[i].in), &a);
        cr_assert(str_eq(got, str_from_c(rows[i].out ? rows[i].out : rows[i].in)), "%s: %.*s",
                  rows[i].in, STR_ARG(got));
    }
    arena_deinit(&a);
}
