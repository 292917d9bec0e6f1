// What the codec of columns costs and gives.
//
// bench_column [targets]
//   "delta":  ns a value to encode and to decode columns whose steps take 8 and 17 bits, integers
//   and
//             decimals, beside an encoder and a decoder of XOR as Prometheus's chunks have it
//   "form":   bytes a value by scale and form of the columns of ferula-loadgen's exporters, a day
//   at
//             15 s of so many targets each
//   "file":   the same as a block file, and where its bytes are
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine/base/bits.h"
#include "engine/base/mem.h"
#include "engine/base/rng.h"
#include "engine/base/util.h"
#include "engine/model/labels.h"
#include "engine/tsdb/block_reader.h"
#include "engine/tsdb/column.h"
#include "engine/tsdb/column_fit.h"
#include "simd/simd.h"
#include "tests/lib/in_loop.h"
#include "tools/loadgen/load_shape.h"

enum { STEP_MS = 15000, DAY_ROWS = 24 * 3600 / 15, PATH = 128 };

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void must(err code, const struct errmsg *e)
{
    if (code == ERR_OK)
        return;
    fprintf(stderr, "%s: %s\n", err_name(code), e->text);
    abort();
}

// ---- the yardstick: values XORed with the one before, as in Prometheus's chunks, with 64 bits at
// hand at a time

struct xor_bits {
    uint8_t *p;
    uint64_t held;
    unsigned n; // held bits
};

static void xor_put(struct xor_bits *b, uint64_t v, unsigned width) // at most 57 bits
{
    b->held = b->held << width | v;
    for (b->n += width; b->n >= 8; b->n -= 8)
        *b->p++ = (uint8_t)(b->held >> (b->n - 8));
}

static size_t xor_encode(const uint64_t *bits, size_t n, uint8_t *out)
{
    struct xor_bits b = {.p = out};
    unsigned leading = 64, trailing = 0;
    xor_put(&b, bits[0] >> 32, 32);
    xor_put(&b, bits[0] & UINT32_MAX, 32);
    for (size_t i = 1; i < n; i++) {
        const uint64_t x = bits[i] ^ bits[i - 1];
        if (!x) {
            xor_put(&b, 0, 1);
            continue;
        }
        unsigned l = (unsigned)__builtin_clzll(x), t = (unsigned)__builtin_ctzll(x);
        l = l > 31 ? 31 : l;
        const bool same = leading != 64 && l >= leading && t >= trailing;
        if (same) {
            xor_put(&b, 2, 2);
        } else {
            leading = l;
            trailing = t;
            xor_put(&b, 3 << 11 | leading << 6 | ((64 - leading - trailing) & 63), 13);
        }
        const unsigned width = 64 - leading - trailing;
        if (width > 32)
            xor_put(&b, x >> trailing >> 32 & (((uint64_t)1 << (width - 32)) - 1), width - 32);
        xor_put(&b, x >> trailing & UINT32_MAX & ((width >= 32 ? 0 : (uint64_t)1 << width) - 1),
                width > 32 ? 32 : width);
    }
    xor_put(&b, 0, (8 - b.n) % 8);
    return (size_t)(b.p - out);
}

// The next 57 bits or more from bit `at` on, at the top. Reads up to 8 bytes past it.
static inline uint64_t xor_peek(const uint8_t *p, size_t at)
{
    uint64_t word;
    memcpy(&word, p + at / 8, 8);
    return __builtin_bswap64(word) << at % 8;
}

static void xor_decode(const uint8_t *p, size_t n, double *out)
{
    uint64_t v = xor_peek(p, 0);
    size_t at = 64;
    unsigned width = 0, trailing = 0;
    out[0] = double_from_bits(v);
    for (size_t i = 1; i < n; i++) {
        const uint64_t word = xor_peek(p, at);
        if (!(word >> 63)) {
            at++;
        } else {
            if (word >> 62 == 3) {
                const unsigned leading = word >> 57 & 31;
                width = word >> 51 & 63 ? word >> 51 & 63 : 64;
                trailing = 64 - leading - width;
                at += 13;
            } else {
                at += 2;
            }
            const unsigned high = width > 32 ? width - 32 : 0, low = width - high;
            uint64_t x = high ? xor_peek(p, at) >> (64 - high) : 0;
            x = x << low | xor_peek(p, at + high) >> (64 - low);
            at += width;
            v ^= x << trailing;
        }
        out[i] = double_from_bits(v);
    }
}

