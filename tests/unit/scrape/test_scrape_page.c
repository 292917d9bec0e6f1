// The walk of a body beside the last one must say of every line what a naive reading says: its
// value, whether its series is new, stands on an earlier line already, or went missing.
#include "engine/scrape/scrape_page.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "engine/base/rng.h"
#include "engine/base/util.h"

enum { NAMES = 24, SCRAPES = 400, SEEDS = 40 };

struct model {
    bool on_page[NAMES], away[NAMES], tracked[NAMES];
    bool is_simple; // no line has a time, none repeats: pages are plain
    size_t followed;
};

static uint32_t pick(struct rng *rng, uint32_t n)
{
    return (uint32_t)rng_below(rng, n);
}

// Most bodies are the last one with other values; some have other lines, in another order.
static void make_lines(struct rng *rng, unsigned *lines, size_t *n)
{
    const uint32_t what = pick(rng, 10);
    if (what < 5 && *n)
        return;
    if (what < 8 && *n) { // one is taken out, or put in
        const size_t at = pick(rng, (uint32_t)*n);
        if (what == 5 || *n >= 2 * NAMES) {
            memmove(lines + at, lines + at + 1, (--*n - at) * sizeof *lines);
        } else {
            memmove(lines + at + 1, lines + at, ((*n)++ - at) * sizeof *lines);
            lines[at] = pick(rng, NAMES);
        }
        return;
    }
    *n = 1 + pick(rng, NAMES);
    for (size_t i = 0; i < *n; i++)
        lines[i] = pick(rng, NAMES);
}

static void drop_repeats(unsigned *lines, size_t *n)
{
    bool seen[NAMES] = {0};
    size_t kept = 0;
    for (size_t i = 0; i < *n; i++) {
        if (!seen[lines[i]])
            lines[kept++] = lines[i];
        seen[lines[i]] = true;
    }
    *n = kept;
}

static void print_line(struct rng *rng, bool is_simple, struct buf *body, unsigned name)
{
    if (name % 5 == 0)
        buf_printf(body, "# HELP m%u what %u\n", name, pick(rng, 20) ? 0u : 1u);
    buf_printf(body, "%sm%u{a=\"%u\"}%s%u", name % 7 ? "" : " \t", name, name * 3,
               name % 3 ? " " : "  ", pick(rng, 4));
    if (name % 4 == 0 && (!is_simple || pick(rng, 500) == 0))
        buf_printf(body, " %u", 1000 + pick(rng, 3));
    buf_put_char(body, '\n');
}

static unsigned name_of(const struct exposition *x)
{
    uint64_t name = 0;
    for (size_t i = 0; x->series.p[i] != '{'; i++) {
        if (x->series.p[i] >= '0' && x->series.p[i] <= '9')
            name = name * 10 + (uint64_t)(x->series.p[i] - '0');
    }
    return (unsigned)name;
}

// What the walk says of a line, whether it follows or not.
static struct scrape_entry entry_of(const struct scrape_walk *w, const struct scrape_memory *m,
                                    size_t line)
{
    if (!w->follows)
        return w->now.entries[line];
    struct scrape_entry entry = m->page.entries[line];
    for (size_t i = 0; i < w->changes_n; i++)
        if (w->changes[i].line == line)
            entry.bits = w->changes[i].sample.bits;
    return entry;
}

// Walks the body; what it took is compared with a reading of its own.
static void walk(struct scrape_walk *w, struct scrape_memory *m, struct model *known,
                 struct str body, bool *seen)
{
    struct exposition x, naive;
    enum exposition_event event;
    size_t line = 0;
    exposition_init(&x, EXPOSITION_TEXT, body);
    scrape_walk_begin(w, m, EXPOSITION_TEXT);
    for (;;) {
        bool is_new;
        if (scrape_walk_run(w, &x))
            continue;
        cr_assert_eq(exposition_next(&x, &event, NULL), ERR_OK);
        if (event == EXPOSITION_END)
            break;
        scrape_walk_line(w, &x, body, &is_new);
    }
    scrape_walk_end(w);
    known->followed += w->follows;
    exposition_init(&naive, EXPOSITION_TEXT, body);
    for (;; line++) {
        cr_assert_eq(exposition_next(&naive, &event, NULL), ERR_OK);
        if (event == EXPOSITION_END)
            break;
        cr_assert_lt(line, w->now.lines.n);
        const struct scrape_entry now = entry_of(w, m, line), *entry = &now;
        cr_assert_eq((entry->flags & SCRAPE_SAMPLE) != 0, event == EXPOSITION_SERIES);
        if (event != EXPOSITION_SERIES)
            continue;
        const unsigned name = name_of(&naive);
        cr_assert_eq(entry->bits, naive.sample.bits, "line %zu of\n%.*s", line, STR_ARG(body));
        cr_assert_eq((entry->flags & SCRAPE_TIMED) != 0, naive.sample.has_time);
        if (naive.sample.has_time)
            cr_assert_eq(w->now.times[line], naive.sample.time_ms);
        cr_assert_eq((entry->flags & SCRAPE_REPEAT) != 0, seen[name], "line %zu of\n%.*s", line,
                     STR_ARG(body));
        if (!seen[name])
            cr_assert_eq((entry->flags & SCRAPE_NEW) != 0,
                         !known->on_page[name] && !known->away[name]);
        cr_assert_eq(entry->hash, (uint32_t)hash64(naive.series.p, naive.series.n, 0));
        seen[name] = true;
    }
    cr_assert_eq(line, w->now.lines.n);
}

