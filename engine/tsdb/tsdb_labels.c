// Names, values and series, from files and memory, without their samples.
//
// Nothing is gathered but what is wanted: what is found goes to a struct least at once, as bytes
// that it copies if it takes them.
#include "engine/base/mem.h"
#include "engine/tsdb/block_file.h"
#include "engine/tsdb/head_query.h"
#include "engine/tsdb/head_steady.h"
#include "engine/tsdb/tsdb_pin.h"
#include "io/fiber.h"

enum { READ_AT_ONCE = 64 };

static struct block_range range_of(const struct part *p)
{
    return (struct block_range){p->partition_begin, p->partition_end};
}

// ---- names and values

static err find_texts(const struct pin *pin, const struct str *name, const struct matcher *ms,
                      size_t ms_count, int64_t mint, int64_t maxt, struct least *out,
                      struct errmsg *e)
{
    const struct block_range range = range_of(pin->part);
    TRY(head_label_texts(&pin->part->head, name, ms, ms_count, mint, maxt, out, e));
    for (size_t k = 0; k < pin->files_n; k++) {
        struct block_file *f = pin->files[k];
        if (name)
            TRY(block_file_label_values(f, *name, ms, ms_count, range, out, e));
        else
            TRY(block_file_label_names(f, ms, ms_count, range, out, e));
    }
    return ERR_OK;
}

static err label_texts(struct tsdb *db, const struct str *name, const struct matcher *ms,
                       size_t ms_count, int64_t mint, int64_t maxt, struct least *out,
                       struct errmsg *e)
{
    struct pin pin;
    pin_init(&pin, tsdb_part(db), mint, maxt);
    const err result = find_texts(&pin, name, ms, ms_count, mint, maxt, out, e);
    pin_deinit(&pin);
    return result;
}

err tsdb_label_names(void *self, const struct matcher *ms, size_t ms_count, int64_t mint,
                     int64_t maxt, struct least *out, struct errmsg *e)
{
    return label_texts(self, NULL, ms, ms_count, mint, maxt, out, e);
}

err tsdb_label_values(void *self, struct str name, const struct matcher *ms, size_t ms_count,
                      int64_t mint, int64_t maxt, struct least *out, struct errmsg *e)
{
    return label_texts(self, &name, ms, ms_count, mint, maxt, out, e);
}

// ---- series

struct listing {
    const struct pin *pin;
    int64_t mint, maxt;
    struct least *out;
    struct arena scratch;
    struct buf text;
    struct block_file *file;
    uint64_t refs[READ_AT_ONCE]; // of series in memory that may have no sample in the range
    size_t refs_n;
    err code;
    struct errmsg *e;
};

// Of n that were read those that have samples.
static err add_present(struct listing *l, const struct column *columns, const struct str *labels,
                       size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (columns[i].n)
            TRY(least_add(l->out, labels[i], l->e));
    arena_reset(&l->scratch);
    fiber_yield_if_due();
    return ERR_OK;
}

// A file that lies within the range has a sample there of each series that it shows. Of others only
// what lies in the range is decoded.
static err list_from_file(void *arg, const struct block_series *series, size_t n, struct errmsg *e)
{
    struct listing *l = arg;
    const struct block_summary *summary = block_file_summary(l->file);
    const bool is_within = summary->min_t > l->mint && summary->max_t <= l->maxt;
    struct column columns[READ_AT_ONCE];
    struct str labels[READ_AT_ONCE];
    uint32_t ids[READ_AT_ONCE];
    size_t asked = 0;
    for (size_t i = 0; i < n; i++) {
        if (is_within)
            TRY(least_add(l->out, series[i].labels, e));
        if (i % 256 == 255)
            fiber_yield_if_due();
        if (is_within || !least_wants(l->out, series[i].labels))
            continue;
        ids[asked] = series[i].id;
        labels[asked++] = series[i].labels;
        if (asked < READ_AT_ONCE)
            continue;
        TRY(block_file_read(l->file, ids, asked, l->mint, pin_files_maxt(l->pin, l->maxt),
                            &l->scratch, columns, e));
        TRY(add_present(l, columns, labels, asked));
        asked = 0;
    }
    if (!asked)
        return ERR_OK;
    TRY(block_file_read(l->file, ids, asked, l->mint, pin_files_maxt(l->pin, l->maxt), &l->scratch,
                        columns, e));
    return add_present(l, columns, labels, asked);
}

static err add_from_memory(struct listing *l, uint64_t ref)
{
    struct head *h = &l->pin->part->head;
    const struct head_series *s = head_resolve(h, ref);
    buf_reset(&l->text); // not the head's: adding may suspend
    if (s)
        head_labels(h, s, &l->text);
    return s ? least_add(l->out, buf_str(&l->text), l->e) : ERR_OK;
}

static err read_refs(struct listing *l)
{
    struct head_reader reader;
    TRY(head_reader_init(&reader, &l->pin->part->head, l->pin->snapshot.seq, l->mint, l->maxt,
                         l->refs_n, &l->scratch, l->e));
    for (size_t i = 0; i < l->refs_n; i++) {
        struct column column = {0};
        TRY(head_reader_read(&reader, l->refs[i], &column, l->e));
        if (column.n)
            TRY(add_from_memory(l, l->refs[i]));
    }
    l->refs_n = 0;
    arena_reset(&l->scratch);
    fiber_yield_if_due();
    return ERR_OK;
}

// A series whose newest sample lies in the range has one there; others are read, some at a time.
static bool list_from_memory(struct head *h, const struct head_series *s, uint32_t id, void *arg)
{
    struct listing *l = arg;
    const uint64_t ref = head_ref(s, id);
    const int64_t last_t = head_last_t(h, s);
    if (s->erased ||
        (last_t > l->mint && last_t <= l->maxt)) { // those have one, or would not be here
        l->code = add_from_memory(l, ref);
    } else {
        l->refs[l->refs_n++] = ref;
        if (l->refs_n == READ_AT_ONCE)
            l->code = read_refs(l);
    }
    return l->code == ERR_OK;
}

static err list_all(struct listing *l, const struct matcher *ms, size_t ms_count)
{
    struct part *p = l->pin->part;
    TRY(head_each(&p->head, ms, ms_count, l->mint, l->maxt, &l->scratch, l->e, list_from_memory,
                  l));
    TRY(l->code);
    if (l->refs_n)
        TRY(read_refs(l));
    for (size_t k = 0; k < l->pin->files_n; k++) {
        l->file = l->pin->files[k];
        TRY(block_file_each(l->file, ms, ms_count, range_of(p), &l->out->list, l, l->e,
                            list_from_file));
    }
    return ERR_OK;
}

err tsdb_series_labels_of(void *self, const struct matcher *ms, size_t ms_count, int64_t mint,
                          int64_t maxt, struct least *out, struct errmsg *e)
{
    struct part *p = tsdb_part(self);
    struct pin pin;
    struct listing l = {.pin = &pin, .mint = mint, .maxt = maxt, .out = out, .e = e};
    pin_init(&pin, p, mint, maxt);
    arena_init_beside(&l.scratch, &out->list);
    p->head.selects++; // what waits to be read stays
    const err result = list_all(&l, ms, ms_count);
    p->head.selects--;
    arena_deinit(&l.scratch);
    buf_deinit(&l.text);
    pin_deinit(&pin);
    return result;
}
