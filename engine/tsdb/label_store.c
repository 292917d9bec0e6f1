#include "engine/tsdb/label_store.h"

#include <assert.h>
#include <string.h>

#include "engine/base/bits.h"
#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "io/fiber.h"

void label_store_init(struct label_store *s, uint64_t seed)
{
    *s = (struct label_store){.seed = seed};
}

static struct label_set **set_place(const struct label_store *s, size_t kind, size_t at)
{
    return &s->sets[kind][at / LABEL_CHUNK][at % LABEL_CHUNK];
}

static void breathe(size_t i)
{
    if (i % 256 == 255 && fiber_self())
        fiber_yield_if_due();
}

void label_store_deinit(struct label_store *s)
{
    for (size_t i = 0; i < s->names_n; i++) {
        mem_free((char *)(uintptr_t)s->names[i].text.p);
        pair_order_deinit(&s->names[i].pairs);
    }
    for (uint32_t i = 0; i < s->pairs_n; i++) {
        breathe(i);
        mem_free((char *)(uintptr_t)label_pair_at(s, i)->value);
        posting_deinit(&label_pair_at(s, i)->in);
    }
    for (size_t kind = 0; kind < 2; kind++) {
        for (size_t i = 0; i < s->sets_n[kind]; i++) {
            breathe(i);
            mem_free(*set_place(s, kind, i));
        }
        for (size_t i = 0; i < s->sets_chunks[kind]; i++)
            mem_free(s->sets[kind][i]);
        mem_free(s->sets[kind]);
        id_list_deinit(&s->free_sets[kind]);
        id_table_deinit(&s->set_ids[kind]);
    }
    mem_free(s->names);
    for (size_t i = 0; i < s->pairs_chunks; i++)
        mem_free(s->pairs[i]);
    mem_free(s->pairs);
    id_list_deinit(&s->free_pairs);
    id_table_deinit(&s->name_ids);
    id_table_deinit(&s->pair_ids);
    *s = (struct label_store){0};
}

static char *copy_text(struct label_store *s, struct str text)
{
    char *p = mem_alloc(text.n);
    memcpy(p, text.p, text.n);
    s->bytes += text.n;
    return p;
}

// An id that was given back, or the next of *n.
static uint32_t take_id(struct id_list *free, size_t *n)
{
    if (free->n)
        return id_list_pop(free);
    assert(*n < LABEL_SET_TUPLE);
    return (uint32_t)(*n)++;
}

uint32_t label_store_find_name(const struct label_store *s, struct str name)
{
    struct id_probe probe = id_table_probe(&s->name_ids, hash64(name.p, name.n, s->seed));
    uint32_t id;
    while ((id = id_table_next(&s->name_ids, &probe)) != ID_TABLE_NONE) {
        if (str_eq(s->names[id].text, name))
            return id;
    }
    return LABEL_NONE;
}

uint32_t label_store_name(struct label_store *s, struct str name)
{
    const uint32_t found = label_store_find_name(s, name);
    if (found != LABEL_NONE)
        return found;
    s->names = mem_grow(s->names, &s->names_capacity, s->names_n + 1, sizeof *s->names);
    const uint32_t id = (uint32_t)s->names_n++;
    s->names[id] = (struct label_name){.text = {copy_text(s, name), name.n}};
    id_table_insert(&s->name_ids, hash64(name.p, name.n, s->seed), id);
    return id;
}

static uint64_t pair_hash(const struct label_store *s, uint32_t name, struct str value)
{
    return hash64(value.p, value.n, s->seed + (uint64_t)name * 0x9e3779b97f4a7c15u);
}

uint32_t label_store_find_pair(const struct label_store *s, uint32_t name, struct str value)
{
    struct id_probe probe = id_table_probe(&s->pair_ids, pair_hash(s, name, value));
    uint32_t id;
    while ((id = id_table_next(&s->pair_ids, &probe)) != ID_TABLE_NONE) {
        if (label_pair_at(s, id)->name == name &&
            str_eq(label_pair_value(label_pair_at(s, id)), value))
            return id;
    }
    return LABEL_NONE;
}

uint32_t label_store_pair(struct label_store *s, uint32_t name, struct str value)
{
    const uint32_t found = label_store_find_pair(s, name, value);
    if (found != LABEL_NONE)
        return found;
    assert(value.n <= UINT32_MAX);
    if (s->pairs_n == s->pairs_chunks * LABEL_CHUNK) {
        s->pairs = mem_grow(s->pairs, &s->pairs_capacity, s->pairs_chunks + 1, sizeof *s->pairs);
        s->pairs[s->pairs_chunks++] = mem_alloc_array(LABEL_CHUNK, sizeof **s->pairs);
    }
    const uint32_t id = take_id(&s->free_pairs, &s->pairs_n);
    *label_pair_at(s, id) = (struct label_pair){
        .value = copy_text(s, value),
        .value_n = (uint32_t)value.n,
        .name = name,
    };
    pair_order_add(&s->names[name].pairs, s, id);
    id_table_insert(&s->pair_ids, pair_hash(s, name, value), id);
    return id;
}

void label_store_trim_pair(struct label_store *s, uint32_t id)
{
    struct label_pair *pair = label_pair_at(s, id);
    if (pair->sets > 0)
        return;
    s->pairs_removed++;
    const struct str value = label_pair_value(pair);
    id_table_remove(&s->pair_ids, pair_hash(s, pair->name, value), id);
    pair_order_remove(&s->names[pair->name].pairs, s, id);
    s->bytes -= value.n;
    mem_free((char *)(uintptr_t)value.p);
    posting_deinit(&pair->in);
    *pair = (struct label_pair){0};
    id_list_push(&s->free_pairs, id);
}

