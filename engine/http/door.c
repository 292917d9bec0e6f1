#include "engine/http/door.h"

#include <assert.h>

void http_door_init(struct http_door *d, int64_t places, listener_accepted_fn *accepted, void *arg)
{
    assert(places > 0);
    *d = (struct http_door){
        .places = places, .accepted = accepted, .arg = arg, .home = shard_self()};
}

static bool is_full(struct http_door *d)
{
    return atomic_load(&d->taken) >= d->places;
}

// Somebody may leave between the count and the note that he is to tell: then the door stays open.
static void shut_if_full(struct http_door *d)
{
    if (!is_full(d))
        return;
    atomic_store(&d->waits_for_place, true);
    if (!is_full(d) && atomic_exchange(&d->waits_for_place, false))
        return;
    d->is_shut = true;
    atomic_fetch_add(&d->shut_count, 1);
    for (size_t i = 0; i < d->listeners_count; i++)
        listener_pause(d->listeners[i]);
}

static void come_in(void *arg, int fd, const struct address *peer)
{
    struct http_door *d = arg;
    assert(!d->is_shut);
    atomic_fetch_add(&d->taken, 1);
    shut_if_full(d);
    d->accepted(d->arg, fd, peer);
}

static void open_again(void *arg)
{
    struct http_door *d = arg;
    d->is_shut = false;
    for (size_t i = 0; i < d->listeners_count && !d->is_shut; i++)
        listener_resume(d->listeners[i]);
}

err http_door_listen(struct http_door *d, const char *host, uint16_t port, struct errmsg *e)
{
    assert(d->listeners_count < HTTP_DOOR_LISTENERS_MAX && shard_self() == d->home);
    struct listener *l;
    TRY(listener_open(host, port, come_in, d, &l, e));
    d->listeners[d->listeners_count++] = l;
    if (d->is_shut)
        listener_pause(l);
    return ERR_OK;
}

void http_door_close(struct http_door *d)
{
    while (d->listeners_count > 0)
        listener_close(d->listeners[--d->listeners_count]);
}

void http_door_leave(struct http_door *d)
{
    const int64_t before = atomic_fetch_sub(&d->taken, 1);
    assert(before > 0);
    if (!atomic_exchange(&d->waits_for_place, false))
        return;
    d->place_found = (struct shard_post){.class = LOOP_CONTROL, .fn = open_again, .arg = d};
    shard_post(d->home, &d->place_found);
}