// ---- delta columns

enum { MANY = 200 }; // columns, so that branches are not learned by heart

struct speed {
    double encode_ns, decode_ns, xor_encode_ns, xor_decode_ns;
    size_t bytes, xor_bytes;
    unsigned form;
};

static void fill_deltas(struct rng *r, unsigned width, double divisor, uint64_t *bits)
{
    uint64_t m = rng_below(r, 1u << 30);
    for (size_t i = 0; i < COLUMN_MAX; i++, m += rng_below(r, (uint64_t)1 << width))
        bits[i] = bits_from_double((double)m / divisor);
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

static void measure_speed(unsigned width, double divisor, unsigned rounds)
{
    enum { ROOM = COLUMN_BYTES_MAX + 64, XOR_ROOM = 10 * COLUMN_MAX + 64 };
    struct speed s = {1e18, 1e18, 1e18, 1e18, 0, 0, 0};
    uint64_t *bits = mem_alloc_array(MANY * COLUMN_MAX, sizeof *bits);
    uint8_t *columns = mem_zalloc(MANY * ROOM), *xors = mem_zalloc(MANY * XOR_ROOM);
    size_t sizes[MANY] = {0};
    double out[COLUMN_MAX + COLUMN_PAD];
    struct rng r;
    rng_init(&r, width);
    for (size_t i = 0; i < MANY; i++)
        fill_deltas(&r, width, divisor, bits + i * COLUMN_MAX);
    for (unsigned round = 0; round < rounds; round++) {
        const double t0 = now_ns();
        for (size_t i = 0; i < MANY; i++)
            sizes[i] = column_encode_values(bits + i * COLUMN_MAX, COLUMN_MAX, columns + i * ROOM);
        const double t1 = now_ns();
        for (size_t i = 0; i < MANY; i++)
            if (!column_decode_values(columns + i * ROOM, sizes[i], COLUMN_MAX, out) ||
                bits_from_double(out[COLUMN_MAX - 1]) != bits[(i + 1) * COLUMN_MAX - 1])
                abort();
        const double t2 = now_ns();
        for (size_t i = s.xor_bytes = 0; i < MANY; i++)
            s.xor_bytes += xor_encode(bits + i * COLUMN_MAX, COLUMN_MAX, xors + i * XOR_ROOM);
        const double t3 = now_ns();
        for (size_t i = 0; i < MANY; i++) {
            xor_decode(xors + i * XOR_ROOM, COLUMN_MAX, out);
            if (bits_from_double(out[COLUMN_MAX - 1]) != bits[(i + 1) * COLUMN_MAX - 1])
                abort();
        }
        const double t4 = now_ns();
        s.encode_ns = least(s.encode_ns, t1 - t0);
        s.decode_ns = least(s.decode_ns, t2 - t1);
        s.xor_encode_ns = least(s.xor_encode_ns, t3 - t2);
        s.xor_decode_ns = least(s.xor_decode_ns, t4 - t3);
    }
    for (size_t i = 0; i < MANY; i++)
        s.bytes += sizes[i];
    const double n = (double)MANY * COLUMN_MAX;
    printf("{\"bench\": \"delta\", \"width\": %u, \"divisor\": %g, \"form\": %d, "
           "\"bytes_per_value\": %.3f, \"encode_mvalues_per_s\": %.0f, \"decode_mvalues_per_s\": "
           "%.0f, "
           "\"xor_bytes_per_value\": %.3f, \"xor_encode_mvalues_per_s\": %.0f, "
           "\"xor_decode_mvalues_per_s\": %.0f}\n",
           width, divisor, columns[0] & COLUMN_HEAD_FORM, (double)s.bytes / n,
           n / s.encode_ns * 1e3, n / s.decode_ns * 1e3, (double)s.xor_bytes / n,
           n / s.xor_encode_ns * 1e3, n / s.xor_decode_ns * 1e3);
    mem_free(bits);
    mem_free(columns);
    mem_free(xors);
}

// ---- what ferula-loadgen makes

struct one { // a series
    uint32_t target;
    struct str name, local;
    struct load_motion motion;
};

struct load {
    struct arena arena;
    struct load_shape shape;
    size_t targets, n, capacity;
    uint32_t target;
    struct str *tuples;
    struct one *items;
    char path[PATH];
};

static struct str local_of(struct load *l, struct str labels, struct str tuple)
{
    struct labels_builder b = {0};
    struct label label;
    struct str value;
    for (struct labels_iter i = labels_iter(labels); labels_next(&i, &label);)
        if (!labels_get(tuple, label.name, &value))
            labels_builder_set(&b, label.name, label.value);
    const struct str local = labels_builder_finish(&b, &l->arena);
    labels_builder_deinit(&b);
    return local;
}

static void add_series(void *arg, uint32_t key, struct str labels, const struct load_motion *motion)
{
    struct load *l = arg;
    (void)key;
    l->items = mem_grow(l->items, &l->capacity, l->n + 1, sizeof *l->items);
    struct one *one = &l->items[l->n++];
    one->target = l->target;
    one->local = local_of(l, labels, l->tuples[l->target]);
    one->name = labels_value(one->local, LABEL_NAME);
    one->motion = *motion;
}

static int by_name(const void *x, const void *y)
{
    const struct one *a = x, *b = y;
    return str_cmp(a->name, b->name);
}

static void make_load(struct load *l)
{
    struct buf labels = {0};
    arena_init(&l->arena, 0);
    l->tuples = arena_array(&l->arena, l->targets, struct str);
    for (l->target = 0; l->target < l->targets; l->target++) {
        buf_reset(&labels);
        load_shape_target_labels(&l->shape, l->target, &labels);
        l->tuples[l->target] = arena_str(&l->arena, buf_str(&labels));
        load_shape_target(&l->shape, l->target, add_series, l);
    }
    buf_deinit(&labels);
    qsort(l->items, l->n, sizeof *l->items, by_name);
}

static void make_values(const struct load_motion *m, uint64_t *bits)
{
    for (size_t row = 0; row < DAY_ROWS; row++)
        bits[row] = bits_from_double(load_value(m, row));
}

struct kind {
    size_t columns, bytes, values;
};

static const char *const forms[] = {"const", "ramp",   "for",   "line",
                                    "delta", "delta2", "slope", "xor"};
static const char *const scales[] = {"integer", "divide", "multiply", "two_steps", "raw"};

static void measure_forms(const struct load *l)
{
    struct kind kinds[countof(scales)][countof(forms)] = {0};
    uint64_t bits[DAY_ROWS];
    uint8_t bytes[COLUMN_BYTES_MAX];
    for (size_t i = 0; i < l->n; i++) {
        make_values(&l->items[i].motion, bits);
        for (size_t at = 0; at < DAY_ROWS; at += COLUMN_MAX) {
            const size_t n = DAY_ROWS - at < COLUMN_MAX ? DAY_ROWS - at : COLUMN_MAX;
            const size_t size = column_encode_values(bits + at, n, bytes);
            const unsigned scale = bytes[0] & COLUMN_HEAD_SCALED ? bytes[1] : 0;
            struct kind *k = &kinds[scale == 0     ? 0
                                    : scale == 127 ? 4
                                                   : scale / 32 + 1][bytes[0] & COLUMN_HEAD_FORM];
            k->columns++;
            k->bytes += size;
            k->values += n;
        }
    }
    for (size_t s = 0; s < countof(scales); s++)
        for (size_t f = 0; f < countof(forms); f++) {
            const struct kind *k = &kinds[s][f];
            if (k->columns)
                printf("{\"bench\": \"form\", \"exporter\": \"%s\", \"scale\": \"%s\", "
                       "\"form\": \"%s\", \"columns\": %zu, \"bytes\": %zu, \"bytes_per_value\": "
                       "%.4f}\n",
                       load_exporter_names[l->shape.exporter], scales[s], forms[f], k->columns,
                       k->bytes, (double)k->bytes / (double)k->values);
        }
}

// ---- a file of a day

static void report_columns(struct block_file *f)
{
    struct errmsg e;
    uint64_t directory = 0, columns = 0;
    for (uint32_t i = 0; i < f->footer.sections[BLOCK_COLUMNS].chunks; i++) {
        const struct block_chunk *c = &f->tables[BLOCK_COLUMNS].chunks[i];
        uint8_t head[4];
        must(file_read(&f->file, (int64_t)c->offset, head, sizeof head, &e), &e);
        directory += sizeof head + load_le32(head);
        columns += c->size - sizeof head - load_le32(head);
    }
    printf(", \"directory\": %llu, \"values\": %llu", (unsigned long long)directory,
           (unsigned long long)columns);
}

static void report_file(const struct load *l, const struct block_summary *s)
{
    static const char *const names[] = {"names",   "pairs",     "sets",     "tuples",
                                        "series",  "postings",  "times",    "columns",
                                        "layouts", "exemplars", "metadata", "exemplar_times"};
    struct block_file *f;
    struct errmsg e;
    must(block_file_open(l->path, BLOCK_CACHE_DEFAULT_BYTES, &f, &e), &e);
    printf("{\"bench\": \"file\", \"exporter\": \"%s\", \"labels\": %d, \"targets\": %zu, "
           "\"series\": %llu, \"samples\": %llu, \"bytes_per_sample\": %.4f",
           load_exporter_names[l->shape.exporter], l->shape.is_operator ? 14 : 2, l->targets,
           (unsigned long long)s->series, (unsigned long long)s->samples,
           (double)s->bytes / (double)s->samples);
    uint64_t total = 0;
    for (unsigned i = 0; i < BLOCK_SECTION_COUNT; i++) {
        must(block_table_load(f, (enum block_section)i, &e), &e);
        uint64_t bytes = f->footer.sections[i].chunks * (uint64_t)BLOCK_CHUNK_BYTES;
        for (uint32_t c = 0; c < f->footer.sections[i].chunks; c++)
            bytes += f->tables[i].chunks[c].size;
        printf(", \"%s\": %llu", names[i], (unsigned long long)bytes);
        total += bytes;
    }
    printf(", \"rest\": %llu", (unsigned long long)(s->bytes - total));
    report_columns(f);
    printf("}\n");
    block_file_unref(f);
}

static void measure_file(struct load *l)
{
    struct block_writer *w;
    struct block_summary s;
    struct errmsg e;
    uint64_t *bits = mem_alloc_array(DAY_ROWS, sizeof *bits); // a fiber's stack is small
    int64_t *times = mem_alloc_array(l->targets * DAY_ROWS, sizeof *times);
    struct rng r;
    rng_init(&r, 1);
    for (size_t i = 0; i < l->targets; i++) {
        const int64_t start = 1700000000000 + (int64_t)rng_below(&r, STEP_MS);
        for (size_t row = 0; row < DAY_ROWS; row++)
            times[i * DAY_ROWS + row] = start + (int64_t)row * STEP_MS;
    }
    must(block_writer_create(l->path, 0, 0, &w, &e), &e);
    for (size_t i = 0; i < l->n; i++) {
        const struct one *one = &l->items[i];
        const struct block_key key = {one->target * 37 % 256, l->tuples[one->target], one->local};
        make_values(&one->motion, bits);
        const struct column column = {
            .t = times + one->target * DAY_ROWS, .v = (const double *)bits, .n = DAY_ROWS};
        must(block_writer_add(w, &key, &column, &e), &e);
    }
    must(block_writer_finish(w, &s, &e), &e);
    block_writer_destroy(w);
    report_file(l, &s);
    must(path_unlink(l->path, &e), &e);
    mem_free(times);
    mem_free(bits);
}

static void run(void *arg)
{
    struct load *l = arg;
    measure_file(l);
}

static void measure_load(enum load_exporter exporter, bool is_operator, size_t targets,
                         const char *dir)
{
    struct load l = {.shape = {.exporter = exporter, .is_operator = is_operator},
                     .targets = targets};
    snprintf(l.path, sizeof l.path, "%s/day", dir);
    make_load(&l);
    if (!is_operator)
        measure_forms(&l);
    in_loop(IN_LOOP_URING, run, &l);
    mem_free(l.items);
    arena_deinit(&l.arena);
}

int main(int argc, char **argv)
{
    const size_t targets = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
    const unsigned rounds = targets > 1 ? 40 : 2;
    char dir[] = "/tmp/ferula-bench-XXXXXX";
    uint32_t mask;
    if (targets == 0 || simd_mask_from_environment(&mask, NULL) != ERR_OK)
        return 2;
    simd_init(mask);
    for (unsigned i = 0; i < 4; i++)
        measure_speed(i % 2 ? 17 : 8, i / 2 ? 1000 : 1, rounds);
    if (!mkdtemp(dir))
        abort();
    for (int exporter = 0; exporter < LOAD_EXPORTERS; exporter++)
        for (int shape = 0; shape < 2; shape++)
            measure_load((enum load_exporter)exporter, shape, targets, dir);
    return remove(dir) != 0;
}
