#include "tests/lib/dump.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/base/number.h"
#include "engine/model/histogram.h"
#include "engine/model/labels.h"
#include "engine/model/value.h"
#include "engine/shard/shard.h"

struct part {
    struct tsdb *db;
    bool with_times, as_bits;
    struct buf text;
};

static void put_hex(struct buf *out, struct str bytes)
{
    for (size_t i = 0; i < bytes.n; i++)
        buf_printf(out, "%02x", (unsigned char)bytes.p[i]);
}

static void put_number(struct buf *out, uint64_t n, bool is_bits)
{
    if (is_bits)
        buf_printf(out, "%016llx", (unsigned long long)n);
    else
        buf_printf(out, "%lld", (long long)n);
}

static void put_side(struct buf *out, const struct histogram_side *side, bool is_float)
{
    const char *separator = "|";
    struct histogram_iter i = {0};
    for (; histogram_next(side, &i); separator = ",") {
        buf_printf(out, "%s%lld:", separator, (long long)i.index);
        put_number(out, i.count, is_float);
    }
    if (separator[0] == '|')
        buf_put_char(out, '|');
}

static void put_histogram(struct buf *out, struct str packed, struct arena *a)
{
    struct histogram h;
    if (!histogram_unpack(packed, a, &h))
        abort();
    buf_printf(out, "[%s%d,%d,", h.is_float ? "f" : "", (int)h.schema, (int)h.hint);
    put_number(out, h.count, h.is_float);
    buf_put_char(out, ',');
    put_number(out, h.zero_count, h.is_float);
    buf_put_char(out, ',');
    put_number(out, bits_from_double(h.zero_threshold), true);
    buf_put_char(out, ',');
    put_number(out, bits_from_double(h.sum), true);
    put_side(out, &h.positive, h.is_float);
    put_side(out, &h.negative, h.is_float);
    buf_put_char(out, '|');
    for (size_t i = 0; i < h.custom_n; i++) {
        if (i)
            buf_put_char(out, ',');
        put_number(out, bits_from_double(h.custom[i]), true);
    }
    buf_put_char(out, ']');
}

static void put_bits(struct buf *out, const struct column *c, size_t i)
{
    const bool is_histogram = c->histograms && c->histograms[i].p;
    buf_put_str(out, is_histogram ? STR(" [") : STR(" "));
    if (is_histogram)
        put_hex(out, c->histograms[i]);
    else
        put_number(out, bits_from_double(c->v[i]), true);
    buf_printf(out, "%s@%lld", is_histogram ? "]" : "", (long long)c->t[i]);
    if (c->starts && c->starts[i])
        buf_printf(out, "<%lld", (long long)c->starts[i]);
}

static void put_sample(struct buf *out, const struct column *c, size_t i, bool with_times,
                       struct arena *a)
{
    buf_put_char(out, ' ');
    if (c->histograms && c->histograms[i].p)
        put_histogram(out, c->histograms[i], a);
    else if (bits_from_double(c->v[i]) == VALUE_STALE_BITS)
        buf_put_str(out, STR("stale"));
    else
        out->n += number_format_api(c->v[i], buf_reserve(out, NUMBER_TEXT_MAX));
    if (with_times)
        buf_printf(out, "@%lld", (long long)c->t[i]);
    if (c->starts && c->starts[i])
        buf_printf(out, "<%lld", (long long)c->starts[i]);
}

static void dump_shard(void *arg)
{
    struct part *p = arg;
    const struct matcher named = {.kind = MATCHER_NE, .name = LABEL_NAME};
    const struct storage s = tsdb_storage(p->db);
    struct storage_set set = {0};
    struct arena a;
    struct errmsg e;
    arena_init(&a, 0);
    if (s.ops->select(s.self, &named, 1, INT64_MIN, INT64_MAX, NULL, &a, &set, &e) != ERR_OK)
        abort();
    struct column *columns = arena_alloc(&a, (set.n + 1) * sizeof *columns, 8);
    if (s.ops->read(s.self, &set, set.series, set.n, INT64_MIN, INT64_MAX, &a, columns, &e) !=
        ERR_OK)
        abort();
    for (size_t i = 0; i < set.n; i++) {
        if (p->as_bits)
            put_hex(&p->text, set.series[i].labels);
        else
            labels_format_metric(set.series[i].labels, &p->text);
        for (size_t k = 0; k < columns[i].n && p->as_bits; k++)
            put_bits(&p->text, &columns[i], k);
        for (size_t k = 0; k < columns[i].n && !p->as_bits; k++)
            put_sample(&p->text, &columns[i], k, p->with_times, &a);
        buf_put_char(&p->text, '\n');
    }
    s.ops->release(s.self, &set);
    arena_deinit(&a);
}

static int compare(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void dump(const struct part *how, struct buf *out)
{
    const unsigned shards = shards_count(shard_all());
    struct part parts[SHARD_MAX] = {0};
    struct buf all = {0};
    for (unsigned i = 0; i < shards; i++)
        parts[i] = *how;
    shard_call_all(LOOP_QUERY, dump_shard, parts, sizeof *parts, NULL);
    size_t n = 0;
    for (unsigned i = 0; i < shards; i++) {
        buf_put_str(&all, buf_str(&parts[i].text));
        buf_deinit(&parts[i].text);
    }
    for (size_t i = 0; i < all.n; i++)
        n += all.p[i] == '\n';
    struct str *lines = mem_alloc_array(n + 1, sizeof *lines), rest = buf_str(&all);
    for (size_t i = 0; i < n; i++)
        str_split(&rest, '\n', &lines[i]);
    qsort(lines, n, sizeof *lines, compare);
    buf_reset(out);
    for (size_t i = 0; i < n; i++) {
        buf_put_str(out, lines[i]);
        buf_put_char(out, '\n');
    }
    mem_free(lines);
    buf_deinit(&all);
}

void dump_samples(struct tsdb *db, bool with_times, struct buf *out)
{
    dump(&(struct part){.db = db, .with_times = with_times}, out);
}

void dump_bits(struct tsdb *db, struct buf *out)
{
    dump(&(struct part){.db = db, .as_bits = true}, out);
}

struct str dump_line(const struct buf *dump, const char *series)
{
    const struct str name = str_from_c(series);
    struct str rest = buf_str(dump), line;
    while (str_split(&rest, '\n', &line))
        if (str_has_prefix(line, name) && line.n > name.n && line.p[name.n] == ' ')
            return str_from(line, name.n + 1);
    return (struct str){0};
}
