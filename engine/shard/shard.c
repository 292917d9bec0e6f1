#include "engine/shard/shard.h"

#include <stdatomic.h>
#include <stdio.h>

#include "engine/base/mem.h"
#include "engine/shard/mailbox.h"
#include "io/backend.h"
#include "io/clock.h"
#include "io/process.h"
#include "io/thread.h"

// A call is a message that travels to the other shard and back: the request, and a second one when
// the caller is told to end. Each comes home as its own reply, and the caller waits for all of
// them, so nobody looks at a call that is gone. A shard has CREDITS calls to another under way at
// most; a mailbox has room for a request and a cancel of each, and for the replies to as many of
// the peer's: so putting never fails, and only a call without a credit waits.
//
// A shard that has mail has the sender's bit in its mask. The bit is set after the message is in
// the mailbox, and the loop is woken after that; see poll_backend() in io/loop.c for why it cannot
// fall asleep in between.

enum {
    CREDITS = MAILBOX_SLOTS / 4,
    URING_ENTRIES = 256,
    MASK_WORDS = SHARD_MAX / 64,
    SILENT_NS = 100 * 1000 * 1000,
};
static const int64_t drain_ns_max = 5 * 1000000000LL;

struct message {
    struct call *call;
    bool is_cancel, is_reply;
};

struct batch { // calls that one fiber waits for
    struct call *calls;
    unsigned calls_count;
    unsigned outstanding; // messages that are not home
    struct waiters home;
};

struct call {
    struct message request, cancel;
    struct shard *from, *to;
    enum loop_class class;
    fiber_fn *fn;
    void *arg;
    int64_t deadline_ns;
    bool is_canceled; // before it was sent
    // The callee's, until the request is home.
    struct fiber *fiber; // NULL: ended
    // The caller's.
    struct batch *batch;
    unsigned outstanding;
};

struct peer { // what a shard knows of another
    unsigned credits;
    struct waiters credit_home;
    bool is_watched;    // it had not looked at all its mail
    size_t head_before; // of its mailbox, when last checked
};

struct shard {
    struct shards *all;
    unsigned index;
    struct loop *loop;
    struct thread *thread;
    struct peer *peers;
    struct timer watch;
    struct shard_stats stats;
    struct shard_post start;
    const char *lacks; // of io_uring, and is done in another way; NULL: nothing
    err failure;
    struct errmsg failure_text;
    _Alignas(CACHE_LINE) _Atomic uint64_t mail[MASK_WORDS]; // who left something for us
    _Atomic(struct shard_post *) posts;                     // newest first
    _Alignas(CACHE_LINE) _Atomic int64_t connections;       // also those on their way
    _Atomic uint64_t silences;                              // others saw
};

struct shards {
    unsigned count;
    struct shards_options options;
    struct shard *shards;
    struct mailbox *boxes; // [to * count + from]
    struct process_cpus cpus;
    struct gate *created, *go, *drained;
    bool give_up; // written before go opens
    _Atomic bool stopping;
    _Atomic unsigned busy_count; // shards that have not ended their work
    struct logger logger;
};

static struct mailbox *box(const struct shard *from, const struct shard *to)
{
    return &to->all->boxes[to->index * to->all->count + from->index];
}

static void put(struct shard *from, struct shard *to, struct message *m)
{
    mailbox_put(box(from, to), m);
    atomic_fetch_or(&to->mail[from->index / 64], (uint64_t)1 << from->index % 64);
    from->stats.messages_sent++;
    from->stats.wakes += loop_wake(to->loop);
    struct peer *peer = &from->peers[to->index];
    if (!peer->is_watched) {
        peer->is_watched = true;
        peer->head_before = atomic_load(&box(from, to)->head);
        if (!timer_is_set(&from->watch))
            timer_set(&from->watch, clock_turn_ns() + SILENT_NS);
    }
}

static void watch_peers(struct timer *timer)
{
    struct shard *s = container_of(timer, struct shard, watch);
    bool again = false;
    for (unsigned i = 0; i < s->all->count; i++) {
        struct peer *peer = &s->peers[i];
        if (!peer->is_watched)
            continue;
        const struct mailbox *m = box(s, &s->all->shards[i]);
        const size_t head = atomic_load(&m->head);
        peer->is_watched = !mailbox_is_empty(m);
        if (peer->is_watched && head == peer->head_before) {
            s->stats.silent_peer_events++;
            s->stats.silent_peer = i;
            atomic_fetch_add_explicit(&s->all->shards[i].silences, 1, memory_order_relaxed);
        }
        peer->head_before = head;
        again |= peer->is_watched;
    }
    if (again)
        timer_set(timer, clock_turn_ns() + SILENT_NS);
}

