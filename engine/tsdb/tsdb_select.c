// Selecting: series in files and in memory become one set.
//
// The order is by partition, metric name, labels. Partitions and metric names are numbers, so that
// most of it is two passes of counting. Only series that agree in both are compared by labels, and
// of those in memory the labels are made for that alone, group by group, unless they are asked for.
#include "engine/base/mem.h"
#include "engine/model/labels.h"
#include "engine/tsdb/block_symbols.h"
#include "engine/tsdb/head_query.h"
#include "engine/tsdb/tsdb_pin.h"
#include "io/fiber.h"
#include "io/fiber_memory.h"

// In a loop over i.
static void breathe_at(size_t i)
{
    if (i % 4 == 3)
        fiber_work(64);
}

struct item {
    struct str labels; // of a series in memory none until they are needed
    uint32_t partition, metric;
    struct piece piece;
};

struct metrics { // their names, by number
    struct str *texts;
    size_t n, capacity;
    uint32_t *slots; // number + 1, at most half are used; by hash
    size_t slots_n;  // a power of two
};

struct selecting {
    const struct pin *pin;
    const struct storage_want *want;
    struct arena *a;      // of the set
    struct arena scratch; // until the set is made
    struct arena texts;   // of the labels of a group that are not asked for
    struct item *items;
    size_t n, capacity;
    struct metrics metrics;
    uint32_t *order; // of the items
    struct storage_series *series;
    struct piece *pieces;
    uint32_t *firsts;
    size_t series_n;
};

// ---- metric names as numbers

static bool grow_metrics(struct metrics *m, struct arena *a)
{
    const size_t slots_n = m->slots_n ? m->slots_n * 2 : 64;
    uint32_t *slots = fiber_arena_zeroed(a, slots_n, sizeof *slots, _Alignof(uint32_t));
    if (!slots)
        return false;
    for (size_t i = 0; i < m->n; i++) {
        size_t at = hash64(m->texts[i].p, m->texts[i].n, 0) & (slots_n - 1);
        while (slots[at])
            at = (at + 1) & (slots_n - 1);
        slots[at] = (uint32_t)i + 1;
        breathe_at(i);
    }
    m->slots = slots;
    m->slots_n = slots_n;
    return true;
}

static bool metric_number(struct selecting *s, struct str name, uint32_t *out)
{
    struct metrics *m = &s->metrics;
    if (m->n * 2 >= m->slots_n && !grow_metrics(m, &s->scratch))
        return false;
    size_t at = hash64(name.p, name.n, 0) & (m->slots_n - 1);
    while (m->slots[at] && !str_eq(m->texts[m->slots[at] - 1], name))
        at = (at + 1) & (m->slots_n - 1);
    if (!m->slots[at]) {
        if (m->n == m->capacity) {
            struct str *texts =
                fiber_arena_mem_grow(&s->scratch, m->texts, &m->capacity, m->n + 1, sizeof *texts);
            if (!texts)
                return false;
            m->texts = texts;
        }
        char *own = arena_try(&s->scratch, name.n, 1, 1);
        if (!own)
            return false;
        if (name.n)
            memcpy(own, name.p, name.n);
        m->texts[m->n++] = str_make(own, name.n);
        m->slots[at] = (uint32_t)m->n;
    }
    *out = m->slots[at] - 1;
    return true;
}

static bool text_before(const void *arg, uint32_t a, uint32_t b)
{
    const struct str *texts = arg;
    return str_cmp(texts[a], texts[b]) < 0;
}

static err ended(struct errmsg *e)
{
    return err_set(e, fiber_status(), "ended while series were selected");
}

