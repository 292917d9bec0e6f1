#include "engine/promql/fragment.h"

#include <assert.h>

#include "engine/base/util.h"
#include "engine/model/value.h"
#include "engine/promql/gently.h"
#include "io/fiber_memory.h"

enum {
    BATCH_SERIES_MAX = 8192, // they lie scattered over a file, which is read once for each batch
    BATCH_SAMPLES = 1 << 19, // aimed at: 8 MiB of times and values
    WINDOW_CACHE = 64,       // a power of two
    RUN_SAMPLES = 1 << 16,   // of all windows: more are run 64 steps at a time
    SHORT_STEPS = 4096,      // more are run in slices of as many
};

// Partial results of a group, one a partition, as far as they cannot be merged yet: a chain through
// out->series from the newest back.
struct group_parts {
    size_t newest; // index + 1
};

struct run {
    const struct fragment *f;
    struct fragment_result *out;
    struct arena sets;   // of what was selected, where its labels are not the result's
    struct arena batch;  // of columns and windows
    struct arena groups; // of the groups' labels
    struct label_map map;
    struct group_parts *parts; // of each group in map
    size_t parts_capacity;
    uint32_t first_partition; // the lowest that has a series
    size_t spare;  // index + 1 of a merged part, whose state is free; `before` leads to the next
    uint64_t made; // points of all series so far
    struct step_column scratch;         // made by the first series that has samples
    struct windows cache[WINDOW_CACHE]; // by the address of t; n 0: free
};

err query_too_many_samples(struct errmsg *e)
{
    return err_set(e, ERR_LIMIT,
                   "query processing would load too many samples into memory in query execution");
}

err query_zero_step(struct errmsg *e)
{
    return err_set(e, ERR_INVALID, "unexpected error: runtime error: integer divide by zero");
}

static struct fragment_load *load_of(struct run *r, uint32_t partition)
{
    struct fragment_result *out = r->out;
    if (out->loads_count && out->loads[out->loads_count - 1].partition == partition)
        return &out->loads[out->loads_count - 1];
    if (out->loads_count == out->loads_capacity) {
        const size_t capacity = out->loads_capacity ? out->loads_capacity * 2 : 16;
        struct fragment_load *all = arena_array(&out->arena, capacity, struct fragment_load);
        if (!all)
            return NULL;
        if (out->loads_count)
            memcpy(all, out->loads, out->loads_count * sizeof *all);
        out->loads = all;
        out->loads_capacity = capacity;
    }
    out->loads[out->loads_count++] = (struct fragment_load){.partition = partition};
    return &out->loads[out->loads_count - 1];
}

// A series of the partition became made points; on the way load samples were held beside the
// points of those before it.
static err count_samples(struct run *r, uint32_t partition, uint64_t made, uint64_t load)
{
    struct fragment_load *l = load_of(r, partition);
    if (!l)
        return ERR_LIMIT;
    const uint64_t peak = load > made ? load : made;
    l->peak = l->made + peak > l->peak ? l->made + peak : l->peak;
    if (r->f->samples_max && r->made + peak > r->f->samples_max)
        return query_too_many_samples(&r->out->e);
    l->made += made;
    r->made += made;
    return ERR_OK;
}

static struct fragment_series *add_series(struct run *r)
{
    struct fragment_result *out = r->out;
    if (out->n == out->capacity) {
        struct fragment_series *all =
            gently_grown(&out->arena, out->series, out->n, &out->capacity, sizeof *all);
        if (!all)
            return NULL;
        out->series = all;
    }
    out->series[out->n] = (struct fragment_series){0};
    return &out->series[out->n++];
}

// ---- one series to one step column

static bool has_stale(const struct column *c)
{
    for (size_t i = 0; i < c->n;) {
        const size_t from = i, end = c->n - i < 64 ? c->n : i + 64;
        int nans = 0;
        if (i % 4096 == 4096 - 64)
            gently();
        for (; i < end; i++)
            nans |= c->v[i] != c->v[i];
        for (size_t k = from; nans && k < end; k++)
            if (value_is_stale(c->v[k]))
                return true;
    }
    return false;
}

// A copy without stale markers.
static err without_stale(const struct column *c, struct arena *a, struct column *out)
{
    int64_t *t = arena_try(a, c->n, sizeof *t, _Alignof(int64_t));
    double *v = arena_try(a, c->n, sizeof *v, _Alignof(double));
    if (!t || !v)
        return ERR_LIMIT;
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++, gently_step(i))
        if (!value_is_stale(c->v[i])) {
            t[n] = c->t[i];
            v[n++] = c->v[i];
        }
    *out = (struct column){.t = t, .v = v, .n = n};
    return ERR_OK;
}

