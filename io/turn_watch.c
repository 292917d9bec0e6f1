#include "io/turn_watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/loop_state.h"
#include "io/stack.h"
#include "io/symbol.h"
#include "io/system.h"

// A piece ends where a flow asks whether a yield is due, where it suspends and where it ends. The
// place of a long one is told by both ends: the function that asked before, and the calls that led
// to the end; what took long lies between.

// A record worse by that much is told anew, any other turn that long after the last one told.
enum { GROWN_BY_PERCENT = 50, TELL_AGAIN_NS = 100 * 1000 * 1000 };

enum turn_watch_mode turn_watch_default(void)
{
    return WATCHES_TURNS ? TURN_WATCH_ABORT : TURN_WATCH_OFF; // from meson.build
}

const char *turn_watch_text(enum turn_watch_mode mode)
{
    static const char *const texts[] = {"off", "log", "abort", "pieces"};
    return texts[mode];
}

void turn_watch_init(struct loop *loop)
{
    loop->watch.mode = loop->options.watch;
    loop->watch.lg = (struct logger){.component = "loop", .sink = loop->options.log};
}

void turn_watch_begin(struct loop *loop)
{
    struct turn_watch *w = &loop->watch;
    w->longest = (struct turn_piece){0};
    if (turn_watch_is_on(loop))
        w->begin_cpu_ns = w->piece_cpu_ns = system_thread_cpu_ns();
    w->now = (struct turn_piece){.phase = "timers, completions, messages"};
}

// The return addresses of the running fiber's frames, from frame on. The frame pointer of code that
// keeps none may be anything: hence the bounds.
__attribute__((no_sanitize("address"))) static void
walk_frames(const struct fiber *f, void *const *frame, struct turn_piece *piece)
{
    const uintptr_t bottom = (uintptr_t)f->stack_bottom, top = (uintptr_t)f;
    while (piece->frames_count < TURN_FRAMES_MAX && (uintptr_t)frame >= bottom &&
           (uintptr_t)frame + 2 * sizeof *frame <= top && (uintptr_t)frame % sizeof *frame == 0) {
        if (!frame[1])
            return;
        piece->frames[piece->frames_count++] = frame[1];
        if ((uintptr_t)frame[0] <= (uintptr_t)frame)
            return;
        frame = frame[0];
    }
}

static struct turn_offender *offender_of(struct turn_watch *w, const struct turn_piece *piece)
{
    for (size_t i = 0; i < w->offenders_count; i++) {
        struct turn_offender *o = &w->offenders[i];
        if (o->fn == piece->fn && o->class == piece->class &&
            (o->fn || strcmp(o->flow, piece->phase) == 0))
            return o;
    }
    if (w->offenders_count == TURN_OFFENDERS_MAX) // the mildest one makes room
        w->offenders_count--;
    struct turn_offender *o = &w->offenders[w->offenders_count++];
    *o = (struct turn_offender){.fn = piece->fn, .class = (uint8_t)piece->class};
    if (!piece->fn)
        snprintf(o->flow, sizeof o->flow, "%s", piece->phase);
    return o;
}

static void put_symbol(char *text, size_t size, const char *before, const void *pc)
{
    char name[SYMBOL_TEXT_MAX] = "start";
    const size_t n = strlen(text);
    if (pc)
        symbol_text((const char *)pc - 1, name); // the call, not what follows it
    snprintf(text + n, size - n, "%s%s", before, name);
}

static void describe(struct turn_offender *o, const struct turn_piece *piece)
{
    if (o->fn && !o->flow[0])
        symbol_text(o->fn, o->flow);
    o->place[0] = '\0';
    if (!piece->frames_count)
        return;
    put_symbol(o->place, sizeof o->place, "from ", piece->from);
    for (unsigned i = 0; i < piece->frames_count; i++)
        put_symbol(o->place, sizeof o->place, i == 0 ? " to " : " < ", piece->frames[i]);
}

