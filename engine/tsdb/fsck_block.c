// A block file: header, footer, tables, every chunk and every column, each by itself, so that one
// that is damaged does not hide the others.
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/base/util.h"
#include "engine/tsdb/block_notes.h"
#include "engine/tsdb/block_reader.h"
#include "engine/tsdb/fsck_state.h"
#include "io/fiber.h"

enum { LOST_MAX = 256 };

struct checking {
    struct fsck *k;
    struct block_file *f;
    const char *path;
    bool is_damaged; // some chunk or table is: what follows from the whole is not asked
};

static const char *const section_names[BLOCK_SECTION_COUNT] = {
    [BLOCK_NAMES] = "label names",
    [BLOCK_PAIRS] = "label values",
    [BLOCK_SETS] = "label sets",
    [BLOCK_TUPLES] = "label tuples",
    [BLOCK_SERIES] = "series",
    [BLOCK_POSTINGS] = "postings",
    [BLOCK_TIMES] = "time columns",
    [BLOCK_COLUMNS] = "samples",
    [BLOCK_LAYOUTS] = "layouts of histograms",
    [BLOCK_EXEMPLARS] = "exemplars",
    [BLOCK_METADATA] = "metadata",
    [BLOCK_EXEMPLAR_TIMES] = "times of exemplars",
};

// What is gone with some items of a section.
static void describe_loss(enum block_section section, uint32_t items, char lost[static LOST_MAX])
{
    if (section == BLOCK_COLUMNS)
        snprintf(lost, LOST_MAX, "samples of %u series in this file", items);
    else if (section == BLOCK_TIMES)
        snprintf(lost, LOST_MAX, "samples of the series that have %u time columns", items);
    else if (section == BLOCK_EXEMPLARS || section == BLOCK_METADATA)
        snprintf(lost, LOST_MAX, "%u notes: %s", items, section_names[section]);
    else
        snprintf(lost, LOST_MAX, "%u %s: queries of this file that need them fail", items,
                 section_names[section]);
}

// ---- which byte belongs to what

struct extent {
    uint64_t offset, size;
};