static err windows_of(struct run *r, const struct column *c, const struct windows **out)
{
    const uintptr_t key = (uintptr_t)c->t;
    struct windows *w = &r->cache[(key >> 4 ^ key >> 12) & (WINDOW_CACHE - 1)];
    if (w->n != c->n || w->t != c->t) {
        const struct range_function *f = r->f->function;
        TRY(windows_make(&r->f->times, c->t, c->n, f ? f->extrapolation : WINDOW_AS_IT_IS,
                         &r->batch, w));
    }
    *out = w;
    return ERR_OK;
}

// Where the newest sample is a stale marker there is nothing.
static void newest(const struct windows *w, const double *v, struct step_column *out)
{
    const size_t n = w->times->at.n;
    for (size_t word = 0; word < steps_words(n); word++) {
        const size_t from = word * 64, end = n - from < 64 ? n : from + 64;
        int nans = 0;
        fiber_work(2 * (end - from));
        for (size_t k = from; k < end; k++) {
            const double value = v[w->last[k]];
            out->v[k] = value;
            nans |= value != value;
        }
        uint64_t present = w->any[word];
        for (size_t k = from; nans && k < end; k++)
            if (value_is_stale(out->v[k]))
                present &= ~((uint64_t)1 << (k - from));
        out->present[word] = present;
    }
}

static void times_of_newest(const struct windows *w, struct step_column *out)
{
    for (struct slice s = {0}; slice_next(&s, w->times->at.n);)
        for (size_t k = s.from; k < s.end; k++)
            out->v[k] = (double)w->t[w->last[k]] / 1000;
}

// The same windows for steps [from, from + n) alone; from is a multiple of 64.
static struct windows some_windows(const struct windows *w, size_t from, size_t n,
                                   struct window_times *times)
{
    struct windows some = *w;
    *times = *w->times;
    times->at = (struct steps){steps_time(&times->at, from), times->at.step_ms, n};
    times->asked = (struct steps){steps_time(&times->asked, from), times->asked.step_ms, n};
    some.times = times;
    some.first += from;
    some.last += from;
    some.count += from;
    if (w->factor) {
        some.factor += from;
        some.sampled += from;
        some.to_start += from;
        some.to_end += from;
    }
    some.any += from / 64;
    some.two += from / 64;
    return some;
}

err range_run(const struct range_function *f, const struct windows *w, const double *v,
              const double *param, const struct arena *a, struct step_column *out, struct errmsg *e)
{
    const size_t steps = w->times->at.n;
    fiber_work(4 * steps);
    if (arena_left(a) / sizeof(double) < w->n) // some copy the values of a window
        return query_too_many_samples(e);
    const bool is_short = f->extrapolation || w->samples < RUN_SAMPLES;
    if (is_short && steps <= SHORT_STEPS) {
        f->run(w, v, param, out->v, out->present);
        return ERR_OK;
    }
    const size_t most = is_short ? SHORT_STEPS : 64;
    for (size_t from = 0, n; from < steps; from += n) {
        TRY(query_breathe(a, e));
        n = steps - from < most ? steps - from : most;
        fiber_work(4 * n);
        struct window_times times;
        const struct windows some = some_windows(w, from, n, &times);
        const double *some_param = param ? param + from * (size_t)f->params : NULL;
        f->run(&some, v, some_param, out->v + from, out->present + from / 64);
    }
    return ERR_OK;
}

// into is all absent. The windows that were used are the caller's to count; NULL: there is nothing.
static err column_of(struct run *r, struct column c, struct step_column *into,
                     const struct windows **out_windows)
{
    const struct fragment *f = r->f;
    if (f->kind == FRAGMENT_FUNCTION && has_stale(&c))
        TRY(without_stale(&c, &r->batch, &c));
    *out_windows = NULL;
    if (c.n == 0)
        return ERR_OK;
    const struct windows *w = NULL;
    TRY(windows_of(r, &c, &w));
    *out_windows = w;
    if (f->kind == FRAGMENT_FUNCTION) {
        return range_run(f->function, w, c.v, f->param, &r->batch, into, &r->out->e);
    }
    newest(w, c.v, into);
    if (f->kind == FRAGMENT_TIMESTAMP)
        times_of_newest(w, into);
    return ERR_OK;
}

// ---- what becomes of the column

