#include "tools/loadgen/load_shape.h"

#include <assert.h>
#include <stdio.h>

#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "engine/base/number.h"
#include "engine/base/util.h"
#include "engine/model/labels.h"
#include "tools/loadgen/load_capture.h"
#include "tools/loadgen/load_families.h"

const char *const load_exporter_names[LOAD_EXPORTERS + 1] = {"node", "cadvisor", "kube-state",
                                                             NULL};

enum { DIMENSIONS_MAX = 12, NAMES_MAX = 64, VALUES_MAX = 64 };

struct labels_of {
    struct labels_builder builder;
    struct arena arena;
};

static void add(struct labels_of *l, const char *name, struct str value)
{
    labels_builder_push(&l->builder, str_from_c(name), value);
}

// The labels a scrape puts on everything of a target.
static void add_target(struct labels_of *l, const struct load_shape *shape, uint32_t target)
{
    static const char generation[] = {'-', LOAD_GENERATION_BYTE, LOAD_GENERATION_BYTE,
                                      LOAD_GENERATION_BYTE, LOAD_GENERATION_BYTE};
    static_assert(sizeof generation == LOAD_GENERATION_DIGITS + 1, "a digit each");
    const int n = shape->has_generations ? (int)sizeof generation : 0;
    struct arena *const a = &l->arena;
    if (shape->is_bare && n)
        add(l, "generation", str_make(generation + 1, sizeof generation - 1));
    if (shape->is_bare)
        return;
    add(l, "job", str_from_c(load_exporter_families[shape->exporter].job));
    add(l, "instance",
        arena_printf(a, "10.%u.%u.%u%.*s:%u", 16 + (target >> 16), target >> 8 & 255, target & 255,
                     n, generation, load_exporter_families[shape->exporter].port));
    if (!shape->is_operator)
        return;
    const char *const job = load_exporter_families[shape->exporter].job;
    add(l, "cluster", arena_printf(a, "prod-eu-%u", target / 1000));
    add(l, "region", STR("eu-central-1"));
    add(l, "zone", arena_printf(a, "eu-central-1%c", 'a' + (char)(target % 3)));
    add(l, "container", str_from_c(job));
    add(l, "endpoint", STR("http-metrics"));
    add(l, "namespace", STR("monitoring"));
    add(l, "node",
        arena_printf(a, "ip-10-%u-%u-%u.eu-central-1.compute.internal", 16 + (target >> 16),
                     target >> 8 & 255, target & 255));
    add(l, "pod",
        arena_printf(a, "%s-%05x%.*s", job, (unsigned)hash64(&target, sizeof target, 1) & 0xfffff,
                     n, generation));
    add(l, "service", arena_printf(a, "kube-prometheus-stack-%s", job));
    add(l, "prometheus", STR("monitoring/kube-prometheus-stack-prometheus"));
    add(l, "prometheus_replica", STR("prometheus-kube-prometheus-stack-prometheus-0"));
    add(l, "metrics_path", STR("/metrics"));
}

// ---- the table

struct dimension {
    struct str name, values[VALUES_MAX];
    size_t n;
};

struct dimensions {
    struct dimension items[DIMENSIONS_MAX];
    size_t n;
};

static void add_values(struct dimension *d, struct str values, struct arena *a)
{
    struct str value;
    const ptrdiff_t hash = str_find(values, '#', 0);
    int64_t count = 0;
    d->n = 0;
    if (hash != STR_NONE && !number_parse_i64(str_from(values, (size_t)hash + 1), &count)) {
        for (; d->n < (size_t)count && d->n < VALUES_MAX; d->n++)
            d->values[d->n] = arena_printf(a, "%.*s%zu", (int)hash, values.p, d->n);
        return;
    }
    while (d->n < VALUES_MAX && str_split(&values, ',', &value))
        d->values[d->n++] = value;
}

// labels: of a row of the table. suffix: of what is a unit's own.
static void parse_labels(const char *labels, unsigned units, uint32_t first_unit, struct str suffix,
                         struct arena *a, struct dimensions *out)
{
    struct str rest = str_from_c(labels ? labels : ""), word;
    out->n = 0;
    while (rest.n && str_split(&rest, ';', &word)) {
        word = str_trim(word);
        assert(out->n < DIMENSIONS_MAX);
        struct dimension *const d = &out->items[out->n++];
        if (word.p[0] == '@') { // of which put_unit() makes labels
            d->name = word;
            for (d->n = 0; d->n < units; d->n++)
                d->values[d->n] = arena_printf(a, "%zu%.*s", first_unit + d->n, STR_ARG(suffix));
            continue;
        }
        const size_t equals = (size_t)str_find(word, '=', 0);
        d->name = str_until(word, equals);
        add_values(d, str_from(word, equals + 1), a);
    }
}