static int compare_extents(const void *a, const void *b)
{
    const struct extent *const x = a, *const y = b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static void check_extents(struct checking *c, struct extent *all, size_t n, uint64_t size)
{
    uint64_t end = 0, unnamed = 0, first = 0;
    qsort(all, n, sizeof *all, compare_extents);
    for (size_t i = 0; i < n; i++) {
        if (all[i].offset < end)
            fsck_say(c->k, FSCK_DAMAGE, c->path, (int64_t)all[i].offset, "",
                     "stands within what begins before it");
        if (all[i].offset > end && !unnamed)
            first = end;
        if (all[i].offset > end)
            unnamed += all[i].offset - end;
        if (all[i].offset + all[i].size > end)
            end = all[i].offset + all[i].size;
    }
    if (end != size)
        fsck_say(c->k, FSCK_DAMAGE, c->path, (int64_t)end, "", "the file goes on behind its end");
    if (unnamed)
        fsck_say(c->k, FSCK_NOTE, c->path, (int64_t)first, "",
                 "%llu bytes from here on that no table names", (unsigned long long)unnamed);
}

static void check_layout(struct checking *c)
{
    const struct block_footer *const footer = &c->f->footer;
    size_t n = 2 + BLOCK_SECTION_COUNT, at = 0;
    for (unsigned s = 0; s < BLOCK_SECTION_COUNT; s++)
        n += footer->sections[s].chunks;
    struct extent *all = mem_alloc_array(n, sizeof *all);
    const uint64_t footer_size = block_footer_size(footer->version);
    all[at++] = (struct extent){0, BLOCK_HEADER_BYTES};
    all[at++] = (struct extent){footer->summary.bytes - footer_size, footer_size};
    for (unsigned s = 0; s < BLOCK_SECTION_COUNT; s++) {
        const struct block_section_info *const info = &footer->sections[s];
        if (info->chunks)
            all[at++] = (struct extent){info->table_offset, info->chunks * BLOCK_CHUNK_BYTES};
        for (uint32_t i = 0; i < info->chunks; i++) {
            const struct block_chunk *const chunk = &c->f->tables[s].chunks[i];
            all[at++] = (struct extent){chunk->offset, chunk->size};
        }
    }
    check_extents(c, all, at, footer->summary.bytes);
    mem_free(all);
}

// ---- chunks

static void check_section(struct checking *c, enum block_section section)
{
    const struct block_section_info *const info = &c->f->footer.sections[section];
    char lost[LOST_MAX];
    struct errmsg e;
    if (!info->chunks)
        return;
    if (block_table_load(c->f, section, &e) != ERR_OK) {
        describe_loss(section, info->items, lost);
        fsck_say_error(c->k, c->path, lost, &e);
        c->is_damaged = true;
        return;
    }
    for (uint32_t i = 0; i < info->chunks; i++) {
        struct block_held *held;
        c->k->counts.chunks++;
        if (block_chunk_get(c->f, section, i, &held, &e) == ERR_OK) {
            block_chunk_put(c->f, held);
        } else {
            describe_loss(section, block_chunk_items(c->f, section, i), lost);
            fsck_say_error(c->k, c->path, lost, &e);
            c->is_damaged = true;
        }
        fiber_yield_if_due();
    }
}

// ---- columns

static void check_column(struct checking *c, uint32_t id, const struct column *column)
{
    const struct block_summary *const s = block_file_summary(c->f);
    bool ascends = column->n > 0;
    for (size_t i = 1; i < column->n; i++)
        ascends = ascends && column->t[i - 1] < column->t[i];
    if (!ascends)
        fsck_say(c->k, FSCK_DAMAGE, c->path, -1, "",
                 column->n ? "the times of series %u do not ascend" : "series %u has no samples",
                 id);
    else if (column->t[0] < s->min_t || column->t[column->n - 1] > s->max_t)
        fsck_say(c->k, FSCK_DAMAGE, c->path, -1, "",
                 "series %u has samples outside of the times that the footer names", id);
}

// The series of one chunk; how many samples they have.
static uint64_t check_group(struct checking *c, uint32_t index, struct arena *a)
{
    const uint32_t first = c->f->tables[BLOCK_COLUMNS].chunks[index].first;
    const uint32_t n = block_chunk_items(c->f, BLOCK_COLUMNS, index);
    uint32_t *ids = arena_array(a, n, uint32_t);
    struct column *columns = arena_array(a, n, struct column);
    struct errmsg e;
    uint64_t samples = 0;
    for (uint32_t i = 0; i < n; i++)
        ids[i] = first + i;
    // All samples: times above INT64_MIN; nothing has that time.
    if (block_file_read(c->f, ids, n, INT64_MIN, INT64_MAX, a, columns, &e) != ERR_OK) {
        char lost[LOST_MAX];
        describe_loss(BLOCK_COLUMNS, n, lost);
        fsck_say_error(c->k, c->path, lost, &e);
        c->is_damaged = true;
        return 0;
    }
    for (uint32_t i = 0; i < n; i++) {
        check_column(c, first + i, &columns[i]);
        samples += columns[i].n;
    }
    return samples;
}

static bool chunk_is_good(struct checking *c, uint32_t index)
{
    struct block_held *held;
    if (block_chunk_get(c->f, BLOCK_COLUMNS, index, &held, NULL) != ERR_OK)
        return false; // said already
    block_chunk_put(c->f, held);
    return true;
}

static void check_columns(struct checking *c)
{
    struct arena a;
    uint64_t samples = 0;
    if (!c->f->tables[BLOCK_COLUMNS].chunks)
        return;
    arena_init(&a, 0);
    for (uint32_t i = 0; i < c->f->footer.sections[BLOCK_COLUMNS].chunks; i++) {
        arena_reset(&a);
        if (chunk_is_good(c, i))
            samples += check_group(c, i, &a);
        fiber_yield_if_due();
    }
    arena_deinit(&a);
    c->k->counts.samples += samples;
    if (!c->is_damaged && samples != block_file_summary(c->f)->samples)
        fsck_say(c->k, FSCK_DAMAGE, c->path, -1, "", "has %llu samples, its footer says %llu",
                 (unsigned long long)samples,
                 (unsigned long long)block_file_summary(c->f)->samples);
}

// ---- notes

static bool note_is_good(enum note_kind kind, struct str note, int64_t min_t, int64_t max_t)
{
    struct tsdb_exemplar x;
    struct tsdb_metadata m;
    uint32_t partition;
    uint64_t run;
    if (kind == NOTE_METADATA)
        return note_get_metadata(note, &partition, &run, &m);
    return note_get_exemplar(note, &partition, &x) && x.t_ms >= min_t && x.t_ms <= max_t;
}

static void check_notes(struct checking *c, enum note_kind kind)
{
    struct block_notes notes = block_notes_of(c->f, kind);
    struct buf last = {0};
    struct str note;
    struct errmsg e;
    int64_t min_t = 0, max_t = 0;
    uint64_t bad = 0, unordered = 0;
    err code = kind == NOTE_EXEMPLARS ? block_exemplar_times(c->f, &min_t, &max_t, &e) : ERR_OK;
    while (code == ERR_OK && (code = block_notes_next(&notes, &note, &e)) == ERR_OK && note.p) {
        bad += !note_is_good(kind, note, min_t, max_t);
        unordered += last.n && note_cmp(kind, buf_str(&last), note) > 0;
        buf_reset(&last);
        buf_put_str(&last, note);
    }
    block_notes_done(&notes);
    buf_deinit(&last);
    if (code != ERR_OK && !c->is_damaged) // else it was said
        fsck_say_error(c->k, c->path, "exemplars or metadata", &e);
    if (bad || unordered)
        fsck_say(c->k, FSCK_DAMAGE, c->path, -1, "exemplars or metadata",
                 "%llu notes that are malformed, %llu out of order", (unsigned long long)bad,
                 (unsigned long long)unordered);
}

// ---- the whole

static void check_entry(struct checking *c, const struct catalogue_file *named)
{
    const struct block_summary *const s = block_file_summary(c->f);
    if (named->series == s->series && named->samples == s->samples && named->min_t_ms <= s->min_t &&
        named->max_t_ms >= s->max_t && named->partition_min <= s->partition_min &&
        named->partition_max >= s->partition_max && named->tenant == s->tenant &&
        named->tier == s->tier)
        return;
    fsck_say(c->k, FSCK_DAMAGE, c->path, -1, "",
             "the catalogue says %llu series, %llu samples from %lld to %lld, partitions %u to %u; "
             "the file %llu, %llu, %lld to %lld, %u to %u",
             (unsigned long long)named->series, (unsigned long long)named->samples,
             (long long)named->min_t_ms, (long long)named->max_t_ms, named->partition_min,
             named->partition_max, (unsigned long long)s->series, (unsigned long long)s->samples,
             (long long)s->min_t, (long long)s->max_t, s->partition_min, s->partition_max);
}

void fsck_block(struct fsck *k, const char *path, const struct catalogue_file *named)
{
    struct checking c = {.k = k, .path = path};
    char lost[LOST_MAX] = "all that it holds";
    struct errmsg e;
    k->counts.files++;
    if (named)
        snprintf(lost, sizeof lost, "%llu samples of %llu series, from %lld to %lld",
                 (unsigned long long)named->samples, (unsigned long long)named->series,
                 (long long)named->min_t_ms, (long long)named->max_t_ms);
    if (block_file_open(path, BLOCK_CACHE_DEFAULT_BYTES, &c.f, &e) != ERR_OK) {
        fsck_say_unusable(k, path, lost, &e);
        return;
    }
    k->counts.bytes += block_file_summary(c.f)->bytes;
    k->counts.series += block_file_summary(c.f)->series;
    if (named)
        check_entry(&c, named);
    for (unsigned s = 0; s < BLOCK_SECTION_COUNT; s++)
        check_section(&c, (enum block_section)s);
    if (!c.is_damaged)
        check_layout(&c);
    check_columns(&c);
    if (!c.is_damaged) {
        fsck_index(k, c.f, path);
        check_notes(&c, NOTE_EXEMPLARS);
        check_notes(&c, NOTE_METADATA);
    }
    block_file_unref(c.f);
}
