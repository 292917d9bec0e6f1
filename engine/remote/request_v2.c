// The walk over an io.prometheus.write.v2.Request.
//
// A series is recognised by a fingerprint of its references to symbols (symbols.h). Senders repeat
// their order, so the cache's next entry is looked at first, and nearly all series have the same
// form: one that has and is known is taken in one step. What is wrong with one series or one of its
// parts is noted (faults.h) and the rest is kept; only a message that cannot be read is refused
// whole.
#include <assert.h>

#include "engine/base/utf8.h"
#include "engine/remote/request_notes.h"
#include "protocol/remote_write2.h"
#include "simd/simd.h"

enum { AHEAD = 8 }; // entries of the cache

struct request_v2 {
    uint64_t expected; // number in the cache
    struct shapes_table table;
    uint64_t dropped;   // receiver_stats.metadata_dropped before it
    bool is_indexed;    // its symbols are
    uint32_t series;    // so far
    uint32_t told_name; // a metric, of which what follows was said last
    struct remote_write2_metadata told;
    struct remote_write2 again; // walked once more for labels
    uint32_t again_series;      // the next of it
};

// The series of the next number. Ascending, but for the first after the walk.
static void series_at(struct request *q, uint32_t series, struct remote_write2_series *out)
{
    struct request_v2 *k = q->v2;
    bool more = true;
    if (!k->again.in.at || series < k->again_series) {
        remote_write2_init(&k->again, buf_str(&q->body->bytes));
        k->again_series = 0;
    }
    for (bool found = false; !found; k->again_series++) {
        const err code = remote_write2_next(&k->again, out, &more, NULL);
        assert(code == ERR_OK && more);
        found = k->again_series == series;
    }
}

// The symbols, where none were needed so far; they are those of a table that was indexed before,
// and few (shapes.h). Suspends.
static void index_late(struct request *q)
{
    struct errmsg e;
    if (q->v2->is_indexed)
        return;
    q->v2->is_indexed = true;
    const err code = symbols_index(&q->symbols, NULL, q->body, &q->r->key, &e);
    assert(code == ERR_OK);
}

// References of a region: that they are pairs and within the table. *out_text is empty when all is
// well.
static void check_refs(struct request *q, struct str region, uint32_t count, struct str *out_text)
{
    const size_t n = q->symbols.n;
    struct remote_write2_refs refs = remote_write2_refs(region);
    *out_text = (struct str){0};
    if (count % 2) {
        *out_text = arena_printf(q->a, "invalid labelRefs length %u", count);
        return;
    }
    for (uint32_t name, value; remote_write2_refs_next(&refs, &name);) {
        if (!remote_write2_refs_next(&refs, &value))
            break;
        if (name < n && value < n)
            continue;
        *out_text = arena_printf(q->a,
                                 "labelRefs %u (name) = %u (value) outside of symbols table "
                                 "(size %zu)",
                                 name, value, n);
        return;
    }
}

static void load_refs(struct request *q, struct str region)
{
    const struct str *const symbols = q->symbols.texts;
    struct remote_write2_refs refs = remote_write2_refs(region);
    labels_builder_reset(&q->r->builder);
    for (uint32_t name, value;
         remote_write2_refs_next(&refs, &name) && remote_write2_refs_next(&refs, &value);)
        labels_builder_push(&q->r->builder, symbols[name], symbols[value]);
}

static void load_labels(struct request *q, const struct remote_write2_series *s)
{
    load_refs(q, s->refs);
}

// False: a reference is not in the table, or has no partner.
static bool fingerprint_series(const struct request *q, const struct remote_write2_series *s,
                               struct hash128 *out)
{
    return s->refs_count % 2 == 0 && symbols_print(&q->symbols, s->refs, out);
}

static void labels_of(struct request *q, uint32_t series, struct newcomer *out)
{
    struct remote_write2_series s;
    struct hash128 raw;
    index_late(q);
    series_at(q, series, &s);
    load_labels(q, &s);
    const bool is_good = fingerprint_series(q, &s, &raw);
    assert(is_good);
    *out = (struct newcomer){.raw = raw};
}

static void note(struct request *q, uint32_t series, uint32_t rank, enum fault_kind kind,
                 struct str text)
{
    faults_add(&q->faults, &(struct fault){series, rank, kind, text});
}

