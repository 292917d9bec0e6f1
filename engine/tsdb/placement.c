#include "engine/tsdb/placement.h"

#include "engine/base/hash.h"
#include "engine/model/labels.h"

static const struct str JOB = STR("job"), INSTANCE = STR("instance");

static err add_name(struct placement *p, struct str name, struct errmsg *e)
{
    if (placement_is_key(p, name))
        return ERR_OK;
    if (p->n == PLACEMENT_LABELS_MAX)
        return err_set(e, ERR_LIMIT, "more than %d placement labels", PLACEMENT_LABELS_MAX);
    size_t at = p->n++;
    for (; at > 0 && str_cmp(p->names[at - 1], name) > 0; at--)
        p->names[at] = p->names[at - 1];
    p->names[at] = name;
    if (name.n)
        p->begins[(uint8_t)name.p[0] / 64] |= 1ull << ((uint8_t)name.p[0] % 64);
    return ERR_OK;
}

err placement_init(struct placement *p, struct str labels, uint64_t seed, struct errmsg *e)
{
    *p = (struct placement){.seed = seed};
    TRY(add_name(p, JOB, e));
    TRY(add_name(p, INSTANCE, e));
    struct str part;
    while (str_split(&labels, ',', &part)) {
        part = str_trim(part);
        if (part.n)
            TRY(add_name(p, part, e));
    }
    return ERR_OK;
}

bool placement_is_key(const struct placement *p, struct str name)
{
    for (size_t i = 0; i < p->n; i++) {
        if (str_eq(p->names[i], name))
            return true;
    }
    return false;
}

bool placement_equals(const struct placement *a, const struct placement *b)
{
    bool equal = a->n == b->n;
    for (size_t i = 0; equal && i < a->n; i++)
        equal = str_eq(a->names[i], b->names[i]);
    return equal;
}

uint64_t placement_key(const struct placement *p, struct str labels, uint64_t *out_job)
{
    uint64_t key = p->seed;
    bool job = false, instance = false;
    struct str metric = {0};
    size_t at = 0;
    struct label l;
    *out_job = 0;
    for (struct labels_iter i = labels_iter(labels); labels_next(&i, &l);) {
        if (str_eq(l.name, LABEL_NAME))
            metric = l.value;
        const uint8_t begin = (uint8_t)l.name.p[0];
        if (!(p->begins[begin / 64] >> (begin % 64) & 1))
            continue;
        while (at < p->n && str_cmp(p->names[at], l.name) < 0)
            at++;
        if (at == p->n || !str_eq(p->names[at], l.name))
            continue;
        key = hash64(l.value.p, l.value.n, key + at + 1);
        if (str_eq(l.name, JOB)) {
            job = true;
            *out_job = hash64(l.value.p, l.value.n, p->seed);
        }
        instance |= str_eq(l.name, INSTANCE);
    }
    if (!job || !instance)
        key = hash64(metric.p, metric.n, key + PLACEMENT_LABELS_MAX + 1);
    return key;
}