// The place of each metric among all.
static err rank_metrics(struct selecting *s, uint32_t **out, struct errmsg *e)
{
    const size_t n = s->metrics.n;
    uint32_t *order = arena_try(&s->scratch, n, sizeof *order, _Alignof(uint32_t));
    uint32_t *ranks = arena_try(&s->scratch, n, sizeof *ranks, _Alignof(uint32_t));
    if (!order || !ranks)
        return pin_no_memory(e);
    for (size_t i = 0; i < n; i++) {
        order[i] = (uint32_t)i;
        breathe_at(i);
    }
    if (!block_sort_in_time(order, n, s->metrics.texts, text_before))
        return ended(e);
    for (size_t i = 0; i < n; i++) {
        ranks[order[i]] = (uint32_t)i;
        breathe_at(i);
    }
    *out = ranks;
    return ERR_OK;
}

// ---- finding

// Room for n more, at once.
static err reserve_items(struct selecting *s, size_t n, struct errmsg *e)
{
    if (s->n + n <= s->capacity)
        return ERR_OK;
    struct item *items =
        fiber_arena_mem_grow(&s->scratch, s->items, &s->capacity, s->n + n, sizeof *items);
    if (!items)
        return pin_no_memory(e);
    s->items = items;
    return ERR_OK;
}

static err take_found(struct selecting *s, const struct head_found *found, size_t n,
                      struct errmsg *e)
{
    const struct head *h = &s->pin->part->head;
    uint32_t pair = LABEL_NONE, metric = 0;
    TRY(reserve_items(s, n, e));
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || found[i].metric != pair) {
            pair = found[i].metric;
            const struct str name = pair == LABEL_NONE
                                        ? (struct str){0}
                                        : label_pair_value(label_pair_at(&h->labels, pair));
            if (!metric_number(s, name, &metric))
                return pin_no_memory(e);
        }
        s->items[s->n++] = (struct item){
            .partition = found[i].partition,
            .metric = metric,
            .piece = {PIECE_IN_MEMORY, found[i].ref},
        };
        breathe_at(i);
    }
    return ERR_OK;
}

static err find_in_memory(struct selecting *s, const struct matcher *ms, size_t ms_count,
                          int64_t mint, int64_t maxt, struct errmsg *e)
{
    struct head_found_list found;
    TRY(head_select(&s->pin->part->head, ms, ms_count, mint, maxt, s->want->max, &s->scratch,
                    &found, e));
    const err code = take_found(s, found.items, found.n, e);
    arena_mem_free(&s->scratch, found.items, found.capacity, sizeof *found.items);
    return code;
}

static err find_in_files(struct selecting *s, const struct matcher *ms, size_t ms_count,
                         struct errmsg *e)
{
    const struct part *p = s->pin->part;
    const struct block_range range = {p->partition_begin, p->partition_end};
    struct arena *a = s->want->some_labels ? &s->scratch : s->a;
    for (size_t k = 0; k < s->pin->files_n; k++) {
        struct block_series *series;
        size_t n;
        TRY(block_file_select(s->pin->files[k], ms, ms_count, range, s->want->max, a, &series, &n,
                              e));
        TRY(reserve_items(s, n, e));
        for (size_t i = 0; i < n; i++) {
            uint32_t metric;
            if (!metric_number(s, labels_value(series[i].labels, LABEL_NAME), &metric))
                return pin_no_memory(e);
            s->items[s->n++] = (struct item){
                .labels = series[i].labels,
                .partition = series[i].partition,
                .metric = metric,
                .piece = {(uint32_t)k, series[i].id},
            };
            breathe_at(i);
        }
    }
    return ERR_OK;
}

// ---- the order

// from by key, ascending, into to; what is equal stays in its order.
static err count_by(struct selecting *s, const uint32_t *from, bool by_partition, uint32_t keys_n,
                    uint32_t *to, struct errmsg *e)
{
    uint32_t *at =
        fiber_arena_zeroed(&s->scratch, (size_t)keys_n + 1, sizeof *at, _Alignof(uint32_t));
    if (!at)
        return pin_no_memory(e);
    for (size_t i = 0; i < s->n; i++) {
        at[(by_partition ? s->items[i].partition : s->items[i].metric) + 1]++;
        breathe_at(i);
    }
    for (uint32_t k = 1; k <= keys_n; k++) {
        at[k] += at[k - 1];
        breathe_at(k);
    }
    for (size_t i = 0; i < s->n; i++) {
        const struct item *item = &s->items[from[i]];
        to[at[by_partition ? item->partition : item->metric]++] = from[i];
        breathe_at(i);
    }
    return ERR_OK;
}

