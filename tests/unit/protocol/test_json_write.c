#include "protocol/json_write.h"

#include <criterion/criterion.h>

// As Go's encoding/json prints the same values.
Test(json_write, values)
{
    struct buf b = {0};
    struct json j;
    json_init(&j, &b);
    json_object_begin(&j);
    json_key(&j, "a");
    json_array_begin(&j);
    json_i64(&j, -5);
    json_u64(&j, UINT64_MAX);
    json_bool(&j, true);
    json_null_value(&j);
    json_double(&j, 1.5);
    json_double(&j, 1e-7);
    json_double(&j, 1e21);
    json_array_end(&j);
    json_key_str(&j, STR("<b>"));
    json_str(&j, STR("<x> & \"q\" \\ \n \x01 \xe2\x80\xa8 \xff \xc3\xa9"));
    json_key(&j, "c");
    json_str_plain(&j, STR("<x>"));
    json_key(&j, "d");
    json_object_begin(&j);
    json_object_end(&j);
    json_object_end(&j);
    cr_assert(
        str_eq(buf_str(&b), STR("{\"a\":[-5,18446744073709551615,true,null,1.5,1e-7,1e+21],"
                                "\"<b>\":\"\\u003cx\\u003e \\u0026 \\\"q\\\" \\\\ \\n \\u0001 "
                                "\\u2028 \\ufffd \xc3\xa9\",\"c\":\"<x>\",\"d\":{}}")),
        "%.*s", STR_ARG(buf_str(&b)));
    buf_deinit(&b);
}
