// Commits that the log has to keep.
//
// Applied, but seen by nobody until the log has kept it; taken back when the log cannot. A sample
// that was there already may be of a commit that still waits: so everybody waits.
//
// A large commit is kept in pieces, between which other fibers get their turn: each piece is
// staged, logged and applied. Samples that are no rows (of new series, late, histograms) take
// several times as long: of those a quarter makes a piece. The log writes them as one, and all
// become visible with the last. Meanwhile nobody else commits, no spill begins and nothing leaves
// memory, so to all others it is one step. When the log refuses something meanwhile, which may be
// what a piece was judged by, all is taken back before others may go on.
#include <string.h>

#include "engine/tsdb/tsdb_part.h"

struct log_sink_call {
    struct wal *wal;
    uint64_t seq; // 0: no rows
};

struct kept {
    uint64_t seq;     // of the head
    uint64_t log_seq; // of the last rows; 0: there were none
    size_t applied;   // samples, from the first on
};

static err append_rows(void *arg, const struct wal_row *rows, size_t n, struct errmsg *e)
{
    struct log_sink_call *call = arg;
    return wal_append(call->wal, rows, n, &call->seq, e);
}

void part_wait_for_undo(struct part *p)
{
    fiber_shield_begin();
    while (p->undoing)
        (void)!waiters_wait(&p->changed);
    fiber_shield_end();
}

void part_wait_for_pieces(struct part *p)
{
    fiber_shield_begin();
    p->spill_waits = true; // before large commits to come
    while (p->in_pieces)
        (void)!waiters_wait(&p->changed);
    p->spill_waits = false;
    waiters_wake_all(&p->changed);
    fiber_shield_end();
}

// Until this commit, large or not, may be judged by what memory has and be applied.
static void wait_for_others(struct part *p, bool is_large)
{
    fiber_shield_begin();
    while (p->undoing || p->in_pieces || (is_large && p->spill_waits))
        (void)!waiters_wait(&p->changed);
    fiber_shield_end();
}

static err keep(struct part *p, struct tsdb_commit *c, struct kept *k, struct errmsg *e)
{
    struct log_sink_call call = {.wal = p->wal};
    TRY(head_commit(&p->head, c, append_rows, &call, &k->seq, e));
    if (call.seq) {
        k->log_seq = call.seq;
        k->applied = c->n;
    }
    return ERR_OK;
}

// Adds what became of a piece, whose samples begin at start.
static void add_piece(struct tsdb_commit *c, const struct tsdb_commit *piece, size_t start)
{
    for (size_t i = 0; i < TSDB_OUTCOME_COUNT; i++)
        c->counts[i] += piece->counts[i];
    if (piece->refused_at < piece->n) {
        c->refused_at = start + piece->refused_at;
        c->kept_bits = piece->kept_bits;
        c->kept_histogram = piece->kept_histogram;
    }
    if (piece->newest_t_ms > c->newest_t_ms)
        c->newest_t_ms = piece->newest_t_ms;
}

struct tsdb_commit part_piece(const struct tsdb_commit *c, size_t at, size_t n)
{
    struct tsdb_commit piece = *c;
    piece.n = c->n - at < n ? c->n - at : n;
    piece.row = NULL;
    piece.samples += at;
    if (c->outcomes)
        piece.outcomes += at;
    if (c->histograms)
        piece.histograms += at;
    if (c->starts)
        piece.starts += at;
    return piece;
}

uint32_t part_slow_max(const struct part *p)
{
    return (p->commit_piece + 3) / 4;
}

static err keep_pieces_as(struct part *p, struct tsdb_commit *c, enum tsdb_commit_kind kind,
                          struct kept *k, struct errmsg *e)
{
    memset(c->counts, 0, sizeof c->counts);
    size_t n = p->commit_piece;
    for (size_t at = 0; at < c->n && c->refused_at == c->n;) {
        struct tsdb_commit piece = part_piece(c, at, n);
        piece.kind = kind;
        if (at > 0)
            fiber_yield_if_due();
        part_wait_for_undo(p); // then the log takes no more of this
        struct kept one = {0};
        TRY(keep(p, &piece, &one, e));
        n = piece.is_slow ? c->slow_max : p->commit_piece;
        if (piece.is_slow)
            continue;
        add_piece(c, &piece, at);
        at += piece.n;
        k->seq = one.seq;
        if (one.log_seq) {
            k->log_seq = one.log_seq;
            k->applied = at;
        }
    }
    return ERR_OK;
}

static err keep_pieces(struct part *p, struct tsdb_commit *c, struct kept *k, struct errmsg *e)
{
    enum tsdb_commit_kind kind = c->kind;
    c->refused_at = c->n;
    c->newest_t_ms = INT64_MIN;
    if (kind == TSDB_COMMIT_STRICT || kind == TSDB_COMMIT_CHECK) {
        memset(c->outcomes, TSDB_SAME, c->n);
        TRY(keep_pieces_as(p, c, TSDB_COMMIT_CHECK, k, e));
        if (kind == TSDB_COMMIT_CHECK || c->refused_at < c->n || c->counts[TSDB_GONE])
            return ERR_OK;
        kind = TSDB_COMMIT_CHECKED;
    }
    return keep_pieces_as(p, c, kind, k, e);
}

static void take_back(struct part *p, const struct tsdb_commit *c, size_t n)
{
    p->undoing++;
    head_undo(&p->head, c->samples, c->outcomes, n);
    if (--p->undoing == 0)
        waiters_wake_all(&p->changed);
}

static err keep_large(struct part *p, struct tsdb_commit *c, struct kept *k, struct errmsg *e)
{
    if (c->row)
        *c->row = 0;
    TRY(wal_hold(p->wal, e));
    p->in_pieces = true;
    p->head.pieces_from = p->head.seq;
    p->head.selects++; // no series may leave
    const err result = keep_pieces(p, c, k, e);
    if (result != ERR_OK && k->applied)
        take_back(p, c, k->applied);
    p->head.selects--;
    p->head.pieces_from = HEAD_NO_PIECES;
    p->in_pieces = false;
    wal_let_go(p->wal);
    waiters_wake_all(&p->changed);
    return result;
}

err part_commit(struct part *p, struct tsdb_commit *c, struct errmsg *e)
{
    struct kept k = {0};
    bool is_large = c->n >= 2 * (size_t)p->commit_piece;
    c->slow_max = part_slow_max(p);
    do {
        is_large |= c->is_slow;
        do {
            wait_for_others(p, is_large);
            TRY(part_recall(p, c, e));
        } while (p->undoing || p->in_pieces || (is_large && p->spill_waits));
        c->is_slow = false;
        TRY(is_large ? keep_large(p, c, &k, e) : keep(p, c, &k, e));
    } while (c->is_slow);
    part_note_log(p);
    if (c->kind == TSDB_COMMIT_CHECK)
        return ERR_OK;
    const uint64_t log_seq = k.log_seq ? k.log_seq : wal_next_seq(p->wal) - 1;
    const err result = log_seq ? wal_wait(p->wal, log_seq, e) : ERR_OK;
    if (result == ERR_OK)
        head_publish(&p->head, k.seq);
    else if (k.applied)
        take_back(p, c, k.applied);
    return result;
}
