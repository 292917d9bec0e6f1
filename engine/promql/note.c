#include <stdarg.h>
#include <stdio.h>

#include "engine/promql/eval.h"

// Lines and columns count from 1, columns in bytes.
static void position_of(struct str text, size_t at, size_t *out_line, size_t *out_column)
{
    size_t line = 1, start = 0;
    for (size_t i = 0; i < at && i < text.n; i++)
        if (text.p[i] == '\n') {
            line++;
            start = i + 1;
        }
    *out_line = line;
    *out_column = at - start + 1;
}

// The same words at another position are the same note, and the later position stays, as in
// Prometheus: of operators the right side's, of nested expressions the outer one's.
static void add_note(struct query *q, struct query_note note)
{
    struct query_result *out = q->out;
    for (size_t i = 0; i < out->notes_count; i++)
        if (str_eq(str_until(out->notes[i].text, out->notes[i].words_size),
                   str_until(note.text, note.words_size))) {
            out->notes[i] = note;
            return;
        }
    if (out->notes_count == q->notes_capacity) {
        q->notes_capacity = q->notes_capacity ? q->notes_capacity * 2 : 8;
        struct query_note *all =
            arena_zalloc(q->a, q->notes_capacity * sizeof *all, _Alignof(struct query_note));
        if (out->notes_count)
            memcpy(all, out->notes, out->notes_count * sizeof *all);
        out->notes = all;
    }
    out->notes[out->notes_count++] = note;
}

void query_note(struct query *q, bool is_warning, const struct promql_expr *at, const char *format,
                ...)
{
    char said[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(said, sizeof said, format, args);
    va_end(args);
    size_t line, column;
    position_of(q->text, at ? at->start : 0, &line, &column);
    const struct str text = arena_printf(q->a, "PromQL %s: %s (%zu:%zu)",
                                         is_warning ? "warning" : "info", said, line, column);
    add_note(q, (struct query_note){is_warning, text, (size_t)str_find_last(text, '(')});
}

err query_unsupported(struct query *q, const struct promql_expr *at, const char *what)
{
    size_t line, column;
    position_of(q->text, at->start, &line, &column);
    return err_set(q->e, ERR_INVALID, "unsupported: %s (%zu:%zu)", what, line, column);
}

err query_unsupported_function(struct query *q, const struct promql_expr *call)
{
    char what[64];
    snprintf(what, sizeof what, "function %.*s", STR_ARG(call->call.function->name));
    return query_unsupported(q, call, what);
}

void query_note_odd_counter(struct query *q, const struct promql_expr *at, struct str name)
{
    query_note(q, false, at,
               "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "
               "\"%.*s\"",
               STR_ARG(name));
}
