// Names, label pairs, and the label lists of sets and tuples.
#include "engine/base/buf.h"
#include "engine/base/mem.h"
#include "engine/tsdb/block_reader.h"
#include "io/fiber.h"

static bool names_parse(const struct block_held *held, struct buf *text, struct block_names *out,
                        uint64_t *pair)
{
    struct block_cursor c = block_chunk_cursor(held);
    for (uint32_t i = 0; i < held->items && !c.failed; i++) {
        const struct str name = block_bytes(&c, block_number(&c));
        out->first[out->n] = (uint32_t)*pair;
        out->names[out->n++] = name; // its place in the text follows from the sizes
        buf_put_str(text, name);
        *pair += block_number_below(&c, UINT32_MAX);
        if (*pair > UINT32_MAX)
            return false;
    }
    return !c.failed && c.at == c.end;
}

static err names_read(struct block_file *f, struct block_names *out, struct buf *text,
                      struct errmsg *e)
{
    const struct block_section_info *info = &f->footer.sections[BLOCK_NAMES];
    uint64_t pair = 0;
    for (uint32_t i = 0; i < info->chunks; i++) {
        struct block_held *held;
        TRY(block_chunk_get(f, BLOCK_NAMES, i, &held, e));
        err code = names_parse(held, text, out, &pair) ? ERR_OK : block_chunk_corrupt(f, held, e);
        block_chunk_put(f, held);
        TRY(code);
    }
    if (pair != f->footer.sections[BLOCK_PAIRS].items ||
        pair != f->footer.sections[BLOCK_POSTINGS].items)
        return block_corrupt(f, info->table_offset, e, "names and label pairs disagree");
    out->first[out->n] = (uint32_t)pair;
    return ERR_OK;
}

err block_names_load(struct block_file *f, struct errmsg *e)
{
    if (f->names.text)
        return ERR_OK;
    TRY(block_table_load(f, BLOCK_NAMES, e));
    TRY(block_table_load(f, BLOCK_PAIRS, e));
    const size_t n = f->footer.sections[BLOCK_NAMES].items;
    struct block_names names = {.names = mem_alloc_array(n, sizeof(struct str)),
                                .first = mem_alloc_array(n + 1, sizeof(uint32_t))};
    struct buf text = {0};
    err code = names_read(f, &names, &text, e);
    if (code != ERR_OK || f->names.text) { // another fiber may have been faster
        mem_free(names.names);
        mem_free(names.first);
        buf_deinit(&text);
        return code;
    }
    names.text = mem_alloc(text.n);
    for (size_t i = 0, at = 0; i < n; i++) {
        memcpy(names.text + at, text.p + at, names.names[i].n);
        names.names[i].p = names.text + at;
        at += names.names[i].n;
    }
    f->fixed_bytes += n * (sizeof(struct str) + sizeof(uint32_t)) + text.n;
    f->names = names;
    buf_deinit(&text);
    return ERR_OK;
}

