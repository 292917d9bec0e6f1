// Matchers over the index.
//
// Each matcher becomes a set of label sets (local sets and tuples): those that have a pair it wants
// or, for a matcher that an absent label satisfies, a pair it forbids. A series has two sets: it
// passes when one of them is wanted, none is forbidden. The cheapest wanted set is walked, the
// others are asked. A matcher that would have to try many values of its name, where the others
// leave few series, is asked of those.
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/model/labels.h"
#include "engine/tsdb/head_cohorts.h"
#include "engine/tsdb/head_erase.h"
#include "engine/tsdb/head_query.h"
#include "engine/tsdb/head_steady.h"
#include "io/fiber.h"

enum {
    LITERALS_MAX = 256,
    COST_MAX = 1 << 24,
    BREATH = 64,
    MANY_VALUES = 16, // of a name: to try them all may cost more than to ask some series
};

struct probe {
    roaring_bitmap_t *sets;
    bool wanted;     // else: forbidden
    bool has_tuples; // some of the sets are tuples
};

// There may be as many matchers as a query has room for, hence few probes: what is forbidden is
// one, what is wanted of local sets alone is one, of tuples alone another.
struct later {
    const struct matcher *m;
    uint32_t name;
    uint32_t last_pair; // that it was asked of; LABEL_NONE: none yet
    bool last;
};

struct plan {
    struct probe *probes;
    size_t n, capacity, bytes;
    struct later *later; // matchers that are asked of each series
    size_t later_n, later_capacity;
    bool nothing; // a wanted set is empty
};

// Selects give way on a fiber: series may come meanwhile, but none leaves (head.selects).
static void breathe_after(const struct head *h, size_t *count, size_t work)
{
    *count += work;
    if (*count < BREATH)
        return;
    *count = 0;
    if (h->may_yield)
        fiber_yield_if_due();
}

static void breathe(const struct head *h, size_t *count)
{
    breathe_after(h, count, 1);
}

static void add_value(const struct head *h, uint32_t name, struct str value, roaring_bitmap_t *out)
{
    const uint32_t pair = label_store_find_pair(&h->labels, name, value);
    if (pair != LABEL_NONE)
        posting_union(&label_pair_at(&h->labels, pair)->in, out);
}

// What all values begin with that match (want) or do not.
static struct str values_prefix(const struct matcher *m, bool want)
{
    const bool is_named = (m->kind == MATCHER_RE && want) || (m->kind == MATCHER_NRE && !want);
    return is_named ? regex_prefix(m->regex) : STR("");
}

// The sets that have a pair of the matcher's name whose value matches (want) or does not.
static void collect(const struct head *h, const struct matcher *m, bool want, roaring_bitmap_t *out)
{
    const uint32_t name = label_store_find_name(&h->labels, m->name);
    if (name == LABEL_NONE)
        return;
    const bool positive = m->kind == MATCHER_EQ || m->kind == MATCHER_RE;
    const bool is_regex = m->kind == MATCHER_RE || m->kind == MATCHER_NRE;
    if (positive == want && !is_regex) {
        add_value(h, name, m->value, out);
        return;
    }
    if (positive == want) {
        struct str literals[LITERALS_MAX];
        const size_t n = regex_literals(m->regex, literals, LITERALS_MAX);
        for (size_t i = 0; i < n; i++)
            add_value(h, name, literals[i], out);
        if (n)
            return;
    }
    struct pair_walk walk;
    size_t breaths = 0;
    pair_walk_begin(&walk, &h->labels, name, values_prefix(m, want), STR(""));
    for (uint32_t id; (id = pair_walk_next(&walk)) != LABEL_NONE;) {
        breathe(h, &breaths);
        const struct label_pair *pair = label_pair_at(&h->labels, id);
        if (matcher_matches(m, label_pair_value(pair)) == want)
            posting_union(&pair->in, out);
    }
}

static void plan_deinit(struct plan *p)
{
    for (size_t i = 0; i < p->n; i++)
        roaring_bitmap_free(p->probes[i].sets);
    mem_free(p->probes);
    mem_free(p->later);
}

// Takes sets.
static void plan_add(struct plan *p, roaring_bitmap_t *sets, bool wanted)
{
    if (roaring_bitmap_is_empty(sets)) {
        roaring_bitmap_free(sets);
        p->nothing |= wanted;
        return;
    }
    p->probes = mem_grow(p->probes, &p->capacity, p->n + 1, sizeof *p->probes);
    p->probes[p->n++] = (struct probe){
        .sets = sets,
        .wanted = wanted,
        .has_tuples = roaring_bitmap_maximum(sets) >= LABEL_SET_TUPLE,
    };
}

