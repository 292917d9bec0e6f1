#include "tools/loadgen/write_load.h"

#include <assert.h>
#include <stdio.h>

#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "engine/base/rng.h"
#include "io/clock.h"
#include "io/fiber.h"
#include "protocol/http1.h"

enum {
    NS_PER_MS = 1000000,
    NS_PER_US = 1000,
    RETRY_MS = 100,
    ANSWER_TIMEOUT_MS = 30000,
    AHEAD_MAX_MS = 5 * 60 * 1000, // samples of the future are refused by servers
    INPUT_PART = 4096,
    ANSWER_MAX = 1 << 20,
    ENDING_MS = 5000, // what is not answered so long after the stop is given up
    LATE_MAX = 1024,
    SLOW_PARTS = 16,
    REJECTED_MAX = 100, // and nothing acknowledged: there is no point in going on
};

struct held { // a request that is sent later
    uint32_t template;
    uint64_t round;
};

struct sending { // a request that is under way
    uint64_t round;
    size_t series_n;
    struct str bytes;
    int64_t due_ns; // its turn by the rate; 0: it has none
};

struct answer {
    int status;
    bool has_retry_after;
    int64_t took_ns; // since the request was on its way
};

struct sender {
    struct write_load *load;
    unsigned index;
    struct stream *stream;
    struct fiber *fiber; // while it runs
    struct template
    {
        struct write_template t;
        uint32_t id;     // of its sequence
        uint64_t *acked; // bits by round
        size_t words;
        uint64_t rounds;
    }
    *templates;
    size_t n, capacity;
    struct held late[LATE_MAX]; // a ring
    size_t late_from, late_n;
    uint64_t next;                // request, of all rounds
    struct buf in, text, encoded; // text: of answers; encoded: requests encoded live
    struct buf garbage;
    struct write_builder *encoder; // of those
};

struct write_load {
    struct write_load_options options;
    struct sender *senders;
    unsigned running; // senders
    struct waiters ended;
    struct load_stats stats;
    uint64_t series;
    uint32_t targets;
    int64_t begin_ns, last_ms;
    uint64_t next; // WRITE_SPLIT_TIME: request, of all rounds
    bool stops;    // atomic
};

// ---- templates

struct filling {
    struct write_load *load;
    struct write_builder **builders; // one a connection
    uint32_t templates;
    unsigned connection; // of the target at hand
};

static void finish_template(struct filling *f, unsigned connection)
{
    struct sender *const s = &f->load->senders[connection];
    struct buf labels = {0};
    const uint32_t id = f->templates++;
    load_shape_sequence(&f->load->options.shape, id, &labels);
    write_builder_add_sequence(f->builders[connection], buf_str(&labels));
    buf_deinit(&labels);
    s->templates = mem_grow(s->templates, &s->capacity, s->n + 1, sizeof *s->templates);
    s->templates[s->n] = (struct template){.id = id};
    write_builder_finish(f->builders[connection], &s->templates[s->n].t);
    f->load->series += s->templates[s->n++].t.series_n;
}

static unsigned connection_of(const struct filling *f, struct str labels)
{
    const struct write_load_options *const o = &f->load->options;
    return o->split == WRITE_SPLIT_HASH ? (unsigned)(hash64(labels.p, labels.n, 0) % o->connections)
                                        : f->connection;
}

static void finish_if_full(struct filling *f, unsigned connection)
{
    if (write_builder_series(f->builders[connection]) + 1 >= f->load->options.batch)
        finish_template(f, connection);
}

static void fill_histogram(void *arg, uint32_t key, struct str labels,
                           const struct load_motion *motion)
{
    struct filling *const f = arg;
    const unsigned connection = connection_of(f, labels);
    write_builder_add_histogram(f->builders[connection], key, labels, motion);
    finish_if_full(f, connection);
}

static void fill(void *arg, uint32_t key, struct str labels, const struct load_motion *motion)
{
    struct filling *const f = arg;
    const unsigned connection = connection_of(f, labels);
    write_builder_add(f->builders[connection], key, labels, motion);
    finish_if_full(f, connection);
}