static size_t dimensions_product(const struct dimensions *d)
{
    size_t n = 1;
    for (size_t i = 0; i < d->n; i++)
        n *= d->items[i].n;
    return n;
}

// The families of a row: {a,b} in its name stands for each. How many.
static size_t names_of(const char *name, struct arena *a, struct str out[static NAMES_MAX])
{
    size_t n = 1;
    out[0] = str_from_c(name);
    for (size_t i = 0; i < n;) {
        const ptrdiff_t open = str_find(out[i], '{', 0);
        if (open == STR_NONE) {
            i++;
            continue;
        }
        const struct str whole = out[i];
        const size_t close = (size_t)str_find(whole, '}', (size_t)open);
        struct str choices = str_make(whole.p + open + 1, close - (size_t)open - 1), choice;
        struct str made[NAMES_MAX];
        size_t made_n = 0;
        while (str_split(&choices, ',', &choice))
            made[made_n++] = arena_printf(a, "%.*s%.*s%.*s", (int)open, whole.p, STR_ARG(choice),
                                          (int)(whole.n - close - 1), whole.p + close + 1);
        assert(n + made_n - 1 <= NAMES_MAX);
        memmove(out + i + made_n, out + i + 1, (n - i - 1) * sizeof *out);
        memcpy(out + i, made, made_n * sizeof *out);
        n += made_n - 1;
    }
    return n;
}

static struct load_motion motion_of(const struct load_exporter_families *x,
                                    const struct load_family *f, uint32_t target, size_t series)
{
    const uint64_t key[] = {target, series};
    const uint64_t h = hash64(key, sizeof key, hash_fnv64a(f->name, strlen(f->name)));
    const double spread = 0.5 + (double)(h >> 40) * 0x1p-24; // no host repeats another
    struct load_motion m = {.base = f->base,
                            .step = f->step * spread,
                            .divisor = f->divisor,
                            .seed = (uint32_t)h,
                            .kind = f->kind};
    if (f->step != 0)
        m.base = floor(f->base * spread);
    if ((int)(h % 100) < f->constant_percent || f->step == 0)
        m.kind = LOAD_CONSTANT;
    if (x->reset_steps && (m.kind == LOAD_COUNTER || m.kind == LOAD_BURSTS)) {
        m.period = x->reset_steps;
        m.phase = (uint32_t)(hash64(&target, sizeof target, 3) % m.period);
    }
    return m;
}

// ---- series

// A label of the exporter; where the scrape puts one of this name on everything, it goes by
// exported_.
static void push_own(struct labels_builder *b, size_t common_n, struct str name, struct str value,
                     struct arena *a)
{
    for (size_t k = 0; k < common_n; k++)
        if (str_eq(b->items[k].name, name))
            name = arena_printf(a, "exported_%.*s", STR_ARG(name));
    labels_builder_push(b, name, value);
}

// The labels of a pod or container. own: its number, and the generation.
static void put_unit(struct labels_builder *b, size_t common_n, struct str what, struct str own,
                     struct arena *a)
{
    if (str_eq(what, STR("@pod"))) {
        push_own(b, common_n, STR("namespace"), STR("default"), a);
        push_own(b, common_n, STR("pod"), arena_printf(a, "app-6d4cf56db6-%.*s", STR_ARG(own)), a);
        push_own(b, common_n, STR("uid"), arena_printf(a, "0b8a2c7e-%.*s", STR_ARG(own)), a);
        return;
    }
    push_own(b, common_n, STR("id"),
             arena_printf(a, "/kubepods.slice/cri-containerd-%.*s.scope", STR_ARG(own)), a);
    push_own(b, common_n, STR("name"), arena_printf(a, "k8s_app_%.*s", STR_ARG(own)), a);
    push_own(b, common_n, STR("image"), STR("registry.example.com/app:1.42"), a);
}

struct walk {
    const struct load_shape *shape;
    const struct load_exporter_families *exporter;
    uint32_t target;
    struct labels_of common;
    struct dimensions dimensions;
    load_series_fn *each;
    void *arg;
};