// Takes sets that one matcher wants: a series has one local set and one tuple, so what several
// want of either alone is what they have in common.
static void plan_want(struct plan *p, roaring_bitmap_t *sets)
{
    const bool has_tuples =
        !roaring_bitmap_is_empty(sets) && roaring_bitmap_maximum(sets) >= LABEL_SET_TUPLE;
    const bool is_mixed = has_tuples && roaring_bitmap_minimum(sets) < LABEL_SET_TUPLE;
    for (size_t i = 0; i < p->n && !is_mixed; i++) {
        struct probe *probe = &p->probes[i];
        if (probe->has_tuples != has_tuples ||
            (has_tuples && roaring_bitmap_minimum(probe->sets) < LABEL_SET_TUPLE))
            continue;
        roaring_bitmap_and_inplace(probe->sets, sets);
        p->nothing |= roaring_bitmap_is_empty(probe->sets);
        roaring_bitmap_free(sets);
        return;
    }
    p->bytes += roaring_bitmap_portable_size_in_bytes(sets);
    plan_add(p, sets, true);
}

// How many series the sets have, counted no further than limit.
static uint64_t cost_of(const struct head *h, const struct probe *p, uint64_t limit)
{
    uint64_t cost = 0;
    size_t breaths = 0;
    roaring_uint32_iterator_t i;
    for (roaring_init_iterator(p->sets, &i); i.has_value && cost < limit;
         roaring_advance_uint32_iterator(&i)) {
        breathe(h, &breaths);
        cost += 1 + label_store_set_at(&h->labels, i.current_value)->series;
    }
    return cost;
}

// How many values collecting means to try, roughly; 0: few, or those that it names.
static size_t values_to_try(const struct head *h, const struct matcher *m)
{
    const bool is_regex = m->kind == MATCHER_RE || m->kind == MATCHER_NRE;
    const bool is_positive = m->kind == MATCHER_EQ || m->kind == MATCHER_RE;
    const bool want = !matcher_matches_empty(m); // what is collected matches, or does not
    const uint32_t name = label_store_find_name(&h->labels, m->name);
    struct str literals[LITERALS_MAX];
    if (name == LABEL_NONE || (is_positive == want && !is_regex) ||
        (is_positive == want && regex_literals(m->regex, literals, LITERALS_MAX)))
        return 0;
    const size_t n = pair_order_count(&h->labels, name, values_prefix(m, want));
    return n < MANY_VALUES ? 0 : n;
}

// Whether the others leave so few series that they are asked instead of n values.
static bool leaves_few(const struct head *h, const struct plan *p, size_t n)
{
    const uint64_t few = n / 4;
    for (size_t i = 0; i < p->n; i++)
        if (p->probes[i].wanted && cost_of(h, &p->probes[i], few) < few)
            return true;
    return false;
}

static void plan_matcher(struct plan *p, const struct head *h, const struct matcher *m,
                         roaring_bitmap_t *forbidden)
{
    if (matcher_matches_empty(m)) {
        collect(h, m, false, forbidden);
        return;
    }
    roaring_bitmap_t *sets = roaring_bitmap_create();
    collect(h, m, true, sets);
    plan_want(p, sets);
}

struct trial { // a matcher that has many values to try
    const struct matcher *m;
    size_t values;
};

static int by_values(const void *a, const void *b)
{
    const struct trial *x = a, *y = b;
    return (x->values > y->values) - (x->values < y->values);
}

static void plan_trial(struct plan *p, const struct head *h, const struct trial *t,
                       roaring_bitmap_t *forbidden)
{
    if (!leaves_few(h, p, t->values)) {
        plan_matcher(p, h, t->m, forbidden);
        return;
    }
    p->later = mem_grow(p->later, &p->later_capacity, p->later_n + 1, sizeof *p->later);
    p->later[p->later_n++] =
        (struct later){t->m, label_store_find_name(&h->labels, t->m->name), LABEL_NONE, false};
}

