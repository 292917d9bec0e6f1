#include "tests/sim/truth.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/bits.h"
#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "engine/model/labels.h"

void truth_init(struct truth *t, struct world *w, int64_t retention_ms)
{
    *t = (struct truth){.world = w, .newest_t = INT64_MIN, .retention_ms = retention_ms};
}

void truth_deinit(struct truth *t)
{
    for (size_t i = 0; i < t->n; i++) {
        mem_free((char *)(uintptr_t)t->series[i].labels.p);
        mem_free(t->series[i].samples);
    }
    mem_free(t->series);
    mem_free(t->table);
    mem_free(t->shown);
}

// ---- series and samples

static void table_put(struct truth *t, uint32_t index)
{
    size_t at = t->series[index].hash % t->table_size;
    while (t->table[at])
        at = (at + 1) % t->table_size;
    t->table[at] = index + 1;
}

static struct truth_series *find(const struct truth *t, struct str labels, uint64_t hash)
{
    if (t->table_size == 0)
        return NULL;
    for (size_t at = hash % t->table_size; t->table[at]; at = (at + 1) % t->table_size) {
        struct truth_series *s = &t->series[t->table[at] - 1];
        if (s->hash == hash && str_eq(s->labels, labels))
            return s;
    }
    return NULL;
}

static struct truth_series *find_or_make(struct truth *t, struct str labels)
{
    const uint64_t hash = hash64(labels.p, labels.n, 1);
    struct truth_series *s = find(t, labels, hash);
    if (s)
        return s;
    if ((t->n + 1) * 2 > t->table_size) {
        t->table_size = t->table_size ? t->table_size * 2 : 256;
        mem_free(t->table);
        t->table = mem_zalloc(t->table_size * sizeof *t->table);
        for (size_t i = 0; i < t->n; i++)
            table_put(t, (uint32_t)i);
    }
    t->series = mem_grow(t->series, &t->capacity, t->n + 1, sizeof *t->series);
    s = &t->series[t->n];
    char *copy = mem_alloc(labels.n);
    memcpy(copy, labels.p, labels.n);
    *s = (struct truth_series){.labels = {copy, labels.n}, .hash = hash};
    table_put(t, (uint32_t)t->n++);
    return s;
}

