#include <criterion/criterion.h>

#include "engine/base/buf.h"
#include "engine/base/err.h"
#include "engine/base/log.h"
#include "engine/base/utf8.h"
#include "engine/base/util.h"

static err inner(struct errmsg *e)
{
    return err_set(e, ERR_INVALID, "line %d: bad duration \"%s\"", 7, "5x");
}

Test(err, a_layer_puts_its_part_in_front)
{
    struct errmsg e = {0};
    const err code = inner(&e);
    cr_assert_eq(err_wrap(&e, code, "load rules: %s", "a.yml"), ERR_INVALID);
    cr_assert_str_eq(e.text, "load rules: a.yml: line 7: bad duration \"5x\"");
    cr_assert_eq(inner(NULL), ERR_INVALID);
}

static char got[(1 << 20) + 1];

static void keep(void *cookie, const char *line, size_t n)
{
    (void)cookie;
    memcpy(got, line, n);
    got[n] = '\0';
}

Test(log, a_value_cannot_forge_a_record)
{
    const struct log_sink sink = {.level = LOG_LEVEL_WARN, .write = keep};
    const struct logger lg = {.component = "scrape", .sink = &sink};
    log_warn(&lg, "x", log_str("v", str_make("a\nlevel=info \"\\\x01", 16)), log_cstr("empty", ""));
    cr_assert_str_eq(got, "level=warn component=scrape msg=x v=\"a\\nlevel=info \\\"\\\\\\x01\" "
                          "empty=\"\"\n");
    got[0] = '\0';
    log_info(&lg, "quiet");
    cr_assert_str_eq(got, "");
}

Test(log, json)
{
    const struct log_sink sink = {.level = LOG_LEVEL_WARN, .style = LOG_STYLE_JSON, .write = keep};
    const struct logger lg = {.component = "scrape", .sink = &sink};
    log_error(&lg, "gone \"away\"", log_i64("ms", -3));
    cr_assert_str_eq(got,
                     "{\"level\":\"error\",\"component\":\"scrape\",\"msg\":\"gone \\\"away\\\"\","
                     "\"ms\":-3}\n");
}

Test(log, a_long_record_is_cut)
{
    const struct log_sink sink = {.level = LOG_LEVEL_WARN, .style = LOG_STYLE_JSON, .write = keep};
    const struct logger lg = {.component = "scrape", .sink = &sink};
    static char value[2 << 20];
    memset(value, 'v', sizeof value);
    log_warn(&lg, "x", log_str("v", str_make(value, 5000)), log_i64("ms", 1));
    size_t n = strlen(got);
    cr_assert_gt(n, 5000);
    cr_assert_str_eq(got + n - 11, "v\",\"ms\":1}\n");
    log_warn(&lg, "x", log_str("v", str_make(value, sizeof value)), log_i64("ms", 1));
    n = strlen(got);
    cr_assert_leq(n, 1 << 20);
    cr_assert_str_eq(got + n - 7, "v...\"}\n");
}

static const struct {
    const char *text;
    bool valid;
} utf8[] = {
    {"", true},
    {"a\xc3\xa9", true},
    {"\xe2\x82\xac", true},
    {"\xf0\x9f\x98\x80", true},
    {"\xc0\x80", false},
    {"\xed\xa0\x80", false},
    {"\xf5\x80\x80\x80", false},
    {"\xff", false},
    {"a\xc3", false},
    {"\xe0\x80\x80", false},
};

Test(utf8, validity)
{
    for (size_t i = 0; i < countof(utf8); i++)
        cr_assert_eq(utf8_is_valid(str_from_c(utf8[i].text)), utf8[i].valid, "row %zu", i);
    for (uint32_t rune = 0; rune < 0x110000; rune += 7) {
        char p[UTF8_MAX];
        uint32_t back;
        const size_t n = utf8_encode(p, rune);
        cr_assert_eq(utf8_decode(str_make(p, n), &back), n);
        cr_assert_eq(back, rune >= 0xd800 && rune <= 0xdfff ? UTF8_BAD : rune);
    }
}

// Wherever it stands in a text of whatever length, whatever ASCII is around it.
Test(utf8, validity_at_every_place)
{
    for (size_t i = 0; i < countof(utf8); i++)
        for (size_t before = 0; before < 40; before++)
            for (size_t after = 0; after < 40; after++) {
                char text[100];
                const struct str middle = str_from_c(utf8[i].text);
                memset(text, 'a', sizeof text);
                memcpy(text + before, middle.p, middle.n);
                cr_assert_eq(utf8_is_valid(str_make(text, before + middle.n + after)),
                             utf8[i].valid, "row %zu behind %zu and before %zu", i, before, after);
            }
}

Test(str, splits)
{
    struct str rest = STR("a,,b"), part;
    size_t count = 0;
    while (str_split(&rest, ',', &part))
        count++;
    cr_assert_eq(count, 3);
    cr_assert(str_eq(str_trim(STR(" \tx y\n")), STR("x y")));
    cr_assert(str_eq_nocase(STR("GZip"), STR("gzip")));
}
