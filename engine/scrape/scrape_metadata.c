// What a target says about its metrics: the last TYPE, HELP and UNIT of each, kept for ten scrapes
// after it was last said. What the page says is read from the page when somebody asks.
#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "engine/scrape/scrape_pass.h"
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

static struct str help_of(const struct target_metadata *m)
{
    return str_make(m->text + m->name_n, m->help_n);
}

static struct str unit_of(const struct target_metadata *m)
{
    return str_make(m->text + m->name_n + m->help_n, m->unit_n);
}

static struct target_metadata *slot_of(const struct metadata_table *t, struct str name)
{
    const size_t mask = t->size - 1;
    size_t at = hash64(name.p, name.n, 0) & mask;
    while (t->items[at].text && !str_eq(name_of(&t->items[at]), name))
        at = (at + 1) & mask;
    return &t->items[at];
}

static void resize(struct metadata_table *t, size_t size)
{
    struct target_metadata *old = t->items;
    const size_t old_size = t->size;
    t->size = size;
    t->items = mem_zalloc(size * sizeof *t->items);
    for (size_t i = 0; i < old_size; i++)
        if (old[i].text)
            *slot_of(t, name_of(&old[i])) = old[i];
    mem_free(old);
}

static void table_deinit(struct metadata_table *t)
{
    for (size_t i = 0; i < t->size; i++)
        mem_free(t->items[i].text);
    mem_free(t->items);
    *t = (struct metadata_table){0};
}

// name, help and unit may be slices of what the entry has.
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

static struct target_metadata *entry_for(struct metadata_table *t, struct str name)
{
    if (2 * (t->n + 1) > t->size)
        resize(t, t->size ? 2 * t->size : TABLE_MIN);
    struct target_metadata *m = slot_of(t, name);
    if (!m->text) {
        *m = (struct target_metadata){0};
        set_texts(m, name, (struct str){0}, (struct str){0});
        t->n++;
    }
    return m;
}

// A line of the body, if it is one of metadata.
static void note(struct metadata_table *t, enum exposition_format format, struct str line,
                 uint32_t scrape)
{
    struct exposition x;
    enum exposition_event event;
    exposition_init(&x, format, line);
    if (exposition_next(&x, &event, NULL) != ERR_OK ||
        (event != EXPOSITION_TYPE && event != EXPOSITION_HELP && event != EXPOSITION_UNIT))
        return;
    struct target_metadata *m = entry_for(t, x.name);
    if (event == EXPOSITION_TYPE) {
        m->type = (uint8_t)x.type;
    } else if (event == EXPOSITION_HELP) {
        struct buf scratch = {0};
        set_texts(m, x.name, exposition_help(&x, &scratch), unit_of(m));
        buf_deinit(&scratch);
    } else {
        set_texts(m, x.name, help_of(m), x.text);
    }
    m->seen = scrape;
}

static void note_line(struct metadata_table *t, const struct scrape_page *page, struct str body,
                      size_t line, uint32_t scrape)
{
    if (!page->lines.items[line].value)
        note(t, page->format, scrape_line_text(body, &page->lines, line), scrape);
}

static void forget_old(struct metadata_table *t, uint32_t scrape)
{
    size_t kept = 0;
    for (size_t i = 0; i < t->size; i++) {
        struct target_metadata *m = &t->items[i];
        if (m->text && scrape - m->seen > KEPT_SCRAPES) {
            mem_free(m->text);
            m->text = NULL;
        }
        kept += m->text != NULL;
    }
    if (kept == t->n)
        return;
    t->n = kept;
    resize(t, t->size); // places must be found without what is gone
}

void target_note_metadata(struct pass *p, bool succeeded)
{
    struct target *t = p->t;
    const struct scrape_page *page = &t->memory.page;
    if (!p->walk)
        return;
    for (size_t i = 0; succeeded && !scrape_walk_saw_all(p->walk) && i < page->lines.n; i++) {
        if (!scrape_walk_saw(p->walk, i))
            note_line(&t->past, page, buf_str(&page->body), i, t->scrapes - 1);
    }
    for (size_t i = 0; !succeeded && i < p->walk->now.lines.n; i++)
        note_line(&t->past, &p->walk->now, buf_str(&p->body), i, t->scrapes);
    if (succeeded && t->past.n)
        forget_old(&t->past, t->scrapes);
}

void target_forget_metadata(struct target *t)
{
    table_deinit(&t->past);
}

void target_each_metadata(const struct target *t, scrape_metadata_fn *fn, void *arg)
{
    const struct scrape_page *page = &t->memory.page;
    struct metadata_table all = {0};
    for (size_t i = 0; i < t->past.size; i++) {
        const struct target_metadata *m = &t->past.items[i];
        if (!m->text)
            continue;
        struct target_metadata *copy = entry_for(&all, name_of(m));
        set_texts(copy, name_of(m), help_of(m), unit_of(m));
        copy->type = m->type;
    }
    for (size_t i = 0; i < page->lines.n; i++)
        note_line(&all, page, buf_str(&page->body), i, 0);
    for (size_t i = 0; i < all.size; i++) {
        const struct target_metadata *m = &all.items[i];
        if (!m->text)
            continue;
        const struct scrape_metadata view = {
            .name = name_of(m),
            .type = str_from_c(exposition_type_name((enum exposition_type)m->type)),
            .help = help_of(m),
            .unit = unit_of(m),
            .target = t->labels,
        };
        fn(arg, &view);
    }
    table_deinit(&all);
}
