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
    const struct exposition_line line = {(uint32_t)x->line, (uint32_t)x->value, (uint32_t)type};
    push(l, line, x->lex.at);
}

size_t exposition_diff_run(struct exposition_diff *d, struct exposition *x,
                           struct exposition_lines *lines, struct exposition_change *out,
                           size_t max)
{
    assert(x->lex.size <= UINT32_MAX && d->at <= d->lines->n);
    const struct exposition_lines *const old = d->lines;
    const char *const body = x->lex.p, *const end = body + x->lex.n;
    size_t changes = 0, at = x->lex.at;
    const size_t stop = old->n - d->at > LINES_MAX ? d->at + LINES_MAX : old->n;
    size_t same = 0; // so many bytes from here on are known to be equal
    d->is_cut = false;
    if (!exposition_is_at_line(x))
        return 0;
    while (d->at < stop && changes < max) {
        const struct exposition_line line = old->items[d->at];
        const size_t line_end = d->at + 1 < old->n ? old->items[d->at + 1].start : old->end;
        const size_t size = line_end - line.start, to_value = line.value - line.start;
        // Cut off without a newline, or followed by what the parser stumbled over.
        if (line_end > d->body.n || d->body.p[line_end - 1] != '\n')
            break;
        if (same < size) {
            const size_t left = x->lex.n - at, old_left = d->body.n - line.start;
            same = simd.scan_mismatch(d->body.p + line.start, body + at,
                                      left < old_left ? left : old_left);
        }
        size_t taken = size;
        if (same >= size && exposition_swallows_nul(x, body + at + size))
            break;
        if (same >= size) {
            same -= size;
        } else {
            const char *const value = body + at + to_value;
            if (line.value == 0 || same < to_value || !exposition_precedes_value(value[-1]))
                break;
            const char *const p = exposition_take_tail(value, end, x->format, &out[changes].sample);
            if (!p)
                break;
            out[changes++].line = (uint32_t)d->at;
            taken = (size_t)(p - body) - at;
            same = 0;
        }
        const uint32_t start = (uint32_t)at;
        const uint32_t value = line.value ? start + (uint32_t)to_value : 0;
        push(lines, (struct exposition_line){start, value, line.type}, at + taken);
        if (line.type != EXPOSITION_TYPES)
            x->type = (enum exposition_type)line.type;
        at += taken;
        d->at++;
    }
    x->lex.at = at;
    d->is_cut = d->at < old->n && (d->at == stop || changes == max);
    return changes;
}
