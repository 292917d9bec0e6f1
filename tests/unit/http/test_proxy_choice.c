#include <criterion/criterion.h>

#include "engine/base/util.h"
#include "engine/http/proxy_choice.h"

// As golang.org/x/net/http/httpproxy documents NO_PROXY.
static const struct {
    const char *exceptions, *host;
    uint16_t port;
    bool asks;
} rows[] = {
    {"", "a.b", 80, true},
    {"", "localhost", 80, false},
    {"", "127.0.0.1", 80, false},
    {"", "127.9.9.9", 80, false},
    {"", "::1", 80, false},
    {"", "128.0.0.1", 80, true},
    {"*", "a.b", 80, false},
    {"x, *", "a.b", 80, false},
    {"a.b", "a.b", 80, false},
    {"a.b", "c.a.b", 80, false},
    {"a.b", "xa.b", 80, true},
    {"A.b", "a.B", 80, false},
    {".a.b", "a.b", 80, true},
    {".a.b", "c.a.b", 80, false},
    {"*.a.b", "a.b", 80, true},
    {"*.a.b", "c.a.b", 80, false},
    {" a.b , c", "c", 80, false},
    {",,", "c", 80, true},
    {"a.b:80", "a.b", 80, false},
    {"a.b:80", "a.b", 81, true},
    {"a.b:x", "a.b", 80, true},
    {":80", "a.b", 80, true},
    {"10.1.2.3", "10.1.2.3", 80, false},
    {"10.1.2.3", "10.1.2.4", 80, true},
    {"10.1.2.3:80", "10.1.2.3", 80, false},
    {"10.1.2.3:80", "10.1.2.3", 81, true},
    {"10.0.0.0/8", "10.1.2.3", 80, false},
    {"10.1.0.0/15", "10.0.9.9", 80, false},
    {"10.2.0.0/15", "10.1.2.3", 80, true},
    {"10.0.0.0/33", "10.1.2.3", 80, true},
    {"10.0.0.0/8", "a.b", 80, true},
    {"0.0.0.0/0", "fd00::1", 80, true},
    {"fd00::/8", "fd00::1", 80, false},
    {"fd00::1", "fd00::1", 80, false},
    {"[fd00::1]:80", "fd00::1", 80, false},
    {"[fd00::1]:81", "fd00::1", 80, true},
};

Test(proxy_choice, exceptions)
{
    for (size_t i = 0; i < countof(rows); i++)
        cr_assert_eq(
            proxy_is_for(str_from_c(rows[i].exceptions), str_from_c(rows[i].host), rows[i].port),
            rows[i].asks, "%s: %s:%u", rows[i].exceptions, rows[i].host, rows[i].port);
}
