#include "io/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/fiber.h"
#include "io/system.h"

size_t address_format(const struct address *a, bool with_port, char out[static ADDRESS_TEXT_MAX])
{
    char ip[INET6_ADDRSTRLEN] = "";
    char zone[16] = "";
    inet_ntop(a->family == ADDRESS_IPV4 ? AF_INET : AF_INET6, a->ip, ip, sizeof ip);
    if (a->scope)
        snprintf(zone, sizeof zone, "%%%u", a->scope);
    const bool brackets = with_port && a->family == ADDRESS_IPV6;
    int n = snprintf(out, ADDRESS_TEXT_MAX, "%s%s%s%s", brackets ? "[" : "", ip, zone,
                     brackets ? "]" : "");
    if (with_port)
        n += snprintf(out + n, ADDRESS_TEXT_MAX - (size_t)n, ":%u", (unsigned)a->port);
    return (size_t)n;
}

// The number behind '%': "1"; a name of an interface is the system's to know, and not taken.
static bool zone_parse(const char *text, uint32_t *out)
{
    char *end;
    errno = 0;
    const unsigned long zone = strtoul(text, &end, 10);
    *out = (uint32_t)zone;
    return text[0] >= '0' && text[0] <= '9' && !*end && errno == 0 && zone <= UINT32_MAX;
}

bool address_parse(struct str text, struct address *out)
{
    char copy[ADDRESS_TEXT_MAX];
    if (text.n == 0 || text.n >= sizeof copy || memchr(text.p, '\0', text.n))
        return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    struct address a = {0};
    if (inet_pton(AF_INET, copy, a.ip) == 1) {
        a.family = ADDRESS_IPV4;
    } else {
        char *zone = strchr(copy, '%');
        if (zone)
            *zone = '\0';
        if (inet_pton(AF_INET6, copy, a.ip) != 1 || (zone && !zone_parse(zone + 1, &a.scope)))
            return false;
        a.family = ADDRESS_IPV6;
    }
    *out = a;
    return true;
}

// In the words of Go's net package.
static err resolve_error(const char *host, int32_t result, struct errmsg *e)
{
    if (result == -ENOENT || result == -ENODATA)
        return err_set(e, ERR_NOTFOUND, "lookup %s: no such host", host);
    if (result == -EAGAIN)
        return err_set(e, ERR_IO, "lookup %s: server misbehaving", host);
    return system_error(e, result, "lookup", host);
}

err resolve_host(const char *host, struct address *out, size_t max, size_t *out_n, struct errmsg *e)
{
    const struct str text = str_from_c(host);
    if (max > 0 && address_parse(text, out)) {
        *out_n = 1;
        return ERR_OK;
    }
    if (text.n == 0 || text.n > 253)
        return resolve_error(host, -ENOENT, e);
    struct op op = {.kind = OP_RESOLVE, .path = host, .buf = out, .n = max};
    const int32_t result = fiber_await(&op);
    if (result < 0)
        return resolve_error(host, result, e);
    *out_n = (size_t)result;
    return ERR_OK;
}
