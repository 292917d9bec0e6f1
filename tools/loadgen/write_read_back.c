#include "tools/loadgen/write_read_back.h"

#include <jansson.h>
#include <stdio.h>

#include "engine/base/mem.h"
#include "engine/base/number.h"
#include "tools/server_ask.h"

enum { TIMEOUT_MS = 120000, MARGIN_S = 2 };

// The URL without /api/v1/..., for queries.
static void put_base(const struct url *u, struct buf *out)
{
    buf_printf(out, "%.*s://", STR_ARG(u->scheme));
    buf_printf(out, memchr(u->host.p, ':', u->host.n) ? "[%.*s]" : "%.*s", STR_ARG(u->host));
    if (u->port)
        buf_printf(out, ":%u", u->port);
    struct str path = u->path;
    for (size_t i = 0; i + 7 <= path.n; i++)
        if (!memcmp(path.p + i, "/api/v1", 7))
            path.n = i;
    buf_put_str(out, path);
}

// Marks the sequence numbers in the values of the answer; bits from number 1 on.
static bool mark_found(struct str body, uint64_t *found, uint64_t numbers)
{
    json_error_t why;
    json_t *const root = json_loadb(body.p ? body.p : "", body.n, 0, &why);
    const json_t *const data = json_object_get(root, "data");
    const json_t *const result = json_object_get(data, "result");
    const bool is_good = json_is_array(result);
    for (size_t i = 0; i < json_array_size(result); i++) {
        const json_t *const values = json_object_get(json_array_get(result, i), "values");
        for (size_t k = 0; k < json_array_size(values); k++) {
            const char *const text =
                json_string_value(json_array_get(json_array_get(values, k), 1));
            double number;
            if (text && number_parse(str_from_c(text), &number) == ERR_OK && number >= 1 &&
                number <= (double)numbers)
                found[((uint64_t)number - 1) / 64] |= (uint64_t)1 << ((uint64_t)number - 1) % 64;
        }
    }
    json_decref(root);
    return is_good;
}

struct reading {
    const struct write_load *load;
    const struct write_load_options *options;
    struct server_ask ask;
    struct load_report *out;
};

// false: the server did not answer, which out->read_error says.
static bool read_one(struct reading *r, size_t template)
{
    struct load_report *const out = r->out;
    const uint32_t samples = r->options->write.samples;
    const uint64_t rounds = write_load_rounds(r->load, template);
    const int64_t last_ms = write_load_last_ms(r->load);
    const int64_t range_s = (last_ms - r->options->start_ms) / 1000 + 2 * MARGIN_S;
    struct buf query = {0}, params = {0};
    buf_printf(&query, "loadgen_sequence{run=\"%.*s\",instance=\"template-%06u\"}[%llds]",
               STR_ARG(r->options->shape.run), write_load_sequence(r->load, template),
               (long long)range_s);
    buf_put_str(&params, STR("query="));
    url_encode_query(buf_str(&query), &params);
    buf_printf(&params, "&time=%lld", (long long)(last_ms / 1000 + MARGIN_S));
    r->ask.params = buf_str(&params);
    struct server_answer answer = {0};
    struct errmsg e;
    uint64_t *const found = mem_zalloc(((size_t)(rounds * samples) / 64 + 1) * sizeof *found);
    bool is_good = server_ask_run(&r->ask, &answer, &e) == ERR_OK;
    if (!is_good)
        snprintf(out->read_error, sizeof out->read_error, "%.200s", e.text);
    else if (answer.status == 200 && !mark_found(buf_str(&answer.body), found, rounds * samples)) {
        snprintf(out->read_error, sizeof out->read_error, "what answers at %.*s is no query API",
                 STR_ARG(r->ask.server));
        is_good = false;
    } else if (answer.status != 200) {
        snprintf(out->read_error, sizeof out->read_error, "the query was answered %d %.*s",
                 answer.status, (int)(answer.body.n < 150 ? answer.body.n : 150),
                 answer.body.p ? answer.body.p : "");
        is_good = false;
    }
    for (uint64_t round = 0; is_good && round < rounds; round++) {
        if (!write_load_is_acked(r->load, template, round))
            continue;
        for (uint64_t i = round * samples; i < (round + 1) * samples; i++) {
            out->checked++;
            out->missing += !(found[i / 64] >> i % 64 & 1);
        }
    }
    mem_free(found);
    server_answer_deinit(&answer);
    buf_deinit(&query);
    buf_deinit(&params);
    return is_good;
}

void write_read_back(const struct write_load *load, const struct write_load_options *options,
                     const struct url *url, const struct setting_list *headers,
                     struct load_report *out)
{
    struct buf base = {0};
    put_base(url, &base);
    struct reading r = {.load = load,
                        .options = options,
                        .out = out,
                        .ask = {.server = buf_str(&base),
                                .path = STR("/api/v1/query"),
                                .is_post = true,
                                .headers = headers->items,
                                .headers_n = headers->n,
                                .timeout_ms = TIMEOUT_MS}};
    out->is_read_back = true;
    for (size_t i = 0; i < write_load_templates(load); i++)
        if (write_load_rounds(load, i) && !read_one(&r, i))
            break;
    buf_deinit(&base);
}
