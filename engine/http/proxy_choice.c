#include "engine/http/proxy_choice.h"

#include <string.h>

#include "engine/base/number.h"
#include "io/stream.h"

struct asked { // a host, and the address that it may be
    struct str host;
    uint16_t port;
    bool is_address;
    struct address address;
};

static bool ends_with(struct str host, struct str end)
{
    return host.n >= end.n && str_eq_nocase(str_from(host, host.n - end.n), end);
}

static unsigned bits_of(const struct address *a)
{
    return a->family == ADDRESS_IPV4 ? 32 : 128;
}

static bool begins_as(const struct address *a, const struct address *b, unsigned bits)
{
    const unsigned whole = bits / 8, rest = bits % 8;
    return a->family == b->family && !memcmp(a->ip, b->ip, whole) &&
           (!rest || !((a->ip[whole] ^ b->ip[whole]) >> (8 - rest)));
}

static bool is_loopback(const struct address *a)
{
    static const struct address v4 = {.family = ADDRESS_IPV4, .ip = {127}};
    static const struct address v6 = {.family = ADDRESS_IPV6, .ip = {[15] = 1}};
    return begins_as(a, &v4, 8) || begins_as(a, &v6, 128);
}

// 10.0.0.0/8; false: it is no such thing.
static bool parse_network(struct str text, struct address *out, unsigned *out_bits)
{
    const ptrdiff_t slash = str_find(text, '/', 0);
    uint64_t bits;
    if (slash == STR_NONE || !address_parse(str_until(text, (size_t)slash), out) ||
        number_parse_u64(str_from(text, (size_t)slash + 1), &bits) != ERR_OK || bits > bits_of(out))
        return false;
    *out_bits = (unsigned)bits;
    return true;
}

// a:80, [::1]:80; without a port as it is.
static struct str cut_port(struct str text, struct str *out_port)
{
    const ptrdiff_t first = str_find(text, ':', 0), last = str_find_last(text, ':');
    const bool has_brackets = text.n && text.p[0] == '[';
    *out_port = (struct str){0};
    if (last == STR_NONE || (has_brackets ? last < 1 || text.p[last - 1] != ']' : first != last))
        return text;
    *out_port = str_from(text, (size_t)last + 1);
    text = str_until(text, (size_t)last);
    return has_brackets ? str_make(text.p + 1, text.n - 2) : text;
}

static bool is_port(struct str wanted, uint16_t port)
{
    uint64_t number;
    return !wanted.n || (number_parse_u64(wanted, &number) == ERR_OK && number == port);
}

static bool is_excepted(struct str entry, const struct asked *asked)
{
    struct address address;
    unsigned bits;
    struct str port;
    if (parse_network(entry, &address, &bits))
        return asked->is_address && begins_as(&address, &asked->address, bits);
    struct str host = cut_port(entry, &port);
    if (address_parse(host, &address))
        return asked->is_address && begins_as(&address, &asked->address, bits_of(&address)) &&
               is_port(port, asked->port);
    if (str_has_prefix(host, STR("*.")))
        host = str_from(host, 1);
    if (!host.n || !is_port(port, asked->port))
        return false;
    if (host.p[0] == '.')
        return ends_with(asked->host, host);
    return str_eq_nocase(asked->host, host) ||
           (asked->host.n > host.n && asked->host.p[asked->host.n - host.n - 1] == '.' &&
            ends_with(asked->host, host));
}

bool proxy_is_for(struct str exceptions, struct str host, uint16_t port)
{
    struct asked asked = {.host = host, .port = port};
    asked.is_address = address_parse(host, &asked.address);
    if (str_eq(host, STR("localhost")) || (asked.is_address && is_loopback(&asked.address)))
        return false;
    struct str entry;
    while (exceptions.n && str_split(&exceptions, ',', &entry)) {
        entry = str_trim(entry);
        if (str_eq(entry, STR("*")) || (entry.n && is_excepted(entry, &asked)))
            return false;
    }
    return true;
}
