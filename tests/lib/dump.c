#include "tests/lib/dump.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/base/number.h"
#include "engine/model/labels.h"
#include "engine/model/value.h"
#include "engine/shard/shard.h"

struct part {
    struct tsdb *db;
    bool with_times;
    struct buf text;
};

static void put_sample(struct buf *out, int64_t ms, double v, bool with_times)
{
    buf_put_char(out, ' ');
    if (bits_from_double(v) == VALUE_STALE_BITS)
        buf_put_str(out, STR("stale"));
    else
        out->n += number_format_api(v, buf_reserve(out, NUMBER_TEXT_MAX));
    if (with_times)
        buf_printf(out, "@%lld", (long long)ms);
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
    if (s.ops->select(s.self, &named, 1, INT64_MIN, INT64_MAX, 0, &a, &set, &e) != ERR_OK)
        abort();
    struct column *columns = arena_alloc(&a, (set.n + 1) * sizeof *columns, 8);
    if (s.ops->read(s.self, &set, set.series, set.n, INT64_MIN, INT64_MAX, &a, columns, &e) !=
        ERR_OK)
        abort();
    for (size_t i = 0; i < set.n; i++) {
        labels_format_metric(set.series[i].labels, &p->text);
        for (size_t k = 0; k < columns[i].n; k++)
            put_sample(&p->text, columns[i].t[k], columns[i].v[k], p->with_times);
        buf_put_char(&p->text, '\n');
    }
    s.ops->release(s.self, &set);
    arena_deinit(&a);
}

static int compare(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

void dump_samples(struct tsdb *db, bool with_times, struct buf *out)
{
    const unsigned shards = shards_count(shard_all());
    struct part parts[SHARD_MAX] = {0};
    struct buf all = {0};
    for (unsigned i = 0; i < shards; i++)
        parts[i] = (struct part){.db = db, .with_times = with_times};
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

struct str dump_line(const struct buf *dump, const char *series)
{
    const struct str name = str_from_c(series);
    struct str rest = buf_str(dump), line;
    while (str_split(&rest, '\n', &line))
        if (str_has_prefix(line, name) && line.n > name.n && line.p[name.n] == ' ')
            return str_from(line, name.n + 1);
    return (struct str){0};
}