static struct str labels_of(const struct run *r, struct str labels, struct arena *a)
{
    if (r->f->drops_name && !r->f->delayed_name_removal)
        return label_set_drop_metadata(labels, a);
    return labels;
}

static err keep_series(struct run *r, const struct storage_series *s,
                       const struct step_column *column)
{
    struct fragment_series *to = add_series(r);
    if (!to)
        return ERR_LIMIT;
    *to = (struct fragment_series){
        .labels = labels_of(r, s->labels, &r->out->arena),
        .partition = s->partition,
        .drop_name = r->f->drops_name && r->f->delayed_name_removal,
        .column = *column,
    };
    return ERR_OK;
}

// Merging along the tree over partition numbers (aggregate.h) may begin here: two neighbouring
// parts of a group are all that their common subtree has, when all of it lies between partitions
// that are ours, because ours are a range, and is behind us. So a group has as many parts as the
// tree has levels, twice, and not one for each partition.
static bool may_merge(const struct run *r, uint32_t a, uint32_t b, uint32_t now)
{
    const uint32_t below = UINT32_MAX >> __builtin_clz(a ^ b);
    return (a & ~below) >= r->first_partition && (a | below) < now;
}

static void merge_parts_behind(struct run *r, struct group_parts *parts, uint32_t now)
{
    struct fragment_series *series = r->out->series;
    while (parts->newest && series[parts->newest - 1].before) {
        struct fragment_series *b = &series[parts->newest - 1], *a = &series[b->before - 1];
        if (!may_merge(r, a->partition, b->partition, now))
            return;
        aggregate_merge(r->f->op, &a->state, r->f->times.at.n, &b->state);
        a->drop_name |= b->drop_name;
        const size_t merged = parts->newest;
        parts->newest = b->before;
        b->is_merged = true;
        b->before = r->spare;
        r->spare = merged;
    }
}

static err add_part(struct run *r, struct group_parts *parts, struct str key, uint32_t partition)
{
    merge_parts_behind(r, parts, partition);
    struct fragment_series *part = add_series(r);
    if (!part)
        return ERR_LIMIT;
    if (r->spare) {
        const struct fragment_series *merged = &r->out->series[r->spare - 1];
        r->spare = merged->before;
        part->state = merged->state;
        aggregate_state_clear(&part->state, r->f->times.at.n);
    } else if (aggregate_state_make(r->f->op, r->f->times.at.n, &r->out->arena, &part->state)) {
        return ERR_LIMIT;
    }
    part->labels = arena_str(&r->out->arena, key);
    part->partition = partition;
    part->before = parts->newest;
    parts->newest = r->out->n;
    return ERR_OK;
}

static err parts_of(struct run *r, struct str key, struct group_parts **out)
{
    bool is_new = false;
    size_t at;
    if (!label_map_add(&r->map, key, true, &at, &is_new))
        return ERR_LIMIT;
    if (at == r->parts_capacity) {
        struct group_parts *all =
            gently_grown(&r->groups, r->parts, at, &r->parts_capacity, sizeof *all);
        if (!all)
            return ERR_LIMIT;
        r->parts = all;
    }
    if (is_new)
        r->parts[at] = (struct group_parts){0};
    *out = &r->parts[at];
    return ERR_OK;
}

static err add_to_group(struct run *r, const struct storage_series *s,
                        const struct step_column *column)
{
    const struct fragment *f = r->f;
    const size_t steps = f->times.at.n;
    struct group_parts *parts;
    struct str key = {0};
    if (f->without || f->grouping.n) {
        char *p = arena_alloc(&r->batch, s->labels.n, 1);
        key = labels_of(r, s->labels, &r->batch);
        key = str_make(p, label_set_pick(key, f->grouping, !f->without, p));
    }
    TRY(parts_of(r, key, &parts));
    if (!parts->newest || r->out->series[parts->newest - 1].partition != s->partition)
        TRY(add_part(r, parts, key, s->partition));
    struct fragment_series *part = &r->out->series[parts->newest - 1];
    part->drop_name |= f->drops_name && f->delayed_name_removal;
    aggregate_add(f->op, &part->state, steps, column->v, column->present);
    return ERR_OK;
}

static void drop_merged(struct fragment_result *out)
{
    size_t n = 0;
    for (size_t i = 0; i < out->n; i++) {
        gently_at(i);
        if (!out->series[i].is_merged)
            out->series[n++] = out->series[i];
    }
    out->n = n;
}

