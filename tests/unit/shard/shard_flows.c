#include "tests/unit/shard/shard_flows.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "io/clock.h"
#include "io/file.h"
#include "io/process.h"
#include "io/stream.h"
#include "tests/lib/in_shards.h"

enum { MS = 1000 * 1000 };

static struct shard *at(unsigned index)
{
    return shards_at(shard_all(), index);
}

static void add_one(void *arg)
{
    ++*(int *)arg;
}

static void calls(struct findings *f)
{
    int count = 0;
    for (int i = 0; i < 2000; i++)
        shard_call(at((unsigned)i % 2), LOOP_QUERY, add_one, &count);
    want(f, count == 2000);
}

struct place {
    unsigned shard;
    enum loop_class class;
    int64_t deadline;
};

static void note_place(void *arg)
{
    struct place *p = arg;
    *p = (struct place){shard_index(shard_self()), fiber_class(), fiber_deadline()};
    fiber_yield();
}

static void calls_all(struct findings *f)
{
    struct place places[3] = {{99, 0, 0}, {99, 0, 0}, {99, 0, 0}};
    const int64_t deadline = clock_mono_ns() + 10000LL * MS;
    fiber_set_deadline(deadline);
    shard_call_all(LOOP_MERGE, note_place, places, sizeof *places, NULL);
    for (unsigned i = 0; i < 3; i++)
        want(f, places[i].shard == i && places[i].class == LOOP_MERGE &&
                    places[i].deadline == deadline);
    want(f, fiber_class() == LOOP_CONTROL);
    const uint64_t where[1] = {5};
    places[0].shard = places[1].shard = places[2].shard = 99;
    shard_call_all(LOOP_QUERY, note_place, places, sizeof *places, where);
    want(f, places[0].shard == 0 && places[1].shard == 99 && places[2].shard == 2);
}

// Nobody waits for that long, however busy the machine is.
static const int64_t LONG_NS = 600LL * 1000 * MS;

struct waiting {
    err result;
    bool began;
    int64_t took_ns;
};

static void wait_long(void *arg)
{
    struct waiting *w = arg;
    const int64_t begin = clock_mono_ns();
    w->result = fiber_sleep_ns(LONG_NS);
    w->took_ns = clock_mono_ns() - begin;
}

static void deadlines_reach(struct findings *f)
{
    struct waiting w[2] = {0};
    fiber_set_deadline(clock_mono_ns() + 20 * MS);
    shard_call_all(LOOP_QUERY, wait_long, w, sizeof *w, NULL);
    for (int i = 0; i < 2; i++)
        want(f, w[i].result == ERR_TIMEOUT && w[i].took_ns < LONG_NS / 2, "shard %d: %d", i,
             w[i].result);
}

struct asker {
    struct waiting w;
    bool ended;
    struct waiters *done;
};

static void ask(void *arg)
{
    struct asker *a = arg;
    shard_call(at(1), LOOP_QUERY, wait_long, &a->w);
    a->ended = true;
    waiters_wake_all(a->done);
}

static void cancels_reach(struct findings *f)
{
    struct waiters done;
    waiters_init(&done);
    struct asker askers[3] = {{.done = &done}, {.done = &done}, {.done = &done}};
    struct fiber *fibers[3];
    for (int i = 0; i < 3; i++)
        if (fiber_start(LOOP_QUERY, ask, &askers[i], &fibers[i]) != ERR_OK)
            abort();
    fiber_cancel(fibers[0]); // before it made the call
    if (fiber_sleep_ns(5 * MS) != ERR_OK)
        abort();
    fiber_cancel(fibers[1]);
    fiber_cancel(fibers[2]);
    for (int i = 0; i < 3; i++) {
        while (!askers[i].ended)
            if (waiters_wait(&done) != ERR_OK)
                abort();
        want(f, askers[i].w.result == ERR_CANCELED && askers[i].w.took_ns < LONG_NS / 2,
             "asker %d: %d", i, askers[i].w.result);
    }
}

// More callers than there are credits, both ways at once.
struct crowd {
    unsigned to;
    atomic_int ended, answered;
};

static void answer(void *arg)
{
    struct crowd *c = arg;
    atomic_fetch_add(&c->answered, 1);
    fiber_yield();
}

static void ask_often(void *arg)
{
    struct crowd *c = arg;
    for (int i = 0; i < 20; i++)
        shard_call(at(c->to), LOOP_SCRAPE, answer, c);
    atomic_fetch_add(&c->ended, 1);
}

enum { CROWD = 300 };