static void make_templates(struct write_load *l)
{
    const struct write_load_options *const o = &l->options;
    struct filling f = {.load = l};
    f.builders = mem_alloc_array(o->connections, sizeof(struct write_builder *));
    for (unsigned i = 0; i < o->connections; i++)
        f.builders[i] = write_builder_create(&o->write);
    const size_t each = load_shape_series(&o->shape);
    l->targets = (uint32_t)((o->series + each / 2) / each);
    l->targets += !l->targets;
    for (uint32_t t = 0; t < l->targets; t++) {
        f.connection = o->split == WRITE_SPLIT_TIME ? 0 : t % o->connections;
        load_shape_target(&o->shape, t, fill, &f);
        load_shape_histograms(&o->shape, t, fill_histogram, &f);
    }
    for (unsigned i = 0; i < o->connections; i++) {
        if (write_builder_series(f.builders[i]))
            finish_template(&f, i);
        write_builder_destroy(f.builders[i]);
    }
    mem_free(f.builders);
}

struct write_load *write_load_create(const struct write_load_options *options)
{
    struct write_load *const l = mem_zalloc(sizeof *l);
    l->options = *options;
    l->options.write.keeps_series = options->encodes_live;
    l->senders = mem_zalloc(options->connections * sizeof *l->senders);
    waiters_init(&l->ended);
    for (unsigned i = 0; i < options->connections; i++) {
        l->senders[i].load = l;
        l->senders[i].index = i;
        if (options->encodes_live)
            l->senders[i].encoder = write_builder_create(&l->options.write);
    }
    make_templates(l);
    return l;
}

void write_load_destroy(struct write_load *l)
{
    for (unsigned i = 0; i < l->options.connections; i++) {
        struct sender *const s = &l->senders[i];
        for (size_t k = 0; k < s->n; k++) {
            write_template_deinit(&s->templates[k].t);
            mem_free(s->templates[k].acked);
        }
        mem_free(s->templates);
        write_builder_destroy(s->encoder);
        buf_deinit(&s->in);
        buf_deinit(&s->text);
        buf_deinit(&s->encoded);
        buf_deinit(&s->garbage);
    }
    mem_free(l->senders);
    mem_free(l);
}

const struct load_stats *write_load_stats(const struct write_load *l)
{
    return &l->stats;
}

void write_load_describe(const struct write_load *l, struct load_report *out)
{
    out->stats = &l->stats;
    out->series = l->series;
    out->is_live = l->options.encodes_live;
    out->templates = write_load_templates(l);
    out->text_bytes = out->template_bytes = 0;
    for (unsigned i = 0; i < l->options.connections; i++) {
        for (size_t k = 0; k < l->senders[i].n; k++) {
            const struct write_template *const t = &l->senders[i].templates[k].t;
            out->text_bytes += t->text_n;
            out->template_bytes += t->bytes.n - t->head_n;
        }
    }
}

// ---- one request

static bool stops(const struct write_load *l)
{
    return __atomic_load_n(&l->stops, __ATOMIC_RELAXED);
}

static err say(struct write_load *l, uint64_t *count, const char *text)
{
    ++*count;
    snprintf(l->stats.error, sizeof l->stats.error, "%.255s", text);
    return ERR_IO;
}

static void disconnect(struct sender *s) // Suspends.
{
    struct stream *const stream = s->stream;
    s->stream = NULL;
    stream_close(stream);
}

// Takes what is there of a chunked body off s->in, from *at on; *out_end: it is complete.
static err take_chunks(struct sender *s, struct http_chunks *chunks, size_t *at, bool *out_end,
                       struct errmsg *e)
{
    while (*at < s->in.n && !*out_end) {
        size_t used;
        struct str data;
        TRY(http_chunks_feed(chunks, str_from(buf_str(&s->in), *at), &used, &data, out_end, e));
        buf_put_str(&s->text, data);
        *at += used;
    }
    return ERR_OK;
}

