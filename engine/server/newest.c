#include "engine/server/newest.h"

#include "engine/base/mem.h"
#include "engine/model/labels.h"
#include "engine/model/value.h"
#include "engine/shard/shard.h"
#include "io/fiber_sort.h"

enum {
    UNIT_MAX = 4096,            // series
    UNIT_BYTES_MAX = 256 << 20, // of a shard's answer
    READ_AT_ONCE = 64,          // series
    VALUES_AT_ONCE = 256,       // of a label that narrows
    VALUES_ASKED = 64 << 10,    // of those that are known
    PATTERN_BYTES_MAX = 32 << 10,
    SPLITS_MAX = 32,
};

struct item {
    struct str name, labels;
    int64_t t_ms;
    double v;
};

struct walk {
    const struct newest_question *q;
    newest_fn *fn;
    void *arg;
    struct errmsg *e;
    struct matcher narrow[SPLITS_MAX]; // ANDed with every selector
    size_t narrow_n;
    bool is_over; // fn has enough
};

struct part { // of one shard; its memory is made and freed there
    const struct walk *walk;
    struct arena arena;
    struct item *items;
    size_t n, capacity;
    bool too_many;
    err code;
    struct errmsg e;
    size_t at; // of the merge
};

// ---- on each shard

static err read_some(struct part *p, const struct storage_set *set, size_t from, size_t n,
                     struct arena *scratch)
{
    const struct newest_question *q = p->walk->q;
    struct column columns[READ_AT_ONCE];
    const struct storage_series *series = set->series + from;
    TRY(q->storage.ops->read(q->storage.self, set, series, n, q->mint, q->maxt, scratch, columns,
                             &p->e));
    for (size_t i = 0; i < n; i++) {
        const struct column *c = &columns[i];
        const struct str name = labels_value(series[i].labels, LABEL_NAME);
        if (!c->n || !name.n || value_is_stale(c->v[c->n - 1]))
            continue;
        p->items = mem_grow(p->items, &p->capacity, p->n + 1, sizeof *p->items);
        p->items[p->n++] = (struct item){name, series[i].labels, c->t[c->n - 1], c->v[c->n - 1]};
    }
    return ERR_OK;
}

// The matchers of s and what narrows them, the narrowest first: storage tries them in this order.
static struct fan_selector narrowed(const struct walk *w, const struct fan_selector *s,
                                    struct arena *a)
{
    struct matcher *ms =
        arena_alloc(a, (s->n + w->narrow_n) * sizeof *ms, _Alignof(struct matcher));
    for (size_t i = 0; i < w->narrow_n; i++)
        ms[i] = w->narrow[w->narrow_n - 1 - i];
    memcpy(ms + w->narrow_n, s->ms, s->n * sizeof *ms);
    return (struct fan_selector){ms, s->n + w->narrow_n};
}

static err read_selector(struct part *p, const struct fan_selector *s, size_t max,
                         struct arena *scratch)
{
    const struct newest_question *q = p->walk->q;
    const struct fan_selector all = narrowed(p->walk, s, &p->arena);
    struct storage_set set = {0};
    const struct storage_want want = {.max = max};
    err code = q->storage.ops->select(q->storage.self, all.ms, all.n, q->mint, q->maxt, &want,
                                      &p->arena, &set, &p->e);
    if (code) {
        p->too_many = code == ERR_LIMIT;
        return code;
    }
    for (size_t i = 0; i < set.n && !code; i += READ_AT_ONCE) {
        const size_t n = set.n - i < READ_AT_ONCE ? set.n - i : READ_AT_ONCE;
        code = read_some(p, &set, i, n, scratch);
        arena_reset(scratch);
        fiber_yield_if_due();
    }
    q->storage.ops->release(q->storage.self, &set);
    return code;
}

static int compare_items(const void *a, const void *b, const void *arg)
{
    const struct item *x = a, *y = b;
    (void)arg;
    const int order = str_cmp(x->name, y->name);
    return order ? order : labels_cmp(x->labels, y->labels);
}

