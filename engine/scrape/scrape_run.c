// One scrape: fetch, parse, commit, report.
//
// Everything of a scrape, stale markers and the series about the scrape included, is one commit on
// the target's shard; series that relabelling moved elsewhere are committed by their owners.
#include <assert.h>
#include <stdio.h>

#include "engine/base/mem.h"
#include "engine/base/quote.h"
#include "engine/base/utf8.h"
#include "engine/base/util.h"
#include "engine/http/media_type.h"
#include "engine/model/labels.h"
#include "engine/model/relabel.h"
#include "engine/model/value.h"
#include "engine/scrape/target.h"
#include "engine/shard/shard.h"
#include "io/clock.h"
#include "protocol/exposition.h"

enum { FUTURE_MS = 10 * 60 * 1000, WINDOW_MS = 60 * 60 * 1000, NS_PER_MS = 1000000, SHOWN = 50 };

static const char *const report_names[REPORT_SERIES] = {
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
    "scrape_timeout_seconds",
    "scrape_sample_limit",
    "scrape_body_size_bytes",
};
enum { REPORTS_ALWAYS = 5 };

// What one scrape gathers before it is committed.
struct pass {
    struct target *t;
    struct prom_config *config; // a reference: the target may be configured anew meanwhile
    const struct scrape_config *job;
    struct arena arena;
    struct tsdb_sample *samples; // of series of this shard
    struct scrape_line **lines;  // beside them
    size_t n, capacity, lines_capacity;
    struct foreign { // of series of other shards
        struct scrape_line *line;
        struct str labels; // empty: line->ref is enough
        struct tsdb_sample sample;
        uint8_t outcome;
    } * foreign;
    size_t foreign_n, foreign_capacity;
    int64_t ms;
    uint64_t scraped, kept, added; // lines, samples behind relabelling, new series
    uint64_t limited;              // samples that count for sample_limit: no repeated ones
    int64_t body_bytes;            // uncompressed; -1: more than its limit, 0: nothing came
    bool over_sample_limit;
    struct str twice; // a name that the last labels looked at had twice; empty: none
};

static void pass_init(struct pass *p, struct target *t, int64_t ms)
{
    *p = (struct pass){.t = t, .config = prom_config_ref(t->config), .job = t->job, .ms = ms};
    arena_init(&p->arena, 0);
}

static void pass_deinit(struct pass *p)
{
    mem_free(p->samples);
    mem_free(p->lines);
    mem_free(p->foreign);
    arena_deinit(&p->arena);
    prom_config_unref(p->config);
}

// ---- labels

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

// The series' final labels in b; false: relabelling dropped it.
static bool final_labels(struct pass *p, const struct exposition *x, struct labels_builder *b)
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
    p->twice = drop_duplicates(b);
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

static err check_labels(const struct pass *p, struct str labels, struct errmsg *e)
{
    const bool legacy = p->job->validation == NAME_VALIDATION_LEGACY;
    const struct str name = labels_value(labels, LABEL_NAME);
    if (!name.n)
        return err_set(e, ERR_INVALID, "missing metric name (__name__ label)");
    bool valid = legacy ? metric_name_is_legacy(name) : name_is_utf8(name);
    struct label label;
    for (struct labels_iter i = labels_iter(labels); valid && labels_next(&i, &label);)
        valid = legacy ? label_name_is_legacy(label.name) : name_is_utf8(label.name);
    if (!valid) {
        struct buf text = {0};
        labels_format(labels, &text);
        const err code = err_set(e, ERR_INVALID, "invalid metric name or label names: %.*s",
                                 STR_ARG(buf_str(&text)));
        buf_deinit(&text);
        return code;
    }
    return check_limits(p, labels, e);
}

static struct hash128 hash_of(const struct target *t, struct str labels)
{
    return labels_hash(labels, tsdb_hash_seed(t->scrape->options.db));
}

// Where labels live; a series of this shard is looked up at once.
static void place(struct target *t, struct scrape_line *line, struct str labels)
{
    struct tsdb *db = t->scrape->options.db;
    line->owner = (uint16_t)tsdb_owner(db, tsdb_partition(db, labels));
    if (line->owner == shard_index(shard_self()))
        line->ref = tsdb_series(db, labels, hash_of(t, labels), t->hash);
}