static void start_crowd(void *arg)
{
    struct crowd *c = arg;
    for (int i = 0; i < CROWD; i++)
        if (fiber_start(LOOP_SCRAPE, ask_often, c, NULL) != ERR_OK)
            abort();
}

static void crowds(struct findings *f)
{
    struct crowd c[2] = {{.to = 1}, {.to = 0}};
    shard_call_all(LOOP_SCRAPE, start_crowd, c, sizeof *c, NULL);
    while (atomic_load(&c[0].ended) < CROWD || atomic_load(&c[1].ended) < CROWD)
        if (fiber_sleep_ns(MS) != ERR_OK)
            abort();
    want(f, atomic_load(&c[0].answered) == CROWD * 20);
    want(f, atomic_load(&c[1].answered) == CROWD * 20);
    want(f, shard_stats(shard_self()).ring_full > 0);
}

struct posted {
    struct shard_post post;
    atomic_int *count;
};

static void note_post(void *arg)
{
    struct posted *p = arg;
    atomic_fetch_add(p->count, 1);
}

static void posts(struct findings *f)
{
    atomic_int count = 0;
    struct posted p[50];
    for (unsigned i = 0; i < 50; i++) {
        p[i] = (struct posted){{.class = LOOP_RULES, .fn = note_post, .arg = &p[i]}, &count};
        shard_post(at(i % 2), &p[i].post);
    }
    for (int i = 0; i < 5000 && atomic_load(&count) < 50; i++)
        if (fiber_sleep_ns(MS) != ERR_OK)
            abort();
    want(f, atomic_load(&count) == 50);
}

static void count_open(void *arg)
{
    (void)arg;
    shard_connection_opened();
}

static void count_closed(void *arg)
{
    (void)arg;
    shard_connection_closed();
}

static void connections(struct findings *f)
{
    int chosen[3] = {0};
    for (int i = 0; i < 30; i++)
        chosen[shard_index(shard_of_connection())]++;
    for (unsigned i = 0; i < 3; i++) {
        want(f, chosen[i] == 10, "shard %u was chosen %d times", i, chosen[i]);
        for (int k = 0; k < 10; k++)
            shard_call(at(i), LOOP_CONTROL, count_open, NULL);
    }
    for (int k = 0; k < 4; k++)
        shard_call(at(2), LOOP_CONTROL, count_closed, NULL);
    for (int i = 0; i < 4; i++)
        want(f, shard_index(shard_of_connection()) == 2);
}

static void be_deaf(void *noticed) // until somebody notices
{
    const int64_t until = clock_mono_ns() + LONG_NS / 2;
    while (!atomic_load((atomic_bool *)noticed) && clock_mono_ns() < until)
        continue;
}

static void ask_and_end(void *arg)
{
    int count = 0;
    shard_call(at(1), LOOP_QUERY, add_one, &count);
    atomic_fetch_add((atomic_int *)arg, count);
}

static void silent_peer(struct findings *f)
{
    atomic_int answered = 0;
    atomic_bool noticed = false;
    struct shard_post post = {.class = LOOP_MERGE, .fn = be_deaf, .arg = &noticed};
    shard_post(at(1), &post);
    if (fiber_sleep_ns(20 * MS) != ERR_OK ||
        fiber_start(LOOP_QUERY, ask_and_end, &answered, NULL) != ERR_OK)
        abort();
    for (int i = 0; i < 20000 && !shard_stats(shard_self()).silent_peer_events; i++)
        if (fiber_sleep_ns(10 * MS) != ERR_OK)
            abort();
    atomic_store(&noticed, true);
    for (int i = 0; i < 20000 && !atomic_load(&answered); i++)
        if (fiber_sleep_ns(10 * MS) != ERR_OK)
            abort();
    want(f, atomic_load(&answered) == 1);
    want(f, shard_stats(shard_self()).silent_peer_events > 0);
    want(f, shard_stats(shard_self()).silent_peer == 1);
    want(f, shard_silences(shards_at(shard_all(), 1)) > 0);
}

// Memory that is written on one side and read on the other, without a lock: TSan's business.
static void fill(void *arg)
{
    char *text = arg;
    memset(text, 'x', 100);
}

static void hands_over(struct findings *f)
{
    for (int i = 0; i < 200; i++) {
        char text[100] = "";
        shard_call(at(1), LOOP_RECEIVE, fill, text);
        want(f, text[0] == 'x' && text[99] == 'x');
    }
}

// Files, names and helpers on two shards at once: they share the helper pool.
struct files {
    char path[64];
    struct findings f;
};