// Labels that cannot be read or are not valid: the whole series is passed over.
static bool pass_over(struct request *q, const struct remote_write2_series *s, uint32_t number,
                      enum fault_kind kind, struct str text)
{
    note(q, number, FAULT_RANK_SERIES, kind, text);
    const uint64_t n = (uint64_t)s->samples_count + s->histograms_count;
    q->refused[kind == FAULT_LONG_LABELS ? RECEIVER_LONG_LABELS : RECEIVER_LABELS] += n;
    q->invalid_labels += n; // 0 of an empty series
    return false;
}

// A series whose labels request_resolve() did not take.
static bool pass_invalid(struct request *q, const struct remote_write2_series *s, uint32_t number)
{
    struct labels_builder *b = &q->r->builder;
    struct str text = {0};
    enum fault_kind kind = FAULT_NAME;
    if (q->long_labels) {
        kind = FAULT_LONG_LABELS;
        text = request_long_labels(q);
        q->long_labels = 0;
    } else if (labels_are_valid(b, false)) {
        kind = FAULT_DUPLICATE_LABEL;
    }
    return pass_over(q, s, number, kind, text);
}

// Its place by the cache; false: it is not there.
static bool look_up(struct request *q, struct hash128 raw, struct series_place *out)
{
    struct request_v2 *k = q->v2;
    struct series_cache *cache = &q->r->cache;
    const struct series_cache_entry *entry =
        k->expected == SERIES_CACHE_NONE ? NULL : series_cache_at(cache, k->expected);
    if (entry && hash128_eq(entry->key, raw)) {
        __builtin_prefetch(entry + AHEAD); // they lie one behind the other
        *out = entry->place;
        series_cache_use(cache, k->expected++);
    } else {
        const uint64_t found = series_cache_find(cache, raw, out);
        if (found == SERIES_CACHE_NONE)
            return false;
        k->expected = found + 1;
    }
    q->r->stats.cache_hits++;
    return true;
}

static bool find(struct request *q, const struct remote_write2_series *s, uint32_t number,
                 struct hash128 raw, struct series_place *out)
{
    if (look_up(q, raw, out))
        return true;
    struct newcomer newcomer = {.raw = raw};
    load_labels(q, s);
    if (!request_resolve(q, &newcomer))
        return pass_invalid(q, s, number);
    q->r->stats.cache_misses++;
    request_add_newcomer(q, &newcomer, s->samples_count);
    *out = (struct series_place){.owner = newcomer.owner};
    return true;
}

static void put_exemplars(struct request *q, const struct remote_write2_series *s, uint32_t number)
{
    struct remote_write_exemplar sent;
    struct labels_builder *b = &q->r->builder;
    if (!s->exemplars_count)
        return;
    load_refs(q, s->refs);
    const struct str labels = labels_builder_finish(b, q->a);
    for (struct pb i = pb_of(s->exemplars); remote_write2_exemplars_next(&i, &sent);) {
        struct str text;
        check_refs(q, sent.labels, sent.labels_count, &text);
        if (text.n) {
            note(q, number, FAULT_RANK_EXEMPLAR, FAULT_EXEMPLAR, text);
            continue;
        }
        load_refs(q, sent.labels);
        const struct str own = labels_builder_finish(b, q->a);
        request_put_exemplar(q, number,
                             &(struct tsdb_exemplar){labels, own, sent.time_ms, sent.bits, false});
    }
}

static void put_samples(struct request *q, const struct remote_write2_series *s, uint32_t number,
                        const struct series_place *place)
{
    if (!s->samples_count)
        return;
    struct tsdb_sample *to = request_put(q, place->owner, number, s->samples_count);
    struct remote_write2_sample sample;
    struct pb i = pb_of(s->samples);
    for (uint32_t n = s->samples_count; n && remote_write2_samples_next(&i, &sample); n--, to++)
        *to = (struct tsdb_sample){place->ref, sample.time_ms, sample.bits};
    q->written.samples += s->samples_count;
    if (!s->has_starts && !s->start_ms)
        return;
    struct part *p = &q->parts[place->owner];
    request_use_starts(p);
    int64_t *start = p->starts + p->n - s->samples_count;
    i = pb_of(s->samples);
    while (remote_write2_samples_next(&i, &sample))
        *start++ = sample.start_ms ? sample.start_ms : s->start_ms;
}