static void ask_shard(void *arg)
{
    struct part *p = arg;
    struct arena scratch;
    const struct newest_question *q = p->walk->q;
    arena_init(&p->arena, UNIT_BYTES_MAX);
    arena_init(&scratch, UNIT_BYTES_MAX);
    for (size_t i = 0; i < q->selectors_count && !p->code; i++)
        p->code =
            read_selector(p, &q->selectors[i], q->unit_max ? q->unit_max : UNIT_MAX, &scratch);
    if (!p->code)
        fiber_sort(p->items, p->n, sizeof *p->items, NULL, compare_items);
    arena_deinit(&scratch);
}

static void free_part(void *arg)
{
    struct part *p = arg;
    arena_deinit(&p->arena);
    mem_free(p->items);
}

// ---- where it was asked

// The shards' items, each of which ascend, as one row; a series that two selectors match comes
// once.
static void hand_out(struct walk *w, struct part *parts, unsigned count)
{
    const struct item *last = NULL;
    for (;;) {
        struct part *next = NULL;
        for (unsigned i = 0; i < count; i++)
            if (parts[i].at < parts[i].n &&
                (!next ||
                 compare_items(&parts[i].items[parts[i].at], &next->items[next->at], NULL) < 0))
                next = &parts[i];
        if (!next)
            return;
        const struct item *item = &next->items[next->at++];
        if (last && str_eq(item->labels, last->labels))
            continue;
        last = item;
        if (!w->fn(w->arg, item->name, item->labels, item->t_ms, item->v)) {
            w->is_over = true;
            return;
        }
        fiber_yield_if_due();
    }
}

// Asks with the narrowing at hand; *too_many: nothing was handed out.
static err try_all(struct walk *w, bool *too_many)
{
    const unsigned count = shards_count(shard_all());
    struct part *parts = mem_zalloc(count * sizeof *parts);
    err code = ERR_OK;
    for (unsigned i = 0; i < count; i++)
        parts[i].walk = w;
    shard_call_all(fiber_class(), ask_shard, parts, sizeof *parts, NULL);
    *too_many = false;
    for (unsigned i = 0; i < count && !code; i++) {
        code = parts[i].code;
        *too_many = parts[i].too_many;
        if (code && w->e)
            *w->e = parts[i].e;
    }
    if (!code)
        hand_out(w, parts, count);
    fiber_shield_begin();
    shard_call_all(fiber_class(), free_part, parts, sizeof *parts, NULL);
    fiber_shield_end();
    mem_free(parts);
    return code;
}

static err ask_labels(const struct walk *w, struct fan_question *question, struct arena *a,
                      struct str **out, size_t *out_n)
{
    const struct newest_question *q = w->q;
    struct fan_selector *selectors = arena_alloc(a, q->selectors_count * sizeof *selectors, 8);
    for (size_t i = 0; i < q->selectors_count; i++)
        selectors[i] = narrowed(w, &q->selectors[i], a);
    question->storage = q->storage;
    question->selectors = selectors;
    question->selectors_count = q->selectors_count;
    question->mint = q->mint;
    question->maxt = q->maxt;
    return fan_ask(question, a, out, out_n, w->e);
}

// The label to narrow by: the name first, then the others in their order, which is that of whole
// label sets. NULL p: there is none left.
static err next_label(const struct walk *w, struct arena *a, struct str *out)
{
    struct str *names;
    size_t n;
    *out = (struct str){0};
    if (!w->narrow_n) {
        *out = LABEL_NAME;
        return ERR_OK;
    }
    const struct str last = w->narrow[w->narrow_n - 1].name;
    const bool is_first = str_eq(last, LABEL_NAME);
    struct fan_question q = {.kind = FAN_NAMES};
    TRY(ask_labels(w, &q, a, &names, &n));
    for (size_t i = 0; i < n && !out->p && w->narrow_n < SPLITS_MAX; i++)
        if (!str_eq(names[i], LABEL_NAME) && (is_first || str_cmp(names[i], last) > 0))
            *out = names[i];
    return ERR_OK;
}

static void put_literal(struct buf *out, struct str value)
{
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] && strchr("\\.+*?()|[]{}^$", value.p[i]))
            buf_put_char(out, '\\');
        buf_put_char(out, value.p[i]);
    }
}

