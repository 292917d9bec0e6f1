// What /metrics says of loops and shards: turns, flows that took too long, messages, connections.
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/number.h"
#include "engine/server/handlers.h"
#include "engine/server/server.h"

// Of one shard, gathered there.
struct runtime {
    struct loop_stats loop;
    struct shard_stats shard;
    struct turn_offender offenders[TURN_OFFENDERS_MAX];
    size_t offenders_count;
};

static void gather(void *arg) // on each shard
{
    struct runtime *r = arg;
    const struct turn_offender *offenders;
    r->loop = *loop_stats(loop_current());
    r->shard = shard_stats(shard_self());
    r->offenders_count = turn_offenders(loop_current(), &offenders);
    memcpy(r->offenders, offenders, r->offenders_count * sizeof *offenders);
}

static void family(struct buf *b, const char *name, const char *type, const char *help)
{
    buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

// A value a shard.
static void put_shards(struct buf *b, const char *name, const char *type, const char *help,
                       const struct runtime *parts, unsigned count,
                       double value(const struct runtime *))
{
    family(b, name, type, help);
    for (unsigned i = 0; i < count; i++) {
        buf_printf(b, "%s{shard=\"%u\"} ", name, i);
        buf_put_double_g(b, value(&parts[i]));
        buf_put_char(b, '\n');
    }
}

static double turns(const struct runtime *r)
{
    return (double)r->loop.turns;
}

static double turns_over_quota(const struct runtime *r)
{
    return (double)r->loop.turns_over_quota;
}

static double busy_seconds(const struct runtime *r)
{
    return (double)r->loop.busy_ns / 1e9;
}

static double turn_seconds_max(const struct runtime *r)
{
    return (double)r->loop.turn_ns_max / 1e9;
}

static double fibers(const struct runtime *r)
{
    return (double)r->loop.fibers_alive;
}

static double fibers_refused(const struct runtime *r)
{
    return (double)r->loop.fibers_refused;
}

static double messages(const struct runtime *r)
{
    return (double)r->shard.messages_sent;
}

static double wakes(const struct runtime *r)
{
    return (double)r->shard.wakes;
}

static double full_mailboxes(const struct runtime *r)
{
    return (double)r->shard.ring_full;
}

static double silences(const struct runtime *r)
{
    return (double)r->shard.silences;
}

static double connections(const struct runtime *r)
{
    return (double)r->shard.connections;
}

static const struct {
    const char *name, *type, *help;
    double (*value)(const struct runtime *);
} rows[] = {
    {"ferula_loop_turns_total", "counter", "Turns of a shard's loop.", turns},
    {"ferula_loop_turns_over_quota_total", "counter",
     "Turns that took more than twice the quota of 0.5 ms.", turns_over_quota},
    {"ferula_loop_turn_seconds_max", "gauge", "The longest turn so far.", turn_seconds_max},
    {"ferula_loop_busy_seconds_total", "counter", "Time spent in turns.", busy_seconds},
    {"ferula_loop_fibers", "gauge", "Fibers alive.", fibers},
    {"ferula_loop_fibers_refused_total", "counter", "Fibers refused by --server.max-fibers.",
     fibers_refused},
    {"ferula_shard_connections", "gauge", "Connections of clients a shard serves.", connections},
    {"ferula_shard_messages_total", "counter", "Messages a shard sent to others.", messages},
    {"ferula_shard_wakes_total", "counter", "Messages that had to wake the other shard.", wakes},
    {"ferula_shard_calls_delayed_total", "counter",
     "Calls that waited because too many to the same shard were under way.", full_mailboxes},
    {"ferula_shard_silent_total", "counter",
     "Times a shard had not looked at its messages for 100 ms.", silences},
};

// How long fibers of each class were ready before they ran, all shards together.
static void put_waits(struct buf *b, const struct runtime *parts, unsigned count)
{
    const char *const name = "ferula_loop_wait_seconds";
    family(b, name, "histogram", "Time between what woke a flow and its turn.");
    for (unsigned class = 0; class < LOOP_CLASS_COUNT; class ++) {
        const char *const text = loop_class_text((enum loop_class) class);
        uint64_t sum = 0;
        int64_t ns = 0;
        for (size_t i = 0; i < LOOP_WAIT_BUCKETS; i++) {
            for (unsigned k = 0; k < count; k++)
                sum += parts[k].loop.waits[class].buckets[i];
            buf_printf(b, "%s_bucket{class=\"%s\",le=\"", name, text);
            if (i < LOOP_WAIT_BUCKETS - 1)
                buf_put_double_g(b, (double)loop_wait_bounds_ns[i] / 1e9);
            else
                buf_put_str(b, STR("+Inf"));
            buf_printf(b, "\"} %llu\n", (unsigned long long)sum);
        }
        for (unsigned k = 0; k < count; k++)
            ns += parts[k].loop.waits[class].ns;
        buf_printf(b, "%s_sum{class=\"%s\"} %.9g\n%s_count{class=\"%s\"} %llu\n", name, text,
                   (double)ns / 1e9, name, text, (unsigned long long)sum);
    }
}

static void put_wait_turns(struct buf *b, const struct runtime *parts, unsigned count)
{
    const char *const name = "ferula_loop_wait_turns_max";
    family(b, name, "gauge", "The most turns between what woke a flow and its own.");
    for (unsigned class = 0; class < LOOP_CLASS_COUNT; class ++) {
        uint64_t most = 0;
        for (unsigned k = 0; k < count; k++) {
            const uint64_t turns_max = parts[k].loop.waits[class].turns_max;
            most = turns_max > most ? turns_max : most;
        }
        buf_printf(b, "%s{class=\"%s\"} %llu\n", name, loop_class_text((enum loop_class) class),
                   (unsigned long long)most);
    }
}

static bool is_same(const struct turn_offender *a, const struct turn_offender *b)
{
    return a->class == b->class && strcmp(a->flow, b->flow) == 0;
}

// Those of later shards are added to the first one that has the flow.
static void merge_offenders(struct runtime *parts, unsigned count)
{
    for (unsigned i = 1; i < count; i++)
        for (size_t k = 0; k < parts[i].offenders_count; k++) {
            struct turn_offender *o = &parts[i].offenders[k];
            for (unsigned j = 0; j < i && o->count; j++)
                for (size_t m = 0; m < parts[j].offenders_count && o->count; m++) {
                    struct turn_offender *first = &parts[j].offenders[m];
                    if (!first->count || !is_same(first, o))
                        continue;
                    first->count += o->count;
                    first->ns_max = o->ns_max > first->ns_max ? o->ns_max : first->ns_max;
                    o->count = 0;
                }
        }
}

static void put_offenders(struct buf *b, const struct runtime *parts, unsigned count, bool max)
{
    const char *name = max ? "ferula_loop_long_turn_seconds_max" : "ferula_loop_long_turns_total";
    if (max)
        family(b, name, "gauge", "The longest run of that flow in such a turn.");
    else
        family(b, name, "counter",
               "Turns over twice the quota, by the flow that ran longest in them.");
    for (unsigned i = 0; i < count; i++)
        for (size_t k = 0; k < parts[i].offenders_count; k++) {
            const struct turn_offender *o = &parts[i].offenders[k];
            if (!o->count)
                continue;
            buf_printf(b, "%s{class=\"%s\",flow=\"%s\"} ", name,
                       loop_class_text((enum loop_class)o->class), o->flow);
            buf_put_double_g(b, max ? (double)o->ns_max / 1e9 : (double)o->count);
            buf_put_char(b, '\n');
        }
}

void metrics_put_runtime(struct server *s, struct buf *b)
{
    const unsigned count = shards_count(s->shards);
    struct runtime *parts = mem_zalloc(count * sizeof *parts);
    shard_call_all(LOOP_CONTROL, gather, parts, sizeof *parts, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        put_shards(b, rows[i].name, rows[i].type, rows[i].help, parts, count, rows[i].value);
    put_waits(b, parts, count);
    put_wait_turns(b, parts, count);
    merge_offenders(parts, count);
    put_offenders(b, parts, count, false);
    put_offenders(b, parts, count, true);
    mem_free(parts);
}
