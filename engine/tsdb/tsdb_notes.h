// Exemplars of series and metadata of metric families: what the database keeps beside samples. Both
// survive what samples survive, and leave with the files they are in.
#ifndef ENGINE_TSDB_TSDB_NOTES_H
#define ENGINE_TSDB_TSDB_NOTES_H

#include "engine/tsdb/tsdb.h"
#include "io/loop.h"

struct tsdb_exemplar {
    struct str series, labels; // encoded
    int64_t t_ms;
    uint64_t bits; // of the value
    bool untimed;  // t_ms is that of its sample: it is the same as another such one of other times
};
enum tsdb_exemplar_outcome {
    TSDB_EXEMPLAR_KEPT,
    TSDB_EXEMPLAR_SAME,         // as the series' newest: success
    TSDB_EXEMPLAR_OVERTAKEN,    // before one of the same call, which became the series' newest
    TSDB_EXEMPLAR_OUT_OF_ORDER, // before the series' newest
    TSDB_EXEMPLAR_TOO_LONG,     // more than TSDB_EXEMPLAR_RUNES in names and values
    TSDB_EXEMPLAR_OFF,          // there is no room for any: tsdb_set_exemplars()
    TSDB_EXEMPLAR_OUTCOMES
};
enum { TSDB_EXEMPLAR_RUNES = 128 };
// How many all shards together remember from now on, this one its share; 0: none are taken. Older
// ones are found in files.
void tsdb_set_exemplars(struct tsdb *db, uint32_t max);
// On the owner of their series; outcomes: n. ERR_LIMIT: the disk is full, nothing of it lasts.
// Suspends until they are kept as tsdb_options.wal_sync says.
err tsdb_add_exemplars(struct tsdb *db, const struct tsdb_exemplar *x, size_t n, uint8_t *outcomes,
                       struct errmsg *e);
// The same on any shard, of any series: their owners are asked, as fibers of the class.
err tsdb_keep_exemplars(struct tsdb *db, enum loop_class class, const struct tsdb_exemplar *x,
                        size_t n, uint8_t *outcomes, struct errmsg *e);
// Those in [mint, maxt] of this shard's series that match all matchers of one of the sets, sorted
// by series (labels_cmp()) and time. In the arena. Suspends.
struct tsdb_matchers {
    const struct matcher *ms;
    size_t n;
};
err tsdb_select_exemplars(struct tsdb *db, const struct tsdb_matchers *sets, size_t sets_n,
                          int64_t mint, int64_t maxt, struct arena *a, struct tsdb_exemplar **out,
                          size_t *out_n, struct errmsg *e);

// What senders say of a metric family. The newest word counts.
struct tsdb_metadata {
    struct str family, help, unit;
    uint8_t type; // as in MetricMetadata of remote_write: 0 unknown, 1 counter, ... 7 stateset
};
enum { TSDB_METADATA_BYTES_MAX = 64 * 1024, TSDB_FAMILIES_MAX = 1 << 20 };
// The shard that remembers a family.
unsigned tsdb_family_owner(const struct tsdb *db, struct str family);
// On the owner of the families; out_n: how many were taken, others are too long or too many.
// ERR_LIMIT as above. Suspends.
err tsdb_add_metadata(struct tsdb *db, const struct tsdb_metadata *m, size_t n, size_t *out_n,
                      struct errmsg *e);
// The same on any shard, of any families.
err tsdb_keep_metadata(struct tsdb *db, enum loop_class class, const struct tsdb_metadata *m,
                       size_t n, size_t *out_n, struct errmsg *e);
typedef void tsdb_metadata_fn(void *arg, const struct tsdb_metadata *m);
void tsdb_each_metadata(struct tsdb *db, tsdb_metadata_fn *see, void *arg); // of this shard

#endif
