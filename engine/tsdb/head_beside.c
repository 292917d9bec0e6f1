// Histograms that follow each other are mostly of one layout and differ little: they share a base,
// the first of them, and are kept as the hint and each cell's difference to the base's: zigzag of
// integers, exclusive or of doubles (bytes reversed, as most are round). Each can go by itself.
//
// The start timestamp of a late sample is a run of one millisecond between its neighbours' run.
#include "engine/tsdb/head_beside.h"

#include "engine/base/bits.h"
#include "engine/base/mem.h"
#include "engine/model/histogram.h"

enum { BASE_USES = 128, STARTS_MIN = 2 };

struct base {
    uint32_t refs, uses;
    uint32_t layout_n, cells_n;
    uint64_t cells[]; // then the layout's bytes
};

struct held {
    struct base *base;
    uint8_t bytes[]; // the hint, then the cells
};

static char *layout_of(struct base *b)
{
    return (char *)(b->cells + b->cells_n);
}

static struct base *make_base(struct str packed)
{
    const struct str layout = histogram_layout(packed);
    const size_t cells = histogram_layout_cells(layout);
    struct base *b = mem_alloc(sizeof *b + cells * sizeof *b->cells + layout.n);
    *b = (struct base){.layout_n = (uint32_t)layout.n, .cells_n = (uint32_t)cells};
    histogram_cells(packed, b->cells);
    memcpy(layout_of(b), layout.p, layout.n);
    return b;
}

static bool is_double(struct base *b, size_t cell)
{
    return cell == HISTOGRAM_CELL_SUM ||
           histogram_layout_is_float(str_make(layout_of(b), b->layout_n));
}

static struct held *held_make(const struct held *before, struct str packed)
{
    const struct str layout = histogram_layout(packed);
    struct base *b = before ? before->base : NULL;
    if (!b || b->uses == BASE_USES || !str_eq(layout, str_make(layout_of(b), b->layout_n)))
        b = make_base(packed);
    b->refs++;
    b->uses++;
    uint64_t *cells = mem_alloc_array(b->cells_n, sizeof *cells + VARINT_MAX);
    uint8_t *const bytes = (uint8_t *)(cells + b->cells_n), *p = bytes;
    histogram_cells(packed, cells);
    for (size_t i = 0; i < b->cells_n; i++) {
        const uint64_t more = is_double(b, i) ? __builtin_bswap64(cells[i] ^ b->cells[i])
                                              : zigzag((int64_t)(cells[i] - b->cells[i]));
        p += varint_store(p, more);
    }
    const size_t n = (size_t)(p - bytes);
    struct held *h = mem_alloc(sizeof *h + 1 + n);
    h->base = b;
    h->bytes[0] = (uint8_t)histogram_hint(packed);
    memcpy(h->bytes + 1, bytes, n);
    mem_free(cells);
    return h;
}

static void held_free(struct held *h)
{
    if (--h->base->refs == 0)
        mem_free(h->base);
    mem_free(h);
}

void held_pack(const struct held *h, struct buf *out)
{
    struct base *b = h->base;
    uint64_t *cells = mem_alloc_array(b->cells_n, sizeof *cells);
    const uint8_t *p = h->bytes + 1;
    for (size_t i = 0; i < b->cells_n; i++) {
        uint64_t more = 0;
        p += varint_load(p, p + VARINT_MAX, &more);
        cells[i] = is_double(b, i) ? b->cells[i] ^ __builtin_bswap64(more)
                                   : b->cells[i] + (uint64_t)unzigzag(more);
    }
    histogram_join(str_make(layout_of(b), b->layout_n), (enum histogram_hint)h->bytes[0], cells,
                   out);
    mem_free(cells);
}

// ---- samples

