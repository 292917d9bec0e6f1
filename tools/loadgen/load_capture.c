#include "tools/loadgen/load_capture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/bits.h"
#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "engine/base/util.h"
#include "engine/model/labels.h"
#include "engine/model/value.h"
#include "protocol/exposition.h"

// Of a capture of one scrape, which does not say how values move: growth of a counter a step.
static const double ASSUMED_GROWTH = 1e-4;
enum { DECIMALS_MAX = 9, SLOTS_BITS = 21 };

struct parsing {
    struct load_capture *c;
    uint32_t *slots; // of hashes to series + 1
    struct hash128 *hashes;
    size_t hashes_capacity;
    double **values; // of each series, a scrape each
    size_t values_capacity;
    struct buf scratch, labels;
    struct buf family; // of the last TYPE line
    uint64_t families;
    struct labels_builder builder;
};

static uint32_t *slot_of(struct parsing *p, struct hash128 hash)
{
    uint32_t at = (uint32_t)hash.lo & ((1U << SLOTS_BITS) - 1);
    while (p->slots[at] && !hash128_eq(p->hashes[p->slots[at] - 1], hash))
        at = (at + 1) & ((1U << SLOTS_BITS) - 1);
    return &p->slots[at];
}

// Of which family a series is: that of the last TYPE line, or one of its own.
static void set_family(struct parsing *p, const struct exposition *x, struct captured_series *s)
{
    static const char *const suffixes[] = {"_bucket", "_sum", "_count"};
    const struct str name = labels_value(s->labels, LABEL_NAME);
    const bool has_parts = x->type == EXPOSITION_HISTOGRAM || x->type == EXPOSITION_SUMMARY;
    struct load_capture *const c = p->c;
    s->family = name;
    s->type = EXPOSITION_UNKNOWN;
    for (size_t i = 0; has_parts && i < countof(suffixes); i++)
        if (str_has_suffix(name, str_from_c(suffixes[i])))
            s->family = str_until(name, name.n - strlen(suffixes[i]));
    s->column.is_counter = s->family.n < name.n;
    if (str_eq(s->family, buf_str(&p->family)))
        s->type = x->type;
    else
        s->family = name;
    s->column.is_counter &= s->type != EXPOSITION_UNKNOWN;
    s->column.is_counter |= s->type == EXPOSITION_COUNTER;
    uint64_t place = p->families;
    for (size_t i = c->n; i > 0 && place == p->families; i--) // most often the last one's
        if (str_eq(c->items[i - 1].family, s->family))
            place = c->items[i - 1].place >> 32;
    p->families += place == p->families;
    s->place = place << 32 | c->n;
}

static int by_place(const void *a, const void *b)
{
    const struct captured_series *const x = a, *const y = b;
    return (x->place > y->place) - (x->place < y->place);
}

static err take_sample(struct parsing *p, const struct exposition *x, size_t scrape, size_t scrapes,
                       struct errmsg *e)
{
    struct load_capture *const c = p->c;
    struct exposition_labels i;
    struct str name, value;
    labels_builder_reset(&p->builder);
    buf_reset(&p->labels);
    exposition_labels_init(&i, x, &p->scratch);
    while (exposition_labels_next(&i, &name, &value))
        labels_builder_push(&p->builder, name, value);
    labels_builder_encode(&p->builder, &p->labels);
    const struct hash128 hash = hash128(p->labels.p, p->labels.n, 0);
    uint32_t *const slot = slot_of(p, hash);
    if (!*slot) {
        if (c->n == CAPTURE_SERIES_MAX)
            return err_set(e, ERR_LIMIT, "more than %d series", CAPTURE_SERIES_MAX);
        c->items = mem_grow(c->items, &c->capacity, c->n + 1, sizeof *c->items);
        p->hashes = mem_grow(p->hashes, &p->hashes_capacity, c->n + 1, sizeof *p->hashes);
        p->values = mem_grow(p->values, &p->values_capacity, c->n + 1, sizeof *p->values);
        struct captured_series *const s = &c->items[c->n];
        *s = (struct captured_series){.labels = arena_str(&c->arena, buf_str(&p->labels))};
        set_family(p, x, s);
        p->values[c->n] = arena_array(&c->arena, scrapes, double);
        p->hashes[c->n++] = hash;
        *slot = (uint32_t)c->n;
        for (size_t k = 0; k < scrapes; k++)
            p->values[*slot - 1][k] = double_from_bits(VALUE_STALE_BITS);
    }
    p->values[*slot - 1][scrape] = double_from_bits(x->sample.bits);
    return ERR_OK;
}

// One scrape of the text from *rest on.
static struct str next_scrape(struct str *rest)
{
    struct str left = *rest, line;
    const char *const begin = left.p;
    while (left.n) {
        const char *const at = left.p;
        const bool more = str_split(&left, '\n', &line);
        if (str_eq(str_trim(line), STR("# EOF"))) {
            *rest = left;
            return str_make(begin, (size_t)(at - begin));
        }
        if (!more)
            break;
    }
    const struct str all = *rest;
    *rest = str_make(all.p + all.n, 0);
    return all;
}

