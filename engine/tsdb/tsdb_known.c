// What files know of a series that memory does not.
//
// A series that comes (back) to the head has forgotten its newest sample, and one that lags has
// forgotten older ones that a late sample may repeat. That decides nothing as long as samples are
// newer than anything a file may hold beyond memory. For older ones the files are asked: for a
// newest sample once for each series in doubt, for others each time, since they come rarely. What
// they know is put beside the series' slots as a late sample that is written already; the next
// release of memory takes it away again.
//
// Before a sample older than head.complete_t is judged, its series' last_t is that of its newest
// sample anywhere. In doubt is a series whose last_t memory alone has set, from samples that need
// not be its newest: it is new to memory, or replay brought a log whose samples files have already
// (that of an older run, which could not be removed in time) but not what came after them, or its
// newest sample was taken back.
#include <assert.h>

#include "engine/base/bits.h"
#include "engine/base/mem.h"
#include "engine/model/labels.h"
#include "engine/tsdb/head_cohorts.h"
#include "engine/tsdb/head_steady.h"
#include "engine/tsdb/samples.h"
#include "engine/tsdb/tsdb_part.h"

enum { LABELS_MAX = 64, BREATH = 64, SHORT = 1024 };

struct known {
    struct str labels;
    struct matcher matchers[LABELS_MAX];
    size_t n;
    int64_t mint, maxt;   // asked for is the newest sample within (mint, maxt]
    struct column newest; // that sample; n 0: there is none
};

static int64_t newest_t(const struct known *k)
{
    return k->newest.n ? k->newest.t[0] : INT64_MIN;
}

static void set_labels(struct known *k, struct str labels, int64_t mint, int64_t maxt)
{
    *k = (struct known){.labels = labels, .mint = mint, .maxt = maxt};
    struct label l;
    for (struct labels_iter i = labels_iter(labels); k->n < LABELS_MAX && labels_next(&i, &l);)
        k->matchers[k->n++] =
            (struct matcher){.kind = MATCHER_EQ, .name = l.name, .value = l.value};
}

static err ask_file(struct part *p, struct block_file *f, struct known *k, struct arena *a,
                    struct errmsg *e)
{
    const struct block_range range = {p->partition_begin, p->partition_end};
    struct block_series *series;
    size_t n;
    TRY(block_file_select(f, k->matchers, k->n, range, 0, a, &series, &n, e));
    for (size_t i = 0; i < n; i++) {
        struct column column;
        if (!str_eq(series[i].labels, k->labels))
            continue;
        const int64_t mint = k->newest.n ? newest_t(k) : k->mint;
        TRY(block_file_read(f, &series[i].id, 1, mint, k->maxt, a, &column, e));
        if (column.n) {
            column_skip(&column, column.n - 1);
            k->newest = column;
        }
    }
    return ERR_OK;
}

static err ask_files(struct part *p, struct known *k, struct arena *a, struct errmsg *e)
{
    const size_t n = p->files_n;
    struct part_file *files = mem_alloc_array(n, sizeof *files);
    for (size_t i = 0; i < n; i++) {
        files[i] = p->files[i];
        (void)block_file_ref(files[i].file);
    }
    err result = ERR_OK;
    for (size_t i = 0; i < n; i++) {
        if (result == ERR_OK && files[i].info.max_t_ms > k->mint &&
            files[i].info.min_t_ms <= k->maxt && files[i].info.max_t_ms > newest_t(k))
            result = ask_file(p, files[i].file, k, a, e);
        block_file_unref(files[i].file);
    }
    mem_free(files);
    return result;
}

struct answer { // of the files about one sample
    uint64_t ref;
    struct column sample;
};

struct answers {
    struct answer *list;
    size_t n, capacity;
    struct arena arena; // histograms
};

// Memory knows the sample again, as one that is written.
static void recall(struct head_series *s, const struct column *sample)
{
    const int64_t t_ms = sample->t[0];
    if (sample->starts || late_has_starts(s->late))
        late_set_start(&s->late, t_ms, sample->starts ? sample->starts[0] : 0, false);
    if (sample->histograms && sample->histograms[0].p)
        late_insert_histogram(&s->late, t_ms, sample->histograms[0], 0);
    else
        late_insert(&s->late,
                    (struct late_sample){.t_ms = t_ms, .bits = bits_from_double(sample->v[0])});
}