uint32_t late_after(const struct late *l, int64_t t_ms)
{
    uint32_t low = 0, high = l ? l->n : 0;
    if (high && l->items[high - 1].t_ms <= t_ms)
        return high;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (l->items[middle].t_ms <= t_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct late_sample *late_find(const struct late *l, int64_t t_ms)
{
    const uint32_t after = late_after(l, t_ms);
    return after && l->items[after - 1].t_ms == t_ms ? &l->items[after - 1] : NULL;
}

static struct late *with_room(struct late **l, uint32_t more)
{
    struct late *late = *l;
    if (late && late->capacity - late->n >= more)
        return late;
    const uint32_t capacity = late ? late->capacity + late->capacity / 2 + more : 2 * more;
    late = mem_realloc(late, sizeof *late + capacity * sizeof late->items[0]);
    if (!*l)
        *late = (struct late){0};
    late->capacity = capacity;
    return *l = late;
}

void late_insert(struct late **l, struct late_sample sample)
{
    struct late *late = with_room(l, 1);
    const uint32_t at = late_after(late, sample.t_ms);
    assert(at == 0 || late->items[at - 1].t_ms != sample.t_ms);
    memmove(late->items + at + 1, late->items + at, (late->n - at) * sizeof late->items[0]);
    late->items[at] = sample;
    late->n++;
}

void late_insert_histogram(struct late **l, int64_t t_ms, struct str packed, uint64_t seq)
{
    const uint32_t at = late_after(*l, t_ms);
    const struct late_sample *before = at ? &(*l)->items[at - 1] : NULL;
    struct held *h = held_make(before && before->is_histogram ? before->histogram : NULL, packed);
    late_insert(l, (struct late_sample){
                       .t_ms = t_ms, .histogram = h, .seq = seq & INT64_MAX, .is_histogram = true});
}

static void drop(const struct late_sample *x)
{
    if (x->is_histogram)
        held_free(x->histogram);
}

void late_remove(struct late *l, uint32_t at)
{
    drop(&l->items[at]);
    l->n--;
    memmove(l->items + at, l->items + at + 1, (l->n - at) * sizeof l->items[0]);
}

void late_destroy(struct late *l)
{
    for (uint32_t i = 0; l && i < l->n; i++)
        drop(&l->items[i]);
    if (l)
        mem_free(l->starts);
    mem_free(l);
}

// The run that t_ms lies in stays.
static void release_starts(struct late *l, int64_t t_ms)
{
    uint32_t gone = 0;
    while (gone + 1 < l->starts_n && l->starts[gone + 1].from_ms <= t_ms)
        gone++;
    l->starts_n -= gone;
    if (gone)
        memmove(l->starts, l->starts + gone, l->starts_n * sizeof *l->starts);
}

void late_release(struct late **at, int64_t t_ms, uint64_t seq, int64_t but, int64_t slots_t_ms)
{
    struct late *l = *at;
    uint32_t kept = 0;
    int64_t oldest = slots_t_ms < t_ms ? slots_t_ms : t_ms;
    if (!l)
        return;
    for (uint32_t i = 0; i < l->n; i++) {
        const struct late_sample x = l->items[i];
        if (x.seq > seq || x.t_ms >= t_ms || x.t_ms == but) {
            oldest = x.t_ms < oldest ? x.t_ms : oldest;
            l->items[kept++] = x;
        } else {
            drop(&x);
        }
    }
    l->n = kept;
    release_starts(l, oldest);
    if (!kept && !l->starts_n) {
        late_destroy(l);
        *at = NULL;
    } else if (l->capacity > 8 && kept < l->capacity / 4) {
        l->capacity = kept;
        *at = mem_realloc(l, sizeof *l + kept * sizeof l->items[0]);
    }
}

// ---- start timestamps

// How many runs begin at or before t_ms.
static uint32_t runs_until(const struct late *l, int64_t t_ms)
{
    uint32_t low = 0, high = l ? l->starts_n : 0;
    if (high && l->starts[high - 1].from_ms <= t_ms)
        return high;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (l->starts[middle].from_ms <= t_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int64_t late_start_at(const struct late *l, int64_t t_ms)
{
    const uint32_t n = runs_until(l, t_ms);
    return n ? l->starts[n - 1].start_ms : 0;
}

static void insert_run(struct late *l, uint32_t at, struct start_run run)
{
    if (l->starts_n == l->starts_capacity) {
        l->starts_capacity = l->starts_capacity ? l->starts_capacity * 2 : STARTS_MIN;
        l->starts = mem_realloc(l->starts, l->starts_capacity * sizeof *l->starts);
    }
    memmove(l->starts + at + 1, l->starts + at, (l->starts_n - at) * sizeof *l->starts);
    l->starts[at] = run;
    l->starts_n++;
}

void late_set_start(struct late **at, int64_t t_ms, int64_t start_ms, bool is_newest)
{
    struct late *l = *at;
    while (is_newest && l && l->starts_n && l->starts[l->starts_n - 1].from_ms >= t_ms)
        l->starts_n--; // of samples that were taken back
    const int64_t around = late_start_at(l, t_ms);
    if (around == start_ms)
        return;
    l = with_room(at, 0);
    const uint32_t n = runs_until(l, t_ms);
    if (n && l->starts[n - 1].from_ms == t_ms)
        l->starts[n - 1].start_ms = start_ms;
    else
        insert_run(l, n, (struct start_run){t_ms, start_ms});
    const uint32_t next = runs_until(l, t_ms);
    if (!is_newest && (next == l->starts_n || l->starts[next].from_ms > t_ms + 1))
        insert_run(l, next, (struct start_run){t_ms + 1, around});
}
