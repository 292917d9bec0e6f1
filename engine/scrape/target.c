#include "engine/scrape/target.h"

#include <assert.h>

#include "engine/base/mem.h"
#include "engine/base/util.h"
#include "io/clock.h"

enum { NS_PER_MS = 1000000 };

static void target_timer(struct timer *timer);

struct target *target_create(struct scrape *s, const struct target_spec *spec,
                             struct prom_config *config)
{
    struct target *t = mem_zalloc(sizeof *t);
    t->scrape = s;
    t->hash = spec->hash;
    arena_init(&t->arena, 0);
    t->labels = arena_str(&t->arena, spec->labels);
    t->url = arena_str(&t->arena, spec->url);
    timer_init(&t->timer, target_timer);
    list_init(&t->link);
    target_configure(t, spec, config);
    return t;
}

static void target_destroy(struct target *t) // Suspends.
{
    assert(!t->is_busy);
    timer_cancel(&t->timer);
    http_client_destroy(t->client);
    tls_contexts_put(&t->scrape->tls, t->tls);
    t->scrape->stats.cache_bytes -= t->memory_bytes;
    scrape_memory_deinit(&t->memory);
    target_forget_metadata(t);
    mem_free(t->last_error);
    prom_config_unref(t->config);
    mem_free((void *)(uintptr_t)t->discovered.p);
    arena_deinit(&t->arena);
    mem_free(t);
}

// How far into each interval this target is scraped: spread by its hash, apart from other servers'.
static int64_t first_wait_ns(const struct target *t)
{
    const int64_t interval = t->interval_ms * NS_PER_MS;
    const int64_t now = clock_wall_ms() * NS_PER_MS;
    const uint64_t spread = t->hash ^ t->scrape->options.offset_seed;
    int64_t wait = interval - now % interval + (int64_t)(spread % (uint64_t)interval);
    return wait > interval ? wait - interval : wait;
}

void target_configure(struct target *t, const struct target_spec *spec, struct prom_config *config)
{
    const bool reschedule = t->config && t->interval_ms != spec->interval_ms;
    struct prom_config *old = t->config;
    t->config = prom_config_ref(config);
    prom_config_unref(old);
    t->job = spec->job;
    t->client_is_old = true;
    t->interval_ms = spec->interval_ms;
    t->timeout_ms = spec->timeout_ms;
    char *discovered = mem_alloc(spec->discovered.n);
    memcpy(discovered, spec->discovered.p, spec->discovered.n);
    mem_free((void *)(uintptr_t)t->discovered.p);
    t->discovered = str_make(discovered, spec->discovered.n);
    if (!reschedule)
        return;
    t->aligned_ms = 0;
    t->due_ns = clock_mono_ns() + first_wait_ns(t);
    if (!t->is_busy)
        timer_set(&t->timer, t->due_ns);
}

void target_note_error(struct target *t, const char *text)
{
    if (!t->last_error && text[0])
        t->last_error = mem_alloc(sizeof *t->last_error);
    if (t->last_error)
        err_format(t->last_error, "%s", text);
}

void target_inherit(struct target *t, const struct target *from)
{
    t->health = from->health;
    t->last_ms = from->last_ms;
    t->last_duration_s = from->last_duration_s;
    if (from->last_error)
        target_note_error(t, from->last_error->text);
}

void target_start(struct target *t)
{
    t->due_ns = clock_mono_ns() + first_wait_ns(t);
    timer_set(&t->timer, t->due_ns);
}

// Sets the timer for the next time of the schedule; times that passed meanwhile are left out.
static void wait_for_next(struct target *t)
{
    const int64_t interval = t->interval_ms * NS_PER_MS, now = clock_mono_ns();
    t->due_ns += interval;
    if (t->due_ns <= now)
        t->due_ns += (now - t->due_ns) / interval * interval + interval;
    timer_set(&t->timer, t->due_ns);
}

static void end(struct target *t) // Suspends. t is gone behind it.
{
    struct scrape *s = t->scrape;
    list_remove(&t->link);
    target_destroy(t);
    scrape_target_gone(s);
}

static void run_scrape(void *arg)
{
    struct target *t = arg;
    t->fiber = fiber_self();
    if (!t->scrape->is_stopping)
        target_scrape(t);
    t->fiber = NULL;
    t->is_busy = false;
    if (t->scrape->is_stopping)
        end(t);
    else
        wait_for_next(t);
}

// The target is configured no more. Its series get their markers at the time of the scrape that
// would have been next, but one interval later still, unless it was configured again meanwhile. The
// markers of a replaced one come too late for series that its successor goes on with.
static void run_end(void *arg)
{
    struct target *t = arg;
    t->fiber = fiber_self();
    if (!t->scrape->is_stopping && (t->is_replaced || !scrape_has_successor(t->scrape, t)))
        target_end_series(t, t->end_ms);
    t->fiber = NULL;
    t->is_busy = false;
    end(t);
}

static void start_fiber(struct target *t, fiber_fn *fn)
{
    t->is_busy = true;
    if (fiber_start(LOOP_SCRAPE, fn, t, &t->fiber) == ERR_OK)
        return;
    t->is_busy = false; // no fiber to be had: this scrape is left out
    wait_for_next(t);
}

static void target_timer(struct timer *timer)
{
    struct target *t = container_of(timer, struct target, timer);
    assert(!t->is_busy);
    if (!t->is_leaving) {
        start_fiber(t, run_scrape);
    } else if (!t->end_ms) {
        t->end_ms = clock_wall_ms();
        const int64_t more_ms = t->interval_ms + t->interval_ms / 10;
        timer_set(&t->timer, clock_mono_ns() + more_ms * NS_PER_MS);
    } else {
        start_fiber(t, run_end);
    }
}

void target_leave(struct target *t)
{
    t->is_leaving = true; // the timer, which goes on, does the rest
}

void target_abort(struct target *t)
{
    if (t->is_busy)
        fiber_cancel(t->fiber);
    else
        end(t);
}
