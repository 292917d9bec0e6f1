// What files know of a series that memory does not.
//
// A series that comes (back) to the head has forgotten its newest sample, and one that lags has
// forgotten older ones that a late sample may repeat. That decides nothing as long as samples are
// newer than anything a file may hold beyond memory. For older ones the files are asked: for a
// newest sample once for each series, for others each time, since they come rarely. What they know
// is put beside the series' slots as a late sample that is written already; the next release of
// memory takes it away again.
#include "engine/base/mem.h"
#include "engine/model/labels.h"
#include "engine/tsdb/head_cohorts.h"
#include "engine/tsdb/tsdb_part.h"

enum { LABELS_MAX = 64, BREATH = 64 };

struct known {
    struct str labels;
    struct matcher matchers[LABELS_MAX];
    size_t n;
    int64_t mint, maxt; // asked for is the newest sample within (mint, maxt]
    int64_t newest_t;   // INT64_MIN: no sample
    uint64_t bits;
};

static void set_labels(struct known *k, struct str labels, int64_t mint, int64_t maxt)
{
    *k = (struct known){.labels = labels, .mint = mint, .maxt = maxt, .newest_t = INT64_MIN};
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
        const int64_t mint = k->newest_t > k->mint ? k->newest_t : k->mint;
        TRY(block_file_read(f, &series[i].id, 1, mint, k->maxt, a, &column, e));
        if (column.n) {
            k->newest_t = column.t[column.n - 1];
            memcpy(&k->bits, &column.v[column.n - 1], sizeof k->bits);
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
            files[i].info.min_t_ms <= k->maxt && files[i].info.max_t_ms > k->newest_t)
            result = ask_file(p, files[i].file, k, a, e);
        block_file_unref(files[i].file);
    }
    mem_free(files);
    return result;
}

struct answer { // of the files about one sample
    uint64_t ref;
    int64_t t_ms;
    uint64_t bits;
};

struct answers {
    struct answer *list;
    size_t n, capacity;
};

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
    if (!s || s->last_t != INT64_MIN)
        return ERR_OK;
    s->recalled = true;
    if (known.newest_t != INT64_MIN) {
        s->last_t = known.newest_t;
        late_insert(&s->late, (struct late_sample){known.newest_t, known.bits, 0});
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
    if (known.newest_t == INT64_MIN)
        return ERR_OK;
    out->list = mem_grow(out->list, &out->capacity, out->n + 1, sizeof *out->list);
    out->list[out->n++] = (struct answer){ref, t_ms, known.bits};
    return ERR_OK;
}

// Whether the sample would be kept as a late one, for all that memory knows.
static bool may_be_late(const struct head *h, const struct head_series *s,
                        const struct tsdb_commit *c, int64_t t_ms)
{
    int64_t oldest;
    uint64_t bits;
    return c->late_ms > 0 && t_ms < s->last_t && t_ms > INT64_MIN && t_ms <= c->max_t_ms &&
           (__builtin_sub_overflow(s->last_t, c->late_ms, &oldest) || t_ms >= oldest) &&
           !head_find_sample(h, s, t_ms, &bits);
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
        if (t_ms >= h->complete_t)
            continue;
        if (i % BREATH == BREATH - 1)
            fiber_yield_if_due();
        const uint64_t ref = c->samples[i].ref;
        const struct head_series *s = head_resolve(h, ref);
        if (s && s->last_t == INT64_MIN && !s->recalled) {
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

// While the files were asked others may have written and released what nobody was asked about:
// then the answers are worth nothing.
err part_recall(struct part *p, const struct tsdb_commit *c, struct errmsg *e)
{
    struct head *h = &p->head;
    struct answers answers = {0};
    err result = ERR_OK;
    if (!p->files_n)
        return ERR_OK;
    uint64_t epoch, releases;
    do {
        epoch = h->epoch;
        releases = h->releases;
        answers.n = 0;
        result = ask_for_all(p, c, &answers, e);
    } while (result == ERR_OK && (h->epoch != epoch || h->releases != releases));
    for (size_t i = 0; i < answers.n && result == ERR_OK; i++) {
        const struct answer *answer = &answers.list[i];
        struct head_series *s = head_resolve(h, answer->ref);
        uint64_t bits;
        if (s && !head_find_sample(h, s, answer->t_ms, &bits))
            late_insert(&s->late, (struct late_sample){answer->t_ms, answer->bits, 0});
    }
    mem_free(answers.list);
    return result;
}
