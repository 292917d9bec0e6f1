#include "engine/server/query_summary.h"

#include <math.h>
#include <string.h>

static const int64_t PERIOD_NS = 120000000000;

// 0 to 15 by themselves, then sixteen parts of each power of two.
static unsigned bucket_of(int64_t ns)
{
    const uint64_t v = ns > 0 ? (uint64_t)ns : 0;
    if (v < 16)
        return (unsigned)v;
    const unsigned power = 63 - (unsigned)__builtin_clzll(v);
    const unsigned bucket = (power - 3) * 16 + (unsigned)(v >> (power - 4) & 15);
    return bucket < QUERY_BUCKETS ? bucket : QUERY_BUCKETS - 1;
}

// The middle of a bucket, in ns.
static double value_of(unsigned bucket)
{
    if (bucket < 16)
        return bucket;
    const int shift = (int)(bucket / 16) - 1;
    return ldexp((double)(16 + bucket % 16) + (shift ? .5 : 0), shift);
}

static void age(struct query_summary *s, int64_t now_ns)
{
    const int64_t period = now_ns / PERIOD_NS;
    const int64_t kept = period - QUERY_AGES;
    for (int64_t p = s->period > kept ? s->period + 1 : kept + 1; p <= period; p++)
        memset(&s->ages[p % QUERY_AGES], 0, sizeof *s->ages);
    s->period = period;
}

void query_summary_add(struct query_summary *s, const int64_t ns[static QUERY_SLICES],
                       int64_t now_ns)
{
    age(s, now_ns);
    struct query_window *w = &s->ages[s->period % QUERY_AGES];
    for (unsigned i = 0; i < QUERY_SLICES; i++)
        w->counts[i][bucket_of(ns[i])]++;
}

void query_summary_gather(struct query_summary *s, int64_t now_ns, struct query_window *out)
{
    age(s, now_ns);
    for (unsigned a = 0; a < QUERY_AGES; a++)
        for (unsigned i = 0; i < QUERY_SLICES; i++)
            for (unsigned b = 0; b < QUERY_BUCKETS; b++)
                out->counts[i][b] += s->ages[a].counts[i][b];
}

double query_window_quantile(const struct query_window *w, enum query_slice slice, double q)
{
    uint64_t total = 0, seen = 0;
    for (unsigned b = 0; b < QUERY_BUCKETS; b++)
        total += w->counts[slice][b];
    if (!total)
        return NAN;
    const double wanted = ceil(q * (double)total);
    unsigned b = 0;
    while (b < QUERY_BUCKETS - 1 && (double)(seen += w->counts[slice][b]) < wanted)
        b++;
    return value_of(b) / 1e9;
}