// Index of the first sample at or after t_ms.
static size_t place_of(const struct truth_series *s, int64_t t_ms)
{
    size_t low = 0, high = s->n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (s->samples[middle].t_ms < t_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct truth_sample *find_sample(const struct truth_series *s, int64_t t_ms, uint64_t bits)
{
    for (size_t i = place_of(s, t_ms); i < s->n && s->samples[i].t_ms == t_ms; i++) {
        if (s->samples[i].bits == bits)
            return &s->samples[i];
    }
    return NULL;
}

void truth_send(struct truth *t, struct str labels, int64_t t_ms, uint64_t bits)
{
    struct truth_series *s = find_or_make(t, labels);
    struct truth_sample *x = find_sample(s, t_ms, bits);
    if (x) {
        x->is_fresh = x->state == TRUTH_REFUSED || x->state == TRUTH_EXPIRED;
        if (x->is_fresh)
            x->state = TRUTH_SENT;
        return;
    }
    s->samples = mem_grow(s->samples, &s->capacity, s->n + 1, sizeof *s->samples);
    const size_t at = place_of(s, t_ms);
    memmove(s->samples + at + 1, s->samples + at, (s->n - at) * sizeof *s->samples);
    s->samples[at] = (struct truth_sample){
        .t_ms = t_ms, .bits = bits, .durable_ns = INT64_MAX, .state = TRUTH_SENT, .is_fresh = true};
    s->n++;
}

static bool is_expired(const struct truth *t, int64_t t_ms)
{
    return t->retention_ms > 0 && t->newest_t != INT64_MIN && t_ms <= t->newest_t - t->retention_ms;
}

static void keep(struct truth *t, struct truth_sample *x)
{
    if (x->state != TRUTH_KEPT)
        x->known_at = ++t->events;
    x->state = TRUTH_KEPT;
    x->is_fresh = false;
    if (x->t_ms > t->newest_t)
        t->newest_t = x->t_ms;
}

// Of two values for one time the first is kept; what has expired is nobody's.
static void judge_kept(struct truth *t, const struct truth_series *s, const struct truth_sample *x)
{
    for (size_t i = place_of(s, x->t_ms); i < s->n && s->samples[i].t_ms == x->t_ms; i++) {
        const struct truth_sample *y = &s->samples[i];
        if (y->bits != x->bits && y->state == TRUTH_KEPT && !is_expired(t, x->t_ms))
            world_violate(t->world, "a second value for one time is kept: %lld, %llx and %llx",
                          (long long)x->t_ms, (unsigned long long)y->bits,
                          (unsigned long long)x->bits);
    }
}

uint64_t truth_commit(struct truth *t)
{
    return ++t->commits;
}

void truth_outcome(struct truth *t, struct str labels, int64_t t_ms, uint64_t bits,
                   enum tsdb_outcome outcome, int64_t durable_ns, uint64_t commit)
{
    const struct truth_series *s = find_or_make(t, labels);
    struct truth_sample *x = find_sample(s, t_ms, bits);
    if (outcome == TSDB_APPENDED || outcome == TSDB_LATE_KEPT || outcome == TSDB_SAME) {
        keep(t, x);
        if (outcome != TSDB_SAME) {
            x->commit = commit;
            judge_kept(t, s, x);
        }
        if (durable_ns < x->durable_ns)
            x->durable_ns = durable_ns;
    } else if (x->is_fresh) {
        x->state = TRUTH_REFUSED;
        x->is_fresh = false;
    }
}

void truth_failed(struct truth *t, struct str labels, int64_t t_ms, uint64_t bits, bool is_certain)
{
    struct truth_sample *x = find_sample(find_or_make(t, labels), t_ms, bits);
    if (x->is_fresh && is_certain)
        x->state = TRUTH_REFUSED;
    x->is_fresh = false;
}

// ---- answers

static void complain(struct truth *t, const char *what, struct str labels,
                     const struct truth_answer *a, int64_t t_ms, uint64_t bits)
{
    struct buf text = {0};
    labels_format_metric(labels, &text);
    world_violate(t->world, "%s: %.*s, sample (%lld, %llx), asked for (%lld, %lld]", what,
                  STR_ARG(buf_str(&text)), (long long)t_ms, (unsigned long long)bits,
                  (long long)a->mint, (long long)a->maxt);
    buf_deinit(&text);
}

static void judge_shown(struct truth *t, struct truth_series *s, const struct truth_answer *a,
                        const struct column *c)
{
    int64_t before = a->mint;
    for (size_t i = 0; i < c->n; i++) {
        const uint64_t bits = bits_from_double(c->v[i]);
        struct truth_sample *x = find_sample(s, c->t[i], bits);
        t->samples_judged++;
        if (c->t[i] <= before && (i > 0 || a->mint != INT64_MIN))
            complain(t, "times do not ascend or are outside", s->labels, a, c->t[i], bits);
        else if (c->t[i] > a->maxt)
            complain(t, "a time is outside", s->labels, a, c->t[i], bits);
        else if (!x)
            complain(t, "shown, but never sent or gone before", s->labels, a, c->t[i], bits);
        else if (x->state == TRUTH_REFUSED)
            complain(t, "shown, but was refused", s->labels, a, c->t[i], bits);
        else if (x->state == TRUTH_EXPIRED)
            complain(t, "shown, but was gone before", s->labels, a, c->t[i], bits);
        before = c->t[i];
        if (x)
            x->is_found = true;
    }
}

// All that is known about the time of a sample that is missing.
static void describe(struct truth *t, const struct truth_series *s, const struct truth_sample *x,
                     const struct truth_answer *a)
{
    static const char *const states[] = {"sent", "kept", "refused", "expired"};
    if (!t->world->verbose)
        return;
    for (size_t i = place_of(s, x->t_ms); i < s->n && s->samples[i].t_ms == x->t_ms; i++) {
        const struct truth_sample *y = &s->samples[i];
        fprintf(stderr, "series %zu: (%lld, %llx) %s%s, known at event %llu of %llu\n",
                (size_t)(s - t->series), (long long)y->t_ms, (unsigned long long)y->bits,
                states[y->state], y->is_found ? ", shown" : "", (unsigned long long)y->known_at,
                (unsigned long long)a->began);
    }
}

// What has expired may be gone while the rest of its commit is there.
static void judge_commit(struct truth *t, const struct truth_series *s,
                         const struct truth_sample *x, const struct truth_answer *a)
{
    if (x->commit < t->first_commit || !x->commit || is_expired(t, x->t_ms))
        return;
    uint8_t *shown = &t->shown[x->commit - t->first_commit];
    const uint8_t before = *shown;
    *shown |= x->is_found ? 1 : 2;
    if (*shown == 3 && before != 3)
        complain(t, "a commit is shown in part", s->labels, a, x->t_ms, x->bits);
}

static void judge_missing(struct truth *t, struct truth_series *s, const struct truth_answer *a)
{
    for (size_t i = place_of(s, a->mint == INT64_MIN ? a->mint : a->mint + 1); i < s->n; i++) {
        struct truth_sample *x = &s->samples[i];
        if (x->t_ms > a->maxt)
            break;
        const bool is_due = x->state == TRUTH_KEPT && x->known_at <= a->began;
        judge_commit(t, s, x, a);
        if (is_due && !x->is_found && is_expired(t, x->t_ms)) {
            x->state = TRUTH_EXPIRED;
        } else if (is_due && !x->is_found) {
            complain(t, "kept, but not shown", s->labels, a, x->t_ms, x->bits);
            describe(t, s, x, a);
        }
        if (x->is_found) {
            keep(t, x);
            x->is_recovered = true;
        }
    }
    for (size_t i = 0; i < s->n; i++)
        s->samples[i].is_found = false;
}

void truth_judge(struct truth *t, const struct truth_answer *a)
{
    const size_t commits = (size_t)(t->commits + 1 - t->first_commit);
    t->shown = mem_grow(t->shown, &t->shown_capacity, commits, 1);
    memset(t->shown, 0, commits);
    for (size_t i = 0; i < a->set->n; i++) {
        const struct str labels = a->set->series[i].labels;
        struct truth_series *s = find(t, labels, hash64(labels.p, labels.n, 1));
        if (!s)
            world_violate(t->world, "a series nobody sent");
        else if (!matchers_match(a->ms, a->ms_count, labels) || !a->owned(a->owned_arg, labels))
            world_violate(t->world, "a series that was not asked for");
        else
            judge_shown(t, s, a, &a->columns[i]);
    }
    for (size_t i = 0; i < t->n && (t->world->verbose || !t->world->violation.count); i++) {
        struct truth_series *s = &t->series[i];
        if (matchers_match(a->ms, a->ms_count, s->labels) && a->owned(a->owned_arg, s->labels))
            judge_missing(t, s, a);
    }
}

// ---- crashes

void truth_crashed(struct truth *t, bool power_lost, int64_t crash_ns)
{
    t->first_commit = t->commits + 1; // of those before, the log may have a part
    for (size_t i = 0; i < t->n; i++) {
        struct truth_series *s = &t->series[i];
        for (size_t k = 0; k < s->n; k++) {
            struct truth_sample *x = &s->samples[k];
            x->is_fresh = x->is_found = x->is_recovered = false;
            if (power_lost && x->state == TRUTH_KEPT && x->durable_ns > crash_ns)
                x->state = TRUTH_SENT;
            if (!power_lost && x->durable_ns > crash_ns)
                x->durable_ns = INT64_MAX;
        }
    }
}

void truth_recovered(struct truth *t, bool power_lost, int64_t now_ns)
{
    for (size_t i = 0; i < t->n; i++) {
        struct truth_series *s = &t->series[i];
        size_t kept = 0;
        for (size_t k = 0; k < s->n; k++) {
            struct truth_sample *x = &s->samples[k];
            if (!x->is_recovered && is_expired(t, x->t_ms)) {
                x->state = TRUTH_EXPIRED;
                s->samples[kept++] = *x;
                continue;
            }
            if (!x->is_recovered) {
                t->samples_gone++;
                continue;
            }
            if (power_lost)
                x->durable_ns = now_ns;
            s->samples[kept++] = *x;
        }
        s->n = kept;
    }
}
