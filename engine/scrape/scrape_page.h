// What a target said when it was last scraped with success, line by line, and the series that its
// lines lead to; and the walk of the next body beside it.
//
// A body mostly repeats the one before. So the page keeps that body's bytes, where its lines begin,
// and an entry a line; the walk takes whatever goes on as before without looking at it
// (protocol/exposition_diff.h). While all lines stand as they stood on a plain page, it only notes
// which values are others, and the page is changed in place when the scrape is over. A line that
// does not go on so is found by the hash of its series, in a table that lives only for the walk,
// and from then on the walk has entries of its own.
#ifndef ENGINE_SCRAPE_SCRAPE_PAGE_H
#define ENGINE_SCRAPE_SCRAPE_PAGE_H

#include "protocol/exposition_diff.h"

enum scrape_flag {
    SCRAPE_SAMPLE = 1,  // not a comment
    SCRAPE_DROPPED = 2, // by relabelling: its samples are passed over
    SCRAPE_TRACKED = 4, // gets a stale marker when it disappears
    SCRAPE_TRACK = 8,   // tracked once this scrape is kept
    SCRAPE_NEW = 16,    // neither the page nor what is away had it
    SCRAPE_REPEAT = 32, // its series stands on an earlier line of this body
    SCRAPE_TIMED = 64,  // the line has a timestamp
    SCRAPE_OPENMETRICS = 128,
    SCRAPE_PLACED = 256, // its owner is known
};

struct scrape_entry {
    uint64_t ref;  // of the series on its owner; 0: not looked up yet, gone or refused
    uint64_t bits; // of the value
    uint32_t hash; // of the series' bytes
    uint16_t flags;
    uint8_t owner; // index of the shard
    uint8_t type;  // enum exposition_type in force where it was first seen
};

struct scrape_page {
    enum exposition_format format;
    struct buf body;
    struct exposition_lines lines;
    struct scrape_entry *entries; // beside lines
    int64_t *times;               // beside lines, when any is SCRAPE_TIMED; else NULL
    size_t capacity, times_capacity;
    size_t samples, dropped; // lines that are SCRAPE_SAMPLE; of these SCRAPE_DROPPED
    bool has_repeats;        // some line is SCRAPE_REPEAT
    bool is_plain;           // each line is a comment, dropped, or tracked and nothing else
    uint8_t owner;           // of all samples of a plain page that are not dropped
};

// A line that is not on the page: its marker could not be kept, or only scrapes that failed since
// had it.
struct scrape_away {
    char *prefix; // from the line's start to its value
    size_t prefix_n;
    struct scrape_entry entry;
};

struct scrape_memory { // of one target
    struct scrape_page page;
    struct scrape_away *away;
    size_t away_n, away_capacity;
};

void scrape_memory_deinit(struct scrape_memory *m);
size_t scrape_memory_bytes(const struct scrape_memory *m);
// Adds a copy of an entry that is not on the page.
void scrape_memory_keep(struct scrape_memory *m, struct str prefix, struct scrape_entry entry);

// A line of a body; its bytes up to the value; of these the series' name and labels, with the
// blanks before them, as exposition.series has them.
struct str scrape_line_text(struct str body, const struct exposition_lines *lines, size_t line);
struct str scrape_line_prefix(struct str body, const struct exposition_lines *lines, size_t line);
struct str scrape_prefix_series(struct str prefix);

enum { SCRAPE_CHANGES = 256 };

struct scrape_walk {
    struct scrape_walk *next_free;
    const struct scrape_memory *memory;
    struct exposition_diff diff;
    struct scrape_page now; // without body
    bool *seen;             // beside the page's lines, then beside those away
    unsigned alone;         // so many lines were sought, and none stood behind the one before it
    size_t missing;         // lines of the page that are not seen
    size_t unseen;          // no line of the page from here on is seen
    bool follows;    // now is the first lines of the page with changes, and has no entries yet
    uint64_t *table; // (hash << 32 | id + 1) by hash: page, away, now; empty until a line is missed
    size_t seen_capacity, table_capacity, table_mask, table_n;
    struct exposition_change *changes; // while it follows all, else of the last run
    size_t changes_n, changes_capacity;
};

void scrape_walk_deinit(struct scrape_walk *w);
// Begins a body of this format. Memory must not change until the walk is over.
void scrape_walk_begin(struct scrape_walk *w, const struct scrape_memory *m,
                       enum exposition_format format);
// Takes lines that stand on the page, as long as they go on as before or the bytes before their
// values say where they stood, into now; their entries' flags say what repeats, unless the walk
// follows. False: exposition_next() has to decide the next line.
bool scrape_walk_run(struct scrape_walk *w, struct exposition *x);
// Adds the line of the event that exposition_next() gave; x stands in body. Of a sample whose
// series is not known *out_new is true, and the entry to fill in is now's last.
void scrape_walk_line(struct scrape_walk *w, const struct exposition *x, struct str body,
                      bool *out_new);
// The body is over, or what follows is not taken: afterwards the walk follows only when all lines
// of the page are there.
void scrape_walk_end(struct scrape_walk *w);
// The walk does not follow any more: now has its entries.
void scrape_walk_leave(struct scrape_walk *w);
// Whether the body had a line of the page, or one that was away, by its index.
static inline bool scrape_walk_saw(const struct scrape_walk *w, size_t line)
{
    return w->follows ? line < w->now.lines.n : w->seen[line];
}
static inline bool scrape_walk_saw_all(const struct scrape_walk *w) // the page's lines
{
    return w->follows ? w->now.lines.n == w->memory->page.lines.n : w->missing == 0;
}
static inline bool scrape_walk_saw_away(const struct scrape_walk *w, size_t i)
{
    return !w->follows && w->seen[w->memory->page.lines.n + i];
}
// The scrape is a success. Of a walk that follows, the page's entries have the values of now from
// here on.
void scrape_walk_settle(struct scrape_walk *w, struct scrape_memory *m);
// Behind scrape_walk_settle(): the page becomes what the walk took from body, which it may take
// over. is_kept: so was the scrape; from now on tracked is what was to be.
void scrape_walk_store(struct scrape_walk *w, struct scrape_memory *m, struct buf *body,
                       bool is_kept);

#endif
