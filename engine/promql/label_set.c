#include "engine/promql/label_set.h"

#include "engine/promql/fragment.h"
#include "engine/promql/gently.h"
#include "io/fiber_memory.h"

static bool is_among(struct str name, struct label_names names)
{
    for (size_t i = 0; i < names.n; i++)
        if (str_eq(name, names.names[i]))
            return true;
    return false;
}

size_t label_set_pick(struct str labels, struct label_names names, bool keep, char *out)
{
    size_t n = 0;
    struct label label;
    struct labels_iter i = labels_iter(labels);
    for (const char *from = i.at; labels_next(&i, &label); from = i.at) {
        if (is_among(label.name, names) != keep)
            continue;
        memcpy(out + n, from, (size_t)(i.at - from));
        n += (size_t)(i.at - from);
    }
    return n;
}

static struct str pick(struct str labels, struct label_names names, bool keep, struct arena *a)
{
    char *p = arena_alloc(a, labels.n, 1);
    return str_make(p, label_set_pick(labels, names, keep, p));
}

struct str label_set_keep(struct str labels, struct label_names names, struct arena *a)
{
    return pick(labels, names, true, a);
}

struct str label_set_drop(struct str labels, struct label_names names, struct arena *a)
{
    return pick(labels, names, false, a);
}

struct str label_set_drop_metadata(struct str labels, struct arena *a)
{
    static const struct str names[] = {{"__name__", 8}, {"__type__", 8}, {"__unit__", 8}};
    return label_set_drop(labels, (struct label_names){names, 3}, a);
}

struct label_names label_names_with(struct label_names names, struct str plus, struct arena *a)
{
    struct str *all = arena_alloc(a, (names.n + 1) * sizeof *all, _Alignof(struct str));
    if (names.n)
        memcpy(all, names.names, names.n * sizeof *all);
    size_t n = names.n;
    if (plus.n)
        all[n++] = plus;
    return (struct label_names){all, n};
}

// ---- the table: open addressing, at most half full

struct label_slot {
    uint64_t hash;
    size_t index_plus_1; // 0: free
};

static struct label_slot *slot_of(const struct label_map *m, struct str key, uint64_t hash)
{
    for (size_t at = hash & (m->capacity - 1);; at = (at + 1) & (m->capacity - 1)) {
        struct label_slot *slot = &m->slots[at];
        if (!slot->index_plus_1 ||
            (slot->hash == hash && str_eq(m->keys[slot->index_plus_1 - 1], key)))
            return slot;
    }
}

static bool grow(struct label_map *m)
{
    const size_t capacity = m->capacity ? m->capacity * 2 : 16;
    struct label_slot *slots = gently_array(m->a, capacity, struct label_slot), *old = m->slots;
    struct str *keys = arena_try(m->a, capacity / 2, sizeof *keys, _Alignof(struct str));
    const size_t old_capacity = m->capacity;
    if (!slots || !keys)
        return false;
    m->slots = slots;
    m->capacity = capacity;
    for (size_t i = 0; i < old_capacity; i++) {
        if (old[i].index_plus_1)
            *slot_of(m, m->keys[old[i].index_plus_1 - 1], old[i].hash) = old[i];
        gently_at(i);
    }
    if (m->n)
        fiber_copy(keys, m->keys, m->n * sizeof *keys);
    m->keys = keys;
    return true;
}

bool label_map_add(struct label_map *m, struct str key, bool copy, size_t *out_index,
                   bool *out_is_new)
{
    if (m->n * 2 >= m->capacity && !grow(m))
        return false;
    const uint64_t hash = hash64(key.p, key.n, 0);
    struct label_slot *slot = slot_of(m, key, hash);
    *out_is_new = !slot->index_plus_1;
    if (*out_is_new) {
        if (copy) {
            char *own = arena_try(m->a, key.n, 1, 1);
            if (!own)
                return false;
            if (key.n)
                memcpy(own, key.p, key.n);
            key.p = own;
        }
        m->keys[m->n++] = key;
        *slot = (struct label_slot){hash, m->n};
    }
    *out_index = slot->index_plus_1 - 1;
    return true;
}

bool label_map_find(const struct label_map *m, struct str key, size_t *out_index)
{
    if (!m->capacity)
        return false;
    const struct label_slot *slot = slot_of(m, key, hash64(key.p, key.n, 0));
    if (!slot->index_plus_1)
        return false;
    *out_index = slot->index_plus_1 - 1;
    return true;
}

err label_index_sort(struct label_index *items, size_t n, const struct arena *a, struct errmsg *e)
{
    return gently_sort(items, n, sizeof *items, NULL, a, e, labels_compare);
}