static void put_histograms(struct request *q, const struct remote_write2_series *s, uint32_t number,
                           const struct series_place *place)
{
    struct remote_write_histogram h;
    for (struct pb i = pb_of(s->histograms); remote_write2_histograms_next(&i, &h);) {
        h.start_ms = h.start_ms ? h.start_ms : s->start_ms;
        q->written.histograms += request_put_histogram(q, place, number, &h);
    }
}

// The family of a series: of a histogram or summary without what its parts add.
static struct str family_of(struct str name, uint32_t type)
{
    static const struct str parts[] = {{"_bucket", 7}, {"_count", 6}, {"_sum", 4}};
    if (type != REMOTE_WRITE_TYPE_HISTOGRAM && type != REMOTE_WRITE_TYPE_GAUGEHISTOGRAM &&
        type != REMOTE_WRITE_TYPE_SUMMARY)
        return name;
    for (size_t i = 0; i < countof(parts); i++)
        if (str_has_suffix(name, parts[i]))
            return str_until(name, name.n - parts[i].n);
    return name;
}

// Of a metric, whose name is a symbol.
static void put_metadata_of(struct request *q, uint32_t name,
                            const struct remote_write2_metadata *m)
{
    const struct symbols *const s = &q->symbols;
    struct request_v2 *k = q->v2;
    if (name == k->told_name && m->type == k->told.type && m->help == k->told.help &&
        m->unit == k->told.unit)
        return; // as a rule a family's series come together
    k->told_name = name;
    k->told = *m;
    const uint32_t type = m->type <= REMOTE_WRITE_TYPE_STATESET ? m->type : 0;
    const uint64_t hash = s->prints[name].lo + (m->help ? s->prints[m->help].hi * 3 : 0) +
                          (m->unit ? s->prints[m->unit].hi * 5 : 0) + type;
    if (request_was_told(q, hash))
        return;
    request_put_metadata(q, hash,
                         &(struct tsdb_metadata){
                             family_of(s->texts[name], type), m->help ? s->texts[m->help] : STR(""),
                             m->unit ? s->texts[m->unit] : STR(""), (uint8_t)type});
}

static bool has_metadata(const struct remote_write2_metadata *m)
{
    return m->type || m->help || m->unit;
}

static void put_metadata(struct request *q, const struct remote_write2_series *s)
{
    struct remote_write2_refs refs = remote_write2_refs(s->refs);
    for (uint32_t name, value;
         remote_write2_refs_next(&refs, &name) && remote_write2_refs_next(&refs, &value);)
        if (str_eq(q->symbols.texts[name], LABEL_NAME)) {
            put_metadata_of(q, value, &s->metadata);
            return;
        }
}

static bool metadata_is_good(const struct request *q, const struct remote_write2_metadata *m)
{
    return (!m->help || m->help < q->symbols.n) && (!m->unit || m->unit < q->symbols.n);
}

static void take_series(struct request *q, const struct remote_write2_series *s, uint32_t number)
{
    struct hash128 raw;
    struct series_place place;
    struct str text;
    q->r->stats.samples += s->samples_count;
    q->r->stats.histograms += s->histograms_count;
    if (!fingerprint_series(q, s, &raw)) {
        check_refs(q, s->refs, s->refs_count, &text);
        pass_over(q, s, number, FAULT_REFS, text);
        return;
    }
    const struct remote_write2_metadata *const m = &s->metadata;
    if (!metadata_is_good(q, m)) {
        text = arena_printf(q->a,
                            "metadata refs %u (help), %u (unit) outside of symbols table "
                            "(size %zu)",
                            m->help, m->unit, q->symbols.n);
        pass_over(q, s, number, FAULT_METADATA, text);
        return;
    }
    if (has_metadata(m))
        put_metadata(q, s);
    if (!s->samples_count && !s->histograms_count) {
        load_labels(q, s);
        struct newcomer ignored;
        if (!request_resolve(q, &ignored))
            pass_invalid(q, s, number);
        else if (!s->exemplars_count)
            pass_over(q, s, number, FAULT_EMPTY, (struct str){0});
        else
            put_exemplars(q, s, number);
    } else if (find(q, s, number, raw, &place)) {
        put_samples(q, s, number, &place);
        put_histograms(q, s, number, &place);
        request_end_newcomer(q, &place);
        put_exemplars(q, s, number);
    }
}

