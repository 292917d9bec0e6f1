// Metadata of a request: kept behind its samples, as far as it is news.
//
// Senders repeat what they said, 2.0 with each series: what was said lately is known by a hash and
// passed over.
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/utf8.h"
#include "engine/base/util.h"
#include "engine/remote/request_notes.h"

static uint64_t *told_at(struct request *q, uint64_t hash)
{
    return q->r->told[(hash >> 32) % countof(q->r->told)];
}

bool request_was_told(struct request *q, uint64_t hash)
{
    const uint64_t *const told = told_at(q, hash), wanted = hash | 1; // 0 is none
    return told[0] == wanted || told[1] == wanted || told[2] == wanted || told[3] == wanted;
}

// Those that stand together are few: the one that came first goes.
static void add_told(struct request *q, uint64_t hash)
{
    uint64_t *const told = told_at(q, hash);
    memmove(told + 1, told, 3 * sizeof *told);
    told[0] = hash | 1;
}

void request_put_metadata(struct request *q, uint64_t hash, const struct tsdb_metadata *m)
{
    if (request_was_told(q, hash))
        return;
    if (!m->family.n || !utf8_is_valid(m->family) || !utf8_is_valid(m->help) ||
        !utf8_is_valid(m->unit)) {
        q->r->stats.metadata_dropped++;
        return;
    }
    add_told(q, hash);
    q->metadata =
        mem_grow(q->metadata, &q->metadata_capacity, q->metadata_n + 1, sizeof *q->metadata);
    q->metadata[q->metadata_n++] = *m;
}

void request_keep_metadata(struct request *q)
{
    struct errmsg e;
    size_t taken = 0;
    if (!q->metadata_n)
        return;
    const err code =
        tsdb_keep_metadata(q->r->options.db, LOOP_RECEIVE, q->metadata, q->metadata_n, &taken, &e);
    q->r->stats.metadata += taken;
    q->r->stats.metadata_dropped += q->metadata_n - taken;
    if (code) { // it will be said again
        memset(q->r->told, 0, sizeof q->r->told);
        shapes_forget(&q->r->shapes);
    }
    q->metadata_n = 0;
}
