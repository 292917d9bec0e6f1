// A column is: hints, count, zero count, sum, each bucket, in the order of histogram_cells(); each
// with its size (varint) before it. Counts that are integers and hints are columns of integers as
// times are; what is a double is a column of values.
#include "engine/tsdb/histogram_column.h"

#include <assert.h>
#include <string.h>

#include "engine/base/bits.h"
#include "engine/base/mem.h"
#include "engine/model/histogram.h"
#include "engine/tsdb/column.h"

enum { CELLS_MAX = 1 << 18 }; // of a column in all

size_t histogram_column_max(struct str layout)
{
    const size_t cells = histogram_layout_cells(layout);
    if (!cells)
        return 0;
    return CELLS_MAX / cells < COLUMN_MAX ? CELLS_MAX / cells : COLUMN_MAX;
}
static_assert((int)CELLS_MAX >= (int)HISTOGRAM_CELLS_MAX, "room for one");

static bool is_double(bool is_float, size_t cell)
{
    return is_float || cell == HISTOGRAM_CELL_SUM;
}

static void put_column(const uint64_t *values, size_t n, bool doubles, struct buf *out)
{
    uint8_t column[COLUMN_BYTES_MAX];
    const size_t size = doubles ? column_encode_values(values, n, column)
                                : column_encode_times((const int64_t *)values, n, column);
    buf_put_varint(out, size);
    buf_put(out, column, size);
}

void histogram_column_encode(const struct str *packed, size_t n, struct buf *out)
{
    const struct str layout = histogram_layout(packed[0]);
    const size_t cells = histogram_layout_cells(layout);
    const bool is_float = histogram_layout_is_float(layout);
    assert(n >= 1 && n <= histogram_column_max(layout));
    uint64_t *all = mem_alloc_array(n * cells, sizeof *all), column[COLUMN_MAX];
    for (size_t i = 0; i < n; i++) {
        histogram_cells(packed[i], all + i * cells);
        column[i] = histogram_hint(packed[i]);
    }
    put_column(column, n, false, out);
    for (size_t cell = 0; cell < cells; cell++) {
        for (size_t i = 0; i < n; i++)
            column[i] = all[i * cells + cell];
        put_column(column, n, is_double(is_float, cell), out);
    }
    mem_free(all);
}

struct input {
    const uint8_t *at, *end;
};

static bool take_column(struct input *in, size_t n, bool doubles, uint64_t *out)
{
    uint64_t size;
    const size_t prefix = varint_load(in->at, in->end, &size);
    in->at += prefix;
    if (!prefix || size > (size_t)(in->end - in->at))
        return false;
    const uint8_t *p = in->at;
    in->at += size;
    return doubles ? column_decode_values(p, size, n, (double *)out)
                   : column_decode_times(p, size, n, (int64_t *)out);
}

// The cells of all histograms, of one after the other, and their hints.
static bool take_cells(struct input *in, bool is_float, size_t cells, size_t n, uint64_t *all,
                       uint64_t *hints)
{
    uint64_t column[COLUMN_MAX + COLUMN_PAD];
    if (!take_column(in, n, false, hints))
        return false;
    for (size_t i = 0; i < n; i++)
        if (hints[i] > HISTOGRAM_HINT_GAUGE)
            return false;
    for (size_t cell = 0; cell < cells; cell++) {
        if (!take_column(in, n, is_double(is_float, cell), column))
            return false;
        for (size_t i = 0; i < n; i++)
            all[i * cells + cell] = column[i];
    }
    return in->at == in->end;
}

err histogram_column_decode(struct str p, struct str layout, size_t n, size_t from, size_t end,
                            struct arena *a, struct str *out)
{
    assert(n >= 1 && n <= histogram_column_max(layout) && from <= end && end <= n);
    const size_t cells = histogram_layout_cells(layout);
    uint64_t *all = mem_alloc_array(n * cells, sizeof *all), hints[COLUMN_MAX + COLUMN_PAD];
    struct input in = {(const uint8_t *)p.p, (const uint8_t *)p.p + p.n};
    err result = take_cells(&in, histogram_layout_is_float(layout), cells, n, all, hints)
                     ? ERR_OK
                     : ERR_CORRUPT;
    struct buf packed = {0};
    for (size_t i = from; i < end && result == ERR_OK; i++) {
        buf_reset(&packed);
        histogram_join(layout, (enum histogram_hint)hints[i], all + i * cells, &packed);
        char *copy = arena_try(a, packed.n, 1, 1);
        if (copy)
            memcpy(copy, packed.p, packed.n);
        else
            result = ERR_LIMIT;
        out[i - from] = str_make(copy, packed.n);
    }
    buf_deinit(&packed);
    mem_free(all);
    return result;
}