// What names its values comes first, then what has few to try.
static err plan_init(struct plan *p, const struct head *h, const struct matcher *ms, size_t n,
                     size_t bytes_max, struct errmsg *e)
{
    size_t breaths = 0, trials_n = 0, capacity = 0;
    struct trial *trials = NULL;
    roaring_bitmap_t *forbidden = roaring_bitmap_create();
    *p = (struct plan){0};
    for (size_t i = 0; i < n && !p->nothing && p->bytes <= bytes_max; i++) {
        breathe(h, &breaths);
        const size_t values = values_to_try(h, &ms[i]);
        if (!values) {
            plan_matcher(p, h, &ms[i], forbidden);
            continue;
        }
        trials = mem_grow(trials, &capacity, trials_n + 1, sizeof *trials);
        trials[trials_n++] = (struct trial){&ms[i], values};
    }
    if (trials_n)
        qsort(trials, trials_n, sizeof *trials, by_values);
    for (size_t i = 0; i < trials_n && !p->nothing && p->bytes <= bytes_max; i++) {
        breathe(h, &breaths);
        plan_trial(p, h, &trials[i], forbidden);
    }
    mem_free(trials);
    plan_add(p, forbidden, false);
    if (p->bytes <= bytes_max)
        return ERR_OK;
    return err_set(e, ERR_LIMIT, "the query needs more memory than it may use");
}

static const struct probe *cheapest(const struct head *h, const struct plan *p)
{
    const struct probe *best = NULL;
    uint64_t best_cost = UINT64_MAX;
    for (size_t i = 0; i < p->n; i++) {
        if (!p->probes[i].wanted)
            continue;
        const uint64_t cost =
            cost_of(h, &p->probes[i], best_cost < COST_MAX ? best_cost : COST_MAX);
        if (!best || cost < best_cost) {
            best = &p->probes[i];
            best_cost = cost;
        }
    }
    return best;
}

static bool passes(const struct plan *p, const struct probe *but, uint32_t tuple, uint32_t local)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct probe *probe = &p->probes[i];
        if (probe == but)
            continue;
        const bool in = roaring_bitmap_contains(probe->sets, local) ||
                        (probe->has_tuples && roaring_bitmap_contains(probe->sets, tuple));
        if (in != probe->wanted)
            return false;
    }
    return true;
}

// False when no series of this local set can pass, whatever its tuple.
static bool local_may_pass(const struct plan *p, const struct probe *but, uint32_t local)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct probe *probe = &p->probes[i];
        if (probe == but || (probe->wanted && probe->has_tuples))
            continue;
        if (roaring_bitmap_contains(probe->sets, local) != probe->wanted)
            return false;
    }
    return true;
}

static bool has_samples(const struct head *h, const struct head_series *s, int64_t mint,
                        int64_t maxt)
{
    const int64_t last_t = head_last_t(h, s);
    if (last_t == INT64_MIN || last_t <= mint)
        return false;
    if (s->erased)
        return head_erased_has(h, s, mint, maxt);
    if (s->late && s->late->n && s->late->items[0].t_ms <= maxt)
        return true;
    if (s->cohort == COHORT_NONE || series_values_is_empty(&s->values))
        return false;
    const struct cohort *c = h->cohorts[s->cohort];
    const uint32_t first = series_values_first(&s->values);
    const uint32_t slot = first > c->base ? first : c->base;
    return slot < cohort_end(c) && cohort_time(c, slot) <= maxt;
}

struct walk {
    struct head *head;
    const struct plan *plan;
    int64_t mint, maxt;
    head_visit_fn *visit;
    void *arg;
};

static bool passes_later(const struct head *h, const struct plan *p, const struct head_series *s)
{
    for (size_t i = 0; i < p->later_n; i++) {
        struct later *l = &p->later[i];
        const uint32_t pair = label_store_pair_of(&h->labels, s->tuple, s->local, l->name);
        if (pair == LABEL_NONE || pair != l->last_pair) { // neighbours often have the same
            const struct str value =
                pair == LABEL_NONE ? STR("") : label_pair_value(label_pair_at(&h->labels, pair));
            l->last_pair = pair;
            l->last = matcher_matches(l->m, value);
        }
        if (!l->last)
            return false;
    }
    return true;
}

static bool offer(const struct walk *w, const struct probe *but, uint32_t id)
{
    const struct head_series *s = head_series_at(w->head, id);
    if (!passes(w->plan, but, s->tuple, s->local) || !passes_later(w->head, w->plan, s) ||
        !has_samples(w->head, s, w->mint, w->maxt))
        return true;
    return w->visit(w->head, s, id, w->arg);
}

