#include <criterion/criterion.h>

#include "engine/base/util.h"
#include "io/stream.h"

Test(address, text_and_back)
{
    static const struct {
        const char *text, *with_port; // with_port NULL: text is no address
    } rows[] = {
        {"1.2.3.4", "1.2.3.4:80"},
        {"::1", "[::1]:80"},
        {"2001:db8::7", "[2001:db8::7]:80"},
        {"fe80::1%3", "[fe80::1%3]:80"},
        {"", NULL},
        {"1.2.3", NULL},
        {"1.2.3.4:80", NULL},
        {"[::1]", NULL},
        {"localhost", NULL},
        {"fe80::1%", NULL},
        {"fe80::1%eth0", NULL},
        {"256.1.1.1", NULL},
        {"11111111111111111111111111111111111111111111111111111111111111111111111111", NULL},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct address a;
        char text[ADDRESS_TEXT_MAX];
        const bool ok = address_parse(str_from_c(rows[i].text), &a);
        cr_assert_eq(ok, rows[i].with_port != NULL, "%s", rows[i].text);
        if (!ok)
            continue;
        a.port = 80;
        cr_assert_eq(address_format(&a, false, text), strlen(rows[i].text));
        cr_assert_str_eq(text, rows[i].text);
        cr_assert_eq(address_format(&a, true, text), strlen(rows[i].with_port));
        cr_assert_str_eq(text, rows[i].with_port);
    }
}