static void use_files(void *arg)
{
    struct files *files = arg;
    struct findings *f = &files->f;
    struct errmsg e = {""};
    struct buf buf = {0};
    struct address found[4];
    size_t n = 0;
    snprintf(files->path, sizeof files->path, "/tmp/ferula-shard-%d-%u", process_pid(),
             shard_index(shard_self()));
    for (int i = 0; i < 20; i++) {
        want(f, path_write_atomic(files->path, STR("some bytes"), &e) == ERR_OK, "%s", e.text);
        buf_reset(&buf);
        want(f, path_read(files->path, 100, &buf, &e) == ERR_OK && buf.n == 10, "%s", e.text);
        want(f, path_list("/proc/self/task", &buf, &n, &e) == ERR_OK && n >= 2, "%s", e.text);
    }
    want(f, resolve_host("localhost", found, 4, &n, &e) == ERR_OK && n > 0, "%s", e.text);
    want(f, path_unlink(files->path, &e) == ERR_OK, "%s", e.text);
    buf_deinit(&buf);
}

static void files_at_once(struct findings *f)
{
    struct files files[2] = {0};
    shard_call_all(LOOP_MERGE, use_files, files, sizeof *files, NULL);
    for (int i = 0; i < 2; i++)
        want(f, !files[i].f.text[0], "%s", files[i].f.text);
}

// A connection that one shard accepts and another serves.
struct handover {
    struct shard_post post;
    int fd;
    struct address peer;
    struct serving *serving;
};

struct serving {
    atomic_int served[2];
};

static void serve(void *arg)
{
    struct handover *h = arg;
    shard_connection_opened();
    struct stream *s = stream_from_fd(h->fd, &h->peer, NULL);
    char bytes[64];
    size_t n = 0;
    while (stream_read(s, bytes, sizeof bytes, &n, NULL) == ERR_OK && n > 0)
        if (stream_write(s, bytes, n, NULL) != ERR_OK)
            break;
    stream_close(s);
    shard_connection_closed();
    atomic_fetch_add(&h->serving->served[shard_index(shard_self())], 1);
    mem_free(h);
}

static void hand_over(void *arg, int fd, const struct address *peer)
{
    struct handover *h = mem_alloc(sizeof *h);
    *h = (struct handover){.fd = fd, .peer = *peer, .serving = arg};
    h->post = (struct shard_post){.class = LOOP_RECEIVE, .fn = serve, .arg = h};
    shard_post(shard_of_connection(), &h->post);
}

static void connections_cross(struct findings *f)
{
    enum { COUNT = 20 };
    struct serving serving = {0};
    struct errmsg e = {""};
    struct listener *l = NULL;
    struct stream *s[COUNT] = {NULL};
    char bytes[64];
    size_t n = 0;
    want(f, listener_open("127.0.0.1", 0, hand_over, &serving, &l, &e) == ERR_OK, "%s", e.text);
    for (int i = 0; i < COUNT && !f->text[0]; i++) {
        want(f, stream_connect("127.0.0.1", listener_port(l), NULL, &s[i], &e) == ERR_OK, "%s",
             e.text);
        want(f, s[i] && stream_write(s[i], "hello", 5, &e) == ERR_OK, "%s", e.text);
        want(f, s[i] && stream_read(s[i], bytes, 64, &n, &e) == ERR_OK && n == 5, "%s", e.text);
    }
    for (int i = 0; i < COUNT; i++)
        stream_close(s[i]);
    while (atomic_load(&serving.served[0]) + atomic_load(&serving.served[1]) < COUNT)
        if (fiber_sleep_ns(MS) != ERR_OK)
            abort();
    want(f, atomic_load(&serving.served[0]) == COUNT / 2, "%d", atomic_load(&serving.served[0]));
    listener_close(l);
}

const struct shard_flow shard_flows[SHARD_FLOWS] = {
    {"calls", 2, calls},
    {"calls_all", 3, calls_all},
    {"deadlines_reach", 2, deadlines_reach},
    {"cancels_reach", 2, cancels_reach},
    {"crowds", 2, crowds},
    {"posts", 2, posts},
    {"connections", 3, connections},
    {"silent_peer", 2, silent_peer},
    {"hands_over", 2, hands_over},
    {"files_at_once", 2, files_at_once},
    {"connections_cross", 2, connections_cross},
};

struct run {
    const struct shard_flow *flow;
    struct findings *findings;
};

static void run_flow(void *arg)
{
    const struct run *run = arg;
    run->flow->run(run->findings);
}

void shard_flow_run(const struct shard_flow *flow, enum shard_backend backend, struct findings *f)
{
    struct run run = {flow, f};
    in_shards(flow->shards_count, backend, run_flow, &run, f);
}
