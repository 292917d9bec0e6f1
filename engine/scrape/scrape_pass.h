// One scrape under way: what it gathers before it is committed. Internal to the scrape engine.
#ifndef ENGINE_SCRAPE_SCRAPE_PASS_H
#define ENGINE_SCRAPE_SCRAPE_PASS_H

#include "engine/scrape/target.h"
#include "engine/tsdb/tsdb_notes.h"
#include "engine/tsdb/tsdb_pressure.h"

enum { SCRAPE_FUTURE_MS = 10 * 60 * 1000 }; // how far ahead a sample may be

// Where a sample's series is remembered: an index, and in the upper bits of what.
enum scrape_origin {
    ORIGIN_NOW,    // the lines of this body
    ORIGIN_PAGE,   // those of the one before
    ORIGIN_AWAY,   // what is away
    ORIGIN_REPORT, // the series about the scrape
};
enum { ORIGIN_SHIFT = 30 };

struct pass {
    struct target *t;
    struct prom_config *config; // a reference: the target may be configured anew meanwhile
    const struct scrape_config *job;
    struct arena arena;
    struct scrape_walk *walk;
    struct buf body;
    struct tsdb_sample *samples; // of series of this shard
    uint32_t *origins;           // beside them
    size_t n, capacity, origins_capacity;
    uint32_t *changed; // of the samples, where all are of the series of the last commit
    size_t changed_n, changed_capacity;
    bool is_same;    // they are
    struct foreign { // of series of other shards
        uint32_t origin;
        uint8_t outcome;
        struct str labels; // empty: the reference is enough
        struct tsdb_sample sample;
    } * foreign;
    size_t foreign_n, foreign_capacity;
    struct pass_exemplar {
        uint32_t line;          // of now
        struct tsdb_exemplar x; // but for its series
    } * exemplars;
    size_t exemplars_n, exemplars_capacity;
    int64_t ms;
    size_t counted;                // lines of now that are in what follows
    uint64_t scraped, kept, added; // lines, samples behind relabelling, new series
    uint64_t added_timed;          // of the added, with times of their own
    uint64_t limited;              // samples that count for sample_limit: no repeated ones
    int64_t body_bytes;            // uncompressed; -1: more than its limit, 0: nothing came
    int64_t oldest_ms;             // what is older is refused by the database
    bool over_sample_limit;
    uint64_t refused;      // new series that the database did not take,
    struct errmsg refusal; // and why
};

void pass_init(struct pass *p, struct target *t, int64_t ms);
void pass_deinit(struct pass *p);

// scrape_labels.c: the final labels of x's sample in out, in the pass's arena; empty: relabelling
// dropped it. ERR_LIMIT, ERR_INVALID: the scrape fails.
err pass_labels(struct pass *p, const struct exposition *x, struct str *out, struct errmsg *e);
// The same of one that was accepted before.
struct str pass_labels_again(struct pass *p, uint32_t origin);
// Where labels live; a series of this shard is looked up at once.
void pass_place(struct pass *p, struct scrape_entry *entry, struct str labels);

// scrape_commit.c
struct scrape_entry *pass_entry(struct pass *p, uint32_t origin);
void pass_push(struct pass *p, enum scrape_origin what, size_t index, int64_t ms, uint64_t bits);
void pass_push_lines(struct pass *p);
// Asks the database which of the new series it will refuse for their times: these are not added.
// Suspends.
void pass_judge_added(struct pass *p);
// Whether the database takes samples of that time at all.
bool pass_is_in_bounds(const struct pass *p, int64_t t_ms); // the samples of this body
// Stale markers for the lines of last time that this body did not have; all: for every one.
void pass_push_missing(struct pass *p, bool all);
void pass_push_report(struct pass *p, size_t which, uint64_t bits);
err pass_commit(struct pass *p, struct errmsg *e); // Suspends.

// scrape_exemplars.c
void pass_take_exemplar(struct pass *p, const struct exposition *x); // of the line just taken
void pass_keep_exemplars(struct pass *p);                            // after the commit. Suspends.

extern const char *const scrape_report_names[REPORT_SERIES];

#endif