// Visits what passes until a visit says false.
static void walk(const struct walk *w)
{
    struct head *h = w->head;
    size_t breaths = 0;
    if (w->plan->nothing)
        return;
    const struct probe *base = cheapest(h, w->plan);
    if (!base) {
        for (uint32_t id = 0; id < h->series_n; id++) {
            breathe(h, &breaths); // what is forbidden is one probe, and there is no other
            if ((head_series_at(h, id)->generation & 1) && !offer(w, NULL, id))
                return;
        }
        return;
    }
    roaring_uint32_iterator_t i;
    for (roaring_init_iterator(base->sets, &i); i.has_value; roaring_advance_uint32_iterator(&i)) {
        const uint32_t set = i.current_value;
        const bool tuple = (set & LABEL_SET_TUPLE) != 0;
        breathe_after(h, &breaths, 1 + w->plan->n / 16);
        if (!tuple && !local_may_pass(w->plan, base, set))
            continue;
        uint32_t id = label_store_set_at(&h->labels, set)->first;
        while (id != LABEL_NONE) {
            breathe_after(h, &breaths, 1 + w->plan->n / 16 + 4 * w->plan->later_n);
            const struct head_series *s = head_series_at(h, id);
            const uint32_t next = tuple ? s->next_in_tuple : s->next_in_local;
            if (!offer(w, base, id))
                return;
            id = next;
        }
    }
}

err head_each(struct head *h, const struct matcher *ms, size_t ms_count, int64_t mint, int64_t maxt,
              const struct arena *limits, struct errmsg *e, head_visit_fn *visit, void *arg)
{
    struct plan plan;
    h->selects++;
    const err result = plan_init(&plan, h, ms, ms_count, arena_left(limits), e);
    if (result == ERR_OK)
        walk(&(struct walk){h, &plan, mint, maxt, visit, arg});
    plan_deinit(&plan);
    h->selects--;
    return result;
}

struct finding {
    struct head_found_list list;
    size_t max;
    struct arena *arena;
    uint32_t name; // LABEL_NAME
    bool is_full, lacks_room;
};

static bool add_found(struct head *h, const struct head_series *s, uint32_t id, void *arg)
{
    struct finding *f = arg;
    struct head_found_list *list = &f->list;
    if (f->max && list->n == f->max) {
        f->is_full = true;
        return false;
    }
    if (list->n == list->capacity) { // many: room for all there are, instead of copies
        const size_t most = f->max && f->max <= h->series_n ? f->max : h->series_n + (size_t)1;
        const size_t need = list->n < 4096 ? list->n + 1 : most;
        struct head_found *items =
            arena_mem_grow(f->arena, list->items, &list->capacity, need, sizeof *items);
        if (!items) {
            f->lacks_room = true;
            return false;
        }
        list->items = items;
    }
    list->items[list->n++] =
        (struct head_found){.ref = head_ref(s, id),
                            .partition = s->partition,
                            .metric = label_store_pair_of(&h->labels, s->tuple, s->local, f->name)};
    return true;
}

err head_select(struct head *h, const struct matcher *ms, size_t ms_count, int64_t mint,
                int64_t maxt, size_t max, struct arena *a, struct head_found_list *out,
                struct errmsg *e)
{
    struct finding f = {.max = max, .arena = a};
    f.name = label_store_find_name(&h->labels, LABEL_NAME);
    err result = head_each(h, ms, ms_count, mint, maxt, a, e, add_found, &f);
    if (f.is_full)
        result = err_set(e, ERR_LIMIT, "the selector matches more than %zu series", max);
    if (f.lacks_room)
        result = err_set(e, ERR_LIMIT, "the query needs more memory than it may use");
    if (result == ERR_OK)
        *out = f.list;
    else
        arena_mem_free(a, f.list.items, f.list.capacity, sizeof *f.list.items);
    return result;
}

static bool add_sets(struct head *h, const struct head_series *s, uint32_t id, void *arg)
{
    (void)h, (void)id;
    roaring_bitmap_add(arg, s->tuple);
    roaring_bitmap_add(arg, s->local);
    return true;
}

// The names, or the pairs of one name, that the sets have.
static roaring_bitmap_t *texts_of(const struct head *h, const roaring_bitmap_t *sets, uint32_t name,
                                  bool names)
{
    roaring_bitmap_t *texts = roaring_bitmap_create();
    roaring_uint32_iterator_t i;
    size_t breaths = 0;
    for (roaring_init_iterator(sets, &i); i.has_value; roaring_advance_uint32_iterator(&i)) {
        breathe(h, &breaths);
        const struct label_set *set = label_store_set_at(&h->labels, i.current_value);
        for (uint32_t k = 0; k < set->n; k++) {
            const uint32_t of = label_pair_at(&h->labels, set->pairs[k])->name;
            if (names)
                roaring_bitmap_add(texts, of);
            else if (of == name)
                roaring_bitmap_add(texts, set->pairs[k]);
        }
    }
    return texts;
}