bool block_name_find(const struct block_file *f, struct str name, uint32_t *out)
{
    uint32_t low = 0, high = f->names.n;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const int order = str_cmp(f->names.names[middle], name);
        if (order == 0) {
            *out = middle;
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

// ---- pairs

enum { HEAD_MAX = 64 }; // bytes of a value that is kept

// Puts the next value of the chunk into text, which holds the one before. A name's first value
// shares nothing, whatever its bytes say.
static bool next_value(struct block_cursor *c, struct buf *text)
{
    const uint64_t shared = block_number(c);
    const struct str rest = block_bytes(c, block_number(c));
    if (c->failed || shared > text->n)
        return false;
    text->n = shared;
    buf_put_str(text, rest);
    return true;
}

static err walk_chunk(struct block_file *f, const struct block_held *held, uint32_t from,
                      uint32_t end, bool *go_on, struct errmsg *e, void *arg, block_pair_fn *see)
{
    struct block_cursor c = block_chunk_cursor(held);
    struct buf text = {0};
    err code = ERR_OK;
    for (uint32_t i = 0; i < held->items && *go_on && held->first + i < end; i++) {
        if (!next_value(&c, &text)) {
            code = block_chunk_corrupt(f, held, e);
            break;
        }
        if (held->first + i >= from)
            *go_on = see(arg, held->first + i, buf_str(&text));
        if (i % 32 == 31)
            fiber_yield_if_due();
    }
    buf_deinit(&text);
    return code;
}

err block_pairs_walk(struct block_file *f, uint32_t from, uint32_t end, struct errmsg *e, void *arg,
                     block_pair_fn *see)
{
    bool go_on = true;
    if (from >= end)
        return ERR_OK;
    TRY(block_table_load(f, BLOCK_PAIRS, e));
    for (uint32_t i = block_chunk_of(f, BLOCK_PAIRS, from); go_on; i++) {
        if (i >= f->footer.sections[BLOCK_PAIRS].chunks ||
            f->tables[BLOCK_PAIRS].chunks[i].first >= end)
            break;
        struct block_held *held;
        TRY(block_chunk_get(f, BLOCK_PAIRS, i, &held, e));
        err code = walk_chunk(f, held, from, end, &go_on, e, arg, see);
        block_chunk_put(f, held);
        TRY(code);
        fiber_yield_if_due();
    }
    return ERR_OK;
}

struct bound {
    struct str value;
    uint32_t found;
};

static bool see_bound(void *arg, uint32_t pair, struct str value)
{
    struct bound *b = arg;
    if (str_cmp(value, b->value) < 0)
        return true;
    b->found = pair;
    return false;
}

struct head { // of a chunk
    struct block_file *file;
    uint32_t chunk;
    struct str value;
    bool is_below;
};

// Short ones are kept: then finding a value reads one chunk.
static bool see_head(void *arg, uint32_t pair, struct str value)
{
    struct head *h = arg;
    struct block_file *f = h->file;
    (void)pair;
    h->is_below = str_cmp(value, h->value) < 0;
    if (!f->heads) {
        const size_t chunks = f->footer.sections[BLOCK_PAIRS].chunks;
        f->heads = mem_zalloc(chunks * sizeof *f->heads);
        f->fixed_bytes += chunks * sizeof *f->heads;
    }
    if (value.n <= HEAD_MAX && value.n && !f->heads[h->chunk].p) {
        char *own = mem_alloc(value.n);
        memcpy(own, value.p, value.n);
        f->heads[h->chunk] = str_make(own, value.n);
        f->fixed_bytes += value.n;
    }
    return false;
}

void block_heads_drop(struct block_file *f)
{
    for (uint32_t i = 0; f->heads && i < f->footer.sections[BLOCK_PAIRS].chunks; i++)
        mem_free((char *)(uintptr_t)f->heads[i].p);
    mem_free(f->heads);
}

// Whether the chunk's first value is below value.
static err begins_below(struct block_file *f, uint32_t chunk, struct str value, bool *out,
                        struct errmsg *e)
{
    struct head h = {.file = f, .chunk = chunk, .value = value};
    if (f->heads && f->heads[chunk].p) {
        *out = str_cmp(f->heads[chunk], value) < 0;
        return ERR_OK;
    }
    const uint32_t pair = f->tables[BLOCK_PAIRS].chunks[chunk].first;
    TRY(block_pairs_walk(f, pair, pair + 1, e, &h, see_head));
    *out = h.is_below;
    return ERR_OK;
}

err block_pairs_lower_bound(struct block_file *f, uint32_t name, struct str value, uint32_t *out,
                            struct errmsg *e)
{
    const uint32_t first = f->names.first[name], end = f->names.first[name + 1];
    struct bound b = {value, end};
    *out = end;
    if (first == end)
        return ERR_OK;
    // The last chunk that begins within the name and below value, if any, is where to look.
    uint32_t low = block_chunk_of(f, BLOCK_PAIRS, first),
             high = block_chunk_of(f, BLOCK_PAIRS, end - 1) + 1;
    while (high - low > 1) {
        const uint32_t middle = low + (high - low) / 2;
        bool is_below;
        TRY(begins_below(f, middle, value, &is_below, e));
        if (is_below)
            low = middle;
        else
            high = middle;
    }
    const uint32_t start = f->tables[BLOCK_PAIRS].chunks[low].first;
    TRY(block_pairs_walk(f, start > first ? start : first, end, e, &b, see_bound));
    *out = b.found;
    return ERR_OK;
}

// ---- sets and tuples

// Passes over one list of count pairs or, with out, writes them there.
static bool list_parse(struct block_cursor *c, uint64_t count, uint64_t pairs_max, uint32_t *out)
{
    uint64_t pair = 0;
    for (uint64_t i = 0; i < count && !c->failed; i++) {
        const uint64_t gap = block_number_below(c, pairs_max - pair);
        if (i > 0 && gap == 0)
            return false;
        pair += gap;
        if (out)
            out[i] = (uint32_t)pair;
    }
    return !c->failed;
}

enum { COPY_MAX = 16384 }; // between two questions whether the turn is over

struct loading {
    struct block_file *f;
    const uint32_t *items;
    size_t n, done;
    uint32_t *pairs; // beside a
    size_t pairs_n, capacity;
    size_t *ends;
    struct arena *a;
};

static bool reserve_pairs(struct loading *l, size_t n)
{
    if (n <= l->capacity)
        return true;
    uint32_t *pairs = arena_mem_grow(l->a, l->pairs, &l->capacity, n, sizeof *l->pairs);
    l->pairs = pairs ? pairs : l->pairs;
    return pairs;
}

static err no_room(struct errmsg *e)
{
    return err_set(e, ERR_LIMIT, "the query uses too much memory");
}

static err load_chunk(struct loading *l, const struct block_held *held, struct errmsg *e)
{
    const uint64_t pairs_max = l->f->footer.sections[BLOCK_PAIRS].items;
    struct block_cursor c = block_chunk_cursor(held);
    for (uint32_t i = 0; i < held->items && l->done < l->n; i++) {
        const bool wanted = l->items[l->done] == held->first + i;
        if (held->section == BLOCK_TUPLES)
            (void)block_number(&c); // its partition
        const uint64_t count = block_number(&c);
        if (count > (size_t)(c.end - c.at))
            return block_chunk_corrupt(l->f, held, e);
        if (wanted && !reserve_pairs(l, l->pairs_n + count))
            return no_room(e);
        uint32_t *const out = wanted && count ? l->pairs + l->pairs_n : NULL;
        if (!list_parse(&c, count, pairs_max, out))
            return block_chunk_corrupt(l->f, held, e);
        if (wanted)
            l->ends[l->done++] = l->pairs_n += count;
    }
    return ERR_OK;
}

// Room for all the lists as far as the first ones tell: a growing copy of millions takes long.
static bool reserve_all(struct loading *l)
{
    if (l->done == 0 || l->n - l->done < COPY_MAX || l->pairs_n * 2 < l->capacity)
        return true;
    return reserve_pairs(l, l->pairs_n / l->done * l->n + l->n);
}

err block_lists_load(struct block_file *f, enum block_section section, const uint32_t *items,
                     size_t n, struct arena *a, struct block_lists *out, struct errmsg *e)
{
    struct loading l = {.f = f, .items = items, .n = n, .a = a};
    l.ends = arena_try(a, n, sizeof *l.ends, _Alignof(size_t));
    if (!l.ends)
        return no_room(e);
    err code = block_table_load(f, section, e);
    while (code == ERR_OK && l.done < n) {
        struct block_held *held;
        const uint32_t index = block_chunk_of(f, section, items[l.done]);
        code = block_chunk_get(f, section, index, &held, e);
        if (code != ERR_OK)
            break;
        code = load_chunk(&l, held, e);
        block_chunk_put(f, held);
        if (code == ERR_OK && !reserve_all(&l))
            code = no_room(e);
        fiber_yield_if_due();
    }
    out->ends = l.ends;
    out->pairs =
        code == ERR_OK ? arena_try(a, l.pairs_n, sizeof *l.pairs, _Alignof(uint32_t)) : NULL;
    for (size_t at = 0, some; out->pairs && at < l.pairs_n; at += some) {
        some = l.pairs_n - at < COPY_MAX ? l.pairs_n - at : COPY_MAX;
        memcpy(out->pairs + at, l.pairs + at, some * sizeof *l.pairs);
        fiber_yield_if_due();
    }
    if (code == ERR_OK && !out->pairs)
        code = no_room(e);
    arena_mem_free(a, l.pairs, l.capacity, sizeof *l.pairs);
    return code;
}

static bool partitions_parse(const struct block_file *f, const struct block_held *held,
                             uint32_t *out)
{
    const uint64_t pairs_max = f->footer.sections[BLOCK_PAIRS].items;
    const struct block_summary *s = &f->footer.summary;
    struct block_cursor c = block_chunk_cursor(held);
    uint64_t partition = 0;
    for (uint32_t i = 0; i < held->items; i++) {
        partition += block_number_below(&c, UINT32_MAX);
        if (partition < s->partition_min || partition > s->partition_max ||
            !list_parse(&c, block_number(&c), pairs_max, NULL))
            return false;
        out[held->first + i] = (uint32_t)partition;
    }
    return c.at == c.end;
}

err block_partitions_load(struct block_file *f, struct errmsg *e)
{
    const struct block_section_info *info = &f->footer.sections[BLOCK_TUPLES];
    if (f->tuple_partitions)
        return ERR_OK;
    TRY(block_table_load(f, BLOCK_TUPLES, e));
    uint32_t *partitions = mem_alloc_array(info->items, sizeof *partitions);
    err code = ERR_OK;
    for (uint32_t i = 0; i < info->chunks && code == ERR_OK; i++) {
        struct block_held *held;
        code = block_chunk_get(f, BLOCK_TUPLES, i, &held, e);
        if (code != ERR_OK)
            break;
        if (!partitions_parse(f, held, partitions))
            code = block_chunk_corrupt(f, held, e);
        block_chunk_put(f, held);
        fiber_yield_if_due();
    }
    if (code != ERR_OK || f->tuple_partitions) { // another fiber may have been faster
        mem_free(partitions);
        return code;
    }
    f->fixed_bytes += info->items * sizeof *partitions;
    f->tuple_partitions = partitions;
    return ERR_OK;
}