// The final labels of a line seen before: of one whose series has left the head.
static struct str labels_again(struct pass *p, const struct scrape_line *line)
{
    struct labels_builder b = {0};
    struct str labels = {0};
    if (line->is_report) {
        labels_builder_load(&b, p->t->labels);
        labels_builder_set(&b, LABEL_NAME, scrape_line_series(line));
        labels = labels_builder_finish(&b, &p->arena);
    } else {
        // A body of this one line, with a value behind what is kept of it.
        char *copy = arena_alloc(&p->arena, line->prefix_n + 2, 1);
        memcpy(copy, line->prefix, line->prefix_n);
        memcpy(copy + line->prefix_n, "0\n", 2);
        const struct str body = str_make(copy, line->prefix_n + 2);
        struct exposition x;
        enum exposition_event event;
        exposition_init(&x, (enum exposition_format)line->format, body);
        const err code = exposition_next(&x, &event, NULL);
        assert(code == ERR_OK && event == EXPOSITION_SERIES);
        x.type = (enum exposition_type)line->type;
        if (final_labels(p, &x, &b))
            labels = labels_builder_finish(&b, &p->arena);
    }
    labels_builder_deinit(&b);
    return labels;
}

// ---- samples

static void push(struct pass *p, struct scrape_line *line, int64_t ms, uint64_t bits)
{
    const struct tsdb_sample sample = {line->ref, ms, bits};
    if (line->owner != shard_index(shard_self())) {
        p->foreign =
            mem_grow(p->foreign, &p->foreign_capacity, p->foreign_n + 1, sizeof *p->foreign);
        p->foreign[p->foreign_n++] = (struct foreign){.line = line, .sample = sample};
        return;
    }
    p->samples = mem_grow(p->samples, &p->capacity, p->n + 1, sizeof *p->samples);
    p->lines = mem_grow(p->lines, &p->lines_capacity, p->n + 1, sizeof *p->lines);
    p->samples[p->n] = sample;
    p->lines[p->n++] = line;
}

static bool is_over_limit(struct pass *p)
{
    p->over_sample_limit |= p->job->limits.samples && p->limited > p->job->limits.samples;
    return p->over_sample_limit;
}

// A line of the body, whose series is line.
static void take_sample(struct pass *p, struct scrape_line *line,
                        const struct exposition_sample *sample)
{
    struct scrape_stats *stats = &p->t->scrape->stats;
    const bool own_time = sample->has_time && p->job->honor_timestamps;
    const int64_t ms = own_time ? sample->time_ms : p->ms;
    const bool was_there = scrape_cache_was_there(&p->t->cache, line);
    const bool is_first = scrape_cache_see(&p->t->cache, line);
    if (line->is_dropped)
        return;
    p->kept++; // also what is there twice: what the target exposes, less what relabelling drops
    if (!is_first && !own_time) {
        stats->duplicate_timestamp++;
        return;
    }
    p->limited++;
    if (is_over_limit(p))
        return;
    p->added += is_first && !was_there && ms <= p->ms + FUTURE_MS;
    line->will_track = !own_time || p->job->track_timestamps_staleness;
    push(p, line, ms, sample->bits);
}

// A series that the cache does not know. Beyond the sample limit it is only counted: it takes no
// place here nor in the database, and *out is NULL.
static err add_line(struct pass *p, const struct exposition *x, struct str body,
                    struct scrape_line **out, struct errmsg *e)
{
    struct target *t = p->t;
    struct labels_builder *b = t->scrape->builder;
    struct str labels = {0};
    const bool is_dropped = !final_labels(p, x, b);
    if (!is_dropped) {
        labels = labels_builder_finish(b, &p->arena);
        err code = check_labels(p, labels, e);
        if (!code && p->twice.n && labels_value(labels, p->twice).n) // relabelling left it there
            code = err_set(e, ERR_INVALID, "label name \"%.*s\" is not unique: invalid sample",
                           STR_ARG(p->twice));
        if (code) {
            t->scrape->stats.exceeded_label_limits += code == ERR_LIMIT;
            return code;
        }
        if (p->job->limits.samples && p->limited >= p->job->limits.samples) {
            p->kept++;
            p->limited++;
            *out = NULL;
            p->over_sample_limit = true;
            return ERR_OK;
        }
    }
    struct scrape_line *line =
        scrape_cache_add(&t->cache, str_make(body.p + x->line, x->value - x->line), x->series);
    line->is_dropped = is_dropped;
    line->type = (uint8_t)x->type;
    line->format = (uint8_t)x->format;
    if (!is_dropped)
        place(t, line, labels);
    *out = line;
    return ERR_OK;
}