static err order_items(struct selecting *s, struct errmsg *e)
{
    uint32_t *ranks = NULL, partitions_n = 0;
    TRY(rank_metrics(s, &ranks, e));
    s->order = arena_try(&s->scratch, s->n, sizeof *s->order, _Alignof(uint32_t));
    uint32_t *other = arena_try(&s->scratch, s->n, sizeof *other, _Alignof(uint32_t));
    if (!s->order || !other)
        return pin_no_memory(e);
    for (size_t i = 0; i < s->n; i++) {
        struct item *item = &s->items[i];
        item->metric = ranks[item->metric];
        partitions_n = item->partition >= partitions_n ? item->partition + 1 : partitions_n;
        s->order[i] = (uint32_t)i;
        breathe_at(i);
    }
    TRY(count_by(s, s->order, false, (uint32_t)s->metrics.n, other, e));
    return count_by(s, other, true, partitions_n, s->order, e);
}

static bool labels_before(const void *arg, uint32_t a, uint32_t b)
{
    const struct item *items = arg, *x = &items[a], *y = &items[b];
    const int order = labels_cmp(x->labels, y->labels);
    return order ? order < 0 : x->piece.file < y->piece.file;
}

static err make_labels(struct selecting *s, struct item *item, struct errmsg *e)
{
    struct head *h = &s->pin->part->head;
    const struct head_series *series = head_resolve(h, item->piece.id);
    struct arena *a = s->want->some_labels ? &s->texts : s->a;
    fiber_work(128); // scattered all over memory
    buf_reset(&h->text);
    if (series)
        head_labels(h, series, &h->text);
    const struct str text = buf_str(&h->text);
    char *own = arena_try(a, text.n + 1, 1, 1); // never NULL where there are none
    if (!own)
        return pin_no_memory(e);
    if (text.n)
        memcpy(own, text.p, text.n);
    item->labels = str_make(own, text.n);
    return ERR_OK;
}

// Items [from, end) of the order, which agree in partition and metric name, by labels.
static err order_group(struct selecting *s, size_t from, size_t end, struct errmsg *e)
{
    const bool is_set = s->want->some_labels && !s->want->names_n && !s->pin->files_n;
    if (is_set && (end - from == 1 || s->want->any_order))
        return ERR_OK;
    arena_reset(&s->texts);
    for (size_t i = from; i < end; i++) {
        struct item *item = &s->items[s->order[i]];
        if (!item->labels.p)
            TRY(make_labels(s, item, e));
        breathe_at(i);
    }
    const bool ordered = block_sort_in_time(s->order + from, end - from, s->items, labels_before);
    return ordered ? ERR_OK : ended(e);
}

// ---- the set

static bool is_wanted(const struct storage_want *want, struct str name)
{
    for (size_t i = 0; i < want->names_n; i++)
        if (str_eq(want->names[i], name))
            return true;
    return false;
}

// What is asked for of labels; before: of the series before, which often has the same.
static err wanted_labels(struct selecting *s, struct str labels, struct str before, struct str *out,
                         struct errmsg *e)
{
    struct buf *text = &s->pin->part->head.text;
    struct label label;
    *out = labels;
    if (!s->want->some_labels)
        return ERR_OK;
    buf_reset(text);
    struct labels_iter i = labels_iter(labels);
    for (const char *at = i.at; labels_next(&i, &label); at = i.at)
        if (is_wanted(s->want, label.name))
            buf_put(text, at, (size_t)(i.at - at));
    *out = before;
    if (str_eq(buf_str(text), before))
        return ERR_OK;
    char *own = arena_try(s->a, text->n, 1, 1);
    if (!own)
        return pin_no_memory(e);
    if (text->n)
        memcpy(own, text->p, text->n);
    *out = str_make(own, text->n);
    return ERR_OK;
}