// Of a row's names those that are at i, in the order of their dimensions.
static void walk_one(struct walk *w, const struct load_family *f, struct str name, size_t i,
                     size_t series, struct buf *encoded)
{
    struct labels_builder b = {0};
    struct arena *const a = &w->common.arena;
    const size_t common_n = w->common.builder.n;
    uint32_t key = w->target;
    for (size_t k = 0; k < common_n; k++)
        labels_builder_push(&b, w->common.builder.items[k].name, w->common.builder.items[k].value);
    labels_builder_push(&b, LABEL_NAME, name);
    size_t rest = i;
    for (size_t d = w->dimensions.n; d-- > 0;) {
        const struct dimension *const at = &w->dimensions.items[d];
        const size_t which = rest % at->n;
        rest /= at->n;
        if (at->name.p[0] != '@') {
            push_own(&b, common_n, at->name, at->values[which], a);
            continue;
        }
        put_unit(&b, common_n, at->name, at->values[which], a);
        if (!w->shape->has_generations)
            key = LOAD_UNIT | (w->target * w->exporter->units + (uint32_t)which);
    }
    buf_reset(encoded);
    labels_builder_encode(&b, encoded);
    labels_builder_deinit(&b);
    const struct load_motion motion = motion_of(w->exporter, f, w->target, series);
    w->each(w->arg, key, buf_str(encoded), &motion);
}

static void walk_row(struct walk *w, const struct load_family *f)
{
    static const char suffix[] = {'-', LOAD_GENERATION_BYTE, LOAD_GENERATION_BYTE,
                                  LOAD_GENERATION_BYTE, LOAD_GENERATION_BYTE};
    struct arena scratch;
    struct str names[NAMES_MAX];
    struct buf encoded = {0};
    arena_init(&scratch, 0);
    const size_t names_n = names_of(f->name, &scratch, names);
    parse_labels(f->labels, w->exporter->units, w->target * w->exporter->units,
                 str_make(suffix, sizeof suffix), &scratch, &w->dimensions);
    const size_t each_n = dimensions_product(&w->dimensions);
    for (size_t n = 0; n < names_n; n++)
        for (size_t i = 0; i < each_n; i++)
            walk_one(w, f, names[n], i, n * each_n + i, &encoded);
    buf_deinit(&encoded);
    arena_deinit(&scratch);
}

// A series of a capture, with the target's labels.
static void walk_captured(struct walk *w, const struct captured_series *s, size_t i,
                          struct buf *encoded)
{
    struct labels_builder b = {0};
    struct label l;
    const size_t common_n = w->common.builder.n;
    for (size_t k = 0; k < common_n; k++)
        labels_builder_push(&b, w->common.builder.items[k].name, w->common.builder.items[k].value);
    for (struct labels_iter at = labels_iter(s->labels); labels_next(&at, &l);)
        push_own(&b, common_n, l.name, l.value, &w->common.arena);
    buf_reset(encoded);
    labels_builder_encode(&b, encoded);
    labels_builder_deinit(&b);
    const struct load_motion motion = load_capture_motion(w->shape->capture, i, w->target);
    w->each(w->arg, w->target, buf_str(encoded), &motion);
}

void load_shape_target(const struct load_shape *shape, uint32_t target, load_series_fn *each,
                       void *arg)
{
    struct buf encoded = {0};
    struct walk *const w = mem_zalloc(sizeof *w);
    w->shape = shape;
    w->exporter = &load_exporter_families[shape->exporter];
    w->target = target;
    w->each = each;
    w->arg = arg;
    arena_init(&w->common.arena, 0);
    add_target(&w->common, shape, target);
    for (size_t i = 0; shape->capture && i < shape->capture->n; i++)
        walk_captured(w, &shape->capture->items[i], i, &encoded);
    buf_deinit(&encoded);
    for (size_t i = 0; !shape->capture && i < w->exporter->n; i++)
        walk_row(w, &w->exporter->families[i]);
    labels_builder_deinit(&w->common.builder);
    arena_deinit(&w->common.arena);
    mem_free(w);
}

void load_shape_target_labels(const struct load_shape *shape, uint32_t target, struct buf *out)
{
    struct labels_of common = {0};
    arena_init(&common.arena, 0);
    add_target(&common, shape, target);
    labels_builder_encode(&common.builder, out);
    labels_builder_deinit(&common.builder);
    arena_deinit(&common.arena);
}