static err take_line(struct pass *p, const struct exposition *x, struct str body, struct errmsg *e)
{
    struct scrape_line *line = scrape_cache_find(&p->t->cache, x->series);
    p->scraped++; // also one that fails the scrape
    if (!line)
        TRY(add_line(p, x, body, &line, e));
    p->t->scrape->stats.exemplars_dropped += x->has_exemplar;
    if (line)
        take_sample(p, line, &x->sample);
    return ERR_OK;
}

static err parse(struct pass *p, enum exposition_format format, struct str body, struct errmsg *e)
{
    struct target *t = p->t;
    struct exposition x;
    exposition_init(&x, format, body);
    for (size_t count = 0;; count++) {
        struct exposition_sample sample;
        struct scrape_line *line = scrape_cache_expected(&t->cache);
        if (line && exposition_take(&x, str_make(line->prefix, line->prefix_n), &sample)) {
            t->scrape->stats.lines_expected++;
            p->scraped++;
            take_sample(p, line, &sample);
        } else {
            enum exposition_event event;
            TRY(exposition_next(&x, &event, e));
            if (event == EXPOSITION_END)
                break;
            if (event == EXPOSITION_SERIES)
                TRY(take_line(p, &x, body, e));
            else if (event != EXPOSITION_COMMENT)
                target_note_metadata(t, &x, (int)event);
        }
        if (count % 256 == 255)
            fiber_yield_if_due();
    }
    if (p->over_sample_limit) {
        t->scrape->stats.exceeded_sample_limit++;
        return err_set(e, ERR_LIMIT, "sample limit exceeded");
    }
    return ERR_OK;
}

// ---- commit

struct foreign_part { // what one other shard gets
    struct tsdb *db;
    struct foreign **items;
    size_t n;
    uint64_t source;
    uint64_t seed;
    int64_t max_t_ms;
    uint64_t counts[TSDB_OUTCOME_COUNT];
    err code;
    struct errmsg e;
};

static void keep_foreign(void *arg) // on the owner; Suspends.
{
    struct foreign_part *p = arg;
    struct tsdb_sample *samples = mem_alloc_array(p->n, sizeof *samples);
    uint8_t *outcomes = mem_alloc(p->n);
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++) {
        struct foreign *f = p->items[i];
        if (!f->sample.ref && f->labels.n)
            f->sample.ref =
                tsdb_series(p->db, f->labels, labels_hash(f->labels, p->seed), p->source);
        if (f->sample.ref)
            samples[n++] = f->sample;
    }
    struct tsdb_commit c = {.samples = samples,
                            .n = n,
                            .outcomes = outcomes,
                            .max_t_ms = p->max_t_ms,
                            .window_ms = WINDOW_MS};
    p->code = tsdb_commit(p->db, &c, &p->e);
    memcpy(p->counts, c.counts, sizeof p->counts);
    n = 0;
    for (size_t i = 0; i < p->n; i++)
        if (p->items[i]->sample.ref)
            p->items[i]->outcome = p->code ? TSDB_OUT_OF_ORDER : outcomes[n++];
    mem_free(samples);
    mem_free(outcomes);
}

static void count_outcomes(struct scrape *s, const uint64_t counts[TSDB_OUTCOME_COUNT])
{
    s->stats.duplicate_timestamp += counts[TSDB_DUPLICATE];
    s->stats.out_of_order += counts[TSDB_OUT_OF_ORDER] + counts[TSDB_TOO_OLD];
    s->stats.out_of_bounds += counts[TSDB_OUT_OF_BOUNDS];
}