// The answer's head, and its body in s->text. Suspends.
static err read_answer(struct sender *s, struct http_head *head, struct errmsg *e)
{
    struct http_chunks chunks = {0};
    size_t head_n = 0, at = 0;
    bool end = false, closed = false;
    buf_reset(&s->in);
    buf_reset(&s->text);
    while (!end) {
        size_t n;
        if (s->in.n > ANSWER_MAX)
            return err_set(e, ERR_LIMIT, "an answer of more than %d bytes", ANSWER_MAX);
        TRY(stream_read(s->stream, buf_reserve(&s->in, INPUT_PART), INPUT_PART, &n, e));
        s->in.n += n;
        closed = !n;
        if (closed && (!head_n || head->chunked || head->content_length >= 0))
            return err_set(e, ERR_IO, head_n ? "unexpected EOF" : "EOF");
        // The slices of a head point into s->in, which may have moved.
        TRY(http_parse_response(buf_str(&s->in), head, &head_n, e));
        if (!head_n)
            continue;
        at = at ? at : head_n;
        if (head->status == 204 || head->status == 304)
            end = true;
        else if (head->chunked)
            TRY(take_chunks(s, &chunks, &at, &end, e));
        else
            end = head->content_length >= 0 ? s->in.n - head_n >= (uint64_t)head->content_length
                                            : closed;
    }
    if (!head->chunked)
        buf_put_str(&s->text, str_from(buf_str(&s->in), head_n));
    if (closed || !head->keep_alive)
        disconnect(s);
    return ERR_OK;
}

static void note_ack(struct sender *s, struct template *t, const struct sending *what,
                     int64_t took_ns)
{
    struct write_load *const l = s->load;
    const uint64_t round = what->round;
    l->stats.requests++;
    l->stats.samples += what->series_n * l->options.write.samples;
    l->stats.bytes += what->bytes.n;
    load_times_add(&l->stats.acks, (uint64_t)took_ns / NS_PER_US);
    if (what->due_ns)
        load_times_add(&l->stats.since_due, (uint64_t)(clock_mono_ns() - what->due_ns) / NS_PER_US);
    const size_t word = (size_t)(round / 64);
    while (t->words <= word) {
        const size_t before = t->words;
        t->acked = mem_grow(t->acked, &t->words, word + 1, sizeof *t->acked);
        memset(t->acked + before, 0, (t->words - before) * sizeof *t->acked);
    }
    t->acked[word] |= (uint64_t)1 << round % 64;
}

// The body in parts, with pauses between them. Suspends.
static err write_slowly(struct sender *s, struct str bytes, struct errmsg *e)
{
    const int64_t pause_ns = s->load->options.slow_ms * NS_PER_MS / SLOW_PARTS;
    s->load->stats.slow++;
    for (size_t part = 0, at = 0; part < SLOW_PARTS; part++) {
        const size_t end = bytes.n * (part + 1) / SLOW_PARTS;
        TRY(stream_write(s->stream, bytes.p + at, end - at, e));
        at = end;
        if (part + 1 < SLOW_PARTS && !stops(s->load) && fiber_sleep_ns(pause_ns))
            return err_set(e, ERR_CANCELED, "ended");
    }
    return ERR_OK;
}

static bool is_drawn(double share)
{
    return share > 0 && rng_double(loop_rng()) < share;
}

// Sends bytes and reads the answer, whose body is in s->text. Suspends.
static err exchange(struct sender *s, struct str bytes, struct answer *out, struct errmsg *e)
{
    struct write_load *const l = s->load;
    const bool is_slow = is_drawn(l->options.slow_share);
    const int64_t limit_ms = ANSWER_TIMEOUT_MS + (is_slow ? l->options.slow_ms : 0);
    fiber_set_deadline(clock_mono_ns() + limit_ms * NS_PER_MS);
    err code = ERR_OK;
    if (!s->stream)
        code = stream_connect(l->options.host, l->options.port, l->options.tls, &s->stream, e);
    int64_t sent_ns = clock_mono_ns();
    if (!code)
        code = is_slow ? write_slowly(s, bytes, e) : stream_write(s->stream, bytes.p, bytes.n, e);
    if (is_slow)
        sent_ns = clock_mono_ns();
    struct http_head *const head = mem_alloc(sizeof *head);
    if (!code)
        code = read_answer(s, head, e);
    fiber_set_deadline(INT64_MAX);
    if (!code)
        load_answers_add(l->stats.answers, head->status);
    if (!code)
        *out = (struct answer){.status = head->status,
                               .has_retry_after = http_header(head, STR("Retry-After")).n > 0,
                               .took_ns = clock_mono_ns() - sent_ns};
    mem_free(head);
    if (code)
        disconnect(s);
    return code;
}

