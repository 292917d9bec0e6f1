#include "engine/tsdb/block_notes.h"

#include "engine/base/mem.h"
#include "engine/tsdb/block_reader.h"
#include "io/fiber.h"

static enum block_section section_of(enum note_kind kind)
{
    return kind == NOTE_EXEMPLARS ? BLOCK_EXEMPLARS : BLOCK_METADATA;
}

struct block_notes block_notes_of(struct block_file *f, enum note_kind kind)
{
    return (struct block_notes){.file = f, .kind = kind};
}

void block_notes_done(struct block_notes *i)
{
    if (i->held)
        block_chunk_put(i->file, i->held);
    i->held = NULL;
}

static err next_chunk(struct block_notes *i, struct errmsg *e)
{
    const enum block_section section = section_of(i->kind);
    block_notes_done(i);
    TRY(block_table_load(i->file, section, e));
    TRY(block_chunk_get(i->file, section, i->chunk, &i->held, e));
    i->chunk++;
    i->left = i->held->items;
    i->at = i->held->bytes;
    return ERR_OK;
}

err block_notes_next(struct block_notes *i, struct str *out, struct errmsg *e)
{
    *out = (struct str){0};
    while (i->left == 0) {
        if (i->chunk == i->file->footer.sections[section_of(i->kind)].chunks)
            return ERR_OK;
        TRY(next_chunk(i, e));
    }
    struct block_cursor c = {i->at, i->held->bytes + i->held->n, false};
    const struct str note = block_bytes(&c, block_number(&c));
    if (c.failed || note.n == 0)
        return block_chunk_corrupt(i->file, i->held, e);
    i->at = c.at;
    i->left--;
    *out = note;
    return ERR_OK;
}

err block_exemplar_times(struct block_file *f, int64_t *out_min, int64_t *out_max, struct errmsg *e)
{
    struct block_held *held;
    *out_min = INT64_MAX;
    *out_max = INT64_MIN;
    if (f->footer.sections[BLOCK_EXEMPLAR_TIMES].chunks == 0)
        return ERR_OK;
    TRY(block_table_load(f, BLOCK_EXEMPLAR_TIMES, e));
    TRY(block_chunk_get(f, BLOCK_EXEMPLAR_TIMES, 0, &held, e));
    struct block_cursor c = block_chunk_cursor(held);
    *out_min = unzigzag(block_number(&c));
    *out_max = unzigzag(block_number(&c));
    const err code = c.failed ? block_chunk_corrupt(f, held, e) : ERR_OK;
    block_chunk_put(f, held);
    return code;
}

// ---- merging

struct source {
    struct block_notes walk;
    struct str note;
};

// Steps over what is not to be kept. A malformed one is corruption.
static err take(struct source *s, struct block_range range, int64_t drop_t, struct errmsg *e)
{
    for (;;) {
        uint32_t partition;
        struct tsdb_exemplar x;
        struct tsdb_metadata m;
        uint64_t run;
        TRY(block_notes_next(&s->walk, &s->note, e));
        if (!s->note.p)
            return ERR_OK;
        fiber_yield_if_due();
        if (s->walk.kind == NOTE_METADATA) {
            if (note_get_metadata(s->note, &partition, &run, &m))
                return ERR_OK;
        } else if (note_get_exemplar(s->note, &partition, &x)) {
            if (partition < range.begin || partition >= range.end || x.t_ms <= drop_t)
                continue;
            return ERR_OK;
        }
        return block_corrupt(s->walk.file, 0, e, "a note");
    }
}

static err merge_kind(struct source *sources, size_t n, enum note_kind kind,
                      struct block_range range, int64_t drop_t, struct block_writer *w,
                      struct errmsg *e)
{
    for (size_t i = 0; i < n; i++) {
        sources[i].walk = block_notes_of(sources[i].walk.file, kind);
        TRY(take(&sources[i], range, drop_t, e));
    }
    for (;;) {
        struct source *best = NULL; // of equals the last
        for (size_t i = 0; i < n; i++)
            if (sources[i].note.p && (!best || note_cmp(kind, sources[i].note, best->note) <= 0))
                best = &sources[i];
        if (!best)
            return ERR_OK;
        TRY(block_writer_add_note(w, kind, best->note, e));
        for (struct source *s = sources; s < sources + n; s++)
            if (s != best && s->note.p && note_cmp(kind, s->note, best->note) == 0)
                TRY(take(s, range, drop_t, e));
        TRY(take(best, range, drop_t, e));
    }
}

err block_notes_merge(struct block_file *const *files, size_t n, struct block_range range,
                      int64_t drop_t, struct block_writer *w, struct errmsg *e)
{
    struct source *sources = mem_zalloc(n * sizeof *sources);
    err code = ERR_OK;
    for (size_t i = 0; i < n; i++)
        sources[i].walk.file = files[i];
    for (enum note_kind kind = NOTE_EXEMPLARS; kind <= NOTE_METADATA && code == ERR_OK; kind++) {
        code = merge_kind(sources, n, kind, range, drop_t, w, e);
        for (size_t i = 0; i < n; i++)
            block_notes_done(&sources[i].walk);
    }
    mem_free(sources);
    return code;
}