// Sends what other shards own. Those whose reference is gone are tried once more by their labels.
static void commit_foreign(struct pass *p, bool again) // Suspends.
{
    const unsigned shards = shards_count(shard_all());
    struct foreign_part *parts = mem_alloc_array(shards, sizeof *parts);
    struct foreign **slots = mem_alloc_array(p->foreign_n, sizeof *slots);
    uint64_t where[(SHARD_MAX + 63) / 64] = {0};
    size_t at = 0;
    bool any_gone = false;
    for (unsigned i = 0; i < shards; i++) {
        parts[i] = (struct foreign_part){.db = p->t->scrape->options.db,
                                         .items = slots + at,
                                         .source = p->t->hash,
                                         .max_t_ms = p->ms + FUTURE_MS,
                                         .seed = tsdb_hash_seed(p->t->scrape->options.db)};
        for (size_t k = 0; k < p->foreign_n; k++) {
            struct foreign *f = &p->foreign[k];
            if (f->line->owner != i || (again && f->outcome != TSDB_GONE))
                continue;
            if (!f->sample.ref || again) {
                f->sample.ref = 0;
                f->labels = labels_again(p, f->line);
            }
            slots[at++] = f;
            parts[i].n++;
        }
        if (parts[i].n)
            where[i / 64] |= 1ull << (i % 64);
    }
    shard_call_all(LOOP_SCRAPE, keep_foreign, parts, sizeof *parts, where);
    for (unsigned i = 0; i < shards; i++) {
        count_outcomes(p->t->scrape, parts[i].counts);
        if (parts[i].code)
            log_warn(&p->t->scrape->lg, "a part of a scrape was not kept",
                     log_str("target", p->t->url), log_cstr("err", parts[i].e.text));
    }
    for (size_t k = 0; k < p->foreign_n; k++) {
        p->foreign[k].line->ref = p->foreign[k].sample.ref;
        any_gone |= p->foreign[k].outcome == TSDB_GONE;
    }
    mem_free(parts);
    mem_free(slots);
    if (any_gone && !again)
        commit_foreign(p, true);
}

// Series of this shard whose references are no longer good: found again, then committed.
static void commit_gone(struct pass *p, const uint8_t *outcomes) // Suspends.
{
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++) {
        if (outcomes[i] != TSDB_GONE)
            continue;
        struct scrape_line *line = p->lines[i];
        const struct str labels = labels_again(p, line);
        line->ref = 0;
        if (labels.n)
            place(p->t, line, labels);
        if (!line->ref)
            continue;
        p->samples[n] = p->samples[i];
        p->samples[n++].ref = line->ref;
    }
    struct tsdb_commit c = {
        .samples = p->samples, .n = n, .max_t_ms = p->ms + FUTURE_MS, .window_ms = WINDOW_MS};
    if (n && tsdb_commit(p->t->scrape->options.db, &c, NULL) == ERR_OK)
        count_outcomes(p->t->scrape, c.counts);
}

static err commit(struct pass *p, struct errmsg *e) // Suspends.
{
    struct scrape *s = p->t->scrape;
    uint8_t *outcomes = mem_alloc(p->n);
    struct tsdb_commit c = {.samples = p->samples,
                            .n = p->n,
                            .outcomes = outcomes,
                            .max_t_ms = p->ms + FUTURE_MS,
                            .window_ms = WINDOW_MS};
    // Series refused at their creation are looked up again: the limit may allow them now.
    for (size_t i = 0; i < p->n; i++)
        if (!p->samples[i].ref) {
            const struct str labels = labels_again(p, p->lines[i]);
            if (labels.n)
                place(p->t, p->lines[i], labels);
            p->samples[i].ref = p->lines[i]->ref;
        }
    const err code = tsdb_commit(s->options.db, &c, e);
    if (!code) {
        count_outcomes(s, c.counts);
        for (size_t i = 0; i < p->n; i++)
            p->lines[i]->is_tracked = p->lines[i]->will_track;
        for (size_t i = 0; i < p->foreign_n; i++)
            p->foreign[i].line->is_tracked = p->foreign[i].line->will_track;
        s->stats.samples += p->n + p->foreign_n;
        if (c.counts[TSDB_GONE])
            commit_gone(p, outcomes);
        if (p->foreign_n)
            commit_foreign(p, false);
    }
    mem_free(outcomes);
    return code;
}

// ---- the series about the scrape, and stale markers