static err take_scrape(struct parsing *p, struct str body, size_t scrape, size_t scrapes,
                       struct errmsg *e)
{
    struct exposition x;
    enum exposition_event event;
    exposition_init(&x, EXPOSITION_TEXT, body);
    for (;;) {
        TRY(exposition_next(&x, &event, e));
        if (event == EXPOSITION_END)
            return ERR_OK;
        if (event == EXPOSITION_TYPE) {
            buf_reset(&p->family);
            buf_put_str(&p->family, x.name);
        }
        if (event == EXPOSITION_SERIES)
            TRY(take_sample(p, &x, scrape, scrapes, e));
    }
}

// The smallest power of ten that makes all of them whole.
static double scale_of(const double *values, size_t n)
{
    double scale = 1;
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < DECIMALS_MAX && isfinite(values[i]) &&
                        floor(values[i] * scale + 0.5) / scale != values[i];
             k++)
            scale *= 10;
    return scale < 1e9 ? scale : 1e9;
}

// From its end a counter goes on by the mean of its steps.
static void finish_counter(struct load_column *c)
{
    const double *const v = c->values;
    double grown = 0, first = 0, last = 0;
    uint32_t n = 0;
    c->reset = c->n;
    for (uint32_t i = 0; i < c->n; i++) {
        if (isnan(v[i]))
            continue; // not there
        const bool is_reset = n && v[i] < last;
        first = n ? first : v[i];
        grown += is_reset ? v[i] : n ? v[i] - last : 0;
        if (is_reset && c->reset == c->n)
            c->reset = i;
        last = v[i];
        n++;
    }
    if (c->n == 1)
        c->rise = ceil(first * ASSUMED_GROWTH * c->scale) / c->scale;
    else
        c->rise = last - first + (n > 1 ? grown / (double)(n - 1) : 0);
    c->is_constant = c->n == 1 ? first == 0 : c->is_constant;
}

static void finish_column(struct load_column *c, double *values, size_t n)
{
    c->scale = scale_of(values, n);
    c->values = values;
    c->n = (uint32_t)n;
    c->is_constant = true;
    for (size_t i = 0; i < n; i++) {
        const uint64_t bits = bits_from_double(values[i]);
        c->is_constant &= bits == bits_from_double(values[0]);
        c->has_gaps |= bits == VALUE_STALE_BITS;
        if (!isfinite(values[i]) && bits != VALUE_STALE_BITS)
            c->is_counter = false;
    }
    if (c->is_counter)
        finish_counter(c);
}

err load_capture_parse(struct str text, struct load_capture **out, struct errmsg *e)
{
    struct load_capture *const c = mem_zalloc(sizeof *c);
    struct parsing p = {.c = c, .slots = mem_zalloc(sizeof(uint32_t) << SLOTS_BITS)};
    size_t scrapes = 0;
    err code = ERR_OK;
    arena_init(&c->arena, 0);
    for (struct str rest = text; rest.n;)
        scrapes += str_trim(next_scrape(&rest)).n > 0;
    if (!scrapes || scrapes > CAPTURE_SCRAPES_MAX)
        code = err_set(e, ERR_INVALID, scrapes ? "more than %d scrapes" : "it holds no scrape",
                       CAPTURE_SCRAPES_MAX);
    for (struct str rest = text; !code && rest.n;) {
        const struct str body = next_scrape(&rest);
        if (!str_trim(body).n)
            continue;
        code = take_scrape(&p, body, c->scrapes, scrapes, e);
        if (code)
            err_prefix(e, "scrape %zu", c->scrapes + 1);
        c->scrapes++;
    }
    if (!code && !c->n)
        code = err_set(e, ERR_INVALID, "its scrapes have no series");
    for (size_t i = 0; !code && i < c->n; i++)
        finish_column(&c->items[i].column, p.values[i], c->scrapes);
    if (c->n)
        qsort(c->items, c->n, sizeof *c->items, by_place);
    mem_free(p.slots);
    mem_free(p.hashes);
    mem_free(p.values);
    buf_deinit(&p.scratch);
    buf_deinit(&p.labels);
    buf_deinit(&p.family);
    labels_builder_deinit(&p.builder);
    if (code)
        load_capture_destroy(c);
    else
        *out = c;
    return code;
}

void load_capture_destroy(struct load_capture *c)
{
    if (!c)
        return;
    mem_free(c->items);
    arena_deinit(&c->arena);
    mem_free(c);
}

struct load_motion load_capture_motion(const struct load_capture *c, size_t series, uint32_t target)
{
    const struct load_column *const column = &c->items[series].column;
    // One pace for all of a target: buckets of a histogram stay in their order.
    const double pace = 0.5 + (double)(hash64(&target, sizeof target, 6) >> 40) * 0x1p-24;
    return (struct load_motion){.kind = column->is_constant ? LOAD_CONSTANT : LOAD_CAPTURED,
                                .base = column->values[0],
                                .step = pace,
                                .divisor = 1,
                                .phase = (uint32_t)(hash64(&target, sizeof target, 7) % c->scrapes),
                                .column = column};
}
