// What a target says about its metrics: the last TYPE, HELP and UNIT of each, kept for ten scrapes
// after it was last said.
#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "engine/scrape/target.h"
#include "protocol/exposition.h"

enum { KEPT_SCRAPES = 10, TABLE_MIN = 32 };

struct target_metadata {
    char *text; // name, help and unit, one behind the other; NULL: free
    uint32_t name_n, help_n, unit_n;
    uint32_t seen;
    uint8_t type;
};

static struct str name_of(const struct target_metadata *m)
{
    return str_make(m->text, m->name_n);
}

static struct target_metadata *slot_of(const struct target *t, struct str name)
{
    const size_t mask = t->metadata_size - 1;
    size_t at = hash64(name.p, name.n, 0) & mask;
    while (t->metadata[at].text && !str_eq(name_of(&t->metadata[at]), name))
        at = (at + 1) & mask;
    return &t->metadata[at];
}

static void resize(struct target *t, size_t size)
{
    struct target_metadata *old = t->metadata;
    const size_t old_size = t->metadata_size;
    t->metadata_size = size;
    t->metadata = mem_zalloc(size * sizeof *t->metadata);
    for (size_t i = 0; i < old_size; i++)
        if (old[i].text)
            *slot_of(t, name_of(&old[i])) = old[i];
    mem_free(old);
}

static void set_texts(struct target_metadata *m, struct str name, struct str help, struct str unit)
{
    char *text = mem_alloc(name.n + help.n + unit.n);
    memcpy(text, name.p, name.n);
    if (help.n)
        memcpy(text + name.n, help.p, help.n);
    if (unit.n)
        memcpy(text + name.n + help.n, unit.p, unit.n);
    mem_free(m->text);
    m->text = text;
    m->name_n = (uint32_t)name.n;
    m->help_n = (uint32_t)help.n;
    m->unit_n = (uint32_t)unit.n;
}

void target_note_metadata(struct target *t, const struct exposition *x, int event)
{
    if (2 * (t->metadata_n + 1) > t->metadata_size)
        resize(t, t->metadata_size ? 2 * t->metadata_size : TABLE_MIN);
    struct target_metadata *m = slot_of(t, x->name);
    t->metadata_n += m->text == NULL;
    const bool is_new = !m->text;
    const struct str help = str_make(is_new ? NULL : m->text + m->name_n, m->help_n);
    const struct str unit = str_make(is_new ? NULL : m->text + m->name_n + m->help_n, m->unit_n);
    if (event == EXPOSITION_TYPE) {
        m->type = (uint8_t)x->type;
        if (is_new)
            set_texts(m, x->name, help, unit);
    } else if (event == EXPOSITION_HELP) {
        struct buf scratch = {0};
        const struct str said = exposition_help(x, &scratch);
        if (is_new || !str_eq(said, help))
            set_texts(m, x->name, said, unit);
        buf_deinit(&scratch);
    } else if (is_new || !str_eq(x->text, unit)) {
        set_texts(m, x->name, help, x->text);
    }
    m->seen = t->cache.scrape;
}

void target_forget_metadata(struct target *t, bool all)
{
    size_t kept = 0;
    for (size_t i = 0; i < t->metadata_size; i++) {
        struct target_metadata *m = &t->metadata[i];
        if (m->text && (all || t->cache.scrape - m->seen > KEPT_SCRAPES)) {
            mem_free(m->text);
            m->text = NULL;
        }
        kept += m->text != NULL;
    }
    if (all) {
        mem_free(t->metadata);
        t->metadata = NULL;
        t->metadata_size = t->metadata_n = 0;
    } else if (kept != t->metadata_n) { // places must be found without what is gone
        t->metadata_n = kept;
        resize(t, t->metadata_size);
    }
}

void target_each_metadata(const struct target *t, scrape_metadata_fn *fn, void *arg)
{
    for (size_t i = 0; i < t->metadata_size; i++) {
        const struct target_metadata *m = &t->metadata[i];
        if (!m->text)
            continue;
        const struct scrape_metadata view = {
            .name = name_of(m),
            .type = str_from_c(exposition_type_name((enum exposition_type)m->type)),
            .help = str_make(m->text + m->name_n, m->help_n),
            .unit = str_make(m->text + m->name_n + m->help_n, m->unit_n),
            .target = t->labels,
        };
        fn(arg, &view);
    }
}