static void reply(struct shard *self, struct message *m)
{
    m->is_reply = true;
    put(self, m->call->from, m);
}

static void serve(void *arg)
{
    struct call *call = arg;
    fiber_set_local(call);
    fiber_set_flow((const void *)(uintptr_t)call->fn);
    fiber_set_deadline(call->deadline_ns);
    call->fn(call->arg);
    call->fiber = NULL;
    reply(call->to, &call->request);
}

// On the caller's shard.
static void come_home(struct shard *self, struct call *call)
{
    struct batch *batch = call->batch;
    if (--call->outstanding == 0) {
        struct peer *peer = &self->peers[call->to->index];
        peer->credits++;
        waiters_wake_one(&peer->credit_home);
    }
    if (--batch->outstanding == 0)
        waiters_wake_all(&batch->home);
}

static void handle(struct shard *self, struct message *m)
{
    struct call *call = m->call;
    self->stats.messages_received++;
    if (m->is_reply) {
        come_home(self, call);
    } else if (m->is_cancel) {
        if (call->fiber)
            fiber_cancel(call->fiber);
        reply(self, m);
    } else {
        fiber_start_always(call->class, serve, call, &call->fiber);
        if (call->is_canceled)
            fiber_cancel(call->fiber);
    }
}

static bool take_posts(struct shard *self)
{
    struct shard_post *newest = atomic_exchange(&self->posts, NULL), *in_order = NULL;
    for (struct shard_post *next; newest; newest = next) {
        next = newest->next;
        newest->next = in_order;
        in_order = newest;
    }
    const bool any = in_order;
    for (struct shard_post *next; in_order; in_order = next) {
        next = in_order->next;
        fiber_start_always(in_order->class, in_order->fn, in_order->arg, NULL);
    }
    return any;
}

static bool take_mail(struct shard *self)
{
    bool any = false;
    for (unsigned word = 0; word * 64 < self->all->count; word++) {
        uint64_t mask = atomic_load(&self->mail[word]);
        if (mask)
            mask = atomic_exchange(&self->mail[word], 0);
        for (; mask; mask &= mask - 1) {
            const unsigned from = word * 64 + (unsigned)__builtin_ctzll(mask);
            struct mailbox *m = box(&self->all->shards[from], self);
            void *message;
            for (int n = 0; n < MAILBOX_SLOTS && (message = mailbox_take(m)); n++)
                handle(self, message);
            if (!mailbox_is_empty(m)) // the rest in the next turn
                atomic_fetch_or(&self->mail[word], mask & -mask);
            any = true;
        }
    }
    return any;
}

static bool shard_hook(void *arg)
{
    struct shard *self = arg;
    if (atomic_load(&self->all->stopping))
        loop_stop(self->loop);
    bool any = false;
    if (atomic_load(&self->posts))
        any |= take_posts(self);
    return any | take_mail(self);
}

struct shard *shard_self(void)
{
    const struct loop *loop = loop_current();
    return loop ? loop_hook_arg(loop) : NULL;
}

struct shards *shard_all(void)
{
    const struct shard *self = shard_self();
    return self ? self->all : NULL;
}

unsigned shards_count(const struct shards *s)
{
    return s->count;
}

struct shard *shards_at(struct shards *s, unsigned index)
{
    assert(index < s->count);
    return &s->shards[index];
}

struct loop *shard_loop(struct shard *s)
{
    return s->loop;
}

unsigned shard_index(const struct shard *s)
{
    return s->index;
}

static void take_credit(struct shard *self, const struct shard *to)
{
    struct peer *peer = &self->peers[to->index];
    self->stats.ring_full += peer->credits == 0;
    fiber_shield_begin(); // a call is made, also by who was told to end
    while (peer->credits == 0)
        (void)waiters_wait(&peer->credit_home);
    fiber_shield_end();
    peer->credits--;
}