static err put_texts(const struct head *h, const struct str *name, const roaring_bitmap_t *sets,
                     struct least *out, struct errmsg *e)
{
    size_t breaths = 0;
    const uint32_t name_id = name ? label_store_find_name(&h->labels, *name) : LABEL_NONE;
    roaring_bitmap_t *texts = texts_of(h, sets, name_id, !name);
    err code = ERR_OK;
    roaring_uint32_iterator_t i;
    for (roaring_init_iterator(texts, &i); code == ERR_OK && i.has_value;
         roaring_advance_uint32_iterator(&i)) {
        breathe(h, &breaths);
        const struct str text = name ? label_pair_value(label_pair_at(&h->labels, i.current_value))
                                     : h->labels.names[i.current_value].text;
        code = least_add(out, text, e);
    }
    roaring_bitmap_free(texts);
    return code;
}

// Whether a series with this pair may have samples in the range. sets is empty, before and after.
static bool pair_has_samples(const struct head *h, uint32_t pair, int64_t mint, int64_t maxt,
                             roaring_bitmap_t *sets)
{
    size_t breaths = 0;
    bool found = false;
    roaring_uint32_iterator_t i;
    posting_union(&label_pair_at(&h->labels, pair)->in, sets); // some may come meanwhile
    for (roaring_init_iterator(sets, &i); i.has_value && !found;
         roaring_advance_uint32_iterator(&i)) {
        const bool tuple = (i.current_value & LABEL_SET_TUPLE) != 0;
        uint32_t id = label_store_set_at(&h->labels, i.current_value)->first;
        while (id != LABEL_NONE && !found) {
            const struct head_series *s = head_series_at(h, id);
            breathe(h, &breaths);
            found = has_samples(h, s, mint, maxt);
            id = tuple ? s->next_in_tuple : s->next_in_local;
        }
    }
    roaring_bitmap_clear(sets);
    return found;
}

// Values in their order, as long as they are wanted, or (name) whether there is one at all.
static err add_values(const struct head *h, uint32_t id, bool name, int64_t mint, int64_t maxt,
                      struct least *out, roaring_bitmap_t *sets, struct errmsg *e)
{
    struct pair_walk walk;
    size_t breaths = 0;
    pair_walk_begin(&walk, &h->labels, id, STR(""), name ? STR("") : out->after);
    for (uint32_t pair; (pair = pair_walk_next(&walk)) != LABEL_NONE;) {
        const struct str value = label_pair_value(label_pair_at(&h->labels, pair));
        breathe(h, &breaths);
        if (!name && !least_wants(out, value)) {
            if (out->after.p && str_eq(value, out->after))
                continue;
            return ERR_OK;
        }
        if (!pair_has_samples(h, pair, mint, maxt, sets))
            continue;
        if (name)
            return least_add(out, h->labels.names[id].text, e);
        TRY(least_add(out, value, e));
    }
    return ERR_OK;
}

// What all series have needs no look at each of them.
static err put_all_texts(const struct head *h, const struct str *name, int64_t mint, int64_t maxt,
                         struct least *out, roaring_bitmap_t *sets, struct errmsg *e)
{
    size_t breaths = 0;
    if (name) {
        const uint32_t id = label_store_find_name(&h->labels, *name);
        return id == LABEL_NONE ? ERR_OK : add_values(h, id, false, mint, maxt, out, sets, e);
    }
    for (uint32_t id = 0; id < h->labels.names_n; id++) {
        breathe(h, &breaths);
        TRY(add_values(h, id, true, mint, maxt, out, sets, e));
    }
    return ERR_OK;
}

err head_label_texts(struct head *h, const struct str *name, const struct matcher *ms,
                     size_t ms_count, int64_t mint, int64_t maxt, struct least *out,
                     struct errmsg *e)
{
    roaring_bitmap_t *sets = roaring_bitmap_create();
    h->selects++; // what was found stays until its texts are taken
    err result = ERR_OK;
    if (ms_count)
        result = head_each(h, ms, ms_count, mint, maxt, &out->list, e, add_sets, sets);
    if (result == ERR_OK)
        result = ms_count ? put_texts(h, name, sets, out, e)
                          : put_all_texts(h, name, mint, maxt, out, sets, e);
    h->selects--;
    roaring_bitmap_free(sets);
    return result;
}
