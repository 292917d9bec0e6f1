#include "engine/remote/negotiate.h"

struct str remote_message_name(enum remote_message message)
{
    return message == REMOTE_MESSAGE_V2 ? STR("io.prometheus.write.v2.Request")
                                        : STR("prometheus.WriteRequest");
}

bool remote_message_parse(struct str name, enum remote_message *out)
{
    for (enum remote_message m = REMOTE_MESSAGE_V1; m <= REMOTE_MESSAGE_V2; m *= 2)
        if (str_eq(name, remote_message_name(m))) {
            *out = m;
            return true;
        }
    return false;
}

static bool refuse(struct http_exchange *x, struct str text) // Suspends.
{
    http_answer(x, 415, "text/plain; charset=utf-8", text);
    return false;
}

static bool refuse_parameter(struct http_exchange *x, struct str part, struct str whole)
{
    return refuse(x,
                  arena_printf(x->arena,
                               "as per https://www.rfc-editor.org/rfc/rfc9110#parameter expected "
                               "parameters to be key-values, got %.*s in %.*s content-type\n",
                               STR_ARG(part), STR_ARG(whole)));
}

static bool refuse_name(struct http_exchange *x, struct str name, struct str whole)
{
    const struct str v1 = remote_message_name(REMOTE_MESSAGE_V1);
    const struct str v2 = remote_message_name(REMOTE_MESSAGE_V2);
    return refuse(x, arena_printf(x->arena,
                                  "got %.*s content type; unknown type for remote write protobuf "
                                  "message %.*s, supported: %.*s, %.*s\n",
                                  STR_ARG(whole), STR_ARG(name), STR_ARG(v1), STR_ARG(v2)));
}

// The parameters of the media type; the first `proto` counts. False: answered.
static bool read_parameters(struct http_exchange *x, struct str whole, struct str parameters,
                            enum remote_message *out)
{
    *out = REMOTE_MESSAGE_V1;
    for (struct str part; str_split(&parameters, ';', &part);) {
        const ptrdiff_t equals = str_find(part, '=', 0);
        if (equals == STR_NONE || str_find(part, '=', (size_t)equals + 1) != STR_NONE)
            return refuse_parameter(x, part, whole);
        const struct str name = str_trim(str_until(part, (size_t)equals));
        const struct str value = str_trim(str_from(part, (size_t)equals + 1));
        if (!str_eq_nocase(name, STR("proto")))
            continue;
        return remote_message_parse(value, out) || refuse_name(x, value, whole);
    }
    return true;
}

static bool read_type(struct http_exchange *x, enum remote_message *out)
{
    const struct str whole = http_header(x->head, STR("Content-Type"));
    struct str rest = whole, media;
    *out = REMOTE_MESSAGE_V1;
    if (!whole.n)
        return true;
    str_split(&rest, ';', &media);
    if (!str_eq(media, STR("application/x-protobuf")))
        return refuse(x, arena_printf(x->arena,
                                      "expected application/x-protobuf as the first (media) part, "
                                      "got %.*s content-type\n",
                                      STR_ARG(whole)));
    return read_parameters(x, whole, rest, out);
}

static bool read_encoding(struct http_exchange *x, enum remote_encoding *out)
{
    const struct str encoding = http_header(x->head, STR("Content-Encoding"));
    *out = REMOTE_SNAPPY;
    if (!encoding.n || str_eq_nocase(encoding, STR("snappy")))
        return true;
    *out = REMOTE_ZSTD;
    if (str_eq_nocase(encoding, STR("zstd")))
        return true;
    return refuse(x,
                  arena_printf(x->arena,
                               "%.*s encoding (compression) is not accepted by this server; only "
                               "snappy is acceptable\n",
                               STR_ARG(encoding)));
}

bool remote_negotiate(struct http_exchange *x, unsigned accepted, struct remote_format *out)
{
    if (!read_type(x, &out->message))
        return false;
    if (!(accepted & out->message)) {
        const struct str got = remote_message_name(out->message);
        const struct str other = remote_message_name(REMOTE_MESSAGES & ~out->message);
        return refuse(x, arena_printf(x->arena,
                                      "%.*s protobuf message is not accepted by this server; only "
                                      "accepts %.*s\n",
                                      STR_ARG(got), STR_ARG(other)));
    }
    return read_encoding(x, &out->encoding);
}

void remote_add_written(struct http_exchange *x, const struct remote_written *written)
{
    const struct {
        const char *name;
        uint64_t n;
    } rows[] = {{"X-Prometheus-Remote-Write-Exemplars-Written", written->exemplars},
                {"X-Prometheus-Remote-Write-Histograms-Written", written->histograms},
                {"X-Prometheus-Remote-Write-Samples-Written", written->samples}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        http_add_header(x, rows[i].name,
                        arena_printf(x->arena, "%llu", (unsigned long long)rows[i].n));
}