static err keep_raw(struct run *r, const struct storage_series *s, const struct column *c)
{
    struct column clean;
    const struct window_times *w = &r->f->times;
    const int64_t end_ms = w->at.start_ms - w->offset_ms;
    TRY(without_stale(c, &r->out->arena, &clean));
    if (w->before_ms) {
        const struct column all = clean;
        TRY(range_extended_samples(&all, end_ms - w->range_ms, end_ms, w->behind_ms != 0,
                                   &r->out->arena, &clean));
    }
    if (clean.n == 0)
        return ERR_OK;
    struct fragment_series *to = add_series(r);
    if (!to)
        return ERR_LIMIT;
    to->labels = s->labels;
    to->partition = s->partition;
    to->raw = clean;
    r->out->samples += clean.n;
    r->out->samples_read += clean.n;
    return count_samples(r, s->partition, clean.n, clean.n);
}

bool name_is_odd_counter(struct str name)
{
    static const struct str suffixes[] = {
        {"_total", 6}, {"_sum", 4}, {"_count", 6}, {"_bucket", 7}};
    for (size_t i = 0; i < countof(suffixes); i++)
        if (str_has_suffix(name, suffixes[i]))
            return false;
    return name.n > 0;
}

static err note_odd_counter(struct run *r, struct str labels)
{
    const struct str name = labels_value(labels, LABEL_NAME);
    bool is_new;
    size_t at;
    if (!name_is_odd_counter(name))
        return ERR_OK;
    return label_map_add(&r->out->odd_counters, name, true, &at, &is_new) ? ERR_OK : ERR_LIMIT;
}

static err take_series(struct run *r, const struct storage_series *s, const struct column *c)
{
    const struct fragment *f = r->f;
    const size_t steps = f->times.at.n;
    if (f->kind == FRAGMENT_RAW)
        return keep_raw(r, s, c);
    if (c->n == 0)
        return ERR_OK;
    if (steps > STEPS_MAX)
        return query_too_many_samples(&r->out->e);
    struct step_column *column = &r->scratch;
    if (!column->v)
        TRY(step_column_make(&r->out->arena, steps, column));
    fiber_fill(column->present, 0, steps_words(steps) * sizeof *column->present);
    const struct windows *w;
    TRY(column_of(r, *c, column, &w));
    if (!w)
        return ERR_OK;
    if (f->skips_first)
        steps_clear(column->present, 0);
    const size_t made = steps_count(column->present, steps);
    const bool is_function = f->kind == FRAGMENT_FUNCTION;
    r->out->samples += is_function ? w->samples : made;
    r->out->samples_read += is_function ? w->samples_new : made;
    TRY(count_samples(r, s->partition, made, is_function ? windows_load(w, made) : 0));
    if (!made)
        return ERR_OK;
    if (f->wants_counters)
        TRY(note_odd_counter(r, s->labels));
    if (f->aggregates)
        return add_to_group(r, s, column);
    TRY(keep_series(r, s, column));
    return step_column_make(&r->out->arena, steps, column);
}

// ---- the loop over batches

static err breathe(struct run *r)
{
    return arena_is_over(&r->out->arena) ? ERR_LIMIT : query_breathe(&r->out->arena, &r->out->e);
}

static err run_batch(struct run *r, const struct storage *storage, const struct storage_set *set,
                     size_t at, size_t n, int64_t mint, int64_t maxt, size_t *out_samples)
{
    arena_reset(&r->batch);
    memset(r->cache, 0, sizeof r->cache);
    struct column *columns = gently_array(&r->batch, n, struct column);
    if (!columns)
        return ERR_LIMIT;
    const struct storage_series *series = set->series + at;
    TRY(storage->ops->read(storage->self, set, series, n, mint, maxt, &r->batch, columns,
                           &r->out->e));
    size_t samples = 0;
    for (size_t i = 0; i < n; i++)
        samples += columns[i].n;
    for (size_t i = 0; i < n; i++)
        r->out->has_histograms |= columns[i].histograms != NULL;
    for (size_t i = 0; i < n; i++) {
        TRY(breathe(r));
        TRY(take_series(r, &series[i], &columns[i]));
    }
    *out_samples = samples;
    return ERR_OK;
}