// Sends bytes once. ERR_OK: it is settled; ERR_IO: send it again. Suspends.
static err send_once(struct sender *s, struct template *t, const struct sending *what)
{
    struct write_load *const l = s->load;
    struct errmsg e;
    struct answer answer;
    l->stats.status = 0;
    if (exchange(s, what->bytes, &answer, &e))
        return say(l, &l->stats.broken,
                   fiber_status() == ERR_CANCELED ? "no answer before the end" : e.text);
    l->stats.status = answer.status;
    if (answer.status / 100 == 2) {
        note_ack(s, t, what, answer.took_ns);
        return ERR_OK;
    }
    char text[200];
    snprintf(text, sizeof text, "%d %.*s", answer.status, STR_ARG(str_trim(buf_str(&s->text))));
    if (answer.status == 429 || answer.status == 503) {
        l->stats.no_retry_after += !answer.has_retry_after;
        return say(l, &l->stats.refused, text);
    }
    if (answer.status / 100 == 5)
        return say(l, &l->stats.failed, text);
    (void)(say(l, &l->stats.rejected, text) == ERR_OK);
    if (!l->stats.requests && l->stats.rejected >= REJECTED_MAX)
        write_load_stop(l);
    return ERR_OK;
}

static int64_t time_of(const struct write_load *l, uint64_t round)
{
    const struct write_options *const w = &l->options.write;
    return l->options.start_ms + (int64_t)round * (int64_t)w->samples * w->step_ms;
}

static unsigned generation_of(void *arg, uint32_t key, int64_t t_ms)
{
    const struct write_load *const l = arg;
    const double minutes = (double)(t_ms - l->options.start_ms) / 60000;
    if (key & LOAD_UNIT)
        return load_generation(key, load_unit_share(&l->options.shape), minutes / 60);
    return load_generation(key, l->options.churn, minutes);
}

// Now and then half a request, and then no more of that connection. Suspends.
static void cut_connection(struct sender *s, struct str bytes)
{
    struct write_load *const l = s->load;
    struct errmsg e;
    if (!is_drawn(l->options.cut_share))
        return;
    fiber_set_deadline(clock_mono_ns() + (int64_t)ANSWER_TIMEOUT_MS * NS_PER_MS);
    err code = ERR_OK;
    if (!s->stream)
        code = stream_connect(l->options.host, l->options.port, l->options.tls, &s->stream, &e);
    if (!code)
        code = stream_write(s->stream, bytes.p, (size_t)rng_below(loop_rng(), bytes.n), &e);
    fiber_set_deadline(INT64_MAX);
    l->stats.cut += code == ERR_OK;
    disconnect(s);
}

// A request that cannot be read, each kind in its turn: random bytes; half a block; a message whose
// first series is longer than the message.
static void put_garbage(const struct write_load *l, struct str body, struct buf *out)
{
    enum { KINDS = 3, RANDOM_BYTES = 300 };
    static const uint8_t too_long[] = {0x0a, 0xff, 0xff, 0xff, 0xff, 0x07};
    struct buf bad = {0}, text = {0};
    if (l->stats.garbage % KINDS == 1) {
        buf_put_str(&bad, str_until(body, body.n / 2));
    } else {
        if (l->stats.garbage % KINDS == 2)
            buf_put(&text, too_long, sizeof too_long);
        for (int i = 0; i < RANDOM_BYTES; i++)
            buf_put_char(&text, (char)(uint8_t)rng_below(loop_rng(), 256));
        if (l->stats.garbage % KINDS == 2)
            write_compress(&l->options.write, buf_str(&text), &bad);
        else
            buf_put_str(&bad, buf_str(&text));
    }
    buf_reset(out);
    write_put_head(&l->options.write, bad.n, out);
    buf_put_str(out, buf_str(&bad));
    buf_deinit(&bad);
    buf_deinit(&text);
}

static void send_garbage(struct sender *s, struct str body) // Suspends.
{
    struct write_load *const l = s->load;
    struct errmsg e;
    struct answer answer;
    if (!is_drawn(l->options.garbage_share))
        return;
    put_garbage(l, body, &s->garbage);
    l->stats.garbage++;
    if (exchange(s, buf_str(&s->garbage), &answer, &e))
        (void)(say(l, &l->stats.broken, e.text) == ERR_OK);
    else if (answer.status / 100 == 2)
        l->stats.garbage_taken++;
    else if (answer.status / 100 == 5 && answer.status != 503)
        (void)(say(l, &l->stats.failed, "garbage was answered 5xx") == ERR_OK);
}

