#include "protocol/exposition_diff.h"

#include <assert.h>

#include "engine/base/mem.h"
#include "protocol/exposition_parse.h"
#include "simd/simd.h"

enum { LINES_MAX = 4096 }; // in one run: what follows it is for the caller's turn to say

void exposition_lines_deinit(struct exposition_lines *l)
{
    mem_free(l->items);
    *l = (struct exposition_lines){0};
}

void exposition_lines_reset(struct exposition_lines *l)
{
    l->n = 0;
    l->end = 0;
}

static void push(struct exposition_lines *l, struct exposition_line line, size_t end)
{
    if (l->n == l->capacity)
        l->items = mem_grow(l->items, &l->capacity, l->n + 1, sizeof l->items[0]);
    l->items[l->n++] = line;
    l->end = (uint32_t)end;
}

void exposition_lines_push(struct exposition_lines *l, const struct exposition *x)
{
    assert(x->lex.size <= UINT32_MAX);
    const enum exposition_type type = x->event == EXPOSITION_TYPE ? x->type : EXPOSITION_TYPES;
    const uint32_t value = x->value ? (uint32_t)(x->value - x->line) : 0;
    const struct exposition_line line = {(uint32_t)x->line, value, (uint32_t)type};
    push(l, line, x->lex.at);
}

static size_t line_end(const struct exposition_lines *l, size_t line)
{
    return line + 1 < l->n ? l->items[line + 1].start : l->end;
}

// The line stands again, shift bytes further on.
static void put_again(struct exposition_line *out, const struct exposition_line *line,
                      uint32_t shift)
{
    out->start = line->start + shift;
    memcpy(&out->value, &line->value, sizeof *line - offsetof(struct exposition_line, value));
}

// Takes the lines [from, stop) that end at or before limit: shift bytes further on they are in out,
// which has room. One behind the last of them. The last line of all may be cut off: without a
// newline it does not count.
static size_t take_whole(const struct exposition_diff *d, size_t from, size_t stop, size_t limit,
                         uint32_t shift, struct exposition_line *out)
{
    const struct exposition_line *const lines = d->lines->items, *line = lines + from;
    const struct exposition_line *const last = lines + d->lines->n - 1;
    const struct exposition_line *const inner = stop < d->lines->n ? lines + stop : last;
    for (; line < inner && line[1].start <= limit; line++)
        put_again(out++, line, shift);
    if (line == last && line < lines + stop && d->lines->end <= limit &&
        d->body.p[d->lines->end - 1] == '\n')
        put_again(out, line++, shift);
    return (size_t)(line - lines);
}

// The type in force behind the lines [from, end), when it was type before them.
static enum exposition_type type_behind(const struct exposition_lines *l, size_t from, size_t end,
                                        enum exposition_type type)
{
    while (end > from && l->items[end - 1].type == EXPOSITION_TYPES)
        end--;
    return end > from ? (enum exposition_type)l->items[end - 1].type : type;
}

// The line that x has at at and d at d->at: another value, or another time, behind the first same
// bytes. The byte behind it, or NULL.
static const char *take_change(const struct exposition_diff *d, const struct exposition *x,
                               size_t at, size_t same, struct exposition_sample *out)
{
    const struct exposition_line line = d->lines->items[d->at];
    const size_t end = line_end(d->lines, d->at), to_value = line.value;
    // Cut off without a newline, or followed by what the parser stumbled over.
    if (end > d->body.n || d->body.p[end - 1] != '\n')
        return NULL;
    if (line.value == 0 || same < to_value || same >= end - line.start)
        return NULL;
    const char *const value = x->lex.p + at + to_value;
    if (!exposition_precedes_value(value[-1]))
        return NULL;
    return exposition_take_tail(value, x->lex.p + x->lex.n, x->format, out);
}

size_t exposition_diff_run(struct exposition_diff *d, struct exposition *x,
                           struct exposition_lines *lines, struct exposition_change *out,
                           size_t max)
{
    assert(x->lex.size <= UINT32_MAX && d->at <= d->lines->n);
    const struct exposition_lines *const old = d->lines;
    const char *const body = x->lex.p;
    const size_t first = d->at, lines_max = d->is_alone ? 1 : LINES_MAX;
    const size_t stop = old->n - first > lines_max ? first + lines_max : old->n;
    size_t changes = 0, at = x->lex.at;
    d->is_cut = false;
    if (!exposition_is_at_line(x) || first == stop)
        return 0;
    if (lines->capacity - lines->n < stop - first)
        lines->items = mem_grow(lines->items, &lines->capacity, lines->n + (stop - first),
                                sizeof *lines->items);
    while (d->at < stop && changes < max) {
        const size_t from = old->items[d->at].start;
        const size_t left = x->lex.n - at, old_left = d->body.n - from;
        const size_t same =
            simd.scan_mismatch(d->body.p + from, body + at, left < old_left ? left : old_left);
        const uint32_t shift = (uint32_t)(at - from);
        struct exposition_line *const put = lines->items + lines->n;
        size_t end = take_whole(d, d->at, stop, from + same, shift, put);
        size_t taken = end > d->at ? line_end(old, end - 1) - from : 0;
        const bool swallows = taken && exposition_swallows_nul(x, body + at + taken);
        if (swallows) // behind other lines it stands in the old body, too, and means the same
            taken = --end > d->at ? line_end(old, end - 1) - from : 0;
        lines->n += end - d->at;
        d->at = end;
        at += taken;
        if (swallows || end == stop)
            break;
        const char *const p = take_change(d, x, at, same - taken, &out[changes].sample);
        if (!p)
            break;
        put_again(&lines->items[lines->n++], &old->items[end],
                  (uint32_t)(at - old->items[end].start));
        out[changes++].line = (uint32_t)end;
        d->at++;
        at = (size_t)(p - body);
    }
    if (d->at > first)
        lines->end = (uint32_t)at;
    x->type = type_behind(old, first, d->at, x->type);
    x->lex.at = at;
    d->is_cut = d->at < old->n && (d->at == stop || changes == max) && !d->is_alone;
    return changes;
}
