#include "engine/remote/faults.h"

#include <stdlib.h>

#include "engine/base/bits.h"
#include "engine/base/mem.h"
#include "engine/base/number.h"

void faults_deinit(struct faults *f)
{
    mem_free(f->list);
}

void faults_begin(struct faults *f)
{
    f->limit = f->n + FAULTS_MAX;
}

void faults_add(struct faults *f, const struct fault *fault)
{
    f->total++;
    if (f->n == f->limit)
        return;
    f->list = mem_grow(f->list, &f->capacity, f->n + 1, sizeof *f->list);
    f->list[f->n++] = *fault;
}

static int compare(const void *a, const void *b)
{
    const struct fault *const x = a, *const y = b;
    if (x->series != y->series)
        return x->series < y->series ? -1 : 1;
    return (x->rank > y->rank) - (x->rank < y->rank);
}

void faults_sort(struct faults *f)
{
    if (f->n)
        qsort(f->list, f->n, sizeof *f->list, compare); // glibc's is a merge sort: stable
}

static struct str outcome_text(enum tsdb_outcome outcome)
{
    switch (outcome) {
    case TSDB_DUPLICATE:
        return STR("duplicate sample for timestamp");
    case TSDB_OUT_OF_ORDER:
        return STR("out of order sample");
    case TSDB_TOO_OLD:
        return STR("too old sample");
    case TSDB_OUT_OF_BOUNDS:
        return STR("out of bounds");
    case TSDB_IN_FUTURE:
        return STR("out of bounds: timestamp is too far in the future");
    case TSDB_APPENDED:
    case TSDB_SAME:
    case TSDB_LATE_KEPT:
    case TSDB_GONE:
    case TSDB_OUTCOME_COUNT:
        break;
    }
    return STR("not kept");
}

void refusal_format(const struct refusal *r, struct buf *out)
{
    buf_put_str(out, outcome_text(r->outcome));
    if (r->outcome != TSDB_DUPLICATE || !r->kept || r->is_histogram || !r->sample.t_ms)
        return;
    buf_printf(out, " %lld; overrides not allowed: existing ", (long long)r->sample.t_ms);
    if (r->kept->is_histogram)
        buf_put_str(out, STR("is a histogram"));
    else
        buf_put_double_g(out, double_from_bits(r->kept->bits));
    buf_put_str(out, STR(", new value "));
    buf_put_double_g(out, double_from_bits(r->sample.bits));
}
