#include "tests/sim/network.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/mem.h"
#include "io/stream.h"

enum { FIRST_PORT = 20000, BACKLOG_MAX = 128 };
static const int64_t US = 1000;

struct packet {
    struct packet *next;
    int64_t arrives_ns;
    size_t n, taken; // n 0: the end
    uint8_t bytes[];
};

void network_init(struct network *n, struct faults *faults)
{
    *n = (struct network){.faults = faults, .next_port = FIRST_PORT};
    list_init(&n->socks);
    list_init(&n->hosts);
}

static void drop_packets(struct sock *s)
{
    for (struct packet *p = s->packets, *next; p; p = next) {
        next = p->next;
        mem_free(p);
    }
    s->packets = NULL;
    s->packets_end = &s->packets;
    s->queued_bytes = 0;
}

static void sock_free(struct sock *s)
{
    if (s->peer)
        s->peer->peer = NULL;
    drop_packets(s);
    list_remove(&s->link);
    mem_free(s);
}

void network_crash(struct network *n)
{
    while (!list_is_empty(&n->socks)) {
        struct sock *s = container_of(n->socks.next, struct sock, link);
        while (s->is_listener && !list_is_empty(&s->backlog))
            sock_free(container_of(s->backlog.next, struct sock, link));
        sock_free(s);
    }
}

void network_deinit(struct network *n)
{
    network_crash(n);
    for (struct list *l; (l = list_pop(&n->hosts));)
        mem_free(container_of(l, struct host, link));
}

void network_add_host(struct network *n, const char *name, const struct address *address)
{
    struct host *h = mem_zalloc(sizeof *h);
    snprintf(h->name, sizeof h->name, "%s", name);
    h->address = *address;
    list_push(&n->hosts, &h->link);
}

int32_t network_resolve(struct network *n, const char *name, struct address *out, size_t max)
{
    if (address_parse(str_from_c(name), out))
        return 1;
    if (faults_strike(n->faults, FAULT_UNRESOLVED))
        return -EAGAIN;
    size_t found = 0;
    for (struct list *l = n->hosts.next; l != &n->hosts && found < max; l = l->next) {
        const struct host *h = container_of(l, struct host, link);
        if (!strcmp(h->name, name))
            out[found++] = h->address;
    }
    return found ? (int32_t)found : -ENOENT;
}

static struct sock *sock_make(struct list *where)
{
    struct sock *s = mem_zalloc(sizeof *s);
    list_init(&s->backlog);
    s->packets_end = &s->packets;
    list_push(where, &s->link);
    return s;
}

// Ports alone tell listeners apart: all addresses are this machine's.
static struct sock *find_listener(struct network *n, uint16_t port)
{
    for (struct list *l = n->socks.next; l != &n->socks; l = l->next) {
        struct sock *s = container_of(l, struct sock, link);
        if (s->is_listener && s->local.port == port)
            return s;
    }
    return NULL;
}

int32_t network_listen(struct network *n, struct address *a, struct sock **out)
{
    if (a->port && find_listener(n, a->port))
        return -EADDRINUSE;
    while (!a->port && find_listener(n, n->next_port))
        n->next_port++;
    if (!a->port)
        a->port = n->next_port++;
    struct sock *s = sock_make(&n->socks);
    s->is_listener = s->is_open = true;
    s->local = *a;
    *out = s;
    return 0;
}

int32_t network_accept(struct sock *listener, struct sock **out)
{
    struct list *first = listener->backlog.next;
    if (list_is_empty(&listener->backlog))
        return NETWORK_WAIT;
    struct sock *s = container_of(first, struct sock, link);
    list_remove(&s->link);
    list_push(&listener->link, &s->link);
    s->is_open = true;
    *out = s;
    return 0;
}

int32_t network_connect(struct network *n, const struct address *to, int64_t now_ns,
                        struct sock **out)
{
    if (now_ns < n->partition_ends_ns)
        return NETWORK_WAIT;
    struct sock *listener = find_listener(n, to->port);
    if (!listener || faults_strike(n->faults, FAULT_REFUSED))
        return -ECONNREFUSED;
    size_t waiting = 0;
    for (struct list *l = listener->backlog.next; l != &listener->backlog; l = l->next)
        waiting++;
    if (waiting >= BACKLOG_MAX)
        return NETWORK_WAIT;
    struct sock *here = sock_make(&n->socks), *there = sock_make(&listener->backlog);
    here->is_open = true;
    here->remote = *to;
    here->local = *to;
    here->local.port = n->next_port++;
    there->local = *to;
    there->remote = here->local;
    here->peer = there;
    there->peer = here;
    *out = here;
    return 0;
}