// How many of values[0..n) one matcher takes, at most max.
static size_t fitting(const struct str *values, size_t n, size_t max)
{
    size_t bytes = 0, taken = 0;
    while (taken < n && taken < max && (!taken || bytes + 2 * values[taken].n < PATTERN_BYTES_MAX))
        bytes += 2 * values[taken++].n + 1;
    return taken;
}

// A matcher of one value, or of any of n.
static err narrow_to(struct walk *w, struct str name, const struct str *values, size_t n,
                     struct regex **out_regex)
{
    struct matcher *m = &w->narrow[w->narrow_n];
    *out_regex = NULL;
    *m = (struct matcher){.kind = MATCHER_EQ, .name = name, .value = n ? values[0] : STR("")};
    if (n > 1) {
        struct buf pattern = {0};
        for (size_t i = 0; i < n; i++) {
            if (i)
                buf_put_char(&pattern, '|');
            put_literal(&pattern, values[i]);
        }
        const err code = regex_create(buf_str(&pattern), REGEX_ANCHORED, out_regex, w->e);
        buf_deinit(&pattern);
        TRY(code);
        m->kind = MATCHER_RE;
        m->value = regex_pattern(*out_regex);
        m->regex = *out_regex;
    }
    w->narrow_n++;
    return ERR_OK;
}

static err split(struct walk *w);

// Those with one of values[0..n), and with n 0 those without the label; *too_many: fewer values may
// do. A single value that is still too much is split by the next label.
static err walk_values(struct walk *w, struct str name, const struct str *values, size_t n,
                       bool *too_many)
{
    struct regex *regex;
    TRY(narrow_to(w, name, values, n, &regex));
    err code = try_all(w, too_many);
    if (*too_many && n <= 1) {
        *too_many = false;
        code = split(w);
    }
    w->narrow_n--;
    regex_destroy(regex);
    return *too_many ? ERR_OK : code;
}

static err walk_all_values(struct walk *w, struct str name, const struct str *values, size_t n)
{
    size_t many = VALUES_AT_ONCE;
    for (size_t at = 0; at < n && !w->is_over;) {
        const size_t some = fitting(values + at, n - at, many);
        bool too_many;
        TRY(walk_values(w, name, values + at, some, &too_many));
        if (too_many) {
            many = (some + 1) / 2;
            continue;
        }
        at += some;
        many = many * 2 < VALUES_AT_ONCE ? many * 2 : VALUES_AT_ONCE;
    }
    return ERR_OK;
}

static err split_by(struct walk *w, struct str name, struct arena *a)
{
    struct buf last = {0};
    struct str *values;
    size_t n;
    bool too_many, more = true;
    err code = ERR_OK;
    while (more && !code && !w->is_over) {
        arena_reset(a);
        struct fan_question q = {.kind = FAN_VALUES, .name = name, .limit = VALUES_ASKED};
        q.after = buf_str(&last);
        code = ask_labels(w, &q, a, &values, &n);
        more = !code && n > VALUES_ASKED;
        n = more ? VALUES_ASKED : n;
        if (more) {
            buf_reset(&last);
            buf_put_str(&last, values[n - 1]);
        }
        if (!code)
            code = walk_all_values(w, name, values, n);
    }
    buf_deinit(&last);
    TRY(code);
    return w->is_over || str_eq(name, LABEL_NAME) ? ERR_OK
                                                  : walk_values(w, name, NULL, 0, &too_many);
}

static err split(struct walk *w) // Suspends.
{
    struct arena arena, values;
    struct str name;
    arena_init(&arena, UNIT_BYTES_MAX);
    arena_init(&values, UNIT_BYTES_MAX);
    err code = next_label(w, &arena, &name);
    if (!code)
        code = name.p ? split_by(w, name, &values)
                      : err_set(w->e, ERR_LIMIT, "too many series match to be told apart");
    arena_deinit(&values);
    arena_deinit(&arena);
    return code;
}

err newest_each(const struct newest_question *q, struct errmsg *e, newest_fn *fn, void *arg)
{
    struct walk w = {.q = q, .fn = fn, .arg = arg, .e = e};
    bool too_many = false;
    if (!q->selectors_count)
        return ERR_OK;
    const err code = try_all(&w, &too_many);
    return too_many ? split(&w) : code;
}
