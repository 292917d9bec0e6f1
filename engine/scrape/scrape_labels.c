// What a line's series is called: labels of the target, relabelling, limits.
#include <assert.h>

#include "engine/base/quote.h"
#include "engine/base/utf8.h"
#include "engine/base/util.h"
#include "engine/model/labels.h"
#include "engine/model/relabel.h"
#include "engine/scrape/scrape_pass.h"
#include "engine/shard/shard.h"

enum { SHOWN = 50 };

// Labels of the target join those of the sample. With honor_labels the sample's stay, also the
// empty ones, which then take the target's away; otherwise they move to exported_<name>.
static void add_target_labels(struct pass *p, struct labels_builder *b, bool honor,
                              const struct str *empty, size_t empty_n)
{
    struct label target;
    struct label *conflicts = arena_alloc(&p->arena, labels_count(p->t->labels) * sizeof *conflicts,
                                          _Alignof(struct label));
    size_t conflicts_n = 0;
    for (struct labels_iter i = labels_iter(p->t->labels); labels_next(&i, &target);) {
        if (honor) {
            bool has = labels_builder_get(b, target.name).n > 0;
            for (size_t k = 0; k < empty_n && !has; k++)
                has = str_eq(empty[k], target.name);
            if (!has)
                labels_builder_set(b, target.name, target.value);
            continue;
        }
        const struct str existing = labels_builder_get(b, target.name);
        if (existing.n) {
            size_t at = conflicts_n++; // shortest names first
            for (; at > 0 && conflicts[at - 1].name.n > target.name.n; at--)
                conflicts[at] = conflicts[at - 1];
            conflicts[at] = (struct label){target.name, existing};
        }
        labels_builder_set(b, target.name, target.value);
    }
    for (size_t i = 0; i < conflicts_n; i++) {
        struct str name = conflicts[i].name;
        do
            name = arena_printf(&p->arena, "exported_%.*s", STR_ARG(name));
        while (labels_builder_get(b, name).n);
        labels_builder_set(b, name, conflicts[i].value);
    }
}

// Keeps the first of labels that have the same name; that name, or an empty one. A line may have
// hundreds of thousands: hence sorted, not each compared with all others.
static struct str drop_duplicates(struct labels_builder *b)
{
    struct str twice = {0};
    if (!labels_builder_has_duplicates(b)) // which also sorts
        return twice;
    size_t n = 1;
    for (size_t i = 1; i < b->n; i++) {
        if (!str_eq(b->items[i].name, b->items[n - 1].name))
            b->items[n++] = b->items[i];
        else if (!twice.n)
            twice = b->items[i].name;
    }
    b->n = n;
    return twice;
}

// The series' final labels in b; false: relabelling dropped it. *twice: a name that the line and
// its target gave twice; empty: none.
static bool final_labels(struct pass *p, const struct exposition *x, struct labels_builder *b,
                         struct str *twice)
{
    enum { EMPTY_MAX = 64 };
    struct scrape *s = p->t->scrape;
    struct exposition_labels walk;
    struct str empty[EMPTY_MAX];
    size_t empty_n = 0;
    labels_builder_reset(b);
    exposition_labels_init(&walk, x, &s->scratch);
    for (struct str name, value; exposition_labels_next(&walk, &name, &value);) {
        // The scratch is used again by relabelling: texts with escapes move to the arena.
        if (value.p >= s->scratch.p && value.p < s->scratch.p + s->scratch.n)
            value = arena_str(&p->arena, value);
        if (name.p >= s->scratch.p && name.p < s->scratch.p + s->scratch.n)
            name = arena_str(&p->arena, name);
        if (value.n)
            labels_builder_push(b, name, value);
        else if (empty_n < EMPTY_MAX)
            empty[empty_n++] = name;
    }
    *twice = drop_duplicates(b);
    for (size_t i = 0; i < empty_n; i++) // a name that stands there empty, too, is none
        labels_builder_del(b, empty[i]);
    add_target_labels(p, b, p->job->honor_labels, empty, empty_n);
    return relabel_apply(p->job->metric_relabel.items, p->job->metric_relabel.n, b, &p->arena,
                         &s->scratch) &&
           b->n > 0;
}

// As %.50s of Go: so many runes.
static struct str shown(struct str s)
{
    size_t n = 0;
    for (unsigned runes = 0; n < s.n && runes < SHOWN; runes++) {
        uint32_t rune;
        n += utf8_decode(str_from(s, n), &rune);
    }
    return str_until(s, n);
}

static err value_too_long(const struct scrape_limits *l, struct str name, const struct label *label,
                          struct errmsg *e)
{
    struct buf quoted = {0};
    buf_put_quoted(&quoted, shown(label->value));
    const err code = err_set(e, ERR_LIMIT,
                             "label_value_length_limit exceeded (metric: %.*s, label name: %.*s, "
                             "value: %.*s, length: %zu, limit: %llu)",
                             STR_ARG(name), STR_ARG(shown(label->name)), STR_ARG(buf_str(&quoted)),
                             label->value.n, (unsigned long long)l->label_value_length);
    buf_deinit(&quoted);
    return code;
}

