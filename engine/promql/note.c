#include "engine/promql/note.h"

#include <stdarg.h>
#include <stdio.h>

#include "engine/base/number.h"
#include "engine/base/quote.h"

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
static struct query_note *note_of(struct query *q, struct str words)
{
    struct query_result *out = q->out;
    bool is_new;
    size_t at;
    q->notes.a = q->a;
    q->lacks_room |= !label_map_add(&q->notes, words, true, &at, &is_new);
    if (q->lacks_room)
        return NULL;
    if (at == q->notes_capacity) {
        q->notes_capacity = q->notes_capacity ? q->notes_capacity * 2 : 8;
        struct query_note *all =
            arena_zalloc(q->a, q->notes_capacity * sizeof *all, _Alignof(struct query_note));
        if (out->notes_count)
            memcpy(all, out->notes, out->notes_count * sizeof *all);
        out->notes = all;
    }
    if (is_new)
        out->notes_count++;
    return &out->notes[at];
}

void query_note_detailed(struct query *q, bool is_warning, const struct promql_expr *at,
                         struct str words, struct str detail)
{
    size_t line, column;
    position_of(q->text, at ? at->start : 0, &line, &column);
    struct buf text = {0};
    buf_printf(&text, "PromQL %s: ", is_warning ? "warning" : "info");
    buf_put_str(&text, words);
    struct query_note *note = note_of(q, buf_str(&text));
    buf_put_str(&text, detail);
    buf_printf(&text, " (%zu:%zu)", line, column);
    if (note)
        *note = (struct query_note){is_warning, arena_str(q->a, buf_str(&text))};
    buf_deinit(&text);
}

void query_notes_take(struct query *q, const struct query *from)
{
    q->lacks_room |= from->lacks_room;
    for (size_t i = 0; i < from->out->notes_count; i++) {
        const struct query_note *theirs = &from->out->notes[i];
        struct query_note *note = note_of(q, from->notes.keys[i]);
        if (note && !str_eq(note->text, theirs->text))
            *note = (struct query_note){theirs->is_warning, arena_str(q->a, theirs->text)};
    }
}

void query_note(struct query *q, bool is_warning, const struct promql_expr *at, const char *format,
                ...)
{
    char said[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(said, sizeof said, format, args);
    va_end(args);
    query_note_detailed(q, is_warning, at, str_from_c(said), (struct str){0});
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
    struct buf words = {0};
    buf_printf(&words, "metric might not be a counter, name does not end in "
                       "_total/_sum/_count/_bucket: ");
    buf_put_quoted(&words, name);
    query_note_detailed(q, false, at, buf_str(&words), (struct str){0});
    buf_deinit(&words);
}

void note_put_name(struct buf *words, struct str name)
{
    if (!name.n)
        return;
    buf_printf(words, " for metric name ");
    buf_put_quoted(words, name);
}

void query_note_quantiles(struct query *q, const struct promql_expr *at, const double *values,
                          const uint64_t *present, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        if ((values[k] >= 0 && values[k] <= 1) || (present && !steps_has(present, k)))
            continue;
        char text[NUMBER_TEXT_MAX];
        const size_t size = number_format_g(values[k], text);
        query_note(q, true, at, "quantile value should be between 0 and 1, got %.*s", (int)size,
                   text);
    }
}
