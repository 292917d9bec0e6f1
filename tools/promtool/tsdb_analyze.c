// tsdb analyze: which labels make a file large, and which series come and go.
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/base/util.h"
#include "engine/model/labels.h"
#include "engine/tsdb/block_reader.h"
#include "engine/tsdb/catalogue.h"
#include "protocol/json_write.h"
#include "tools/promtool/go_duration.h"
#include "tools/promtool/tsdb_folder.h"

enum { SERIES_AT_ONCE = 512 };

static const char *const formats[] = {"text", "json", NULL};

size_t tsdb_analyze_flags(struct promtool *p, struct setting *rows)
{
    const struct setting all[] = {
        {"limit", .number = &p->limit, .default_text = "20",
         .help = "How many items to show in each list."},
        {"extended", .flag = &p->extended,
         .help = "Run extended analysis: how many samples columns hold."},
        {"match", .list = &p->matches, .placeholder = "MATCH",
         .help = "Series selector to analyze. Only 1 set of matchers is supported now."},
        {"format", 'o', .text = &p->format, .choices = formats, .default_text = "text",
         .help = "Output format: text or json."},
    };
    memcpy(rows, all, sizeof all);
    return countof(all);
}

struct item {
    struct str text;
    uint64_t cost;
};

struct ranking {
    const char *title, *key;
    struct item *items;
    size_t n;
};

enum list_kind { CHURN_PAIRS, CHURN_NAMES, COMMON_PAIRS, LENGTHS, CARDINALITIES, METRICS, LISTS };

struct pair {
    struct str value;
    uint64_t uncovered, series; // ms of the file's range that its series do not cover
};

struct analysis {
    struct tsdb_job job;
    struct arena arena;   // of the whole
    struct arena samples; // of some series
    struct block_file *f;
    struct pair *pairs;
    struct ranking lists[LISTS];
    uint64_t entries, names, unique, matched;
    uint64_t least, most, all, columns; // samples of series, and how many have some
};

// ---- counting

static int64_t range_of(const struct analysis *a)
{
    const struct block_summary *const s = block_file_summary(a->f);
    return s->max_t + 1 - s->min_t;
}

static void count_list(struct analysis *a, const struct block_lists *l, uint32_t item,
                       uint64_t uncovered)
{
    for (size_t i = item ? l->ends[item - 1] : 0; i < l->ends[item]; i++) {
        a->pairs[l->pairs[i]].uncovered += uncovered;
        a->pairs[l->pairs[i]].series++;
        a->entries++;
    }
}

static void count_samples(struct analysis *a, uint64_t n)
{
    a->least = n < a->least ? n : a->least;
    a->most = n > a->most ? n : a->most;
    a->all += n;
    a->columns++;
}

static err load_lists(struct analysis *a, enum block_section section, struct block_lists *out,
                      struct errmsg *e)
{
    const uint32_t n = a->f->footer.sections[section].items;
    uint32_t *const items = arena_array(&a->arena, n + 1, uint32_t);
    for (uint32_t i = 0; i < n; i++)
        items[i] = i;
    TRY(block_table_load(a->f, section, e));
    return block_lists_load(a->f, section, items, n, &a->arena, out, e);
}

static err count_series(struct analysis *a, const struct block_hit *hits, size_t n,
                        struct errmsg *e)
{
    struct block_lists sets, tuples;
    uint32_t ids[SERIES_AT_ONCE];
    struct column columns[SERIES_AT_ONCE];
    TRY(load_lists(a, BLOCK_SETS, &sets, e));
    TRY(load_lists(a, BLOCK_TUPLES, &tuples, e));
    for (size_t from = 0; from < n; from += SERIES_AT_ONCE) {
        const size_t some = n - from < SERIES_AT_ONCE ? n - from : SERIES_AT_ONCE;
        for (size_t i = 0; i < some; i++)
            ids[i] = hits[from + i].id;
        arena_reset(&a->samples);
        TRY(block_file_read(a->f, ids, some, INT64_MIN, INT64_MAX, &a->samples, columns, e));
        for (size_t i = 0; i < some; i++) {
            const struct column *const c = &columns[i];
            const int64_t covered = c->n ? c->t[c->n - 1] - c->t[0] : 0;
            const uint64_t uncovered = (uint64_t)(range_of(a) - covered);
            count_list(a, &sets, hits[from + i].set, uncovered);
            count_list(a, &tuples, hits[from + i].tuple, uncovered);
            count_samples(a, c->n);
        }
    }
    return ERR_OK;
}

static bool see_pair(void *arg, uint32_t pair, struct str value)
{
    struct analysis *const a = arg;
    a->pairs[pair].value = arena_str(&a->arena, value);
    return true;
}

// ---- lists

