// Formats, schemes and names as Prometheus's exposition library chooses and writes them.
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "engine/base/util.h"
#include "protocol/exposition_write.h"

#define PROTO "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding="
#define TEXT "text/plain; version=0.0.4; charset=utf-8; escaping="
#define PROTO_IS \
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding="

static const struct {
    const char *accept, *wanted;
} accepts[] = {
    {"", TEXT "underscores"},
    {"*/*", TEXT "underscores"},
    {"text/plain", TEXT "underscores"},
    {"text/plain;version=0.0.4;escaping=allow-utf-8", TEXT "allow-utf-8"},
    {"text/plain; version=0.0.4; escaping=\"values\"", TEXT "values"},
    {"text/plain;escaping=unheard-of", TEXT "underscores"},
    {"text/plain;escaping=dots;q=0.1,text/plain;escaping=values;q=0.2", TEXT "values"},
    {"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8,text/plain;q=0.3",
     TEXT "allow-utf-8"},
    {PROTO "delimited", PROTO_IS "delimited; escaping=underscores"},
    {PROTO "text;escaping=values", PROTO_IS "text; escaping=values"},
    {PROTO "compact-text", PROTO_IS "compact-text; escaping=underscores"},
    {PROTO "unheard-of", TEXT "underscores"},
    {"text/plain;q=0.5," PROTO "delimited;q=0.4", TEXT "underscores"},
    {"text/plain;q=0.4," PROTO "delimited;q=0.5", PROTO_IS "delimited; escaping=underscores"},
    {"*/*;q=1," PROTO "delimited;q=1", PROTO_IS "delimited; escaping=underscores"},
    {",;,a,/,text/plain;q=x;=;;", TEXT "underscores"},
};

Test(exposition_write, negotiation)
{
    for (size_t i = 0; i < countof(accepts); i++) {
        struct buf got = {0};
        exposition_put_content_type(exposition_negotiate(str_from_c(accepts[i].accept)), &got);
        cr_assert(str_eq(buf_str(&got), str_from_c(accepts[i].wanted)), "%s: %.*s",
                  accepts[i].accept, STR_ARG(buf_str(&got)));
        buf_deinit(&got);
    }
}

static const struct {
    const char *name, *wanted[4]; // by scheme
} names[] = {
    {"up", {"up", "up", "up", "up"}},
    {"http_requests", {"http_requests", "http__requests", "http_requests", "http_requests"}},
    {"a.b_c", {"a_b_c", "a_dot_b__c", "U__a_2e_b__c", "a.b_c"}},
    {"1up", {"_up", "__up", "U___31_up", "1up"}},
    {"\u00fc-x:y", {"__x:y", "____x:y", "U___fc__2d_x:y", "\u00fc-x:y"}},
};

Test(exposition_write, names)
{
    for (size_t i = 0; i < countof(names); i++)
        for (size_t k = 0; k < 4; k++) {
            struct buf got = {0};
            escape_name(str_from_c(names[i].name), (enum escape_scheme)k, &got);
            cr_assert(str_eq(buf_str(&got), str_from_c(names[i].wanted[k])), "%s: %.*s",
                      names[i].name, STR_ARG(buf_str(&got)));
            buf_deinit(&got);
        }
    struct arena a; // what the values scheme makes can be undone
    arena_init(&a, 0);
    for (size_t i = 0; i < countof(names); i++) {
        struct buf made = {0};
        escape_name(str_from_c(names[i].name), ESCAPE_VALUES, &made);
        cr_assert(str_eq(escape_undo_values(buf_str(&made), &a), str_from_c(names[i].name)));
        buf_deinit(&made);
    }
    arena_deinit(&a);
}

static void write_some(enum exposition_format format, enum escape_scheme scheme, struct buf *out)
{
    struct exposition_writer w;
    const struct exposition_label labels[] = {{STR("a"), STR("x\"\\\n")}, {STR("b.c"), STR("")}};
    exposition_writer_init(&w, (struct exposition_style){format, scheme}, out);
    exposition_family(&w, STR("up"));
    exposition_sample(&w, labels, 2, 1, 1500);
    exposition_sample(&w, labels, 0, -0.0, -1);
    exposition_family(&w, STR("m.n"));
    exposition_sample(&w, labels, 1, INFINITY, 2);
    exposition_sample(&w, labels, 0, 1e21, 3);
    exposition_finish(&w);
    exposition_writer_deinit(&w);
}