// An acknowledged request once more, as a sender does that did not see the answer. Suspends.
static void send_again(struct sender *s, struct str bytes)
{
    struct write_load *const l = s->load;
    struct errmsg e;
    struct answer answer;
    if (!is_drawn(l->options.repeat_share))
        return;
    if (exchange(s, bytes, &answer, &e)) {
        (void)(say(l, &l->stats.broken, e.text) == ERR_OK);
    } else if (answer.status / 100 == 2) {
        l->stats.repeated++;
    } else if (answer.status != 429 && answer.status != 503) {
        char text[200];
        snprintf(text, sizeof text, "sent again: %d %.*s", answer.status,
                 STR_ARG(str_trim(buf_str(&s->text))));
        (void)(say(l, &l->stats.rejected, text) == ERR_OK);
    }
}

// Whose templates a sender sends.
static struct sender *owner_of(struct sender *s)
{
    return s->load->options.split == WRITE_SPLIT_TIME ? &s->load->senders[0] : s;
}

// Makes the request of a round and sends it until it is settled or all stops. Suspends.
static void deliver(struct sender *s, uint32_t template, uint64_t round, int64_t due_ns)
{
    struct write_load *const l = s->load;
    struct template *const t = &owner_of(s)->templates[template];
    const int64_t t_ms = time_of(l, round);
    const struct write_moment moment = {round, t_ms, generation_of, l};
    struct sending what = {.round = round, .due_ns = due_ns};
    buf_reset(&s->encoded);
    if (l->options.encodes_live)
        what.series_n = write_template_encode(&t->t, s->encoder, &moment, &s->encoded);
    else
        what.series_n = write_template_patch(&t->t, &l->options.write, &moment);
    if (!l->options.encodes_live && l->options.split == WRITE_SPLIT_TIME)
        buf_put_str(&s->encoded, buf_str(&t->t.bytes)); // others may patch it while it is sent
    what.bytes = buf_str(s->encoded.n ? &s->encoded : &t->t.bytes);
    t->rounds = round + 1 > t->rounds ? round + 1 : t->rounds;
    send_garbage(s, str_from(what.bytes, t->t.head_n));
    cut_connection(s, what.bytes);
    err code = send_once(s, t, &what);
    while (code && !stops(l) && !fiber_sleep_ns((int64_t)RETRY_MS * NS_PER_MS))
        code = send_once(s, t, &what);
    if (!code)
        send_again(s, what.bytes);
    const int64_t end_ms =
        t_ms + ((int64_t)l->options.write.samples - 1) * l->options.write.step_ms;
    l->last_ms = end_ms > l->last_ms ? end_ms : l->last_ms;
}

// ---- the order of requests

// Waits for the turn of the i-th of n requests of a round: by the rate, or until its samples are
// not too far in the future. When its turn is by the rate, 0 without one. Suspends.
static int64_t wait_for_turn(const struct sender *s, uint64_t round, size_t i, size_t n)
{
    int64_t due = 0;
    const struct write_load *const l = s->load;
    const struct write_options *const w = &l->options.write;
    if (l->options.rate > 0) {
        const double round_ns = (double)l->series * w->samples / l->options.rate * 1e9;
        const double phase =
            l->options.split == WRITE_SPLIT_TIME ? 0 : (double)s->index / l->options.connections;
        const double part = ((double)i + phase) / (double)n;
        due = l->begin_ns + (int64_t)(((double)round + part) * round_ns);
        while (!stops(l) && clock_mono_ns() < due) {
            const int64_t left = due - clock_mono_ns();
            if (fiber_sleep_ns(left < 100 * NS_PER_MS ? left : 100 * NS_PER_MS))
                return due;
        }
    }
    while (!stops(l) && time_of(l, round) > clock_wall_ms() + AHEAD_MAX_MS)
        if (fiber_sleep_ns(10 * NS_PER_MS))
            return due;
    return due;
}

