// The values and messages are what Go's encoding/json gives for a map[string]string.
#include <criterion/criterion.h>

#include "engine/base/buf.h"
#include "engine/base/util.h"
#include "protocol/json_read.h"

static const struct {
    const char *text, *wanted; // pairs as name=value; or the message
} rows[] = {
    {"{}", ""},
    {" { } ", ""},
    {"null", ""},
    {"{\"a\":\"b\"}", "a=b;"},
    {"{\"a\" : \"b\" , \"c\":\"\"}\n", "a=b;c=;"},
    {"{\"a\":null}", "a=;"},
    {"{\"\\u00e9\\n\":\"\\ud83d\\ude00\\/\"}", "\u00e9\n=\U0001f600/;"},
    {"{\"a\":\"\\ud83dx\"}", "a=\ufffdx;"},
    {"{\"a\":\"\\ud83d\\u0041\"}", "a=\ufffdA;"},
    {"{\"a\":\"\xff\"}", "a=\ufffd;"},
    {"", "unexpected end of JSON input"},
    {"{", "unexpected end of JSON input"},
    {"{\"a", "unexpected end of JSON input"},
    {"{\"a\":", "unexpected end of JSON input"},
    {"{\"a\":\"b\"", "unexpected end of JSON input"},
    {"x", "invalid character 'x' looking for beginning of value"},
    {"'", "invalid character '\\'' looking for beginning of value"},
    {"\xc3", "invalid character '\u00c3' looking for beginning of value"},
    {"{x", "invalid character 'x' looking for beginning of object key string"},
    {"{\"a\":\"b\",}", "invalid character '}' looking for beginning of object key string"},
    {"{\"a\"}", "invalid character '}' after object key"},
    {"{\"a\":\"b\" \"", "invalid character '\"' after object key:value pair"},
    {"{}x", "invalid character 'x' after top-level value"},
    {"{\"a\":[1 2]}", "invalid character '2' after array element"},
    {"{\"a\":\"\n\"}", "invalid character '\\n' in string literal"},
    {"{\"a\":\"\\x\"}", "invalid character 'x' in string escape code"},
    {"{\"a\":\"\\u00g0\"}", "invalid character 'g' in \\u hexadecimal character escape"},
    {"{\"a\":tru3}", "invalid character '3' in literal true (expecting 'e')"},
    {"{\"a\":-x}", "invalid character 'x' in numeric literal"},
    {"{\"a\":1.}", "invalid character '}' after decimal point in numeric literal"},
    {"{\"a\":1e}", "invalid character '}' in exponent of numeric literal"},
    {"{\"a\":01}", "invalid character '1' after object key:value pair"},
    {"{\"a\":1}", "json: cannot unmarshal number into Go value of type string"},
    {"{\"a\":{\"b\":[true,null]}}", "json: cannot unmarshal object into Go value of type string"},
    {"[]", "json: cannot unmarshal array into Go value of type map[string]string"},
    {"\"a\"", "json: cannot unmarshal string into Go value of type map[string]string"},
    {"true", "json: cannot unmarshal bool into Go value of type map[string]string"},
    {"[1}", "invalid character '}' after array element"},
};

Test(json_read, values_and_messages)
{
    for (size_t i = 0; i < countof(rows); i++) {
        struct arena a;
        struct json_pair *pairs = NULL;
        size_t n = 0;
        struct errmsg e = {0};
        struct buf got = {0};
        arena_init(&a, 0);
        if (json_read_strings(str_from_c(rows[i].text), &a, &pairs, &n, &e) != ERR_OK)
            buf_put_str(&got, str_from_c(e.text));
        for (size_t k = 0; k < n; k++)
            buf_printf(&got, "%.*s=%.*s;", STR_ARG(pairs[k].name), STR_ARG(pairs[k].value));
        cr_assert(str_eq(buf_str(&got), str_from_c(rows[i].wanted)), "%s: got %.*s, wanted %s",
                  rows[i].text, STR_ARG(buf_str(&got)), rows[i].wanted);
        buf_deinit(&got);
        arena_deinit(&a);
    }
}

Test(json_read, depth_is_bounded)
{
    struct arena a;
    struct json_pair *pairs;
    size_t n;
    struct errmsg e;
    struct buf text = {0};
    arena_init(&a, 0);
    for (int i = 0; i < 200000; i++)
        buf_put_char(&text, '[');
    cr_assert_eq(json_read_strings(buf_str(&text), &a, &pairs, &n, &e), ERR_LIMIT);
    cr_assert_str_eq(e.text, "exceeded max depth");
    buf_deinit(&text);
    arena_deinit(&a);
}

// Every beginning of a text, and every byte of it changed, is read or refused.
Test(json_read, hostile)
{
    static const char text[] = "{\"a\":\"\\u00e9\",\"b\":[1.5e3,{\"c\":null}],\"d\":false}";
    for (size_t cut = 0; cut < sizeof text; cut++)
        for (int c = 0; c < 256; c++) {
            char *copy = malloc(cut + 1);
            struct arena a;
            struct json_pair *pairs;
            size_t n;
            memcpy(copy, text, cut);
            copy[cut] = (char)c;
            arena_init(&a, 0);
            const err code = json_read_strings(str_make(copy, cut + 1), &a, &pairs, &n, NULL);
            (void)code;
            arena_deinit(&a);
            free(copy);
        }
}