static void check_missing(const struct scrape_walk *w, const struct scrape_memory *m,
                          const struct model *known, const bool *seen)
{
    bool missing[NAMES] = {0}, saw_all = true;
    for (size_t i = 0; i < m->page.lines.n; i++)
        saw_all &= scrape_walk_saw(w, i);
    cr_assert_eq(scrape_walk_saw_all(w), saw_all);
    for (size_t i = 0; i < m->page.lines.n; i++) {
        const struct scrape_entry *entry = &m->page.entries[i];
        if (!(entry->flags & SCRAPE_SAMPLE) || entry->flags & SCRAPE_REPEAT ||
            scrape_walk_saw(w, i))
            continue;
        missing[entry->ref] = true;
    }
    for (size_t i = 0; i < m->away_n; i++)
        missing[m->away[i].entry.ref] |= !scrape_walk_saw_away(w, i);
    for (unsigned i = 0; i < NAMES; i++)
        cr_assert_eq(missing[i], (known->on_page[i] || known->away[i]) && !seen[i], "m%u", i);
}

// The reference of a series is its name here.
static void name_entries(struct scrape_walk *w, struct scrape_memory *m, struct str body)
{
    struct exposition x;
    enum exposition_event event;
    exposition_init(&x, EXPOSITION_TEXT, body);
    for (size_t line = 0; exposition_next(&x, &event, NULL) == ERR_OK && event; line++) {
        struct scrape_entry *entry = w->follows ? &m->page.entries[line] : &w->now.entries[line];
        if (event != EXPOSITION_SERIES)
            continue;
        if (!(entry->flags & (SCRAPE_NEW | SCRAPE_REPEAT)))
            cr_assert_eq(entry->ref, name_of(&x), "what is known keeps its reference");
        entry->ref = name_of(&x);
        entry->flags |= SCRAPE_PLACED;
        if (!w->follows)
            entry->flags |= SCRAPE_TRACK;
    }
}

// Each line's entry has the value that is in the body.
static void check_page(const struct scrape_page *page)
{
    struct exposition x;
    enum exposition_event event;
    exposition_init(&x, EXPOSITION_TEXT, buf_str(&page->body));
    for (size_t line = 0; exposition_next(&x, &event, NULL) == ERR_OK && event; line++) {
        cr_assert_eq(page->lines.items[line].start, x.line);
        if (event == EXPOSITION_SERIES)
            cr_assert_eq(page->entries[line].bits, x.sample.bits);
    }
}

static void run(uint64_t seed)
{
    struct rng rng;
    struct scrape_memory memory = {0};
    struct scrape_walk *w = mem_zalloc(sizeof *w);
    struct model known = {.is_simple = seed % 2};
    unsigned lines[2 * NAMES + 1];
    size_t n = 0;
    rng_init(&rng, seed);
    for (int scrape = 0; scrape < SCRAPES; scrape++) {
        struct buf body = {0};
        bool seen[NAMES] = {0};
        make_lines(&rng, lines, &n);
        if (pick(&rng, 4) == 0) { // one that has no memory of other bodies
            scrape_walk_deinit(w);
            *w = (struct scrape_walk){0};
        }
        if (known.is_simple)
            drop_repeats(lines, &n);
        for (size_t i = 0; i < n; i++)
            print_line(&rng, known.is_simple, &body, lines[i]);
        walk(w, &memory, &known, buf_str(&body), seen);
        check_missing(w, &memory, &known, seen);
        name_entries(w, &memory, buf_str(&body));
        if (pick(&rng, 8) == 0) { // it failed after all: what is new is away
            scrape_walk_leave(w);
            for (size_t i = 0; i < w->now.lines.n; i++) {
                const struct scrape_entry entry = w->now.entries[i];
                if (!(entry.flags & SCRAPE_NEW))
                    continue;
                scrape_memory_keep(&memory, scrape_line_prefix(buf_str(&body), &w->now.lines, i),
                                   entry);
                known.away[entry.ref] = true;
            }
        } else {
            for (size_t i = 0; i < memory.away_n; i++)
                mem_free(memory.away[i].prefix);
            memory.away_n = 0;
            scrape_walk_settle(w, &memory);
            scrape_walk_store(w, &memory, &body, true);
            check_page(&memory.page);
            memcpy(known.on_page, seen, sizeof seen);
            memset(known.away, 0, sizeof known.away);
        }
        buf_deinit(&body);
    }
    cr_assert(!known.is_simple || known.followed > SCRAPES / 10, "%zu", known.followed);
    scrape_memory_deinit(&memory);
    scrape_walk_deinit(w);
    mem_free(w);
}

Test(scrape_page, random_bodies)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run(seed);
}

Test(scrape_page, the_bytes_of_a_series)
{
    static const char *const rows[][2] = {
        {"a ", "a"}, {" a{b=\"c \"}\t ", " a{b=\"c \"}"}, {"{\"x y\"}", "{\"x y\"}"}};
    for (size_t i = 0; i < countof(rows); i++)
        cr_assert(str_eq(scrape_prefix_series(str_from_c(rows[i][0])), str_from_c(rows[i][1])));
}
