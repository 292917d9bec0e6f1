#include "engine/scrape/scrape_page.h"

#include <assert.h>

#include "engine/base/bits.h"
#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "simd/simd.h"

enum {
    TABLE_MIN = 64,
    TABLE_ROOM = 4, // slots a series, so that nearly each lies where its hash says
    NOTHING = UINT32_MAX,
};

static_assert(sizeof(struct scrape_entry) == 24, "an entry a line, of every target");

static void page_deinit(struct scrape_page *p)
{
    buf_deinit(&p->body);
    exposition_lines_deinit(&p->lines);
    mem_free(p->entries);
    mem_free(p->times);
    *p = (struct scrape_page){0};
}

void scrape_memory_deinit(struct scrape_memory *m)
{
    page_deinit(&m->page);
    for (size_t i = 0; i < m->away_n; i++)
        mem_free(m->away[i].prefix);
    mem_free(m->away);
    *m = (struct scrape_memory){0};
}

size_t scrape_memory_bytes(const struct scrape_memory *m)
{
    const struct scrape_page *p = &m->page;
    size_t bytes = p->body.capacity + p->lines.capacity * sizeof *p->lines.items +
                   p->capacity * sizeof *p->entries + p->times_capacity * sizeof *p->times +
                   m->away_capacity * sizeof *m->away;
    for (size_t i = 0; i < m->away_n; i++)
        bytes += m->away[i].prefix_n;
    return bytes;
}

void scrape_memory_keep(struct scrape_memory *m, struct str prefix, struct scrape_entry entry)
{
    m->away = mem_grow(m->away, &m->away_capacity, m->away_n + 1, sizeof *m->away);
    char *copy = mem_alloc(prefix.n);
    memcpy(copy, prefix.p, prefix.n);
    m->away[m->away_n++] = (struct scrape_away){copy, prefix.n, entry};
}

struct str scrape_line_text(struct str body, const struct exposition_lines *lines, size_t line)
{
    const uint32_t start = lines->items[line].start;
    const uint32_t end = line + 1 < lines->n ? lines->items[line + 1].start : lines->end;
    return str_make(body.p + start, end - start);
}

