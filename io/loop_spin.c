// Waiting a moment before sleeping. To wake a thread that sleeps costs both sides some microseconds
// of CPU time, and the message 50 to 200 us; a peer that answers within that is better waited for
// awake. What that may cost is bounded by a budget: each success pays in what a wake would have
// cost, each moment waited is taken out, and beyond that one percent of the time may be tried with.
// A loop that was not woken by a peer lately does not look out at all, so an idle one costs
// nothing.
#include "engine/base/util.h"
#include "io/loop_state.h"

enum {
    SPIN_NS_MAX = 60 * 1000,
    WAKE_COST_NS = 10 * 1000, // in CPU time of both sides
    BUDGET_NS_MAX = 1000 * 1000,
    LATELY_NS = 400 * 1000, // a sleep ended by a peer within it may be worth replacing
    TRIAL_DIVISOR = 100,
    LOOKS_BETWEEN_CLOCKS = 16,
};

static void add_budget(struct loop_spin *s, int64_t ns)
{
    const int64_t budget = s->budget_ns + ns;
    s->budget_ns = budget > BUDGET_NS_MAX    ? BUDGET_NS_MAX
                   : budget < -BUDGET_NS_MAX ? -BUDGET_NS_MAX
                                             : budget;
}

bool loop_spins(const struct loop *loop)
{
    return loop->options.spins && loop->spin.is_promising && loop->spin.budget_ns > 0;
}

static bool has_news(const struct loop *loop)
{
    const struct backend_ops *ops = loop->backend->ops;
    return atomic_load_explicit(&loop->wake, memory_order_relaxed) == LOOP_WOKEN ||
           (ops->is_ready && ops->is_ready(loop->backend));
}

bool loop_spin(struct loop *loop, int64_t bound_ns)
{
    struct backend *b = loop->backend;
    const int64_t begin = b->ops->mono_ns(b);
    const int64_t limit = bound_ns >= 0 && bound_ns < SPIN_NS_MAX ? bound_ns : SPIN_NS_MAX;
    int64_t took = 0;
    bool found = false;
    while (!found && took < limit) {
        for (int i = 0; i < LOOKS_BETWEEN_CLOCKS && !(found = has_news(loop)); i++)
            cpu_relax();
        took = b->ops->mono_ns(b) - begin;
    }
    loop->stats.spins++;
    loop->stats.spins_in_vain += !found;
    add_budget(&loop->spin, (found ? WAKE_COST_NS : 0) - took);
    return found;
}

void loop_slept(struct loop *loop, int64_t began_ns, bool woken)
{
    struct loop_spin *s = &loop->spin;
    struct backend *b = loop->backend;
    const int64_t now = b->ops->mono_ns(b);
    s->is_promising = woken && now - began_ns < LATELY_NS;
    if (s->trial_ns)
        add_budget(s, (now - s->trial_ns) / TRIAL_DIVISOR);
    s->trial_ns = now;
}
