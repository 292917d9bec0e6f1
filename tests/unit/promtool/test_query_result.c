// Texts as promtool 3.5 prints them; what is no answer of the API has texts of our own.
#include <criterion/criterion.h>

#include "engine/base/util.h"
#include "tools/promtool/query_result.h"

#define DATA(data) "{\"status\":\"success\",\"data\":" data "}"
#define RESULT(type, result) DATA("{\"resultType\":\"" type "\",\"result\":" result "}")

static const struct {
    int status;
    const char *body;
    enum query_result_kind kind;
    const char *text, *json; // text alone: an error
} rows[] = {
    {200, RESULT("vector", "[]"), QUERY_RESULT_VALUE, "\n", "[]\n"},
    {200, RESULT("matrix", "[]"), QUERY_RESULT_VALUE, "\n", "[]\n"},
    {200, RESULT("scalar", "[1.5,\"1e3\"]"), QUERY_RESULT_VALUE, "scalar: 1000 @[1.5]\n",
     "[1.5,\"1000\"]\n"},
    {200, RESULT("string", "[1,\"a\"]"), QUERY_RESULT_VALUE, "a\n", "[1,\"a\"]\n"},
    {200,
     RESULT("vector", "[{\"metric\":{\"__name__\":\"m\",\"b\":\"\\u0000\",\"a\":\"<\"},"
                      "\"value\":[1435781451.781,\"NaN\"]},{\"metric\":{},\"value\":[-1,\"-0\"]}]"),
     QUERY_RESULT_VALUE, "m{a=\"<\", b=\"\\x00\"} => NaN @[1435781451.781]\n{} => -0 @[-1]\n",
     "[{\"metric\":{\"__name__\":\"m\",\"a\":\"\\u003c\",\"b\":\"\\u0000\"},"
     "\"value\":[1435781451.781,\"NaN\"]},{\"metric\":{},\"value\":[-1,\"-0\"]}]\n"},
    {200,
     RESULT("matrix", "[{\"metric\":{\"b\":\"1\"},\"values\":[[1,\"1\"]]},"
                      "{\"metric\":{\"a\":\"2\"},\"values\":[[1,\"2\"],[2,\"3\"]]}]"),
     QUERY_RESULT_VALUE, "{b=\"1\"} =>\n1 @[1]\n{a=\"2\"} =>\n2 @[1]\n3 @[2]\n",
     "[{\"metric\":{\"b\":\"1\"},\"values\":[[1,\"1\"]]},"
     "{\"metric\":{\"a\":\"2\"},\"values\":[[1,\"2\"],[2,\"3\"]]}]\n"},
    {200, DATA("[\"a\",\"b<\"]"), QUERY_RESULT_LABELS, "a\nb<\n", "[\"a\",\"b\\u003c\"]\n"},
    {200, DATA("[{\"__name__\":\"m\",\"a\":\"1\"},{}]"), QUERY_RESULT_SERIES,
     "{__name__=\"m\", a=\"1\"}\n{}\n", "[{\"__name__\":\"m\",\"a\":\"1\"},{}]\n"},
    {400, "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"x\"}", QUERY_RESULT_VALUE,
     "bad_data: x", NULL},
    {400, "{\"status\":\"success\"}", QUERY_RESULT_VALUE,
     "bad_response: inconsistent body for response code", NULL},
    {404, " x\n", QUERY_RESULT_VALUE, "client_error: client error: 404 (detail: x)", NULL},
    {503, "", QUERY_RESULT_VALUE, "server_error: server error: 503", NULL},
    {304, "", QUERY_RESULT_VALUE, "bad_response: bad response code 304", NULL},
    {200, RESULT("scalar", "[1,2]"), QUERY_RESULT_VALUE,
     "bad_response: a sample is not [time, value]", NULL},
    {200, RESULT("scalar", "[1,\"x\"]"), QUERY_RESULT_VALUE,
     "bad_response: \"x\" is not a sample value", NULL},
    {200, RESULT("vector", "[1,[],{}]"), QUERY_RESULT_VALUE,
     "bad_response: a sample is not [time, value]", NULL},
    {200, RESULT("tensor", "[]"), QUERY_RESULT_VALUE, "bad_response: unknown value type \"tensor\"",
     NULL},
    {200, DATA("1"), QUERY_RESULT_VALUE, "bad_response: no result in the answer", NULL},
    {200, DATA("{}"), QUERY_RESULT_LABELS, "bad_response: no list in the answer", NULL},
    {200, "[]", QUERY_RESULT_LABELS, "bad_response: no data in the answer", NULL},
};

static void check(size_t i, bool as_json)
{
    struct buf out = {0}, warnings = {0};
    struct errmsg e;
    const err code = query_result_print(rows[i].status, str_from_c(rows[i].body), rows[i].kind,
                                        as_json, &out, &warnings, &e);
    buf_put_char(&out, '\0');
    cr_assert_eq(code == ERR_OK, rows[i].json != NULL, "row %zu", i);
    const char *const wanted = as_json && rows[i].json ? rows[i].json : rows[i].text;
    cr_assert_str_eq(code ? e.text : out.p, wanted, "row %zu: %s", i, code ? e.text : out.p);
    buf_deinit(&out);
    buf_deinit(&warnings);
}

Test(query_result, prints)
{
    for (size_t i = 0; i < countof(rows); i++) {
        check(i, false);
        check(i, true);
    }
}

Test(query_result, warnings_and_depth)
{
    struct buf out = {0}, warnings = {0}, deep = {0};
    struct errmsg e;
    cr_assert_eq(query_result_print(200,
                                    STR("{\"status\":\"success\",\"data\":[],\"warnings\":"
                                        "[\"a\",\"b\"]}"),
                                    QUERY_RESULT_LABELS, false, &out, &warnings, &e),
                 ERR_OK);
    cr_assert(str_eq(buf_str(&warnings), STR("a\nb\n")));
    for (int i = 0; i < 100000; i++)
        buf_put_char(&deep, '[');
    cr_assert_eq(
        query_result_print(200, buf_str(&deep), QUERY_RESULT_VALUE, true, &out, &warnings, &e),
        ERR_CORRUPT);
    buf_deinit(&out);
    buf_deinit(&warnings);
    buf_deinit(&deep);
}