static struct scrape_line *report_line(struct target *t, size_t which)
{
    if (!t->reports[which]) {
        const struct str name = str_from_c(report_names[which]);
        struct scrape_line *line = mem_zalloc(sizeof *line + name.n);
        line->prefix_n = line->series_n = (uint32_t)name.n;
        line->is_report = true;
        memcpy(line->prefix, name.p, name.n);
        t->reports[which] = line;
    }
    return t->reports[which];
}

static void push_report(struct pass *p, size_t which, uint64_t bits)
{
    struct scrape_line *line = report_line(p->t, which);
    if (!line->ref) {
        const struct str labels = labels_again(p, line);
        place(p->t, line, labels);
    }
    line->will_track = true;
    push(p, line, p->ms, bits);
}

static void push_reports(struct pass *p, bool up, int64_t start_ns)
{
    const struct target *t = p->t;
    const double duration = (double)(clock_mono_ns() - start_ns) / 1e9;
    const double values[REPORT_SERIES] = {
        up,
        duration,
        (double)p->scraped,
        (double)p->kept,
        (double)p->added,
        (double)t->timeout_ms / 1000,
        (double)p->job->limits.samples,
        (double)p->body_bytes,
    };
    const size_t n = p->job->extra_scrape_metrics == 1 ? REPORT_SERIES : REPORTS_ALWAYS;
    for (size_t i = 0; i < n; i++)
        push_report(p, i, bits_from_double(values[i]));
}

static void push_stale(void *arg, struct scrape_line *line)
{
    struct pass *p = arg;
    line->will_track = false;
    push(p, line, p->ms, VALUE_STALE_BITS);
}

// ---- the whole

// The format of a body by its content type; false: not one to read.
static bool format_of(const struct scrape_config *job, struct str type, enum exposition_format *out,
                      struct errmsg *e)
{
    struct str media = {0};
    struct errmsg why;
    const err malformed = type.n ? media_type_parse(type, &media, &why) : ERR_OK;
    if (str_eq_nocase(media, STR("application/openmetrics-text"))) {
        *out = EXPOSITION_OPENMETRICS;
        return true;
    }
    if (str_eq_nocase(media, STR("text/plain"))) {
        *out = EXPOSITION_TEXT;
        return true;
    }
    switch (job->fallback_protocol) {
    case SCRAPE_PROTOCOL_TEXT_0_0_4:
    case SCRAPE_PROTOCOL_TEXT_1_0_0:
        *out = EXPOSITION_TEXT;
        return true;
    case SCRAPE_PROTOCOL_OPENMETRICS_0_0_1:
    case SCRAPE_PROTOCOL_OPENMETRICS_1_0_0:
        *out = EXPOSITION_OPENMETRICS;
        return true;
    case SCRAPE_PROTOCOL_NONE:
    case SCRAPE_PROTOCOL_PROTOBUF:
    case SCRAPE_PROTOCOLS:
        break;
    }
    if (str_eq_nocase(media, STR("application/vnd.google.protobuf")))
        err_format(e, "received protobuf, which is not supported yet");
    else if (!type.n)
        err_format(e, "non-compliant scrape target sending blank Content-Type and no "
                      "fallback_scrape_protocol specified for target");
    else if (malformed)
        err_format(e,
                   "cannot parse Content-Type \"%.*s\" and no fallback_scrape_protocol for "
                   "target\n%s",
                   STR_ARG(type), why.text);
    else
        err_format(e,
                   "received unsupported Content-Type \"%.*s\" and no fallback_scrape_protocol "
                   "specified for target",
                   STR_ARG(type));
    return false;
}

// The time of a scrape: the schedule's, when the clock is close to it.
static int64_t choose_time(struct target *t)
{
    const struct scrape_options *o = &t->scrape->options;
    const int64_t now_ms = clock_wall_ms();
    int64_t tolerance = t->interval_ms / 100;
    if (tolerance > o->tolerance_ms)
        tolerance = o->tolerance_ms;
    if (!o->adjust_timestamps)
        return now_ms;
    if (!t->aligned_ms || now_ms < t->aligned_ms - t->interval_ms) // the first, or a clock set back
        t->aligned_ms = now_ms;
    if (now_ms > t->aligned_ms)
        t->aligned_ms += (now_ms - t->aligned_ms) / t->interval_ms * t->interval_ms;
    return now_ms - t->aligned_ms <= tolerance ? t->aligned_ms : now_ms;
}

