#include <criterion/criterion.h>

#include "engine/base/buf.h"
#include "engine/base/util.h"
#include "tools/loadgen/query_compare.h"

#define ANSWER(type, result) \
    "{\"status\":\"success\",\"data\":{\"resultType\":\"" type "\",\"result\":" result "}}"
#define A "{\"metric\":{\"a\":\"1\",\"b\":\"2\"},\"value\":[1,\"3\"]}"
#define B "{\"metric\":{\"b\":\"2\",\"a\":\"2\"},\"value\":[1,\"4\"]}"

static const struct {
    const char *ours, *reference, *error; // NULL: they are the same
} rows[] = {
    {ANSWER("vector", "[]"), ANSWER("vector", "[]"), NULL},
    {ANSWER("vector", "[" A "," B "]"), ANSWER("vector", "[" B "," A "]"), NULL},
    {ANSWER("vector", "[" A "]"), ANSWER("vector", "[" A "," B "]"), "1 series instead of 2"},
    {ANSWER("vector", "[" A "]"), ANSWER("vector", "[" B "]"),
     "series {\"a\":\"1\",\"b\":\"2\"} instead of {\"a\":\"2\",\"b\":\"2\"}"},
    {ANSWER("vector", "[{\"metric\":{},\"value\":[1,\"3\"]}]"),
     ANSWER("vector", "[{\"metric\":{},\"value\":[1,\"3.0000000000000004\"]}]"), NULL},
    {ANSWER("vector", "[{\"metric\":{},\"value\":[1,\"NaN\"]}]"),
     ANSWER("vector", "[{\"metric\":{},\"value\":[1,\"NaN\"]}]"), NULL},
    {ANSWER("vector", "[{\"metric\":{},\"value\":[1,\"3\"]}]"),
     ANSWER("vector", "[{\"metric\":{},\"value\":[1,\"3.1\"]}]"), "other values of {}"},
    {ANSWER("vector", "[{\"metric\":{},\"value\":[1,\"3\"]}]"),
     ANSWER("vector", "[{\"metric\":{},\"value\":[2,\"3\"]}]"), "other values of {}"},
    {ANSWER("matrix", "[{\"metric\":{},\"values\":[[1,\"3\"],[2,\"4\"]]}]"),
     ANSWER("matrix", "[{\"metric\":{},\"values\":[[1,\"3\"],[2,\"4\"]]}]"), NULL},
    {ANSWER("matrix", "[{\"metric\":{},\"values\":[[1,\"3\"],[2,\"4\"]]}]"),
     ANSWER("matrix", "[{\"metric\":{},\"values\":[[1,\"3\"]]}]"), "other values of {}"},
    {ANSWER("scalar", "[1,\"3\"]"), ANSWER("scalar", "[1,\"3\"]"), NULL},
    {ANSWER("scalar", "[1,\"3\"]"), ANSWER("scalar", "[1,\"4\"]"), "other values of "},
    {ANSWER("scalar", "[1,\"3\"]"), ANSWER("vector", "[]"), "a scalar instead of a vector"},
    {"{}", ANSWER("vector", "[]"), "the server: no answer of the API"},
    {ANSWER("vector", "[]"), "not JSON", "the reference: no answer of the API"},
};

Test(query_compare, finds_what_differs)
{
    for (size_t i = 0; i < countof(rows); i++) {
        struct errmsg e = {{0}};
        const err code = query_compare(str_from_c(rows[i].ours), str_from_c(rows[i].reference), &e);
        cr_assert_eq(code == ERR_OK, !rows[i].error, "row %zu: %s", i, e.text);
        if (rows[i].error)
            cr_assert_str_eq(e.text, rows[i].error, "row %zu: %s", i, e.text);
    }
}

Test(query_compare, depth_is_bounded)
{
    struct buf deep = {0};
    for (int i = 0; i < 100000; i++)
        buf_put_char(&deep, '[');
    cr_assert_eq(query_compare(buf_str(&deep), buf_str(&deep), NULL), ERR_CORRUPT);
    buf_deinit(&deep);
}