// Someone who was told to end ran for ns more.
static void add_told(struct loop *loop, struct fiber *f, int64_t ns)
{
    struct turn_watch *w = &loop->watch;
    const int64_t before = f->told_ns;
    const int64_t limit =
        TURN_TOLD_MS_MAX * 1000000LL * (w->mode == TURN_WATCH_ABORT ? TURN_SLOWNESS : 1);
    f->told_ns += ns;
    if (f->told_ns > loop->stats.told_ns_max)
        loop->stats.told_ns_max = f->told_ns;
    if (f->told_ns <= limit || before > limit || w->mode == TURN_WATCH_PIECES)
        return;
    struct turn_offender o = {.fn = f->flow};
    struct turn_piece piece = w->now;
    walk_frames(f, __builtin_frame_address(0), &piece);
    describe(&o, &piece);
    if (w->lg.sink)
        log_warn(&w->lg, "a query went on after it was told to end",
                 log_i64("us", f->told_ns / 1000), log_cstr("flow", o.flow),
                 log_cstr("at", o.place));
    if (w->mode == TURN_WATCH_ABORT) {
        fprintf(stderr, "%lld us after it was told to end: %s: %s\n", (long long)f->told_ns / 1000,
                o.flow, o.place);
        abort();
    }
}

static struct turn_place *place_of(struct turn_watch *w, const struct turn_piece *piece)
{
    for (size_t i = 0; i < TURN_PLACES; i++) {
        struct turn_place *p = &w->places[i];
        if (p->fn == piece->fn && p->from == piece->from && p->to == piece->frames[0])
            return p;
    }
    struct turn_place *p = &w->places[w->places_next++ % TURN_PLACES];
    *p = (struct turn_place){piece->fn, piece->from, piece->frames[0], 0, INT64_MIN};
    return p;
}

// A piece longer than the quota makes turns too long where it comes last in one, if not now.
static void tell_piece(struct loop *loop, const struct turn_piece *piece)
{
    struct turn_place *p = place_of(&loop->watch, piece);
    const bool is_worse = piece->ns * 100 > p->ns_max * (100 + GROWN_BY_PERCENT);
    if (!loop->watch.lg.sink || (!is_worse && loop->turn_ns - p->told_ns < TELL_AGAIN_NS))
        return;
    struct turn_offender o = {.fn = piece->fn};
    if (!o.fn)
        snprintf(o.flow, sizeof o.flow, "%s", piece->phase ? piece->phase : "start");
    describe(&o, piece);
    log_warn(&loop->watch.lg, "a piece took too long", log_i64("us", piece->ns / 1000),
             log_cstr("flow", o.flow), log_cstr("class", loop_class_text(piece->class)),
             log_cstr("at", o.place));
    p->ns_max = piece->ns > p->ns_max ? piece->ns : p->ns_max;
    p->told_ns = loop->turn_ns;
}

void turn_watch_piece(struct loop *loop, const void *pc, void *const *frame)
{
    struct turn_watch *w = &loop->watch;
    int64_t now = system_thread_cpu_ns();
    struct fiber *f = loop->running;
    w->now.ns = now - w->piece_cpu_ns;
    if (w->now.ns > w->longest.ns || loop->options.piece) {
        struct turn_piece piece = w->now;
        if (f && frame)
            walk_frames(f, frame, &piece);
        if (piece.ns > w->longest.ns)
            w->longest = piece;
        if (loop->options.piece && loop->options.piece(loop->options.piece_arg, piece.ns, &piece))
            now = system_thread_cpu_ns();
    }
    if (w->mode == TURN_WATCH_LOG && w->now.ns > loop->options.quota_ns) {
        struct turn_piece piece = w->now;
        if (f && frame)
            walk_frames(f, frame, &piece);
        tell_piece(loop, &piece);
        now = system_thread_cpu_ns();
    }
    if (f && f->class == LOOP_QUERY && (f->canceled || f->timed_out))
        add_told(loop, f, w->now.ns);
    else if (f)
        f->told_ns = 0;
    w->now.from = pc;
    w->piece_cpu_ns = now;
}

