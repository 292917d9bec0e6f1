#include "tests/unit/format/format_traffic.h"

#include "engine/base/bits.h"
#include "engine/base/mem.h"
#include "engine/base/util.h"
#include "engine/model/labels.h"

enum { TARGETS = 5, KINDS = 11, CONTAINERS = 6, BATCH_MAX = 64 };

static const int64_t START_MS = 1700000100000;
static const uint64_t STALE = 0x7ff0000000000002;

// A generator of its own (splitmix64), since those of the engine may change.
static uint64_t scramble(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t x = a * 0x9e3779b97f4a7c15 + b * 0xbf58476d1ce4e5b9 + c * 0x94d049bb133111eb + 1;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

// The bits of a double that the arithmetic here gives exactly.
static uint64_t value_of(size_t target, size_t kind, int round)
{
    const uint64_t noise = scramble(target, kind, (uint64_t)round);
    switch (kind) {
    case 0: // a counter
        return bits_from_double((double)(1000 * target + (uint64_t)round * 17));
    case 1: // a counter that is reset
        return bits_from_double((double)(round % 40 * 3));
    case 2: // a constant
        return bits_from_double(4242.5);
    case 3: // decimals
        return bits_from_double((double)(noise % 100000) / 1000);
    case 4: // bytes: large whole numbers
        return bits_from_double((double)(noise % (1ull << 40)) * 4096);
    case 5: // any bits of a number below two
        return noise & 0xbfffffffffffffff;
    case 6: { // what is easily lost
        static const uint64_t odd[] = {0x8000000000000000, 0x7ff8000000000001, 0x7ff8dead0000beef,
                                       0xfff8000000000123, 0x7ff0000000000000, 0xfff0000000000000,
                                       0x0000000000000001, 0x7fefffffffffffff, 0};
        return odd[noise % countof(odd)];
    }
    case 7: // seldom changes
        return bits_from_double((double)(round / 30));
    case 8: // up
        return bits_from_double(round % 13 == 12 ? 0 : 1);
    default: // small steps up and down
        return bits_from_double(20 + (double)(noise % 7) - 3);
    }
}

static struct str series_of(struct arena *a, size_t target, size_t kind)
{
    struct labels_builder b = {0};
    labels_builder_set(&b, LABEL_NAME,
                       kind == 8 ? STR("up") : arena_printf(a, "format_kind_%zu", kind));
    if (target < 4) // the last one has neither job nor instance
        labels_builder_set(&b, STR("job"), target < 3 ? STR("node") : STR("other"));
    if (target < 4)
        labels_builder_set(&b, STR("instance"), arena_printf(a, "10.0.0.%zu:9100", target));
    if (kind == 9)
        labels_builder_set(&b, STR("n\xc3\xa4me with.dots"), STR("w\xc3\xa9rt \xe2\x82\xac\n\"\\"));
    if (kind == 10)
        labels_builder_set(&b, STR("long"), arena_printf(a, "%0300zu", target));
    const struct str labels = labels_builder_finish(&b, a);
    labels_builder_deinit(&b);
    return labels;
}

static struct traffic_batch *begin(struct traffic *t, uint64_t source, int64_t late_ms)
{
    t->batches = mem_grow(t->batches, &t->capacity, t->n + 1, sizeof *t->batches);
    t->batches[t->n] =
        (struct traffic_batch){.samples = arena_array(&t->arena, BATCH_MAX, struct traffic_sample),
                               .source = source,
                               .late_ms = late_ms};
    return &t->batches[t->n++];
}

static void put(struct traffic_batch *b, struct str labels, int64_t t_ms, uint64_t bits)
{
    assert(b->n < BATCH_MAX);
    struct traffic_sample *samples = (struct traffic_sample *)(uintptr_t)b->samples;
    samples[b->n++] = (struct traffic_sample){labels, t_ms, bits};
}

// One scrape; of the third target a series goes and comes again, with stale markers.
static void put_scrape(struct traffic *t, size_t target, int round, int64_t t_ms)
{
    struct traffic_batch *b = begin(t, target + 1, 0);
    for (size_t kind = 0; kind < KINDS; kind++) {
        const int phase = round % 20;
        const bool comes_and_goes = target == 2 && kind % 3 == 0;
        if (comes_and_goes && phase > 12)
            continue;
        put(b, series_of(&t->arena, target, kind), t_ms,
            comes_and_goes && phase == 12 ? STALE : value_of(target, kind, round));
    }
}

// Metrics of one exporter with times of their own, some of which repeat.
static void put_containers(struct traffic *t, int round, int64_t t_ms)
{
    struct traffic_batch *b = begin(t, 100, 0);
    for (size_t i = 0; i < CONTAINERS; i++) {
        struct labels_builder l = {0};
        const int held = i == 5 ? round / 2 * 2 : round; // the last one's time stands still
        labels_builder_set(&l, LABEL_NAME, STR("container_cpu_seconds_total"));
        labels_builder_set(&l, STR("job"), STR("cadvisor"));
        labels_builder_set(&l, STR("instance"), STR("node-1"));
        labels_builder_set(&l, STR("container"), arena_printf(&t->arena, "c%zu", i));
        put(b, labels_builder_finish(&l, &t->arena),
            t_ms - (round - held) * FORMAT_STEP_MS - (int64_t)(1000 + i * 37),
            value_of(200 + i, 3, held));
        labels_builder_deinit(&l);
    }
}

// One sender, every third round: the newest sample first, then what it brings late.
static void put_late(struct traffic *t, int round, int64_t t_ms)
{
    struct labels_builder l = {0};
    labels_builder_set(&l, LABEL_NAME, STR("sent_late"));
    labels_builder_set(&l, STR("job"), STR("sender"));
    labels_builder_set(&l, STR("instance"), STR("s"));
    const struct str labels = labels_builder_finish(&l, &t->arena);
    labels_builder_deinit(&l);
    put(begin(t, 200, FORMAT_SEAL_MS), labels, t_ms, value_of(300, 5, round));
    struct traffic_batch *b = begin(t, 200, FORMAT_SEAL_MS);
    for (int i = 4; i > 0; i--)
        put(b, labels, t_ms - i * 7001, value_of(300 + (size_t)i, 6, round));
}

void format_traffic(struct traffic *t, int from, int to)
{
    *t = (struct traffic){0};
    arena_init(&t->arena, 0);
    for (int round = from; round < to; round++) {
        const int64_t t_ms = START_MS + round * FORMAT_STEP_MS;
        for (size_t target = 0; target < TARGETS; target++)
            put_scrape(t, target, round, t_ms + (int64_t)target * 1234);
        put_containers(t, round, t_ms);
        if (round % 3 == 0)
            put_late(t, round, t_ms);
    }
}