// Of one group; pieces of one series stand together, by file: they become one series of the set.
static err put_group(struct selecting *s, size_t from, size_t end, struct errmsg *e)
{
    struct str labels = {0}, kept = {0};
    for (size_t i = from; i < end; i++) {
        const struct item *item = &s->items[s->order[i]];
        breathe_at(i);
        if (s->pieces)
            s->pieces[i] = item->piece;
        if (s->pieces && i > from && str_eq(labels, item->labels))
            continue;
        labels = item->labels;
        TRY(wanted_labels(s, labels, kept, &kept, e));
        if (s->firsts)
            s->firsts[s->series_n] = (uint32_t)i;
        s->series[s->series_n] = (struct storage_series){
            .labels = kept,
            .partition = item->partition,
            .handle = s->pieces ? s->series_n : item->piece.id,
        };
        s->series_n++;
    }
    return ERR_OK;
}

static err make_set(struct selecting *s, struct errmsg *e)
{
    s->series = arena_try(s->a, s->n, sizeof *s->series, _Alignof(struct storage_series));
    if (!s->series)
        return pin_no_memory(e);
    if (s->pin->files_n) {
        s->pieces = arena_try(s->a, s->n, sizeof *s->pieces, _Alignof(struct piece));
        s->firsts = arena_try(s->a, s->n + 1, sizeof *s->firsts, _Alignof(uint32_t));
        if (!s->pieces || !s->firsts)
            return pin_no_memory(e);
    }
    for (size_t from = 0, end; from < s->n; from = end) {
        const struct item *first = &s->items[s->order[from]];
        for (end = from + 1; end < s->n; end++) {
            const struct item *item = &s->items[s->order[end]];
            if (item->partition != first->partition || item->metric != first->metric)
                break;
            breathe_at(end);
        }
        TRY(order_group(s, from, end, e));
        TRY(put_group(s, from, end, e));
        breathe_at(s->series_n | 3);
    }
    if (s->firsts)
        s->firsts[s->series_n] = (uint32_t)s->n;
    const size_t max = s->want->max;
    if (max && s->series_n > max)
        return err_set(e, ERR_LIMIT, "the selector matches more than %zu series", max);
    return ERR_OK;
}

static err select_all(struct selecting *s, const struct matcher *ms, size_t ms_count, int64_t mint,
                      int64_t maxt, struct errmsg *e)
{
    TRY(find_in_memory(s, ms, ms_count, mint, maxt, e));
    TRY(find_in_files(s, ms, ms_count, e));
    TRY(order_items(s, e));
    return make_set(s, e);
}

err tsdb_select(void *self, const struct matcher *ms, size_t ms_count, int64_t mint, int64_t maxt,
                const struct storage_want *want, struct arena *a, struct storage_set *out,
                struct errmsg *e)
{
    static const struct storage_want everything = {0};
    struct part *p = tsdb_part(self);
    struct pin *pin = mem_alloc(sizeof *pin);
    struct selecting s = {.pin = pin, .want = want ? want : &everything, .a = a};
    arena_init_beside(&s.scratch, a);
    arena_init_beside(&s.texts, a);
    pin_init(pin, p, mint, maxt);
    p->head.selects++; // none that was found leaves before its labels are made
    const err result = select_all(&s, ms, ms_count, mint, maxt, e);
    p->head.selects--;
    arena_mem_free(&s.scratch, s.items, s.capacity, sizeof *s.items);
    arena_mem_free(&s.scratch, s.metrics.texts, s.metrics.capacity, sizeof *s.metrics.texts);
    arena_deinit(&s.texts);
    arena_deinit(&s.scratch);
    if (result != ERR_OK) {
        pin_deinit(pin);
        mem_free(pin);
        return result;
    }
    pin->pieces = s.pieces;
    pin->firsts = s.firsts;
    *out = (struct storage_set){s.series, s.series_n, pin};
    return ERR_OK;
}
