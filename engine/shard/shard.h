// Shards: a thread, a loop, memory and partitions each; nothing is shared, messages are sent.
//
// A message is embedded in its owner, like an op. What crosses is handled on the other loop by a
// function that does not suspend; a handler that needs to wait starts a fiber and answers later.
// Between each pair of shards stands a bounded ring; the reply's slot is reserved before a request
// is sent, so a reply never waits.
#ifndef ENGINE_SHARD_SHARD_H
#define ENGINE_SHARD_SHARD_H

#include "engine/base/log.h"
#include "io/fiber.h"
#include "io/loop.h"

enum { SHARD_MAX = 256 };

struct shard;
struct shards; // all of them

enum shard_backend { SHARD_BACKEND_AUTO, SHARD_BACKEND_URING, SHARD_BACKEND_POLL };

struct shards_options {
    unsigned count; // 0: as many as process_cpus() allows
    bool pin;
    enum shard_backend backend;
    struct loop_options loop;
    const struct log_sink *log;
    // Instead of threads and backends of the system: the simulator's, count of them.
    struct backend *const *sim_backends;
};

// Starts the threads (not with sim_backends: there the caller turns each shard's loop). start(arg)
// runs as a control fiber on every shard.
err shards_create(const struct shards_options *options, fiber_fn *start, void *arg,
                  struct shards **out, struct errmsg *e);
// Waits until every loop has stopped (shards_stop) and no shard has work left, joins, frees. Nobody
// may post to a shard any more.
void shards_destroy(struct shards *s);
void shards_stop(struct shards *s); // from any shard: every loop ends after this turn

unsigned shards_count(const struct shards *s);
struct shard *shards_at(struct shards *s, unsigned index);
struct loop *shard_loop(struct shard *s);
unsigned shard_index(const struct shard *s);
struct shard *shard_self(void); // of the current loop; NULL outside
struct shards *shard_all(void); // of the current loop

// Runs fn(arg) as a fiber of class on shard to, waits for its end. Deadline and cancel of the
// caller reach it: what it waits for ends early, and then it ends. Suspends.
void shard_call(struct shard *to, enum loop_class class, fiber_fn *fn, void *arg);
// The same on many at once: fn(args + i * size) on shard i, for each i whose bit is set in where[]
// (NULL: all). One level: a call made by such a call to a third shard is a bug, and asserted.
// Suspends.
void shard_call_all(enum loop_class class, fiber_fn *fn, void *args, size_t size,
                    const uint64_t *where);
// Runs fn(arg) as a fiber on shard to; does not wait. arg's owner learns of the end by itself.
struct shard_post {
    struct shard_post *next;
    enum loop_class class;
    fiber_fn *fn;
    void *arg;
};
void shard_post(struct shard *to,
                struct shard_post *post); // from any thread; post lives until fn runs

// Which shard takes the next connection: the one that has fewest. Who asks hands it over.
struct shard *shard_of_connection(void);
void shard_connection_opened(void); // on the shard that took it, once for each that was handed over
void shard_connection_closed(void);

struct shard_stats {
    uint64_t messages_sent, messages_received, wakes, ring_full;
    uint64_t silent_peer_events; // a peer took over 100 ms to look at its mail
    unsigned silent_peer;        // the last one that did
    uint64_t silences;           // others found this shard to be such a peer
    int64_t connections;
};
struct shard_stats shard_stats(const struct shard *s); // on that shard
uint64_t shard_silences(const struct shard *s);        // of any shard: stats.silences

#endif