static err check_limits(const struct pass *p, struct str labels, struct errmsg *e)
{
    const struct scrape_limits *l = &p->job->limits;
    const struct str name = shown(labels_value(labels, LABEL_NAME));
    const size_t count = labels_count(labels);
    if (l->labels && count > l->labels)
        return err_set(e, ERR_LIMIT,
                       "label_limit exceeded (metric: %.*s, number of labels: %zu, limit: %llu)",
                       STR_ARG(name), count, (unsigned long long)l->labels);
    if (!l->label_name_length && !l->label_value_length)
        return ERR_OK;
    struct label label;
    for (struct labels_iter i = labels_iter(labels); labels_next(&i, &label);) {
        if (l->label_name_length && label.name.n > l->label_name_length)
            return err_set(e, ERR_LIMIT,
                           "label_name_length_limit exceeded (metric: %.*s, label name: %.*s, "
                           "length: %zu, limit: %llu)",
                           STR_ARG(name), STR_ARG(shown(label.name)), label.name.n,
                           (unsigned long long)l->label_name_length);
        if (l->label_value_length && label.value.n > l->label_value_length)
            return value_too_long(l, name, &label, e);
    }
    return ERR_OK;
}

// nameless: a label with an empty name stood there, too, which a set of labels cannot hold.
static err check_labels(const struct pass *p, struct str labels, bool nameless, struct errmsg *e)
{
    const bool legacy = p->job->validation == NAME_VALIDATION_LEGACY;
    const struct str name = labels_value(labels, LABEL_NAME);
    if (!name.n)
        return err_set(e, ERR_INVALID, "missing metric name (__name__ label)");
    bool valid = !nameless && (legacy ? metric_name_is_legacy(name) : name_is_utf8(name));
    struct label label;
    for (struct labels_iter i = labels_iter(labels); valid && labels_next(&i, &label);)
        valid = legacy ? label_name_is_legacy(label.name) : name_is_utf8(label.name);
    if (!valid) {
        struct buf text = {0};
        labels_builder_format(p->t->scrape->builder, &text);
        const err code = err_set(e, ERR_INVALID, "invalid metric name or label names: %.*s",
                                 STR_ARG(buf_str(&text)));
        buf_deinit(&text);
        return code;
    }
    return check_limits(p, labels, e);
}

err pass_labels(struct pass *p, const struct exposition *x, struct str *out, struct errmsg *e)
{
    struct scrape *s = p->t->scrape;
    struct str twice;
    *out = (struct str){0};
    if (!final_labels(p, x, s->builder, &twice))
        return ERR_OK;
    const struct str labels = labels_builder_finish(s->builder, &p->arena);
    const bool nameless = labels_builder_get(s->builder, STR("")).n > 0;
    err code = check_labels(p, labels, nameless, e);
    if (!code && twice.n && labels_value(labels, twice).n) // relabelling left it there
        code = err_set(e, ERR_INVALID, "label name \"%.*s\" is not unique: invalid sample",
                       STR_ARG(twice));
    s->stats.exceeded_label_limits += code == ERR_LIMIT;
    if (!code)
        *out = labels;
    return code;
}

static struct str prefix_of(const struct pass *p, enum scrape_origin what, size_t index)
{
    const struct scrape_memory *m = &p->t->memory;
    switch (what) {
    case ORIGIN_NOW:
        return scrape_line_prefix(buf_str(&p->body), &p->walk->now.lines, index);
    case ORIGIN_PAGE:
        return scrape_line_prefix(buf_str(&m->page.body), &m->page.lines, index);
    case ORIGIN_AWAY:
        return str_make(m->away[index].prefix, m->away[index].prefix_n);
    case ORIGIN_REPORT:
        break;
    }
    return str_from_c(scrape_report_names[index]);
}

struct str pass_labels_again(struct pass *p, uint32_t origin)
{
    const enum scrape_origin what = origin >> ORIGIN_SHIFT;
    const struct str prefix = prefix_of(p, what, origin & ((1u << ORIGIN_SHIFT) - 1));
    struct labels_builder *b = p->t->scrape->builder;
    if (what == ORIGIN_REPORT) {
        labels_builder_load(b, p->t->labels);
        labels_builder_set(b, LABEL_NAME, prefix);
        return labels_builder_finish(b, &p->arena);
    }
    // A body of this one line, with a value behind what is kept of it.
    const struct scrape_entry *entry = pass_entry(p, origin);
    const struct str body = arena_printf(&p->arena, "%.*s0\n", STR_ARG(prefix));
    struct exposition x;
    enum exposition_event event;
    struct str twice;
    exposition_init(
        &x, entry->flags & SCRAPE_OPENMETRICS ? EXPOSITION_OPENMETRICS : EXPOSITION_TEXT, body);
    const err code = exposition_next(&x, &event, NULL);
    assert(code == ERR_OK && event == EXPOSITION_SERIES);
    x.type = (enum exposition_type)entry->type;
    if (!final_labels(p, &x, b, &twice))
        return (struct str){0};
    return labels_builder_finish(b, &p->arena);
}

void pass_place(struct pass *p, struct scrape_entry *entry, struct str labels)
{
    struct tsdb *db = p->t->scrape->options.db;
    entry->flags |= SCRAPE_PLACED;
    entry->owner = (uint8_t)tsdb_owner(db, tsdb_partition(db, labels));
    if (entry->owner == shard_index(shard_self()))
        entry->ref = tsdb_series(db, labels, labels_hash(labels, tsdb_hash_seed(db)), p->t->hash);
}
