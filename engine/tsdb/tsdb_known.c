// What files know of a series that memory does not.
//
// A series that comes (back) to the head has forgotten its newest sample. That decides nothing as
// long as new samples are newer than anything a file may hold beyond memory. For older ones the
// files are asked, once for each series.
#include "engine/base/mem.h"
#include "engine/model/labels.h"
#include "engine/tsdb/head_cohorts.h"
#include "engine/tsdb/tsdb_part.h"

enum { LABELS_MAX = 64 };

struct known {
    struct str labels;
    struct matcher matchers[LABELS_MAX];
    size_t n;
    int64_t newest_t; // INT64_MIN: no sample
    uint64_t bits;
};

static void set_labels(struct known *k, struct str labels)
{
    *k = (struct known){.labels = labels, .newest_t = INT64_MIN};
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
        TRY(block_file_read(f, &series[i].id, 1, k->newest_t, INT64_MAX, a, &column, e));
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
        if (result == ERR_OK && files[i].info.max_t_ms > k->newest_t)
            result = ask_file(p, files[i].file, k, a, e);
        block_file_unref(files[i].file);
    }
    mem_free(files);
    return result;
}

err part_recall(struct part *p, const struct tsdb_sample *samples, size_t n, struct errmsg *e)
{
    struct head *h = &p->head;
    struct arena a;
    err result = ERR_OK;
    arena_init(&a, 0);
    for (size_t i = 0; i < n && result == ERR_OK && p->files_n; i++) {
        struct head_series *s = head_resolve(h, samples[i].ref);
        if (!s || s->last_t != INT64_MIN || s->recalled || samples[i].t_ms >= h->complete_t)
            continue;
        struct known known;
        buf_reset(&h->text);
        head_labels(h, s, &h->text);
        set_labels(&known, arena_str(&a, buf_str(&h->text)));
        result = ask_files(p, &known, &a, e);
        s = head_resolve(h, samples[i].ref);
        if (result == ERR_OK && s && s->last_t == INT64_MIN) {
            s->recalled = true;
            if (known.newest_t != INT64_MIN) { // kept as a sample that is written already
                s->last_t = known.newest_t;
                late_insert(&s->late, (struct late_sample){known.newest_t, known.bits, 0});
            }
        }
        arena_reset(&a);
    }
    arena_deinit(&a);
    return result;
}