static void send(struct batch *batch, struct call *call, struct shard *to, enum loop_class class,
                 fiber_fn *fn, void *arg)
{
    struct shard *self = shard_self();
    assert(!fiber_local()); // shards that were asked do not ask shards
    take_credit(self, to);
    *call = (struct call){.from = self,
                          .to = to,
                          .class = class,
                          .fn = fn,
                          .arg = arg,
                          .deadline_ns = fiber_deadline(),
                          .is_canceled = fiber_status() == ERR_CANCELED,
                          .batch = batch,
                          .outstanding = 1};
    call->request.call = call->cancel.call = call;
    call->cancel.is_cancel = true;
    batch->outstanding++;
    put(self, to, &call->request);
}

static void send_cancels(struct batch *batch)
{
    for (unsigned i = 0; i < batch->calls_count; i++) {
        struct call *call = &batch->calls[i];
        if (call->outstanding == 0 || call->is_canceled)
            continue;
        call->outstanding++;
        batch->outstanding++;
        put(call->from, call->to, &call->cancel);
    }
}

// The callees have the same deadline, so only a cancel must be told.
static void wait_home(struct batch *batch)
{
    err code = ERR_OK;
    while (batch->outstanding > 0 && code == ERR_OK)
        code = waiters_wait(&batch->home);
    if (code == ERR_CANCELED)
        send_cancels(batch);
    fiber_shield_begin();
    while (batch->outstanding > 0)
        (void)waiters_wait(&batch->home);
    fiber_shield_end();
}

static void run_here(enum loop_class class, fiber_fn *fn, void *arg)
{
    const enum loop_class before = fiber_class();
    fiber_set_class(class);
    fn(arg);
    fiber_set_class(before);
}

void shard_call(struct shard *to, enum loop_class class, fiber_fn *fn, void *arg)
{
    if (to == shard_self()) {
        run_here(class, fn, arg);
        return;
    }
    struct call call;
    struct batch batch = {.calls = &call, .calls_count = 1};
    waiters_init(&batch.home);
    send(&batch, &call, to, class, fn, arg);
    wait_home(&batch);
}

void shard_call_all(enum loop_class class, fiber_fn *fn, void *args, size_t size,
                    const uint64_t *where)
{
    struct shard *self = shard_self();
    struct shards *all = self->all;
    struct batch batch = {0};
    waiters_init(&batch.home);
    bool here = false;
    for (unsigned i = 0; i < all->count; i++) {
        if (where && !(where[i / 64] >> i % 64 & 1))
            continue;
        if (i == self->index) {
            here = true;
            continue;
        }
        if (!batch.calls)
            batch.calls = mem_alloc_array(all->count, sizeof *batch.calls);
        struct call *call = &batch.calls[batch.calls_count++];
        send(&batch, call, &all->shards[i], class, fn, (char *)args + i * size);
    }
    if (here)
        run_here(class, fn, (char *)args + self->index * size);
    wait_home(&batch);
    mem_free(batch.calls);
}

void shard_post(struct shard *to, struct shard_post *post)
{
    post->next = atomic_load(&to->posts);
    while (!atomic_compare_exchange_weak(&to->posts, &post->next, post))
        continue;
    (void)loop_wake(to->loop);
}

// Counts it at once: of a burst each shard gets its share.
struct shard *shard_of_connection(void)
{
    struct shard *self = shard_self();
    struct shards *all = self->all;
    struct shard *best = self;
    int64_t fewest = atomic_load_explicit(&self->connections, memory_order_relaxed);
    for (unsigned i = 0; i < all->count; i++) {
        struct shard *s = &all->shards[i];
        const int64_t n = atomic_load_explicit(&s->connections, memory_order_relaxed);
        if (n < fewest) {
            fewest = n;
            best = s;
        }
    }
    atomic_fetch_add_explicit(&best->connections, 1, memory_order_relaxed);
    return best;
}

void shard_connection_opened(void)
{
    shard_self()->stats.connections++;
}

void shard_connection_closed(void)
{
    struct shard *self = shard_self();
    self->stats.connections--;
    atomic_fetch_sub_explicit(&self->connections, 1, memory_order_relaxed);
}

uint64_t shard_silences(const struct shard *s)
{
    return atomic_load_explicit(&s->silences, memory_order_relaxed);
}

struct shard_stats shard_stats(const struct shard *s)
{
    struct shard_stats stats = s->stats;
    stats.silences = shard_silences(s);
    return stats;
}

