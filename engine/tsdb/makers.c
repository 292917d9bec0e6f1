#include "engine/tsdb/makers.h"

#include <assert.h>
#include <stdio.h>

#include "engine/base/hash.h"
#include "engine/model/labels.h"

enum { SHARE = 8, NAMED_MAX = 56 };

// At most max bytes, whole characters.
static int cut(struct str s, size_t max)
{
    size_t n = s.n < max ? s.n : max;
    while (n && n < s.n && ((unsigned char)s.p[n] & 0xc0) == 0x80)
        n--;
    return (int)n;
}

static uint64_t key_of_metric(struct str labels, struct str *out_name)
{
    *out_name = labels_value(labels, LABEL_NAME);
    return hash64(out_name->p, out_name->n, 0) | 1;
}

static struct makers_place *find(struct makers_list *l, uint64_t key)
{
    if (l->last < l->n && l->places[l->last].key == key)
        return &l->places[l->last];
    for (size_t i = 0; i < l->n; i++) {
        if (l->places[i].key != key)
            continue;
        l->last = i;
        return &l->places[i];
    }
    return NULL;
}

// A place for who has none: a free one, or the one of who made least.
static struct makers_place *take(struct makers_list *l, uint64_t key)
{
    size_t at = l->n;
    if (l->n < MAKERS_PLACES) {
        l->n++;
    } else {
        at = 0;
        for (size_t i = 1; i < l->n; i++)
            if (makers_of(&l->places[i]) < makers_of(&l->places[at]))
                at = i;
    }
    struct makers_place *p = &l->places[at];
    const uint64_t borrowed = p->key ? makers_of(p) : 0;
    *p = (struct makers_place){.key = key, .made = {p->made[0], p->made[1]}, .borrowed = borrowed};
    l->last = at;
    return p;
}

static void say_metric(struct makers_place *p, struct str name)
{
    p->text_n = (uint32_t)cut(name, MAKERS_TEXT_MAX);
    memcpy(p->text, name.p, p->text_n);
}

static void say_target(struct makers_place *p, struct str labels)
{
    const struct str job = labels_value(labels, STR("job"));
    const struct str instance = labels_value(labels, STR("instance"));
    const int n =
        snprintf(p->text, sizeof p->text, "job=\"%.*s\", instance=\"%.*s\"", cut(job, NAMED_MAX),
                 job.n ? job.p : "", cut(instance, NAMED_MAX), instance.n ? instance.p : "");
    assert(n > 0 && n < MAKERS_TEXT_MAX);
    p->text_n = (uint32_t)n;
}

void makers_count(struct makers *g, uint64_t key, struct str labels)
{
    struct str name;
    const uint64_t metric = key_of_metric(labels, &name);
    struct makers_place *p = find(&g->lists[MAKERS_TARGET], key);
    if (!p) {
        p = take(&g->lists[MAKERS_TARGET], key);
        say_target(p, labels);
    }
    p->made[0]++;
    p = find(&g->lists[MAKERS_METRIC], metric);
    if (!p) {
        p = take(&g->lists[MAKERS_METRIC], metric);
        say_metric(p, name);
    }
    p->made[0]++;
    g->made[0]++;
}

static bool is_much(const struct makers *g, const struct makers_place *p)
{
    const uint64_t all = g->made[0] + g->made[1];
    return p && makers_of(p) - p->borrowed > all / SHARE;
}

bool makers_is_much(struct makers *g, uint64_t key, struct str labels)
{
    struct str name;
    const uint64_t metric = key_of_metric(labels, &name);
    return is_much(g, find(&g->lists[MAKERS_TARGET], key)) ||
           is_much(g, find(&g->lists[MAKERS_METRIC], metric));
}

void makers_refuse(struct makers *g, uint64_t key, struct str labels)
{
    struct str name;
    const uint64_t metric = key_of_metric(labels, &name);
    struct makers_place *of[MAKERS_KINDS] = {find(&g->lists[MAKERS_TARGET], key),
                                             find(&g->lists[MAKERS_METRIC], metric)};
    for (size_t i = 0; i < MAKERS_KINDS; i++)
        if (of[i])
            of[i]->refused++;
}

void makers_step(struct makers *g, int64_t now_ms)
{
    if (!g->window_ms)
        g->window_ms = now_ms;
    if (now_ms - g->window_ms < MAKERS_WINDOW_MS)
        return;
    g->window_ms = now_ms;
    g->made[1] = g->made[0];
    g->made[0] = 0;
    for (size_t k = 0; k < MAKERS_KINDS; k++)
        for (size_t i = 0; i < g->lists[k].n; i++) {
            struct makers_place *p = &g->lists[k].places[i];
            p->made[1] = p->made[0];
            p->made[0] = 0;
            p->borrowed = p->borrowed < p->made[1] ? p->borrowed : p->made[1];
        }
}