static void add(struct ranking *l, struct str text, uint64_t cost)
{
    l->items[l->n++] = (struct item){text, cost};
}

static uint64_t share(const struct analysis *a, uint64_t uncovered)
{
    return (uint64_t)((double)uncovered / (double)range_of(a));
}

static void add_name(struct analysis *a, uint32_t number)
{
    const struct block_names *const names = &a->f->names;
    const struct str name = names->names[number];
    const bool is_metric = str_eq(name, LABEL_NAME);
    uint64_t uncovered = 0, length = 0, values = 0;
    for (uint32_t i = names->first[number]; i < names->first[number + 1]; i++) {
        const struct pair *const pair = &a->pairs[i];
        if (!pair->series)
            continue;
        const struct str text =
            arena_printf(&a->arena, "%.*s=%.*s", STR_ARG(name), STR_ARG(pair->value));
        add(&a->lists[CHURN_PAIRS], text, share(a, pair->uncovered));
        add(&a->lists[COMMON_PAIRS], text, pair->series);
        if (is_metric)
            add(&a->lists[METRICS], pair->value, pair->series);
        uncovered += pair->uncovered;
        length += pair->value.n;
        values++;
    }
    a->unique += values;
    a->names += values > 0;
    if (!values)
        return;
    add(&a->lists[CHURN_NAMES], name, share(a, uncovered));
    add(&a->lists[LENGTHS], name, length);
    add(&a->lists[CARDINALITIES], name, values);
}

static int compare_items(const void *x, const void *y)
{
    const struct item *const a = x, *const b = y;
    if (a->cost != b->cost)
        return a->cost < b->cost ? 1 : -1;
    return str_cmp(a->text, b->text);
}

static void make_lists(struct analysis *a, uint32_t pairs_n)
{
    static const char *const titles[LISTS][2] = {
        [CHURN_PAIRS] = {"Label pairs most involved in churning", "churningPairs"},
        [CHURN_NAMES] = {"Label names most involved in churning", "churningNames"},
        [COMMON_PAIRS] = {"Most common label pairs", "commonPairs"},
        [LENGTHS] = {"Label names with highest cumulative label value length", "valueLengths"},
        [CARDINALITIES] = {"Highest cardinality labels", "labelCardinalities"},
        [METRICS] = {"Highest cardinality metric names", "metricCardinalities"},
    };
    const uint64_t limit = (uint64_t)a->job.p->limit;
    for (size_t i = 0; i < LISTS; i++) {
        a->lists[i].title = titles[i][0];
        a->lists[i].key = titles[i][1];
        a->lists[i].items = arena_array(&a->arena, (size_t)pairs_n + 1, struct item);
    }
    for (uint32_t i = 0; i < a->f->names.n; i++)
        add_name(a, i);
    for (size_t i = 0; i < LISTS; i++) {
        struct ranking *const l = &a->lists[i];
        qsort(l->items, l->n, sizeof *l->items, compare_items);
        l->n = l->n < limit ? l->n : limit;
    }
}

static err analyze_file(struct analysis *a, struct errmsg *e)
{
    const struct promql_options options = promtool_promql(a->job.p);
    struct promql_query query = {0};
    struct block_hit *hits;
    size_t n = 0;
    const uint32_t pairs_n = a->f->footer.sections[BLOCK_PAIRS].items;
    if (a->job.p->matches.n)
        TRY(promql_parse_selector(a->job.p->matches.items[0], &options, &a->arena, &query, e));
    err code = block_hits(a->f, query.expr ? query.expr->vector.matchers : NULL,
                          query.expr ? query.expr->vector.matchers_count : 0,
                          (struct block_range){0, UINT32_MAX}, 0, &a->arena, &hits, &n, e);
    if (query.expr)
        promql_parse_done(&query);
    TRY(code);
    a->matched = n;
    a->least = UINT64_MAX;
    a->pairs = arena_zalloc(&a->arena, ((size_t)pairs_n + 1) * sizeof *a->pairs, 8);
    TRY(block_names_load(a->f, e));
    TRY(block_pairs_walk(a->f, 0, pairs_n, e, a, see_pair));
    TRY(count_series(a, hits, n, e));
    make_lists(a, pairs_n);
    return ERR_OK;
}

// ---- printing