// A ring may be had for one shard and not for the next, as where locked memory is limited: such a
// shard polls, unless io_uring was asked for by name.
static err create_backend(struct shard *s, struct backend **out, struct errmsg *e)
{
    const struct shards *all = s->all;
    if (all->options.backend == SHARD_BACKEND_POLL)
        return backend_poll_create(out, e);
    const err code = backend_uring_create(URING_ENTRIES, out, e);
    if (code == ERR_OK)
        s->lacks = (*out)->lacks;
    if (code == ERR_OK || all->options.backend == SHARD_BACKEND_URING)
        return code;
    s->lacks = "a ring for every shard";
    return backend_poll_create(out, e);
}

static err create_loop(struct shard *s, struct backend *backend, struct errmsg *e)
{
    struct loop_options options = s->all->options.loop;
    options.seed += s->index;
    options.spins = !s->all->options.sim_backends && s->all->count > 1 && !s->all->cpus.has_quota &&
                    s->all->count <= s->all->cpus.count;
    TRY(loop_create(backend, &options, &s->loop, e));
    loop_set_hook(s->loop, shard_hook, s);
    return ERR_OK;
}

static bool has_ended(struct shard *s)
{
    const struct loop_stats *stats = loop_stats(s->loop);
    return stats->fibers_alive == 0 && stats->in_flight == 0 && !atomic_load(&s->posts);
}

// Turns on until no shard has anything left: what one still does may need the others.
static void drain(struct shard *s)
{
    struct shards *all = s->all;
    const int64_t give_up_ns = clock_mono_ns() + drain_ns_max;
    bool counted = false;
    while (atomic_load(&all->busy_count) > 0 && clock_mono_ns() < give_up_ns) {
        if (!counted && has_ended(s)) {
            counted = true;
            if (atomic_fetch_sub(&all->busy_count, 1) == 1)
                for (unsigned i = 0; i < all->count; i++)
                    (void)loop_wake(all->shards[i].loop);
        }
        (void)loop_turn(s->loop, 1000 * 1000);
    }
}

static void end_loop(struct shard *s)
{
    if (has_ended(s)) {
        loop_destroy(s->loop);
        return;
    }
    const struct loop_stats *stats = loop_stats(s->loop);
    log_error(&s->all->logger, "a shard was stopped with work under way",
              log_i64("shard", s->index), log_i64("fibers", (int64_t)stats->fibers_alive),
              log_i64("operations", (int64_t)stats->in_flight));
}

static void shard_main(void *arg)
{
    struct shard *s = arg;
    struct shards *all = s->all;
    mem_thread_init();
    if (all->options.pin)
        process_pin_thread(all->cpus.ids[s->index]);
    struct backend *backend = NULL;
    s->failure = create_backend(s, &backend, &s->failure_text);
    if (s->failure == ERR_OK)
        s->failure = create_loop(s, backend, &s->failure_text);
    gate_pass(all->created);
    gate_wait(all->go);
    if (!all->give_up) {
        loop_run(s->loop);
        drain(s);
        gate_pass(all->drained);
        gate_wait(all->drained); // nobody wakes a loop that is gone
    }
    if (s->failure == ERR_OK)
        end_loop(s);
}

static void init_shard(struct shards *all, unsigned index)
{
    struct shard *s = &all->shards[index];
    *s = (struct shard){.all = all, .index = index};
    s->peers = mem_alloc_array(all->count, sizeof *s->peers);
    for (unsigned i = 0; i < all->count; i++) {
        s->peers[i] = (struct peer){.credits = CREDITS};
        waiters_init(&s->peers[i].credit_home);
    }
    timer_init(&s->watch, watch_peers);
}

static void free_shards(struct shards *all)
{
    for (unsigned i = 0; i < all->count; i++)
        mem_free(all->shards[i].peers);
    if (all->created)
        gate_destroy(all->created);
    if (all->go)
        gate_destroy(all->go);
    if (all->drained)
        gate_destroy(all->drained);
    mem_free(all->shards);
    mem_free(all->boxes);
    mem_free(all);
}

static void choose_backend(struct shards *all)
{
    if (all->options.backend == SHARD_BACKEND_AUTO) {
        struct backend *trial = NULL;
        struct errmsg why;
        if (backend_uring_create(URING_ENTRIES, &trial, &why) == ERR_OK) {
            trial->ops->destroy(trial);
        } else {
            all->options.backend = SHARD_BACKEND_POLL;
            log_info(&all->logger, "io_uring cannot be used here, using poll",
                     log_cstr("reason", why.text));
        }
    }
}

