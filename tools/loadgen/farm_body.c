#include "tools/loadgen/farm_body.h"

#include <assert.h>

#include "engine/base/mem.h"
#include "engine/base/number.h"
#include "engine/model/labels.h"

// A line's text, with the bytes of a generation as themselves: labels are printed in quotes.
static struct str text_of(struct str labels, struct arena *a)
{
    static const char printed[] = "\\x01\\x01\\x01\\x01", bytes[] = {1, 1, 1, 1};
    static_assert(sizeof bytes == LOAD_GENERATION_DIGITS, "a byte for each digit");
    struct buf text = {0};
    labels_format_metric(labels, &text);
    buf_put_char(&text, ' ');
    char *const at = memmem(text.p, text.n, printed, sizeof printed - 1);
    if (at) {
        char *const rest = at + sizeof printed - 1;
        memcpy(at, bytes, sizeof bytes);
        memmove(at + sizeof bytes, rest, (size_t)(text.p + text.n - rest));
        text.n -= sizeof printed - 1 - sizeof bytes;
    }
    const struct str copy = arena_str(a, buf_str(&text));
    buf_deinit(&text);
    return copy;
}

static void add_line(void *arg, uint32_t target, struct str labels,
                     const struct load_motion *motion)
{
    struct farm_lines *const l = arg;
    (void)target;
    const struct str name = labels_value(labels, LABEL_NAME);
    const struct farm_line *const last = l->n ? &l->items[l->n - 1] : NULL;
    const bool is_new = !last || !str_has_prefix(last->text, name) ||
                        (last->text.p[name.n] != '{' && last->text.p[name.n] != ' ');
    struct farm_line line = {.family = last ? last->family + is_new : 0,
                             .series = is_new ? 0 : last->series + 1};
    if (is_new) {
        l->families_n = line.family + 1;
        l->comments[line.family] = arena_printf(
            &l->arena, "# HELP %.*s As an exporter would show it.\n# TYPE %.*s %s\n", STR_ARG(name),
            STR_ARG(name),
            load_shape_kind(l->exporter, line.family) == LOAD_COUNTER ? "counter" : "gauge");
    }
    line.text = text_of(labels, &l->arena);
    l->items = mem_grow(l->items, &l->capacity, l->n + 1, sizeof *l->items);
    l->items[l->n++] = line;
    (void)motion;
}

void farm_lines_init(struct farm_lines *l, enum load_exporter exporter, bool has_generations)
{
    const struct load_shape shape = {
        .exporter = exporter, .is_bare = true, .has_generations = has_generations};
    *l = (struct farm_lines){.exporter = exporter};
    arena_init(&l->arena, 0);
    l->comments = arena_array(&l->arena, load_shape_families(exporter), struct str);
    load_shape_target(&shape, 0, add_line, l);
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
    char *const at = memchr(out->p + from, LOAD_GENERATION_BYTE, text.n);
    for (int i = LOAD_GENERATION_DIGITS; at && i-- > 0; generation >>= 4)
        at[i] = digits[generation & 15];
}

void farm_body(const struct farm_lines *l, uint32_t target, uint64_t step, unsigned generation,
               size_t first, struct buf *out)
{
    size_t begin = 0;
    while (begin < l->n && l->items[begin].family != first)
        begin++;
    for (size_t i = 0; i < l->n; i++) {
        const struct farm_line *const line = &l->items[(begin + i) % l->n];
        const struct load_motion motion =
            load_shape_motion(l->exporter, line->family, line->series, target);
        if (!line->series)
            buf_put_str(out, l->comments[line->family]);
        put_text(line->text, generation, out);
        buf_put_double_g(out, load_value(&motion, step));
        buf_put_char(out, '\n');
    }
}