// An aggregation looks at the labels it groups by and at metric names that it warns of. What only
// counts does not even look at the series in their order.
static err select_series(struct run *r, const struct storage *storage, int64_t mint, int64_t maxt,
                         struct storage_set *out)
{
    const struct fragment *f = r->f;
    const bool counts = f->op == PROMQL_COUNT || f->op == PROMQL_GROUP;
    struct label_names names = f->grouping;
    if (f->wants_counters)
        names = label_names_with(names, LABEL_NAME, &r->batch);
    const struct storage_want want = {
        .names = names.names,
        .names_n = names.n,
        .some_labels = f->aggregates && !f->without,
        .any_order = f->aggregates && counts && f->kind != FRAGMENT_FUNCTION,
    };
    return storage->ops->select(storage->self, f->matchers, f->matchers_count, mint, maxt, &want,
                                f->aggregates ? &r->sets : &r->out->arena, out, &r->out->e);
}

static err run_all(struct run *r, const struct storage *storage)
{
    const struct fragment *f = r->f;
    const int64_t maxt = steps_end(&f->times.at) - f->times.offset_ms + f->times.behind_ms;
    const int64_t mint =
        f->times.at.start_ms - f->times.offset_ms - f->times.range_ms - f->times.before_ms;
    struct storage_set set = {0};
    err code = select_series(r, storage, mint, maxt, &set);
    if (code == ERR_TIMEOUT || code == ERR_CANCELED)
        return query_breathe(&r->out->arena, &r->out->e); // in the words of queries
    if (code)
        return code;
    // Half of what the budget leaves, or it could not be filled.
    const size_t left = arena_left(&r->batch) / (2 * (sizeof(int64_t) + sizeof(double)));
    const size_t samples_max = left < BATCH_SAMPLES ? left : BATCH_SAMPLES;
    size_t batch = 16;
    r->first_partition = set.n ? set.series[0].partition : 0;
    for (size_t at = 0, n; at < set.n && !code; at += n) {
        n = set.n - at < batch ? set.n - at : batch;
        size_t samples = 0;
        code = run_batch(r, storage, &set, at, n, mint, maxt, &samples);
        const size_t fits = samples_max / (samples / n + 1 + sizeof(struct column) / 8);
        batch = fits < 1 ? 1 : fits > BATCH_SERIES_MAX ? BATCH_SERIES_MAX : fits;
    }
    storage->ops->release(storage->self, &set);
    if (f->aggregates)
        drop_merged(r->out);
    return code;
}

static bool is_of_samples(const struct errmsg *e)
{
    return str_contains(str_from_c(e->text), STR("too many samples"));
}

// The arena's limit: the error names the selector that took so much.
static void say_memory(const struct fragment *f, struct errmsg *e)
{
    struct buf text = {0};
    for (size_t i = 0; i < f->matchers_count; i++) {
        buf_put_char(&text, i ? ',' : '{');
        matcher_format(&f->matchers[i], &text);
    }
    err_format(e,
               "query needs too much memory, more than %zu bytes of --query.max-bytes, for the "
               "selector %.*s}",
               f->budget ? f->budget->limit_bytes : 0, STR_ARG(buf_str(&text)));
    buf_deinit(&text);
}

static err look_until(const struct fragment *f, const struct storage *storage,
                      struct fragment_result *out)
{
    struct least one;
    if (!f->asks_until)
        return ERR_OK;
    least_init(&one, &out->arena, 1, false);
    const err code =
        storage->ops->label_names(storage->self, NULL, 0, INT64_MIN, f->until_ms, &one, &out->e);
    out->has_any = one.n > 0;
    least_deinit(&one);
    return code;
}

void fragment_run(const struct fragment *f, const struct storage *storage,
                  struct fragment_result *out)
{
    assert(f->times.at.n > 0);
    *out = (struct fragment_result){0};
    arena_init_within(&out->arena, f->budget);
    out->odd_counters.a = &out->arena;
    struct arena own;
    arena_init_within(&own, f->budget);
    struct run *r = arena_new(&own, struct run); // too large for a fiber's stack
    *r = (struct run){.f = f, .out = out};
    arena_init_within(&r->sets, f->budget);
    arena_init_within(&r->batch, f->budget);
    arena_init_within(&r->groups, f->budget);
    r->map.a = &r->groups;
    out->code = look_until(f, storage, out);
    if (!out->code)
        out->code = run_all(r, storage);
    if (out->code == ERR_LIMIT && !is_of_samples(&out->e))
        say_memory(f, &out->e);
    gently_deinit(&r->groups);
    gently_deinit(&r->batch);
    gently_deinit(&r->sets);
    arena_deinit(&own);
}

void fragment_result_done(struct fragment_result *r)
{
    gently_deinit(&r->arena);
    *r = (struct fragment_result){0};
}