// Starts the threads one by one; those that ran see give_up when a later one cannot start.
static err start_threads(struct shards *all, struct errmsg *e)
{
    all->created = gate_create(all->count);
    all->go = gate_create(1);
    all->drained = gate_create(all->count);
    err code = ERR_OK;
    for (unsigned i = 0; i < all->count; i++) {
        char name[24];
        snprintf(name, sizeof name, "shard-%u", i);
        if (code == ERR_OK)
            code = thread_start(name, shard_main, &all->shards[i], &all->shards[i].thread, e);
        if (code != ERR_OK)
            gate_pass(all->created); // for the one that is not there
    }
    gate_wait(all->created);
    for (unsigned i = 0; i < all->count && code == ERR_OK; i++) {
        const struct shard *s = &all->shards[i];
        if (s->failure != ERR_OK)
            code = err_set(e, s->failure, "shard %u: %s", i, s->failure_text.text);
    }
    all->give_up = code != ERR_OK;
    return code;
}

static err create_simulated(struct shards *all, struct errmsg *e)
{
    for (unsigned i = 0; i < all->count; i++)
        TRY(create_loop(&all->shards[i], all->options.sim_backends[i], e));
    return ERR_OK;
}

static void post_starts(struct shards *all, fiber_fn *start, void *arg)
{
    for (unsigned i = 0; i < all->count; i++) {
        struct shard *s = &all->shards[i];
        s->start = (struct shard_post){.class = LOOP_CONTROL, .fn = start, .arg = arg};
        shard_post(s, &s->start);
    }
}

static void join_threads(struct shards *all)
{
    for (unsigned i = 0; i < all->count; i++)
        thread_join(all->shards[i].thread);
}

static struct shards *alloc_shards(const struct shards_options *options)
{
    struct shards *all = mem_zalloc(sizeof *all);
    all->options = *options;
    all->logger = (struct logger){.component = "shard", .sink = options->log};
    process_cpus(&all->cpus);
    all->count = options->count ? options->count : all->cpus.count;
    if (all->count > SHARD_MAX)
        all->count = SHARD_MAX;
    if (all->cpus.has_quota || all->count > all->cpus.count)
        all->options.pin = false;
    all->busy_count = all->count;
    all->shards = mem_alloc_aligned(CACHE_LINE, all->count * sizeof *all->shards);
    const size_t boxes_size = (size_t)all->count * all->count * sizeof *all->boxes;
    all->boxes = mem_alloc_aligned(CACHE_LINE, boxes_size);
    memset(all->boxes, 0, boxes_size);
    for (unsigned i = 0; i < all->count; i++)
        init_shard(all, i);
    return all;
}

err shards_create(const struct shards_options *options, fiber_fn *start, void *arg,
                  struct shards **out, struct errmsg *e)
{
    struct shards *all = alloc_shards(options);
    if (options->sim_backends) {
        const err code = create_simulated(all, e);
        assert(code == ERR_OK); // loops of a simulator have no reason to fail
    } else {
        choose_backend(all);
        const err code = start_threads(all, e);
        if (code != ERR_OK) {
            gate_pass(all->go);
            join_threads(all);
            free_shards(all);
            return code;
        }
        for (unsigned i = 0, said = 0; i < all->count && !said; i++)
            if ((said = all->shards[i].lacks != NULL))
                log_info(&all->logger, "io_uring lacks what is done in another way here",
                         log_cstr("what", all->shards[i].lacks), log_i64("shard", i));
        log_info(&all->logger, "shards started", log_i64("count", all->count),
                 log_cstr("io_backend", loop_backend_name(all->shards[0].loop)),
                 log_i64("pinned", all->options.pin));
    }
    post_starts(all, start, arg);
    if (all->go)
        gate_pass(all->go);
    *out = all;
    return ERR_OK;
}

void shards_destroy(struct shards *all)
{
    join_threads(all);
    if (all->options.sim_backends)
        for (unsigned i = 0; i < all->count; i++)
            loop_destroy(all->shards[i].loop);
    free_shards(all);
}

void shards_stop(struct shards *all)
{
    atomic_store(&all->stopping, true);
    for (unsigned i = 0; i < all->count; i++)
        (void)loop_wake(all->shards[i].loop);
}