static void push_packet(struct network *n, struct sock *to, const void *p, size_t size,
                        int64_t now_ns)
{
    struct packet *packet = mem_alloc(sizeof *packet + size);
    const int64_t delay = (int64_t)rng_below(&n->faults->rng, 400) * US;
    *packet = (struct packet){.arrives_ns = now_ns + delay, .n = size};
    if (packet->arrives_ns < n->partition_ends_ns)
        packet->arrives_ns = n->partition_ends_ns;
    if (size)
        memcpy(packet->bytes, p, size);
    *to->packets_end = packet;
    to->packets_end = &packet->next;
    to->queued_bytes += size;
}

static void reset(struct sock *s)
{
    s->is_reset = true;
    drop_packets(s);
    if (s->peer) {
        s->peer->is_reset = true;
        drop_packets(s->peer);
    }
}

int32_t network_send(struct network *n, struct sock *s, const void *p, size_t size, int64_t now_ns)
{
    if (s->is_listener)
        return -ENOTCONN;
    if (s->has_sent_end)
        return -EPIPE;
    if (faults_strike(n->faults, FAULT_RESET))
        reset(s);
    if (s->is_reset)
        return -ECONNRESET;
    if (!s->peer)
        return -EPIPE;
    if (s->peer->queued_bytes >= NETWORK_WINDOW_BYTES)
        return NETWORK_WAIT;
    const size_t room = NETWORK_WINDOW_BYTES - s->peer->queued_bytes;
    if (size > room)
        size = room;
    if (size > 1 && faults_strike(n->faults, FAULT_SHORT_SEND))
        size = faults_part(n->faults, size);
    if (size > 0)
        push_packet(n, s->peer, p, size, now_ns);
    return (int32_t)size;
}

// What a receive would find: NETWORK_WAIT, an error, or 0.
int32_t network_readable(struct network *n, struct sock *s, int64_t now_ns, int64_t *out_again_ns)
{
    (void)n;
    if (s->is_listener)
        return -ENOTCONN;
    if (s->is_reset || s->has_seen_end || (!s->packets && !s->peer))
        return 0;
    if (!s->packets)
        return NETWORK_WAIT;
    if (s->packets->arrives_ns > now_ns) {
        *out_again_ns = s->packets->arrives_ns;
        return NETWORK_WAIT;
    }
    return 0;
}

int32_t network_recv(struct network *n, struct sock *s, void *p, size_t size, int64_t now_ns,
                     int64_t *out_again_ns)
{
    const int32_t result = network_readable(n, s, now_ns, out_again_ns);
    if (result != 0)
        return result;
    if (!s->is_reset && faults_strike(n->faults, FAULT_RESET))
        reset(s);
    if (s->is_reset)
        return -ECONNRESET;
    struct packet *packet = s->packets;
    if (!packet || packet->n == 0) {
        s->has_seen_end = true;
        return 0;
    }
    size_t take = packet->n - packet->taken;
    if (take > size)
        take = size;
    if (take > 1 && faults_strike(n->faults, FAULT_SHORT_RECV))
        take = faults_part(n->faults, take);
    memcpy(p, packet->bytes + packet->taken, take);
    packet->taken += take;
    s->queued_bytes -= take;
    if (packet->taken == packet->n) {
        s->packets = packet->next;
        if (!s->packets)
            s->packets_end = &s->packets;
        mem_free(packet);
    }
    return (int32_t)take;
}

void network_shutdown(struct network *n, struct sock *s, bool writes_only, int64_t now_ns)
{
    if (s->is_listener)
        return;
    s->has_seen_end |= !writes_only;
    if (s->has_sent_end)
        return;
    s->has_sent_end = true;
    if (s->peer && !s->peer->has_seen_end)
        push_packet(n, s->peer, NULL, 0, now_ns);
}

// As the system does: what was not read becomes a reset for the peer.
void network_close(struct network *n, struct sock *s, int64_t now_ns)
{
    while (s->is_listener && !list_is_empty(&s->backlog)) {
        struct sock *waiting = container_of(s->backlog.next, struct sock, link);
        reset(waiting);
        sock_free(waiting);
    }
    if (!s->is_listener && s->packets && s->packets->n > 0)
        reset(s);
    else
        network_shutdown(n, s, false, now_ns);
    sock_free(s);
}