static void print_text(struct analysis *a, uint64_t id)
{
    struct buf *const out = &a->job.out;
    const struct promtool *const p = a->job.p;
    buf_printf(out, "Block ID: %016llx\nDuration: ", (unsigned long long)id);
    go_duration_format(range_of(a), out);
    buf_printf(out, "\nTotal Series: %llu\n", (unsigned long long)block_file_summary(a->f)->series);
    if (p->matches.n)
        buf_printf(out, "Matcher: %.*s\n", STR_ARG(p->matches.items[0]));
    buf_printf(out, "Label names: %llu\n", (unsigned long long)a->names);
    if (p->matches.n)
        buf_printf(out, "Matched series: %llu\n", (unsigned long long)a->matched);
    buf_printf(out,
               "Postings (unique label pairs): %llu\nPostings entries (total label pairs): %llu\n",
               (unsigned long long)a->unique, (unsigned long long)a->entries);
    for (size_t i = 0; i < LISTS; i++) {
        buf_printf(out, "\n%s:\n", a->lists[i].title);
        for (size_t k = 0; k < a->lists[i].n; k++)
            buf_printf(out, "%llu %.*s\n", (unsigned long long)a->lists[i].items[k].cost,
                       STR_ARG(a->lists[i].items[k].text));
    }
    if (p->extended && a->columns)
        buf_printf(out, "\nsamples per series (min/avg/max): %llu/%llu/%llu\n",
                   (unsigned long long)a->least, (unsigned long long)(a->all / a->columns),
                   (unsigned long long)a->most);
}

static void print_json(struct analysis *a, uint64_t id)
{
    struct json j;
    char text[24];
    snprintf(text, sizeof text, "%016llx", (unsigned long long)id);
    json_init(&j, &a->job.out);
    json_object_begin(&j);
    json_key(&j, "id");
    json_cstr(&j, text);
    const struct {
        const char *key;
        uint64_t value;
    } rows[] = {{"durationMs", (uint64_t)range_of(a)},
                {"series", block_file_summary(a->f)->series},
                {"matchedSeries", a->matched},
                {"samples", a->all},
                {"labelNames", a->names},
                {"labelPairs", a->unique},
                {"labelPairEntries", a->entries}};
    for (size_t i = 0; i < countof(rows); i++) {
        json_key(&j, rows[i].key);
        json_u64(&j, rows[i].value);
    }
    for (size_t i = 0; i < LISTS; i++) {
        json_key(&j, a->lists[i].key);
        json_array_begin(&j);
        for (size_t k = 0; k < a->lists[i].n; k++) {
            json_object_begin(&j);
            json_key(&j, "name");
            json_str_plain(&j, a->lists[i].items[k].text);
            json_key(&j, "value");
            json_u64(&j, a->lists[i].items[k].cost);
            json_object_end(&j);
        }
        json_array_end(&j);
    }
    json_object_end(&j);
    buf_put_char(&a->job.out, '\n');
}

// ---- which file

static err find_file(struct analysis *a, const struct catalogue *c, uint64_t *out_id,
                     struct errmsg *e)
{
    const struct promtool *const p = a->job.p;
    const char *const wanted = p->args.n > 1 ? p->args.items[1].p : NULL;
    const struct catalogue_file *found = NULL;
    size_t n;
    const struct catalogue_file *const files = catalogue_files(c, &n);
    for (size_t i = 0; i < n; i++) {
        char id[24];
        snprintf(id, sizeof id, "%016llx", (unsigned long long)files[i].id);
        if (wanted ? !strcmp(wanted, id) : !found || files[i].min_t_ms >= found->min_t_ms)
            found = &files[i];
    }
    if (!found)
        return wanted ? err_set(e, ERR_NOTFOUND, "block %s not found", wanted)
                      : err_set(e, ERR_NOTFOUND, "no blocks found");
    char path[CATALOGUE_PATH_MAX];
    *out_id = found->id;
    TRY(catalogue_block_path(c, found->id, path, sizeof path, e));
    return block_file_open(path, BLOCK_CACHE_DEFAULT_BYTES, &a->f, e);
}

static void analyze(void *arg)
{
    struct analysis *const a = arg;
    const struct catalogue_options options = {
        .partitions = 1, .read_only = true, .log = &tsdb_job_log};
    struct catalogue *c;
    struct errmsg e;
    uint64_t id = 0;
    if (!tsdb_job_begin(&a->job))
        return;
    if (catalogue_open(a->job.path, &options, &c, &e)) {
        tsdb_job_fail(&a->job, "%s", e.text);
        return;
    }
    arena_init(&a->arena, 0);
    arena_init(&a->samples, 0);
    if (find_file(a, c, &id, &e) || analyze_file(a, &e))
        tsdb_job_fail(&a->job, "%s", e.text);
    else if (tsdb_job_as_json(&a->job))
        print_json(a, id);
    else
        print_text(a, id);
    block_file_unref(a->f);
    arena_deinit(&a->samples);
    arena_deinit(&a->arena);
    catalogue_close(c);
}

int tsdb_analyze(const struct promtool *p)
{
    struct analysis a = {.job.p = p};
    if (p->matches.n > 1)
        return promtool_refuse(p, "flag 'match' cannot be repeated");
    return tsdb_job_run(&a.job, analyze);
}