struct load_motion load_shape_histogram(uint32_t histogram, uint32_t target)
{
    static const double observations = 40; // a step
    const uint64_t key[] = {target, histogram};
    const uint64_t h = hash64(key, sizeof key, 5);
    return (struct load_motion){.step = observations * (0.5 + (double)(h >> 40) * 0x1p-24),
                                .divisor = 1,
                                .seed = (uint32_t)h,
                                .kind = LOAD_COUNTER};
}

void load_shape_histograms(const struct load_shape *shape, uint32_t target, load_series_fn *each,
                           void *arg)
{
    struct labels_of common = {0};
    struct buf encoded = {0};
    arena_init(&common.arena, 0);
    add_target(&common, shape, target);
    for (uint32_t i = 0; i < shape->histograms; i++) {
        struct labels_builder b = {0};
        const struct load_motion motion = load_shape_histogram(i, target);
        for (size_t k = 0; k < common.builder.n; k++)
            labels_builder_push(&b, common.builder.items[k].name, common.builder.items[k].value);
        labels_builder_push(&b, LABEL_NAME, STR("http_request_duration_seconds"));
        labels_builder_push(&b, STR("handler"), arena_printf(&common.arena, "/api/%u", i));
        buf_reset(&encoded);
        labels_builder_encode(&b, &encoded);
        labels_builder_deinit(&b);
        each(arg, target, buf_str(&encoded), &motion);
    }
    buf_deinit(&encoded);
    labels_builder_deinit(&common.builder);
    arena_deinit(&common.arena);
}

size_t load_shape_series(const struct load_shape *shape)
{
    size_t n = 0;
    for (size_t i = 0; i < load_shape_rows(shape); i++)
        n += load_shape_row_series(shape, i);
    return n;
}

void load_shape_sequence(const struct load_shape *shape, uint32_t template, struct buf *out)
{
    struct labels_builder b = {0};
    char instance[32];
    snprintf(instance, sizeof instance, "template-%06u", template);
    labels_builder_push(&b, LABEL_NAME, STR("loadgen_sequence"));
    labels_builder_push(&b, STR("job"), STR("loadgen"));
    labels_builder_push(&b, STR("instance"), str_from_c(instance));
    labels_builder_push(&b, STR("run"), shape->run);
    labels_builder_encode(&b, out);
    labels_builder_deinit(&b);
}

size_t load_shape_rows(const struct load_shape *shape)
{
    return shape->capture ? shape->capture->n : load_exporter_families[shape->exporter].n;
}

static size_t row_series(enum load_exporter exporter, size_t row)
{
    const struct load_exporter_families *const x = &load_exporter_families[exporter];
    struct arena a;
    struct str names[NAMES_MAX];
    struct dimensions *const d = mem_alloc(sizeof *d);
    arena_init(&a, 0);
    parse_labels(x->families[row].labels, x->units, 0, (struct str){0}, &a, d);
    const size_t n = names_of(x->families[row].name, &a, names) * dimensions_product(d);
    arena_deinit(&a);
    mem_free(d);
    return n;
}

size_t load_shape_row_series(const struct load_shape *shape, size_t row)
{
    return shape->capture ? 1 : row_series(shape->exporter, row);
}

bool load_shape_is_counter(const struct load_shape *shape, size_t row)
{
    if (shape->capture)
        return shape->capture->items[row].column.is_counter;
    const enum load_motion_kind kind = load_exporter_families[shape->exporter].families[row].kind;
    return kind == LOAD_COUNTER || kind == LOAD_BURSTS;
}

struct load_motion load_shape_motion(const struct load_shape *shape, size_t row, size_t series,
                                     uint32_t target)
{
    if (shape->capture)
        return load_capture_motion(shape->capture, row, target);
    const struct load_exporter_families *const x = &load_exporter_families[shape->exporter];
    return motion_of(x, &x->families[row], target, series);
}

unsigned load_generation(uint32_t key, double share, double periods)
{
    const double phase = (double)(uint32_t)hash64(&key, sizeof key, 2) * 0x1p-32;
    return periods > 0 ? (unsigned)(periods * share + phase) : 0;
}

double load_unit_share(const struct load_shape *shape)
{
    return shape->capture ? 0 : load_exporter_families[shape->exporter].churn_percent_hour / 100.0;
}
