// Metadata of a request: kept behind its samples, as far as it is news.
//
// Senders repeat what they said, 2.0 with each series: what was said lately is known by a hash and
// passed over.
#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "engine/base/utf8.h"
#include "engine/base/util.h"
#include "engine/remote/request.h"

static uint64_t hash_of(const struct tsdb_metadata *m)
{
    const struct str parts[] = {m->family, m->help, m->unit};
    uint64_t hash = m->type;
    for (size_t i = 0; i < countof(parts); i++)
        hash = hash64(parts[i].p, parts[i].n, hash);
    return hash | 1; // 0 is none
}

static uint64_t *told_at(struct request *q, uint64_t hash)
{
    return &q->r->told[(hash >> 32) % countof(q->r->told)];
}

void request_put_metadata(struct request *q, const struct tsdb_metadata *m)
{
    const uint64_t hash = hash_of(m);
    if (*told_at(q, hash) == hash)
        return;
    if (!m->family.n || !utf8_is_valid(m->family) || !utf8_is_valid(m->help) ||
        !utf8_is_valid(m->unit)) {
        q->r->stats.metadata_dropped++;
        return;
    }
    *told_at(q, hash) = hash;
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
    for (size_t i = 0; code && i < q->metadata_n; i++) // it will be said again
        *told_at(q, hash_of(&q->metadata[i])) = 0;
    q->metadata_n = 0;
}