static err read_body(struct pass *p, struct buf *body, struct errmsg *e) // Suspends.
{
    struct target *t = p->t;
    struct http_result *r = mem_zalloc(sizeof *r);
    struct str type;
    enum exposition_format format;
    err code = ERR_OK;
    fiber_set_deadline(clock_mono_ns() + t->timeout_ms * NS_PER_MS);
    if (t->over_limit)
        code = err_set(e, ERR_LIMIT, "target_limit exceeded (number of targets: %zu, limit: %llu)",
                       t->job_targets, (unsigned long long)p->job->limits.targets);
    if (!code) {
        code = target_fetch(t, p->job, body, &type, r, e);
        p->body_bytes = code == ERR_LIMIT ? -1 : code ? 0 : (int64_t)body->n;
    }
    fiber_set_deadline(INT64_MAX);
    if (!code && body->n && !format_of(p->job, type, &format, e))
        code = ERR_INVALID;
    t->scrape->stats.bytes += code ? 0 : body->n;
    if (!code && body->n)
        code = parse(p, format, buf_str(body), e);
    http_result_deinit(r);
    mem_free(r);
    return code;
}

static void note_result(struct target *t, err code, const struct errmsg *e, int64_t start_ns)
{
    struct scrape *s = t->scrape;
    const bool was_up = t->health == SCRAPE_UP;
    t->health = code ? SCRAPE_DOWN : SCRAPE_UP;
    t->last_duration_s = (double)(clock_mono_ns() - start_ns) / 1e9;
    target_note_error(t, code ? e->text : "");
    s->stats.scrapes++;
    s->stats.failed += code != ERR_OK;
    if (code && was_up)
        log_debug(&s->lg, "scrape failed", log_str("scrape_pool", t->job->job_name),
                  log_str("target", t->url), log_cstr("err", e->text));
}

// What was not seen is stale; what was not seen for long is forgotten when the target says
// something, or
// when failing scrapes bring new lines each time.
static void end_cache(struct pass *p, bool succeeded)
{
    enum { LINES_FREE = 1000 };
    struct target *t = p->t;
    const bool is_full = t->cache.live > (t->lines_max ? t->lines_max : LINES_FREE);
    scrape_cache_end(&t->cache, succeeded || is_full, push_stale, p);
    if (!succeeded)
        return;
    t->lines_max = 2 * t->cache.live + LINES_FREE;
    target_forget_metadata(t, false);
}

void target_scrape(struct target *t)
{
    struct errmsg e = {0}, commit_error;
    struct buf body = {0};
    struct pass p;
    const int64_t start_ns = clock_mono_ns();
    pass_init(&p, t, choose_time(t));
    t->last_ms = clock_wall_ms();
    scrape_cache_begin(&t->cache);
    err code = read_body(&p, &body, &e);
    if (fiber_status() == ERR_CANCELED) { // the server stops: nothing is written, no markers either
        scrape_cache_abort(&t->cache);
    } else {
        if (code) { // nothing of this body: all series become stale
            scrape_cache_abort(&t->cache);
            scrape_cache_begin(&t->cache);
            p.n = p.foreign_n = 0;
        }
        push_reports(&p, !code, start_ns);
        end_cache(&p, !code && body.n > 0);
        if (commit(&p, &commit_error) != ERR_OK)
            log_warn(&t->scrape->lg, "a scrape was not kept", log_str("target", t->url),
                     log_cstr("err", commit_error.text));
        note_result(t, code, &e, start_ns);
    }
    buf_deinit(&body);
    pass_deinit(&p);
}

void target_end_series(struct target *t, int64_t ms)
{
    struct pass p;
    struct errmsg e;
    pass_init(&p, t, ms);
    scrape_cache_begin(&t->cache);
    scrape_cache_end(&t->cache, false, push_stale, &p);
    for (size_t i = 0; i < REPORT_SERIES; i++)
        if (t->reports[i] && t->reports[i]->is_tracked)
            push_stale(&p, t->reports[i]);
    if (p.n + p.foreign_n && commit(&p, &e) != ERR_OK)
        log_warn(&t->scrape->lg, "stale markers were not kept", log_str("target", t->url),
                 log_cstr("err", e.text));
    pass_deinit(&p);
}
