#include "tools/promtool/histogram_text.h"

#include <float.h>
#include <math.h>

#include "engine/base/bits.h"
#include "engine/base/mem.h"
#include "engine/base/number.h"

struct bucket {
    int64_t index;
    uint64_t count;
};

static void put_count(const struct histogram *h, uint64_t count, struct buf *out)
{
    if (h->is_float)
        buf_put_double_g(out, double_from_bits(count));
    else
        buf_printf(out, "%llu", (unsigned long long)count);
}

// The upper bound of a bucket of the exponential schemas.
static double exponential_bound(int32_t schema, int64_t index)
{
    if (schema < 0) {
        const int64_t exponent = index * ((int64_t)1 << -schema);
        return exponent == DBL_MAX_EXP ? DBL_MAX : ldexp(1, (int)exponent);
    }
    const int64_t part = index & (((int64_t)1 << schema) - 1), exponent = (index >> schema) + 1;
    const double fraction = exp2(ldexp((double)part, -schema)) / 2;
    return fraction == 0.5 && exponent == DBL_MAX_EXP + 1 ? DBL_MAX
                                                          : ldexp(fraction, (int)exponent);
}

static double bound(const struct histogram *h, int64_t index)
{
    if (h->schema != HISTOGRAM_SCHEMA_CUSTOM)
        return exponential_bound(h->schema, index);
    if (index < 0)
        return -INFINITY;
    return (size_t)index < h->custom_n ? h->custom[index] : INFINITY;
}

static void put_bucket(const struct histogram *h, double lower, double upper, bool has_lower,
                       bool has_upper, uint64_t count, struct buf *out)
{
    buf_put_str(out, has_lower ? STR(", [") : STR(", ("));
    buf_put_double_g(out, lower);
    buf_put_char(out, ',');
    buf_put_double_g(out, upper);
    buf_put_str(out, has_upper ? STR("]:") : STR("):"));
    put_count(h, count, out);
}

static bool is_zero(const struct histogram *h, uint64_t count)
{
    return h->is_float ? double_from_bits(count) == 0 : count == 0;
}

static void put_positive(const struct histogram *h, struct buf *out)
{
    const bool is_custom = h->schema == HISTOGRAM_SCHEMA_CUSTOM;
    for (struct histogram_iter i = {0}; histogram_next(&h->positive, &i);)
        if (!is_zero(h, i.count))
            put_bucket(h, bound(h, i.index - 1), bound(h, i.index), is_custom && i.index == 0, true,
                       i.count, out);
}

// From the least value on, which is the last bucket.
static void put_negative(const struct histogram *h, struct buf *out)
{
    struct bucket *const all = mem_alloc_array(h->negative.counts_n + 1, sizeof *all);
    size_t n = 0;
    for (struct histogram_iter i = {0}; histogram_next(&h->negative, &i);)
        if (!is_zero(h, i.count))
            all[n++] = (struct bucket){i.index, i.count};
    while (n-- > 0)
        put_bucket(h, -bound(h, all[n].index), -bound(h, all[n].index - 1), true, false,
                   all[n].count, out);
    mem_free(all);
}

void histogram_text(const struct histogram *h, struct buf *out)
{
    buf_put_str(out, STR("{count:"));
    put_count(h, h->count, out);
    buf_put_str(out, STR(", sum:"));
    buf_put_double_g(out, h->sum);
    put_negative(h, out);
    if (!is_zero(h, h->zero_count))
        put_bucket(h, -h->zero_threshold, h->zero_threshold, true, true, h->zero_count, out);
    put_positive(h, out);
    buf_put_char(out, '}');
}