Test(exposition_write, text)
{
    static const struct {
        enum escape_scheme scheme;
        const char *wanted;
    } rows[] = {
        {ESCAPE_UNDERSCORES, "# TYPE up untyped\nup{a=\"x\\\"\\\\\\n\",b_c=\"\"} 1 1500\nup 0 -1\n"
                             "# TYPE m_n untyped\nm_n{a=\"x\\\"\\\\\\n\"} +Inf 2\nm_n 1e+21 3\n"},
        {ESCAPE_NONE, "# TYPE up untyped\nup{a=\"x\\\"\\\\\\n\",\"b.c\"=\"\"} 1 1500\nup 0 -1\n"
                      "# TYPE \"m.n\" untyped\n{\"m.n\",a=\"x\\\"\\\\\\n\"} +Inf 2\n"
                      "{\"m.n\"} 1e+21 3\n"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct buf got = {0};
        write_some(EXPOSITION_TEXT, rows[i].scheme, &got);
        cr_assert(str_eq(buf_str(&got), str_from_c(rows[i].wanted)), "%.*s",
                  STR_ARG(buf_str(&got)));
        buf_deinit(&got);
    }
}

Test(exposition_write, protobuf)
{
    static const unsigned char wanted[] = {
        42,   0x0a, 2,    'u', 'p',  0x18, 3,                                    // name, type
        0x22, 34,   0x0a, 9,   0x0a, 1,    'a', 0x12, 4, 'x',  '"',  '\\', '\n', // label
        0x0a, 7,    0x0a, 3,   'b',  '_',  'c', 0x12, 0,                         // label
        0x2a, 9,    0x09, 0,   0,    0,    0,   0,    0, 0xf0, 0x3f, 0x30, 0xdc, 0x0b,
    };
    struct buf got = {0};
    struct exposition_writer w;
    const struct exposition_label labels[] = {{STR("a"), STR("x\"\\\n")}, {STR("b.c"), STR("")}};
    exposition_writer_init(&w, (struct exposition_style){EXPOSITION_PROTOBUF, ESCAPE_UNDERSCORES},
                           &got);
    exposition_family(&w, STR("up"));
    exposition_sample(&w, labels, 2, 1, 1500);
    exposition_finish(&w);
    cr_assert(got.n == sizeof wanted && !memcmp(got.p, wanted, got.n), "%zu bytes", got.n);
    // A family that is large leaves in parts: memory stays bounded.
    for (int i = 0; i < 100000; i++) {
        if (i == 0)
            exposition_family(&w, STR("many"));
        exposition_sample(&w, labels, 2, i, 1500);
        cr_assert(w.message.n <= EXPOSITION_MESSAGE_BYTES);
        buf_reset(&got);
    }
    exposition_writer_deinit(&w);
    buf_deinit(&got);
}

Test(exposition_write, protobuf_as_text)
{
    struct buf got = {0};
    write_some(EXPOSITION_PROTOBUF_COMPACT, ESCAPE_UNDERSCORES, &got);
    const struct str wanted =
        STR("name:\"up\" type:UNTYPED metric:{label:{name:\"a\" value:\"x\\\"\\\\\\n\"} "
            "label:{name:\"b_c\" value:\"\"} untyped:{value:1} timestamp_ms:1500} "
            "metric:{untyped:{value:-0} timestamp_ms:-1}\n"
            "name:\"m_n\" type:UNTYPED metric:{label:{name:\"a\" value:\"x\\\"\\\\\\n\"} "
            "untyped:{value:inf} timestamp_ms:2} metric:{untyped:{value:1e+21} timestamp_ms:3}\n");
    cr_assert(str_eq(buf_str(&got), wanted), "%.*s", STR_ARG(buf_str(&got)));
    buf_deinit(&got);
}