// Samples of a series that is known.
static inline void put_usual(struct request *q, const struct remote_write2_usual *s,
                             const struct series_place *place)
{
    const uint32_t number = q->v2->series++;
    q->samples += s->samples_count;
    q->written.samples += s->samples_count;
    q->r->stats.samples += s->samples_count;
    if (s->samples_count == 1) {
        *request_put_one(q, place->owner, number) =
            (struct tsdb_sample){place->ref, s->first.time_ms, s->first.bits};
        return;
    }
    struct tsdb_sample *to = request_put(q, place->owner, number, s->samples_count);
    struct pb i = pb_of(s->samples);
    for (struct remote_write2_sample x; remote_write2_samples_next(&i, &x); to++)
        *to = (struct tsdb_sample){place->ref, x.time_ms, x.bits};
}

// A series that came before in the same bytes, of a request whose table did. False: nothing was
// done.
static inline bool take_same(struct request *q, const struct remote_write2_usual *s)
{
    struct series_place place;
    if (q->samples + s->samples_count > REQUEST_SAMPLES_MAX ||
        !shapes_find(&q->r->shapes, &q->v2->table, s, &q->r->key, &place))
        return false;
    q->r->stats.cache_hits++;
    put_usual(q, s, &place);
    return true;
}

// What was told of it is kept, or will be: else it is to be told again.
static bool is_to_be_learned(const struct request *q)
{
    return q->v2->table.learns && q->symbols.n == q->v2->table.symbols &&
           q->r->stats.metadata_dropped == q->v2->dropped;
}

// A series that is known, in the form of nearly all. False: it is not, and nothing was done.
static bool take_usual(struct request *q, const struct remote_write2_usual *s)
{
    struct symbols *const symbols = &q->symbols;
    struct hash128 raw;
    struct series_place place;
    struct remote_write2_metadata metadata;
    if (!remote_write2_usual_metadata(s, &metadata))
        return false;
    const bool tells = has_metadata(&metadata);
    if (q->samples + s->samples_count > REQUEST_SAMPLES_MAX ||
        !symbols_usual_print(symbols, s->refs, s->refs_n, &raw))
        return false;
    // The name comes first, or it is looked for.
    struct pb refs = {s->refs, s->refs + s->refs_n};
    uint64_t label = 0, name = 0;
    if (tells && (!metadata_is_good(q, &metadata) || pb_varint(&refs, &label, NULL) != ERR_OK ||
                  pb_varint(&refs, &name, NULL) != ERR_OK || label != symbols->name))
        return false;
    if (!look_up(q, raw, &place))
        return false;
    if (tells)
        put_metadata_of(q, (uint32_t)name, &metadata);
    if (is_to_be_learned(q))
        shapes_learn(&q->r->shapes, &q->v2->table, s, &q->r->key, &place);
    put_usual(q, s, &place);
    return true;
}

static err index_symbols(struct request *q, struct errmsg *e) // Suspends.
{
    if (q->v2->is_indexed)
        return ERR_OK;
    q->v2->is_indexed = true;
    return symbols_index(&q->symbols, &q->r->intake, q->body, &q->r->key, e);
}

static err walk(struct request *q, struct errmsg *e) // Suspends.
{
    struct remote_write2 w;
    struct remote_write2_series s;
    struct remote_write2_usual usual;
    remote_write2_init(&w, buf_str(&q->body->bytes));
    if (q->v2->table.is_known) // its symbols are well formed, and nobody may ask for them
        w.in.at += q->v2->table.bytes;
    unsigned work = 0; // since the clock was looked at
    for (bool more = true; more && w.in.at < w.in.end;) {
        if (work >= 128) {
            fiber_yield_if_due();
            work = 0;
        }
        const bool is_usual = remote_write2_peek(&w, &usual);
        if (is_usual && q->v2->table.is_known && take_same(q, &usual)) {
            w.in.at = usual.end;
            work++;
            continue;
        }
        work += 4;
        TRY(index_symbols(q, e));
        if (is_usual && take_usual(q, &usual)) {
            w.in.at = usual.end;
            continue;
        }
        TRY(remote_write2_next(&w, &s, &more, e));
        if (!more)
            break;
        TRY(request_check_samples(q, (uint64_t)s.samples_count + s.histograms_count, e));
        take_series(q, &s, q->v2->series++);
    }
    return ERR_OK;
}