struct str scrape_line_prefix(struct str body, const struct exposition_lines *lines, size_t line)
{
    const struct exposition_line l = lines->items[line];
    return str_make(body.p + l.start, l.value);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct str scrape_prefix_series(struct str prefix)
{
    while (prefix.n && is_blank(prefix.p[prefix.n - 1]))
        prefix.n--;
    return prefix;
}

// ---- the walk

void scrape_walk_deinit(struct scrape_walk *w)
{
    page_deinit(&w->now);
    mem_free(w->changes);
    mem_free(w->seen);
    mem_free(w->table);
}

void scrape_walk_begin(struct scrape_walk *w, const struct scrape_memory *m,
                       enum exposition_format format)
{
    w->memory = m;
    w->diff = (struct exposition_diff){.body = buf_str(&m->page.body), .lines = &m->page.lines};
    w->now.format = format;
    if (format != m->page.format) // the same bytes could mean something else
        w->diff.at = m->page.lines.n;
    exposition_lines_reset(&w->now.lines);
    w->changes_n = 0;
    w->unseen = 0;
    w->missing = m->page.lines.n;
    w->alone = 0;
    w->table_mask = w->table_n = 0;
    w->follows = true;
    if (!m->page.is_plain || format != m->page.format)
        scrape_walk_leave(w);
}

// Room for entries beside all of now's lines.
static void reserve(struct scrape_walk *w)
{
    struct scrape_page *now = &w->now;
    if (now->lines.n <= now->capacity && now->lines.n <= now->times_capacity)
        return;
    now->entries = mem_grow(now->entries, &now->capacity, now->lines.n, sizeof *now->entries);
    now->times = mem_grow(now->times, &now->times_capacity, now->lines.n, sizeof *now->times);
}

// ---- series by their bytes. An id is an index of the page's lines, of away behind them, or of
// now's lines behind those.

static const struct scrape_entry *entry_of(const struct scrape_walk *w, size_t id)
{
    const struct scrape_memory *m = w->memory;
    if (id < m->page.lines.n)
        return &m->page.entries[id];
    id -= m->page.lines.n;
    return id < m->away_n ? &m->away[id].entry : &w->now.entries[id - m->away_n];
}

static struct str series_of(const struct scrape_walk *w, struct str body, size_t id)
{
    const struct scrape_memory *m = w->memory;
    struct str prefix;
    if (id < m->page.lines.n) {
        prefix = scrape_line_prefix(buf_str(&m->page.body), &m->page.lines, id);
    } else if (id - m->page.lines.n < m->away_n) {
        const struct scrape_away *a = &m->away[id - m->page.lines.n];
        prefix = str_make(a->prefix, a->prefix_n);
    } else {
        prefix = scrape_line_prefix(body, &w->now.lines, id - m->page.lines.n - m->away_n);
    }
    return scrape_prefix_series(prefix);
}

static void put(struct scrape_walk *w, uint32_t hash, size_t id)
{
    size_t at = hash & w->table_mask;
    while (w->table[at])
        at = (at + 1) & w->table_mask;
    w->table[at] = (uint64_t)hash << 32 | (id + 1);
    w->table_n++;
}

static bool leads(const struct scrape_entry *entry) // to a series, first of those that do
{
    return (entry->flags & (SCRAPE_SAMPLE | SCRAPE_REPEAT)) == SCRAPE_SAMPLE;
}

// Builds the table anew, of size slots at least.
static void build(struct scrape_walk *w, size_t size)
{
    const struct scrape_memory *m = w->memory;
    const size_t old = m->page.lines.n + m->away_n;
    size_t slots = TABLE_MIN;
    while (slots < size)
        slots *= 2;
    if (slots > w->table_capacity) {
        mem_free(w->table);
        w->table = mem_alloc_array(slots, sizeof *w->table);
        w->table_capacity = slots;
    }
    memset(w->table, 0, slots * sizeof *w->table);
    w->table_mask = slots - 1;
    w->table_n = 0;
    for (size_t i = 0; i < m->page.lines.n; i++)
        if (leads(&m->page.entries[i]))
            put(w, m->page.entries[i].hash, i);
    for (size_t i = 0; i < m->away_n; i++)
        if (leads(&m->away[i].entry))
            put(w, m->away[i].entry.hash, m->page.lines.n + i);
    for (size_t i = 0; !w->follows && i < w->now.lines.n; i++) // else none is new, nor has one
        if (w->now.entries[i].flags & SCRAPE_NEW && leads(&w->now.entries[i]))
            put(w, w->now.entries[i].hash, old + i);
}

static void need_table(struct scrape_walk *w)
{
    if (!w->table_mask)
        build(w, TABLE_ROOM * (w->memory->page.lines.n + w->memory->away_n + 1));
}

static size_t find(struct scrape_walk *w, struct str body, struct str series, uint32_t hash)
{
    need_table(w);
    for (size_t at = hash & w->table_mask; w->table[at]; at = (at + 1) & w->table_mask) {
        const size_t id = (uint32_t)w->table[at] - 1;
        if (w->table[at] >> 32 == hash && str_eq(series_of(w, body, id), series))
            return id;
    }
    return NOTHING;
}

// ---- lines

static void mark(struct scrape_walk *w, size_t id)
{
    w->missing -= id < w->memory->page.lines.n && !w->seen[id];
    w->seen[id] = true;
}

// Marks the series of id as seen in this body; false: it was already.
static bool see(struct scrape_walk *w, size_t id)
{
    const size_t old = w->memory->page.lines.n + w->memory->away_n;
    if (id >= old || w->seen[id])
        return false;
    mark(w, id);
    if (id >= w->unseen)
        w->unseen = id + 1;
    return true;
}

// The entry of the page's line, which stands again in the body.
static struct scrape_entry again(struct scrape_walk *w, struct str body, size_t line)
{
    const struct scrape_page *page = &w->memory->page;
    struct scrape_entry entry = page->entries[line];
    size_t id = line;
    if (entry.flags & SCRAPE_REPEAT) { // of which line: that one may be missing now
        mark(w, line);
        id = find(w, body, series_of(w, (struct str){0}, line), entry.hash);
        assert(id != NOTHING && id < page->lines.n);
        entry = page->entries[id];
        entry.bits = page->entries[line].bits;
        entry.flags &= (uint16_t)~SCRAPE_TIMED;
        entry.flags |= page->entries[line].flags & SCRAPE_TIMED;
    }
    entry.flags &= (uint16_t) ~(SCRAPE_REPEAT | SCRAPE_NEW | SCRAPE_TRACK);
    if (!see(w, id))
        entry.flags |= SCRAPE_REPEAT;
    return entry;
}

static void set_sample(struct scrape_walk *w, size_t line, const struct exposition_sample *s)
{
    struct scrape_entry *entry = &w->now.entries[line];
    entry->bits = s->bits;
    entry->flags &= (uint16_t)~SCRAPE_TIMED;
    if (s->has_time)
        entry->flags |= SCRAPE_TIMED;
    w->now.times[line] = s->time_ms;
}

// Entries of the page's lines [first, first + n), which stand again, to now's index from.
static void take_again(struct scrape_walk *w, struct str body, size_t first, size_t n, size_t from)
{
    const struct scrape_page *page = &w->memory->page;
    if (first >= w->unseen && !page->has_repeats) {
        memcpy(w->now.entries + from, page->entries + first, n * sizeof *page->entries);
        memset(w->seen + first, true, n * sizeof *w->seen);
        w->missing -= n;
    } else {
        for (size_t i = 0; i < n; i++) {
            const struct scrape_entry *old = &page->entries[first + i];
            struct scrape_entry *entry = &w->now.entries[from + i];
            if (old->flags & SCRAPE_REPEAT || (old->flags & SCRAPE_SAMPLE && w->seen[first + i])) {
                *entry = again(w, body, first + i);
            } else {
                *entry = *old;
                mark(w, first + i);
            }
        }
    }
    if (first + n > w->unseen)
        w->unseen = first + n;
}

// Lines of the page from first on that stand again, of them w->changes with other values, to now's
// index from.
static void take_lines(struct scrape_walk *w, struct str body, size_t first, size_t n, size_t from)
{
    const struct scrape_page *page = &w->memory->page;
    if (!n)
        return;
    reserve(w);
    take_again(w, body, first, n, from);
    if (page->times)
        memcpy(w->now.times + from, page->times + first, n * sizeof *page->times);
    for (size_t i = 0; i < w->changes_n; i++)
        set_sample(w, from + (w->changes[i].line - first), &w->changes[i].sample);
    w->changes_n = 0;
}

void scrape_walk_leave(struct scrape_walk *w)
{
    const size_t old = w->memory->page.lines.n + w->memory->away_n;
    if (!w->follows)
        return;
    w->follows = false;
    w->seen = mem_grow(w->seen, &w->seen_capacity, old + 1, sizeof *w->seen);
    memset(w->seen, 0, old * sizeof *w->seen);
    take_lines(w, (struct str){0}, 0, w->now.lines.n, 0); // of a plain page: no line repeats
}

void scrape_walk_end(struct scrape_walk *w)
{
    bool is_timed = false;
    for (size_t i = 0; w->follows && i < w->changes_n; i++)
        is_timed |= w->changes[i].sample.has_time;
    if (w->now.lines.n != w->memory->page.lines.n || is_timed)
        scrape_walk_leave(w);
}

// The last blank of p[0, n), or n where there is none in the last 24 bytes: values are shorter.
static size_t last_blank(const char *p, size_t n)
{
    enum { WORDS = 3 };
    size_t end = n;
    for (int i = 0; i < WORDS && end >= 8; i++, end -= 8) {
        // Blanks become 0; the upper bit of each byte that is 0, and of no other.
        const uint64_t x = load_le64(p + end - 8) ^ 0x2020202020202020u;
        const uint64_t blanks =
            ~(((x & 0x7f7f7f7f7f7f7f7fu) + 0x7f7f7f7f7f7f7f7fu) | x | 0x7f7f7f7f7f7f7f7fu);
        if (blanks)
            return end - 1 - (size_t)__builtin_clzll(blanks) / 8;
    }
    return n;
}

// What a line of a body most likely has before its value: all up to its last blank. Empty: it is
// not a line of that kind.
static struct str likely_series(const struct exposition *x)
{
    const char *const first = x->lex.p + x->lex.at;
    const size_t n = simd.scan_line(first, x->lex.n - x->lex.at), blank = last_blank(first, n);
    if (blank == n || *first == '#')
        return (struct str){0};
    return scrape_prefix_series(str_make(first, blank));
}

// Sets the walk to where on the page the line at hand most likely stands; false: nowhere.
static bool seek(struct scrape_walk *w, const struct exposition *x)
{
    const struct scrape_page *page = &w->memory->page;
    if (!page->lines.n || page->format != x->format || x->lex.at >= x->lex.n)
        return false;
    const struct str series = likely_series(x);
    if (!series.n)
        return false;
    need_table(w);
    const uint32_t hash = (uint32_t)hash64(series.p, series.n, 0);
    for (size_t at = hash & w->table_mask; w->table[at]; at = (at + 1) & w->table_mask) {
        const size_t id = (uint32_t)w->table[at] - 1;
        if (w->table[at] >> 32 == hash && id < page->lines.n) {
            w->diff.at = id; // whether it does stand there is found out
            return true;
        }
    }
    return false;
}

// Takes what goes on as before from w->diff.at on; how many lines.
static size_t take_run(struct scrape_walk *w, struct exposition *x)
{
    const size_t first = w->diff.at, from = w->now.lines.n;
    if (w->follows && first != from)
        scrape_walk_leave(w);
    w->changes = mem_grow(w->changes, &w->changes_capacity, w->changes_n + SCRAPE_CHANGES,
                          sizeof *w->changes);
    w->changes_n +=
        exposition_diff_run(&w->diff, x, &w->now.lines, w->changes + w->changes_n, SCRAPE_CHANGES);
    const size_t taken = w->diff.at - first;
    if (taken && !w->follows)
        take_lines(w, str_make(x->lex.p, x->lex.n), first, taken, from);
    return taken;
}

// Where each line stands somewhere else, what stood behind it is not looked at.
bool scrape_walk_run(struct scrape_walk *w, struct exposition *x)
{
    enum {
        LINES_MAX = 4096, // what follows them is for the caller's turn to say
        ALONE = 4,
    };
    const size_t from = w->now.lines.n;
    take_run(w, x);
    while (!w->diff.is_cut && w->now.lines.n - from < LINES_MAX) {
        const size_t stood = w->diff.at;
        if (!seek(w, x))
            return false;
        w->alone = w->diff.at == stood ? 0 : w->alone + 1;
        w->diff.is_alone = w->alone > ALONE;
        const size_t taken = take_run(w, x);
        w->diff.is_alone = false;
        if (taken > 1)
            w->alone = 0;
        if (!taken) {
            w->diff.at = stood;
            return false;
        }
    }
    return true;
}

void scrape_walk_line(struct scrape_walk *w, const struct exposition *x, struct str body,
                      bool *out_new)
{
    const struct scrape_memory *m = w->memory;
    const size_t line = w->now.lines.n;
    *out_new = false;
    scrape_walk_leave(w);
    exposition_lines_push(&w->now.lines, x);
    reserve(w);
    struct scrape_entry *entry = &w->now.entries[line];
    *entry = (struct scrape_entry){0};
    if (x->event != EXPOSITION_SERIES)
        return;
    const uint32_t hash = (uint32_t)hash64(x->series.p, x->series.n, 0);
    const size_t id = find(w, body, x->series, hash);
    if (id != NOTHING) {
        *entry = *entry_of(w, id);
        entry->flags &= (uint16_t) ~(SCRAPE_REPEAT | SCRAPE_NEW | SCRAPE_TRACK);
        if (!see(w, id))
            entry->flags |= SCRAPE_REPEAT;
        const bool is_on_page = id < m->page.lines.n && m->page.format == x->format;
        if (is_on_page && !(entry->flags & SCRAPE_REPEAT))
            w->diff.at = id + 1; // what stood behind it is likely to follow
    } else {
        *out_new = true;
        *entry = (struct scrape_entry){
            .hash = hash,
            .type = (uint8_t)x->type,
            .flags = SCRAPE_SAMPLE | SCRAPE_NEW,
        };
        if (x->format == EXPOSITION_OPENMETRICS)
            entry->flags |= SCRAPE_OPENMETRICS;
        if (2 * (w->table_n + 1) > w->table_mask)
            build(w, TABLE_ROOM * (w->table_mask + 1) / 2); // finds the new line among now's
        else
            put(w, hash, m->page.lines.n + m->away_n + line);
    }
    set_sample(w, line, &x->sample);
}

// Arrays of the right size: what a page keeps, it keeps between scrapes.
static void *copy_exactly(void *to, size_t *capacity, const void *from, size_t n, size_t size)
{
    if (*capacity != n) {
        mem_free(to);
        to = n ? mem_alloc_array(n, size) : NULL;
        *capacity = n;
    }
    if (n)
        memcpy(to, from, n * size);
    return to;
}

void scrape_walk_settle(struct scrape_walk *w, struct scrape_memory *m)
{
    assert(w->memory == m);
    for (size_t i = 0; w->follows && i < w->changes_n; i++)
        m->page.entries[w->changes[i].line].bits = w->changes[i].sample.bits;
}

// The lines of a page that the walk followed are where they are now.
static void store_lines(struct scrape_page *page, const struct exposition_lines *now)
{
    assert(page->lines.n == now->n);
    if (now->n)
        memcpy(page->lines.items, now->items, now->n * sizeof *now->items);
    page->lines.end = now->end;
}

static void store_entries(struct scrape_page *page, const struct scrape_page *now, bool is_kept)
{
    const size_t n = now->lines.n;
    static_assert(SCRAPE_TRACKED == SCRAPE_TRACK >> 1, "a shift makes one of the other");
    const unsigned cleared = SCRAPE_NEW | SCRAPE_TRACK | (is_kept ? SCRAPE_TRACKED : 0);
    const unsigned moved = is_kept ? SCRAPE_TRACK : 0;
    const unsigned plain = SCRAPE_SAMPLE | SCRAPE_TRACKED | SCRAPE_PLACED;
    const unsigned special = SCRAPE_REPEAT | SCRAPE_TIMED;
    unsigned flags = 0;
    page->is_plain = true;
    page->samples = page->dropped = 0;
    for (size_t i = 0; i < n; i++) {
        const unsigned before = now->entries[i].flags;
        const unsigned after = (before & ~cleared) | (before & moved) >> 1;
        flags |= before;
        now->entries[i].flags = (uint16_t)after;
        if (!(after & SCRAPE_SAMPLE))
            continue;
        const bool is_dropped = after & SCRAPE_DROPPED;
        if (page->samples++ == page->dropped)
            page->owner = now->entries[i].owner;
        page->dropped += is_dropped;
        page->is_plain &=
            !(after & special) &&
            (is_dropped || ((after & plain) == plain && now->entries[i].owner == page->owner));
    }
    page->has_repeats = flags & SCRAPE_REPEAT;
    page->lines.items = copy_exactly(page->lines.items, &page->lines.capacity, now->lines.items, n,
                                     sizeof *now->lines.items);
    page->lines.n = n;
    page->lines.end = now->lines.end;
    page->entries =
        copy_exactly(page->entries, &page->capacity, now->entries, n, sizeof *now->entries);
    page->times = copy_exactly(page->times, &page->times_capacity, now->times,
                               flags & SCRAPE_TIMED ? n : 0, sizeof *now->times);
}

// The body's own memory becomes the page's, and the other way round, unless too much of it is
// unused: then its bytes go where the last ones are, if they fit.
static void store_body(struct buf *page, struct buf *body)
{
    const bool is_tight = body->capacity - body->n <= body->n / 8;
    if (!is_tight && body->n <= page->capacity && page->capacity - body->n <= page->capacity / 8) {
        memcpy(page->p, body->p, body->n);
        page->n = body->n;
        return;
    }
    const struct buf before = *page;
    *page = *body;
    *body = before;
    buf_trim(page);
}

void scrape_walk_store(struct scrape_walk *w, struct scrape_memory *m, struct buf *body,
                       bool is_kept)
{
    struct scrape_page *page = &m->page;
    assert(w->memory == m);
    page->format = w->now.format;
    if (w->follows)
        store_lines(page, &w->now.lines);
    else
        store_entries(page, &w->now, is_kept);
    store_body(&page->body, body);
}