static uint64_t set_hash(const struct label_store *s, const uint32_t *pairs, size_t n)
{
    return hash64(pairs, n * sizeof *pairs, s->seed);
}

uint32_t label_store_set(struct label_store *s, bool tuple, const uint32_t *pairs, size_t n)
{
    const uint64_t hash = set_hash(s, pairs, n);
    const uint32_t kind = tuple ? LABEL_SET_TUPLE : 0;
    struct id_probe probe = id_table_probe(&s->set_ids[tuple], hash);
    uint32_t at;
    while ((at = id_table_next(&s->set_ids[tuple], &probe)) != ID_TABLE_NONE) {
        const struct label_set *set = *set_place(s, tuple, at);
        if (set->n == n && (n == 0 || !memcmp(set->pairs, pairs, n * sizeof *pairs)))
            return at | kind;
    }
    if (s->sets_n[tuple] == s->sets_chunks[tuple] * LABEL_CHUNK) {
        s->sets[tuple] = mem_grow(s->sets[tuple], &s->sets_capacity[tuple],
                                  s->sets_chunks[tuple] + 1, sizeof *s->sets[tuple]);
        s->sets[tuple][s->sets_chunks[tuple]++] =
            mem_alloc_array(LABEL_CHUNK, sizeof **s->sets[tuple]);
    }
    at = take_id(&s->free_sets[tuple], &s->sets_n[tuple]);
    const size_t size = sizeof(struct label_set) + n * sizeof *pairs;
    struct label_set *set = mem_alloc(size);
    *set = (struct label_set){.first = LABEL_NONE, .n = (uint32_t)n};
    s->bytes += size;
    for (size_t i = 0; i < n; i++) {
        set->pairs[i] = pairs[i];
        label_pair_at(s, pairs[i])->sets++;
        posting_add(&label_pair_at(s, pairs[i])->in, at | kind);
    }
    *set_place(s, tuple, at) = set;
    id_table_insert(&s->set_ids[tuple], hash, at);
    return at | kind;
}

struct label_set *label_store_set_at(const struct label_store *s, uint32_t id)
{
    return *set_place(s, (id & LABEL_SET_TUPLE) != 0, id & ~(uint32_t)LABEL_SET_TUPLE);
}

void label_store_drop_set(struct label_store *s, uint32_t id)
{
    const bool tuple = (id & LABEL_SET_TUPLE) != 0;
    const uint32_t at = id & ~(uint32_t)LABEL_SET_TUPLE;
    struct label_set *set = *set_place(s, tuple, at);
    assert(set->series == 0 && set->first == LABEL_NONE);
    id_table_remove(&s->set_ids[tuple], set_hash(s, set->pairs, set->n), at);
    for (uint32_t i = 0; i < set->n; i++) {
        struct label_pair *pair = label_pair_at(s, set->pairs[i]);
        posting_remove(&pair->in, id);
        pair->sets--;
        label_store_trim_pair(s, set->pairs[i]);
    }
    s->bytes -= sizeof *set + set->n * sizeof *set->pairs;
    mem_free(set);
    *set_place(s, tuple, at) = NULL;
    id_list_push(&s->free_sets[tuple], at);
}

static uint8_t *put_text(uint8_t *p, struct str s)
{
    p += varint_store(p, s.n);
    memcpy(p, s.p, s.n);
    return p + s.n;
}

static void put_pair(const struct label_store *s, const struct label_pair *pair, struct buf *out)
{
    const struct str name = s->names[pair->name].text, value = label_pair_value(pair);
    uint8_t *const p = (uint8_t *)buf_reserve(out, 2 * VARINT_MAX + name.n + value.n);
    out->n = (size_t)(put_text(put_text(p, name), value) - (uint8_t *)out->p);
}

void label_store_encode(const struct label_store *s, uint32_t tuple, uint32_t local,
                        struct buf *out)
{
    const struct label_set *a = label_store_set_at(s, tuple), *b = label_store_set_at(s, local);
    uint32_t i = 0, j = 0;
    while (i < a->n && j < b->n) {
        const struct label_pair *left = label_pair_at(s, a->pairs[i]);
        const struct label_pair *right = label_pair_at(s, b->pairs[j]);
        const bool is_left = str_cmp(s->names[left->name].text, s->names[right->name].text) < 0;
        put_pair(s, is_left ? left : right, out);
        is_left ? i++ : j++;
    }
    for (; i < a->n; i++)
        put_pair(s, label_pair_at(s, a->pairs[i]), out);
    for (; j < b->n; j++)
        put_pair(s, label_pair_at(s, b->pairs[j]), out);
}

void label_store_encode_set(const struct label_store *s, uint32_t id, struct buf *out)
{
    const struct label_set *set = label_store_set_at(s, id);
    for (uint32_t i = 0; i < set->n; i++)
        put_pair(s, label_pair_at(s, set->pairs[i]), out);
}

uint32_t label_store_pair_of(const struct label_store *s, uint32_t tuple, uint32_t local,
                             uint32_t name)
{
    const uint32_t ids[2] = {local, tuple};
    for (size_t k = 0; k < 2; k++) {
        const struct label_set *set = label_store_set_at(s, ids[k]);
        for (uint32_t i = 0; i < set->n; i++) {
            if (label_pair_at(s, set->pairs[i])->name == name)
                return set->pairs[i];
        }
    }
    return LABEL_NONE;
}
