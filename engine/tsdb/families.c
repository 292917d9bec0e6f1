#include "engine/tsdb/families.h"

#include <string.h>

#include "engine/base/hash.h"
#include "engine/base/mem.h"

struct family_metadata {
    char *text; // family, help, unit
    uint32_t family_n, help_n, unit_n;
    uint8_t type;
    uint64_t seq, run; // when it was last said
};

static struct tsdb_metadata metadata_of(const struct family_metadata *m)
{
    const char *const help = m->text + m->family_n;
    return (struct tsdb_metadata){str_make(m->text, m->family_n), str_make(help, m->help_n),
                                  str_make(help + m->help_n, m->unit_n), m->type};
}

void families_deinit(struct families *f)
{
    for (size_t i = 0; i < f->n; i++)
        mem_free(f->items[i].text);
    mem_free(f->items);
    id_table_deinit(&f->by_name);
    *f = (struct families){.seed = f->seed};
}

static void set(struct family_metadata *item, const struct tsdb_metadata *m)
{
    const struct str parts[] = {m->family, m->help, m->unit};
    mem_free(item->text);
    item->text = mem_alloc(m->family.n + m->help.n + m->unit.n);
    size_t at = 0;
    for (size_t i = 0; i < 3; at += parts[i++].n)
        if (parts[i].n)
            memcpy(item->text + at, parts[i].p, parts[i].n);
    item->family_n = (uint32_t)m->family.n;
    item->help_n = (uint32_t)m->help.n;
    item->unit_n = (uint32_t)m->unit.n;
    item->type = m->type;
}

enum families_outcome families_put(struct families *f, uint64_t run, const struct tsdb_metadata *m)
{
    const uint64_t hash = hash64(m->family.p, m->family.n, f->seed);
    struct id_probe probe = id_table_probe(&f->by_name, hash);
    uint32_t id;
    while ((id = id_table_next(&f->by_name, &probe)) != ID_TABLE_NONE) {
        struct family_metadata *item = &f->items[id];
        const struct tsdb_metadata now = metadata_of(item);
        if (!str_eq(now.family, m->family))
            continue;
        if (item->run > run)
            return FAMILIES_OLD;
        item->run = run;
        item->seq = ++f->seq;
        if (now.type == m->type && str_eq(now.help, m->help) && str_eq(now.unit, m->unit))
            return FAMILIES_SAME;
        set(item, m);
        return FAMILIES_CHANGED;
    }
    if (f->n == TSDB_FAMILIES_MAX)
        return FAMILIES_FULL;
    f->items = mem_grow(f->items, &f->capacity, f->n + 1, sizeof *f->items);
    f->items[f->n] = (struct family_metadata){.seq = ++f->seq, .run = run};
    set(&f->items[f->n], m);
    id_table_insert(&f->by_name, hash, (uint32_t)f->n++);
    return FAMILIES_CHANGED;
}

size_t families_walk(const struct families *f, size_t from, size_t n, uint64_t seq, family_fn *see,
                     void *arg)
{
    const size_t end = n < f->n - from ? from + n : f->n;
    for (size_t i = from; i < end; i++) {
        const struct tsdb_metadata m = metadata_of(&f->items[i]);
        if (f->items[i].seq > seq)
            see(arg, f->items[i].run, &m);
    }
    return end < f->n ? end : 0;
}