static err ask_newest(struct part *p, uint64_t ref, struct arena *a, struct errmsg *e)
{
    struct known known;
    struct head *h = &p->head;
    struct head_series *s = head_resolve(h, ref);
    buf_reset(&h->text);
    head_labels(h, s, &h->text);
    set_labels(&known, arena_str(a, buf_str(&h->text)), INT64_MIN, INT64_MAX);
    TRY(ask_files(p, &known, a, e));
    s = head_resolve(h, ref);
    if (!s)
        return ERR_OK;
    head_settle(h, s->cohort);
    s->in_doubt = false;
    if (known.newest.n && newest_t(&known) > s->last_t) {
        s->last_t = newest_t(&known);
        recall(s, &known.newest);
    }
    return ERR_OK;
}

static err ask_at(struct part *p, uint64_t ref, int64_t t_ms, struct answers *out, struct arena *a,
                  struct errmsg *e)
{
    struct known known;
    struct head *h = &p->head;
    buf_reset(&h->text);
    head_labels(h, head_resolve(h, ref), &h->text);
    set_labels(&known, arena_str(a, buf_str(&h->text)), t_ms - 1, t_ms);
    TRY(ask_files(p, &known, a, e));
    if (!known.newest.n)
        return ERR_OK;
    out->list = mem_grow(out->list, &out->capacity, out->n + 1, sizeof *out->list);
    struct samples one;
    const bool there = samples_init(&one, &out->arena, &known.newest, 1, true);
    assert(there); // the arena has no limit
    samples_put(&one, &known.newest, 0, 1);
    if (one.histograms && one.histograms[0].p)
        one.histograms[0] = arena_str(&out->arena, one.histograms[0]);
    out->list[out->n++] = (struct answer){ref, samples_column(&one)};
    return ERR_OK;
}

// Whether the sample would be kept as a late one, for all that memory knows.
static bool may_be_late(const struct head *h, const struct head_series *s,
                        const struct tsdb_commit *c, int64_t t_ms)
{
    struct head_cell there;
    const int64_t last_t = head_last_t(h, s);
    return t_ms < last_t && t_ms > INT64_MIN && t_ms <= c->max_t_ms &&
           head_takes_late(c, last_t, t_ms) && !head_find_sample(h, s, t_ms, &there);
}

static err ask_for_all(struct part *p, const struct tsdb_commit *c, struct answers *out,
                       struct errmsg *e)
{
    struct head *h = &p->head;
    struct arena a;
    err result = ERR_OK;
    arena_init(&a, 0);
    for (size_t i = 0; i < c->n && result == ERR_OK; i++) {
        const int64_t t_ms = c->samples[i].t_ms;
        if (i % SHORT == SHORT - 1)
            fiber_yield_if_due();
        if (t_ms >= h->complete_t)
            continue;
        if (i % BREATH == BREATH - 1)
            fiber_yield_if_due();
        const uint64_t ref = c->samples[i].ref;
        const struct head_series *s = head_resolve(h, ref);
        if (s && s->in_doubt) {
            result = ask_newest(p, ref, &a, e);
            s = head_resolve(h, ref);
        }
        if (result == ERR_OK && s && s->last_t != INT64_MIN && may_be_late(h, s, c, t_ms))
            result = ask_at(p, ref, t_ms, out, &a, e);
        arena_reset(&a);
    }
    arena_deinit(&a);
    return result;
}

// While the files were asked, or answers applied, others may have written and released what nobody
// was asked about: then the answers are worth nothing.
struct state {
    uint64_t epoch, releases;
};

static bool has_changed(const struct head *h, const struct state *since)
{
    return h->epoch != since->epoch || h->releases != since->releases;
}

static void apply(struct head *h, const struct answers *answers, const struct state *since)
{
    for (size_t i = 0; i < answers->n && !has_changed(h, since); i++) {
        const struct answer *answer = &answers->list[i];
        struct head_series *s = head_resolve(h, answer->ref);
        struct head_cell there;
        if (s && !head_find_sample(h, s, answer->sample.t[0], &there))
            recall(s, &answer->sample);
        if (i % BREATH == BREATH - 1)
            fiber_yield_if_due();
    }
}

err part_recall(struct part *p, const struct tsdb_commit *c, struct errmsg *e)
{
    struct head *h = &p->head;
    struct answers answers = {0};
    err result = ERR_OK;
    if (!p->files_n)
        return ERR_OK;
    arena_init(&answers.arena, 0);
    struct state since;
    do {
        since = (struct state){h->epoch, h->releases};
        answers.n = 0;
        arena_reset(&answers.arena);
        result = ask_for_all(p, c, &answers, e);
        if (result == ERR_OK)
            apply(h, &answers, &since);
    } while (result == ERR_OK && has_changed(h, &since));
    arena_deinit(&answers.arena);
    mem_free(answers.list);
    return result;
}
