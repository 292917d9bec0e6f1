#include "engine/http/tls_contexts.h"

#include "engine/base/mem.h"
#include "engine/base/util.h"

struct context {
    struct list link;
    uint64_t hash;
    struct tls *tls;
    size_t users;
};

void tls_contexts_init(struct tls_contexts *c)
{
    list_init(&c->all);
}

static struct context *context_of(struct list *link)
{
    return container_of(link, struct context, link);
}

static bool use(struct tls_contexts *c, uint64_t hash, struct tls **out)
{
    for (struct list *at = c->all.next; at != &c->all; at = at->next) {
        struct context *known = context_of(at);
        if (known->hash != hash)
            continue;
        known->users++;
        *out = known->tls;
        return true;
    }
    return false;
}

err tls_contexts_get(struct tls_contexts *c, const struct tls_options *options, uint64_t hash,
                     struct tls **out, struct errmsg *e)
{
    struct tls *made;
    if (use(c, hash, out))
        return ERR_OK;
    TRY(tls_client_create(options, &made, e));
    if (use(c, hash, out)) { // another one was faster
        tls_unref(made);
        return ERR_OK;
    }
    struct context *new = mem_zalloc(sizeof *new);
    *new = (struct context){.hash = hash, .tls = made, .users = 1};
    list_push(&c->all, &new->link);
    *out = made;
    return ERR_OK;
}

void tls_contexts_put(struct tls_contexts *c, struct tls *tls)
{
    if (!tls)
        return;
    struct list *at = c->all.next;
    while (context_of(at)->tls != tls)
        at = at->next;
    struct context *known = context_of(at);
    if (--known->users > 0)
        return;
    list_remove(at);
    tls_unref(tls);
    mem_free(known);
}