void turn_piece_text(const struct turn_piece *piece, char text[TURN_PIECE_TEXT_MAX])
{
    struct turn_offender o = {.fn = piece->fn};
    if (!o.fn)
        snprintf(o.flow, sizeof o.flow, "%s", piece->phase);
    describe(&o, piece);
    snprintf(text, TURN_PIECE_TEXT_MAX, "%s (%s) %s", o.flow, loop_class_text(piece->class),
             o.place);
}

void turn_watch_enter(struct loop *loop, const void *fn, const char *phase, enum loop_class class)
{
    if (turn_watch_is_on(loop))
        turn_watch_piece(loop, NULL, NULL);
    loop->watch.now = (struct turn_piece){.fn = fn, .phase = phase, .class = class};
}

void turn_watch_ran(struct loop *loop, int64_t ns)
{
    struct turn_watch *w = &loop->watch;
    if (turn_watch_is_on(loop) || ns <= w->longest.ns)
        return;
    w->longest = w->now;
    w->longest.ns = ns;
}

static void sort_in(struct turn_watch *w, struct turn_offender *o)
{
    for (; o > w->offenders && o[-1].ns_max < o->ns_max; o--) {
        const struct turn_offender swap = o[-1];
        o[-1] = *o;
        *o = swap;
    }
}

static void tell(struct loop *loop, struct turn_offender *o, int64_t took_ns)
{
    const struct turn_watch *w = &loop->watch;
    if (!turn_watch_is_on(loop) || !w->lg.sink)
        return;
    struct turn_offender now = *o;
    describe(&now, &w->longest);
    log_warn(&w->lg, "a turn took too long", log_i64("us", took_ns / 1000),
             log_i64("longest_us", w->longest.ns / 1000), log_cstr("flow", now.flow),
             log_cstr("class", loop_class_text(w->longest.class)), log_cstr("at", now.place),
             log_i64("count", (int64_t)now.count));
    o->told_ns = loop->turn_ns;
}

static void record(struct loop *loop, int64_t took_ns)
{
    struct turn_watch *w = &loop->watch;
    const struct turn_piece *piece = &w->longest;
    struct turn_offender *o = offender_of(w, piece);
    const bool is_worse = o->count == 0 || piece->ns * 100 > o->ns_max * (100 + GROWN_BY_PERCENT);
    o->count++;
    if (is_worse)
        describe(o, piece);
    if (is_worse || loop->turn_ns - o->told_ns >= TELL_AGAIN_NS)
        tell(loop, o, took_ns);
    if (w->mode == TURN_WATCH_ABORT && o->count >= TURN_ABORTS_AT) {
        fprintf(stderr, "a turn took %lld us, %lld of them %s: %s\n", (long long)took_ns / 1000,
                (long long)piece->ns / 1000, o->flow, o->place);
        abort();
    }
    if (piece->ns > o->ns_max)
        o->ns_max = piece->ns;
    sort_in(w, o);
}

void turn_watch_end(struct loop *loop, int64_t took_ns)
{
    struct turn_watch *w = &loop->watch;
    const int64_t slowness = w->mode == TURN_WATCH_ABORT ? TURN_SLOWNESS : 1;
    const int64_t limit = 2 * loop->options.quota_ns * slowness;
    if (turn_watch_is_on(loop)) {
        turn_watch_piece(loop, NULL, NULL);
        if (w->longest.ns > loop->stats.piece_ns_max)
            loop->stats.piece_ns_max = w->longest.ns;
        took_ns = w->mode == TURN_WATCH_PIECES ? w->longest.ns : w->piece_cpu_ns - w->begin_cpu_ns;
    }
    if (took_ns <= limit)
        return;
    if (!w->longest.fn && !w->longest.phase) { // no fiber ran
        w->longest = w->now;
        w->longest.ns = took_ns;
    }
    loop->stats.turns_over_quota++;
    record(loop, took_ns);
}

void turn_watch_forgive(struct loop *loop, int64_t ns)
{
    loop->watch.piece_cpu_ns += ns;
    loop->watch.begin_cpu_ns += ns;
}

size_t turn_offenders(const struct loop *loop, const struct turn_offender **out)
{
    *out = loop->watch.offenders;
    return loop->watch.offenders_count;
}