static void send_held(struct sender *s, uint64_t round, bool all) // Suspends.
{
    while (s->late_n && !stops(s->load)) {
        const struct held h = s->late[s->late_from];
        if (!all && h.round + s->load->options.late_rounds > round)
            return;
        s->late_from = (s->late_from + 1) % LATE_MAX;
        s->late_n--;
        deliver(s, h.template, h.round, 0); // late on purpose
    }
}

static bool hold_back(struct sender *s, uint32_t template, uint64_t round)
{
    struct write_load *const l = s->load;
    if (l->options.late_share <= 0 || s->late_n == LATE_MAX ||
        rng_double(loop_rng()) >= l->options.late_share)
        return false;
    s->late[(s->late_from + s->late_n++) % LATE_MAX] = (struct held){template, round};
    l->stats.late++;
    return true;
}

// Takes the next request: of those of its own, or of all. False: there are none.
static bool take_turn(struct sender *s, uint64_t *out_round, size_t *out_i)
{
    struct write_load *const l = s->load;
    const size_t n = owner_of(s)->n;
    if (!n)
        return false;
    const uint64_t turn = l->options.split == WRITE_SPLIT_TIME ? l->next++ : s->next++;
    *out_round = turn / n;
    *out_i = (size_t)(turn % n);
    return *out_round < l->options.rounds;
}

static void send_all(void *arg)
{
    struct sender *const s = arg;
    struct write_load *const l = s->load;
    uint64_t round, before = 0;
    size_t i;
    while (!stops(l) && take_turn(s, &round, &i)) {
        if (round > before)
            send_held(s, before, false);
        before = round;
        const int64_t due_ns = wait_for_turn(s, round, i, owner_of(s)->n);
        if (!stops(l) && !hold_back(s, (uint32_t)i, round))
            deliver(s, (uint32_t)i, round, due_ns);
        fiber_yield_if_due();
    }
    send_held(s, 0, true);
    fiber_shield_begin();
    disconnect(s);
    fiber_shield_end();
    s->fiber = NULL;
    l->running--;
    waiters_wake_all(&l->ended);
}

static void give_up(void *arg) // Suspends.
{
    struct write_load *const l = arg;
    int64_t stopped_ns = INT64_MAX;
    while (l->running && clock_mono_ns() - ENDING_MS * (int64_t)NS_PER_MS < stopped_ns) {
        if (fiber_sleep_ns(100 * (int64_t)NS_PER_MS))
            return;
        if (stops(l) && stopped_ns == INT64_MAX)
            stopped_ns = clock_mono_ns();
    }
    for (unsigned i = 0; i < l->options.connections; i++)
        if (l->senders[i].fiber)
            fiber_cancel(l->senders[i].fiber);
}

void write_load_run(struct write_load *l)
{
    l->begin_ns = clock_mono_ns();
    for (unsigned i = 0; i < l->options.connections; i++) {
        fiber_start_always(LOOP_QUERY, send_all, &l->senders[i], &l->senders[i].fiber);
        l->running++;
    }
    fiber_start_always(LOOP_CONTROL, give_up, l, NULL);
    while (l->running)
        if (waiters_wait(&l->ended))
            break;
}

void write_load_stop(struct write_load *l)
{
    __atomic_store_n(&l->stops, true, __ATOMIC_RELAXED);
}

// ---- what was acknowledged

// By connection, and there in the order of their sending.
static const struct template *template_at(const struct write_load *l, size_t index)
{
    for (unsigned i = 0; i < l->options.connections; i++) {
        if (index < l->senders[i].n)
            return &l->senders[i].templates[index];
        index -= l->senders[i].n;
    }
    return NULL;
}

size_t write_load_templates(const struct write_load *l)
{
    size_t n = 0;
    for (unsigned i = 0; i < l->options.connections; i++)
        n += l->senders[i].n;
    return n;
}

bool write_load_is_acked(const struct write_load *l, size_t template, uint64_t round)
{
    const struct template *const t = template_at(l, template);
    return round / 64 < t->words && t->acked[round / 64] >> round % 64 & 1;
}

uint32_t write_load_sequence(const struct write_load *l, size_t template)
{
    return template_at(l, template)->id;
}

uint64_t write_load_rounds(const struct write_load *l, size_t template)
{
    return template_at(l, template)->rounds;
}

int64_t write_load_last_ms(const struct write_load *l)
{
    return l->last_ms;
}
