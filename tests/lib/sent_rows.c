#include "tests/lib/sent_rows.h"

#include "engine/base/mem.h"

void sent_rows_deinit(struct sent_rows *s)
{
    for (size_t i = 0; i < SENT_ROWS; i++) {
        mem_free(s->rows[i].refs);
        mem_free(s->rows[i].bits);
    }
    mem_free(s->changed);
    *s = (struct sent_rows){.steady = s->steady};
}

void sent_rows_say(struct sent_rows *s, uint64_t source, struct tsdb_commit *c)
{
    struct sent_row *r = &s->rows[source % SENT_ROWS];
    bool same = r->source == source && r->n == c->n;
    size_t n = 0;
    s->changed = mem_realloc(s->changed, (c->n + 1) * sizeof *s->changed);
    for (size_t i = 0; i < c->n && same; i++) {
        same = c->samples[i].ref == r->refs[i] && c->samples[i].t_ms == c->samples[0].t_ms;
        if (c->samples[i].bits != r->bits[i])
            s->changed[n++] = (uint32_t)i;
    }
    if (!same)
        r->row = 0;
    r->refs = mem_realloc(r->refs, (c->n + 1) * sizeof *r->refs);
    r->bits = mem_realloc(r->bits, (c->n + 1) * sizeof *r->bits);
    for (size_t i = 0; i < c->n; i++) {
        r->refs[i] = c->samples[i].ref;
        r->bits[i] = c->samples[i].bits;
    }
    r->source = source;
    r->n = c->n;
    c->row = &r->row;
    c->changed = s->changed;
    c->changed_n = n;
    s->last = r;
    s->before = r->row;
}

void sent_rows_note(struct sent_rows *s)
{
    s->steady += s->before && s->last->row == s->before;
}
