// A receiver behind HTTP, on some shards: what scripts send to it, and what they look at.
#ifndef TESTS_UNIT_REMOTE_RECEIVE_WORLD_H
#define TESTS_UNIT_REMOTE_RECEIVE_WORLD_H

#include "engine/http/client.h"
#include "engine/http/server.h"
#include "engine/remote/receive.h"
#include "tests/lib/in_shards.h"
#include "tests/lib/pb_put.h"

struct world;

struct flow {
    const char *name;
    void (*script)(struct world *w);
    unsigned shards;
    int64_t late_ms;
    size_t cached_max; // series of the cache; 0: plenty
    bool v2;           // requests are of 2.0
    bool symbols_lead; // in them
    int64_t spill_ms;  // of the database's options, 0: theirs
    uint32_t exemplars_max, head_series_max;
};

struct world {
    const struct flow *flow;
    unsigned shards;
    int64_t late_ms;
    struct findings found;
    char folder[64];
    struct tsdb *db;
    struct receiver *receiver;
    struct http_server *server;
    struct listener *listener;
    struct http_client *client;
    struct http_result result;
    struct buf dump;
    int64_t now_ms;
    bool v2;               // from here on
    const char *exemplars; // wanted in its header; NULL: none
};

// Runs the script in a world of its own; a finding fails the test.
void world_run(const struct flow *f);

void put_double_field(struct buf *out, unsigned field, double v);
// Names and values in turn, as "__name__=a,x=1": of a series, of an exemplar.
void put_labels(struct buf *message, const char *labels);
// A series with a sample.
void put_series(struct buf *request, const char *labels, int64_t ms, double v);

#define V2_TYPE "application/x-protobuf;proto=io.prometheus.write.v2.Request"
// type, encoding: headers, unless NULL; text: the answer's body, NULL: any.
void send_body(struct world *w, struct str body, const char *type, const char *encoding, int status,
               const char *text);
// Sends what request holds and empties it.
void send_request(struct world *w, struct buf *request, int status, const char *text);

// What the headers of the answer say was written.
void want_written(struct world *w, const char *samples);
void want_written2(struct world *w, const char *samples, const char *histograms);
// What the database has of a series, as dump_samples() writes it.
void want_samples(struct world *w, const char *series, const char *wanted);

#endif
