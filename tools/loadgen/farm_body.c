#include "tools/loadgen/farm_body.h"

#include <assert.h>

#include "engine/base/mem.h"
#include "engine/base/number.h"
#include "engine/model/labels.h"
#include "tools/loadgen/load_histogram.h"

// A line's text, with the bytes of a generation as themselves: labels are printed in quotes.
static struct str text_of(struct str labels, struct arena *a)
{
    static const char printed[] = "\\x01\\x01\\x01\\x01", bytes[] = {1, 1, 1, 1};
    static_assert(sizeof bytes == LOAD_GENERATION_DIGITS, "a byte for each digit");
    struct buf text = {0};
    labels_format_metric(labels, &text);
    buf_put_char(&text, ' ');
    char *at;
    while ((at = memmem(text.p, text.n, printed, sizeof printed - 1))) {
        char *const rest = at + sizeof printed - 1;
        memcpy(at, bytes, sizeof bytes);
        memmove(at + sizeof bytes, rest, (size_t)(text.p + text.n - rest));
        text.n -= sizeof printed - 1 - sizeof bytes;
    }
    const struct str copy = arena_str(a, buf_str(&text));
    buf_deinit(&text);
    return copy;
}

static void add_line(void *arg, uint32_t key, struct str labels, const struct load_motion *motion)
{
    struct farm_lines *const l = arg;
    const struct str name = labels_value(labels, LABEL_NAME);
    const struct farm_line *const last = l->n ? &l->items[l->n - 1] : NULL;
    const bool is_new = !last || !str_has_prefix(last->text, name) ||
                        (last->text.p[name.n] != '{' && last->text.p[name.n] != ' ');
    struct farm_line line = {.family = last ? last->family + is_new : 0, .key = key};
    if (last) { // rows come one behind the other
        line.row = last->row;
        line.series = last->series + 1;
    }
    if (last && line.series == load_shape_row_series(&l->shape, line.row)) {
        line.row++;
        line.series = 0;
    }
    if (is_new) {
        l->families_n = line.family + 1;
        line.comment = arena_printf(
            &l->arena, "# HELP %.*s As an exporter would show it.\n# TYPE %.*s %s\n", STR_ARG(name),
            STR_ARG(name), load_shape_is_counter(&l->shape, line.row) ? "counter" : "gauge");
    }
    line.text = text_of(labels, &l->arena);
    l->items = mem_grow(l->items, &l->capacity, l->n + 1, sizeof *l->items);
    l->items[l->n++] = line;
    (void)motion;
}

// One line of a histogram: name + suffix, and le where it is not empty.
static void add_part(struct farm_lines *l, struct str labels, const char *suffix, struct str le,
                     struct farm_line line)
{
    struct labels_builder b = {0};
    struct label one;
    struct buf encoded = {0};
    for (struct labels_iter i = labels_iter(labels); labels_next(&i, &one);)
        labels_builder_push(&b, one.name,
                            str_eq(one.name, LABEL_NAME)
                                ? arena_printf(&l->arena, "%.*s%s", STR_ARG(one.value), suffix)
                                : one.value);
    if (le.n)
        labels_builder_push(&b, STR("le"), le);
    labels_builder_encode(&b, &encoded);
    line.text = text_of(buf_str(&encoded), &l->arena);
    l->items = mem_grow(l->items, &l->capacity, l->n + 1, sizeof *l->items);
    l->items[l->n++] = line;
    labels_builder_deinit(&b);
    buf_deinit(&encoded);
}

static void add_histogram(void *arg, uint32_t key, struct str labels,
                          const struct load_motion *motion)
{
    struct farm_lines *const l = arg;
    const struct str name = labels_value(labels, LABEL_NAME);
    const bool is_new = !l->n || l->items[l->n - 1].part == FARM_VALUE;
    struct farm_line line = {.key = key, .part = FARM_BUCKET};
    if (!is_new)
        line.series = l->items[l->n - 1].series + 1;
    l->families_n += is_new;
    line.family = (uint32_t)l->families_n - 1;
    if (is_new)
        line.comment = arena_printf(
            &l->arena, "# HELP %.*s As an exporter would show it.\n# TYPE %.*s histogram\n",
            STR_ARG(name), STR_ARG(name));
    for (; line.bucket <= LOAD_BUCKETS_N; line.bucket++) {
        const struct str le = line.bucket < LOAD_BUCKETS_N
                                  ? arena_printf(&l->arena, "%.6g", load_bucket_bound(line.bucket))
                                  : STR("+Inf");
        add_part(l, labels, "_bucket", le, line);
        line.comment = (struct str){0};
    }
    line.part = FARM_SUM;
    add_part(l, labels, "_sum", (struct str){0}, line);
    line.part = FARM_COUNT;
    add_part(l, labels, "_count", (struct str){0}, line);
    (void)motion;
}

void farm_lines_init(struct farm_lines *l, const struct load_shape *shape)
{
    *l = (struct farm_lines){.shape = *shape};
    l->shape.is_bare = true;
    arena_init(&l->arena, 0);
    load_shape_target(&l->shape, 0, add_line, l);
    load_shape_histograms(&l->shape, 0, add_histogram, l);
}

void farm_lines_deinit(struct farm_lines *l)
{
    mem_free(l->items);
    arena_deinit(&l->arena);
}

static void put_text(struct str text, unsigned generation, struct buf *out)
{
    static const char digits[] = "0123456789abcdef";
    const size_t from = out->n;
    buf_put_str(out, text);
    char *at = out->p + from;
    while ((at = memchr(at, LOAD_GENERATION_BYTE, (size_t)(out->p + out->n - at)))) {
        unsigned rest = generation;
        for (int i = LOAD_GENERATION_DIGITS; i-- > 0; rest >>= 4)
            at[i] = digits[rest & 15];
        at += LOAD_GENERATION_DIGITS;
    }
}

static double part_value(const struct farm_line *line, uint32_t target, uint64_t step)
{
    const struct load_motion m = load_shape_histogram(line->series, target);
    const int end = line->part == FARM_BUCKET && line->bucket < LOAD_BUCKETS_N ? line->bucket + 1
                                                                               : LOAD_BUCKETS_N;
    double value = 0;
    for (int i = 0; i < end; i++) {
        const uint64_t n = load_bucket(&m, i, step);
        value += line->part == FARM_SUM ? load_bucket_sum(i, n) : (double)n;
    }
    return value;
}

void farm_body(const struct farm_lines *l, uint32_t target, const struct farm_moment *moment,
               size_t first, struct buf *out)
{
    const double share = load_unit_share(&l->shape);
    size_t begin = 0;
    while (begin < l->n && l->items[begin].family != first)
        begin++;
    for (size_t i = 0; i < l->n; i++) {
        const struct farm_line *const line = &l->items[(begin + i) % l->n];
        const uint32_t unit = (line->key ^ target * 0x9e3779b1U) | LOAD_UNIT;
        const unsigned generation = line->key & LOAD_UNIT
                                        ? load_generation(unit, share, moment->hours)
                                        : moment->generation;
        buf_put_str(out, line->comment);
        put_text(line->text, generation, out);
        if (line->part == FARM_VALUE) {
            const struct load_motion motion =
                load_shape_motion(&l->shape, line->row, line->series, target);
            buf_put_double_g(out, load_value(&motion, moment->step));
        } else {
            buf_put_double_g(out, part_value(line, target, moment->step));
        }
        buf_put_char(out, '\n');
    }
}