err request_walk_v2(struct request *q, struct errmsg *e)
{
    const struct intake_body *body = q->body;
    while (body->bytes.n < body->size) {
        TRY(intake_unpack(&q->r->intake, q->body, body->bytes.n + REQUEST_UNPACK_STEP, e));
        fiber_yield_if_due();
    }
    TRY(intake_unpack(&q->r->intake, q->body, body->size, e));
    q->v2 = arena_zalloc(q->a, sizeof *q->v2, _Alignof(struct request_v2));
    q->v2->expected = SERIES_CACHE_NONE;
    q->labels = labels_of;
    q->is_partial = true;
    faults_begin(&q->faults);
    symbols_reset(&q->symbols);
    q->v2->dropped = q->r->stats.metadata_dropped;
    shapes_begin(&q->r->shapes, buf_str(&body->bytes), &q->r->key, &q->v2->table);
    TRY(walk(q, e));
    q->r->stats.series += q->v2->series;
    return ERR_OK;
}

static void format_refs(struct str region, struct buf *out)
{
    const char *separator = "[";
    struct remote_write2_refs refs = remote_write2_refs(region);
    for (uint32_t ref; remote_write2_refs_next(&refs, &ref); separator = " ")
        buf_printf(out, "%s%u", separator, ref);
    buf_put_str(out, separator[0] == '[' ? STR("[]") : STR("]"));
}

static struct str duplicate_label(struct labels_builder *b)
{
    for (size_t i = 1; i < b->n; i++)
        if (str_eq(b->items[i - 1].name, b->items[i].name))
            return b->items[i].name;
    return (struct str){0};
}

static void format_fault(struct request *q, const struct fault *f, struct buf *out)
{
    struct labels_builder *b = &q->r->builder;
    struct remote_write2_series s;
    series_at(q, f->series, &s);
    if (f->kind == FAULT_REFS || f->kind == FAULT_METADATA) {
        buf_put_str(out, f->kind == FAULT_REFS ? STR("parsing labels for series ")
                                               : STR("parsing metadata for series "));
        format_refs(s.refs, out);
        buf_put_str(out, STR(": "));
        buf_put_str(out, f->text);
        return;
    }
    load_labels(q, &s);
    if (f->kind == FAULT_LONG_LABELS) { // which are not repeated
        buf_put_str(out, f->text);
        return;
    }
    switch (f->kind) {
    case FAULT_NAME:
        buf_put_str(out, STR("invalid metric name or labels, got "));
        break;
    case FAULT_DUPLICATE_LABEL:
        buf_put_str(out, STR("invalid labels for series, labels "));
        break;
    case FAULT_EMPTY:
        buf_put_str(out, STR("TimeSeries must contain at least one sample or histogram for "
                             "series "));
        break;
    case FAULT_EXEMPLAR:
        buf_put_str(out, STR("parsing exemplar for series "));
        break;
    case FAULT_REFS:
    case FAULT_METADATA:
    case FAULT_LONG_LABELS:
    case FAULT_ITEM:
        buf_put_str(out, f->text);
        buf_put_str(out, STR(" for series "));
        break;
    }
    labels_builder_format(b, out);
    if (f->kind == FAULT_EXEMPLAR) {
        buf_put_str(out, STR(": "));
        buf_put_str(out, f->text);
    } else if (f->kind == FAULT_DUPLICATE_LABEL) {
        buf_put_str(out, STR(", duplicated label "));
        buf_put_str(out, duplicate_label(b));
    }
}

void request_format_faults(struct request *q, struct buf *out)
{
    size_t i = 0;
    if (q->faults.n)
        index_late(q);
    faults_sort(&q->faults);
    for (; i < q->faults.n && out->n < FAULTS_TEXT_MAX; i++) {
        if (i)
            buf_put_char(out, '\n');
        format_fault(q, &q->faults.list[i], out);
    }
    if (q->faults.total > i)
        buf_printf(out, "\n... and %llu more", (unsigned long long)(q->faults.total - i));
    buf_put_char(out, '\n');
}
