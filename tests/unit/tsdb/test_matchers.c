// Random matchers over random labels: memory and a file find what trying each series finds.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/mem.h"
#include "engine/base/rng.h"
#include "engine/base/util.h"
#include "engine/model/labels.h"
#include "engine/tsdb/tsdb_part.h"
#include "tests/lib/in_loop.h"

enum { SERIES = 1500, QUESTIONS = 250, MATCHERS_MAX = 4, VALUES = 600, TEXT = 96 };

struct world {
    struct rng rng;
    struct arena arena;
    struct tsdb *db;
    struct block_file *file;
    struct str values[VALUES]; // of instance and pod
    struct {
        struct str labels, tuple, local;
        uint64_t ref;
        uint32_t partition;
    } series[SERIES];
    size_t series_n;
    char dir[64], path[96];
    char wrong[1100]; // what was seen of the first difference
    size_t found;
};

static size_t below(struct world *w, size_t n)
{
    return (size_t)rng_below(&w->rng, n);
}

static struct str any_value(struct world *w)
{
    return w->values[below(w, VALUES)];
}

// Few beginnings, so that prefixes are many's; some with what regular expressions treat apart.
static void make_values(struct world *w)
{
    static const char *const begins[] = {"host-", "host-1", "HOST-", "node.", "a\n",
                                         "",      "ho",     "äö",    "x"};
    static const char *const ends[] = {"", ":9100", ".local", "\n", "0"};
    for (size_t i = 0; i < VALUES; i++)
        w->values[i] = arena_printf(&w->arena, "%s%zu%s", begins[below(w, countof(begins))],
                                    below(w, 300), ends[below(w, countof(ends))]);
}

// In a file a label of some series stands in their tuple, that of others in their set.
static void add_series(struct world *w, size_t i)
{
    static const char *const jobs[] = {"x", "y", "xy"};
    static const char *const names[] = {"job", "instance", "pod", "opt"};
    struct labels_builder all = {0}, tuple = {0}, local = {0};
    const struct str values[] = {str_from_c(jobs[below(w, 3)]), any_value(w), any_value(w),
                                 any_value(w)};
    const struct str name = arena_printf(&w->arena, "metric_%zu", i * 7 / SERIES);
    labels_builder_set(&all, LABEL_NAME, name);
    labels_builder_set(&local, LABEL_NAME, name);
    for (size_t k = 0; k < countof(names); k++) {
        if (k > 0 && below(w, k * 2) > 1)
            continue; // absent
        labels_builder_set(&all, str_from_c(names[k]), values[k]);
        labels_builder_set(below(w, 5) < 4 - k ? &tuple : &local, str_from_c(names[k]), values[k]);
    }
    const struct str labels = labels_builder_finish(&all, &w->arena);
    const struct hash128 hash = labels_hash(labels, tsdb_hash_seed(w->db));
    const uint64_t ref = tsdb_series(w->db, labels, hash, i % 10);
    bool is_new = true;
    for (size_t k = 0; k < w->series_n; k++)
        is_new &= w->series[k].ref != ref;
    struct tsdb_sample s = {ref, 1000, 0};
    struct tsdb_commit c = {.samples = &s, .n = 1, .max_t_ms = INT64_MAX};
    if (is_new && tsdb_commit(w->db, &c, NULL) == ERR_OK) {
        w->series[w->series_n].labels = labels;
        w->series[w->series_n].tuple = labels_builder_finish(&tuple, &w->arena);
        w->series[w->series_n].local = labels_builder_finish(&local, &w->arena);
        w->series[w->series_n].ref = ref;
        w->series[w->series_n++].partition = (uint32_t)below(w, 8);
    }
    labels_builder_deinit(&all);
    labels_builder_deinit(&tuple);
    labels_builder_deinit(&local);
}

static err write_file(struct world *w, struct errmsg *e)
{
    const int64_t t = 1000;
    const double v = 0;
    struct block_writer *writer;
    struct block_summary summary;
    TRY(block_writer_create(w->path, 0, 0, &writer, e));
    err code = ERR_OK;
    for (size_t i = 0; i < w->series_n && code == ERR_OK; i++) {
        const struct block_key key = {w->series[i].partition, w->series[i].tuple,
                                      w->series[i].local};
        code = block_writer_add(writer, &key, &(struct column){.t = &t, .v = &v, .n = 1}, e);
    }
    if (code == ERR_OK)
        code = block_writer_finish(writer, &summary, e);
    block_writer_destroy(writer);
    return code == ERR_OK ? block_file_open(w->path, 4096, &w->file, e) : code;
}

static struct str any_piece(struct world *w)
{
    const struct str v = any_value(w);
    const size_t from = below(w, v.n + 1);
    return str_until(str_from(v, from), below(w, v.n - from + 1));
}

// A regular expression near the values.
static struct str make_regex(struct world *w)
{
    static const char *const some[] = {".*",  ".+", ".", "\\d+", "[0-9]", "(1|2)?",
                                       "\\n", "",   "-", "|",    "[^h]",  "h{1,2}"};
    struct buf text = {0};
    const size_t parts = 1 + below(w, 4);
    if (below(w, 12) == 0)
        buf_put_str(&text, STR("(?i)"));
    for (size_t i = 0; i < parts; i++) {
        const struct str piece = below(w, 2) ? any_value(w) : any_piece(w);
        const char *other = some[below(w, countof(some))];
        if (below(w, 2))
            buf_put_str(&text, str_from_c(other));
        if (below(w, 2))
            for (size_t k = 0; k < piece.n; k++) {
                if (piece.p[k] == '.')
                    buf_put_char(&text, '\\');
                buf_put_char(&text, piece.p[k]);
            }
        if (i + 1 < parts && below(w, 3) == 0)
            buf_put_char(&text, '|');
    }
    const struct str made = arena_str(&w->arena, buf_str(&text));
    buf_deinit(&text);
    return made;
}

static size_t make_matchers(struct world *w, struct matcher *ms)
{
    static const char *const names[] = {"instance", "pod", "opt", "job", "__name__", "nothing"};
    const size_t n = 1 + below(w, MATCHERS_MAX);
    for (size_t i = 0; i < n; i++) {
        struct regex *regex = NULL;
        enum matcher_kind kind = (enum matcher_kind)below(w, 4);
        const struct str name = str_from_c(names[below(w, below(w, 2) ? 2 : countof(names))]);
        struct str value = below(w, 8) ? any_value(w) : STR("");
        if (str_eq(name, STR("job")) && below(w, 2))
            value = STR("x");
        if (kind == MATCHER_RE || kind == MATCHER_NRE) {
            value = make_regex(w);
            if (regex_create(value, REGEX_MATCHER, &regex, NULL) != ERR_OK)
                kind = MATCHER_EQ; // a piece of a character's bytes
        }
        ms[i] = (struct matcher){kind, name, value, regex};
    }
    return n;
}

// found[i]: series i; each once.
static err find_in_memory(struct world *w, const struct matcher *ms, size_t n, unsigned *found,
                          struct errmsg *e)
{
    struct head_found_list list;
    struct arena a;
    arena_init(&a, 0);
    const err code = head_select(&tsdb_part(w->db)->head, ms, n, 0, 2000, 0, &a, &list, e);
    for (size_t i = 0; code == ERR_OK && i < list.n; i++)
        for (size_t k = 0; k < w->series_n; k++)
            found[k] += w->series[k].ref == list.items[i].ref;
    if (code == ERR_OK)
        arena_mem_free(&a, list.items, list.capacity, sizeof *list.items);
    arena_deinit(&a);
    return code;
}

static err find_in_file(struct world *w, const struct matcher *ms, size_t n,
                        struct block_range range, unsigned *found, struct errmsg *e)
{
    struct block_series *series;
    size_t series_n;
    struct arena a;
    arena_init(&a, 0);
    const err code = block_file_select(w->file, ms, n, range, 0, &a, &series, &series_n, e);
    for (size_t i = 0; code == ERR_OK && i < series_n; i++)
        for (size_t k = 0; k < w->series_n; k++)
            found[k] += w->series[k].partition == series[i].partition &&
                        str_eq(w->series[k].labels, series[i].labels);
    arena_deinit(&a);
    return code;
}

static void say(struct world *w, const char *where, const struct matcher *ms, size_t n, size_t i)
{
    struct buf text = {0};
    for (size_t k = 0; k < n; k++) {
        matcher_format(&ms[k], &text);
        buf_put_char(&text, ' ');
    }
    snprintf(w->wrong, sizeof w->wrong, "%s: %.*s: series %zu of %zu", where, (int)buf_str(&text).n,
             buf_str(&text).p, i, w->series_n);
    buf_deinit(&text);
}

static err ask(struct world *w, struct errmsg *e)
{
    struct matcher ms[MATCHERS_MAX];
    unsigned in_memory[SERIES] = {0}, in_file[SERIES] = {0};
    struct block_range range = {0, 8};
    if (below(w, 4) == 0)
        range = (struct block_range){(uint32_t)below(w, 4), 4 + (uint32_t)below(w, 4)};
    const size_t n = make_matchers(w, ms);
    TRY(find_in_memory(w, ms, n, in_memory, e));
    for (size_t round = 0; round < 2 && !w->wrong[0]; round++) { // again: by what was kept
        memset(in_file, 0, sizeof in_file);
        TRY(find_in_file(w, ms, n, range, in_file, e));
        for (size_t i = 0; i < w->series_n && !w->wrong[0]; i++) {
            const unsigned wanted = matchers_match(ms, n, w->series[i].labels);
            const bool within =
                w->series[i].partition >= range.begin && w->series[i].partition < range.end;
            w->found += wanted;
            if (in_memory[i] != wanted)
                say(w, "memory", ms, n, i);
            else if (in_file[i] != (within ? wanted : 0))
                say(w, "file", ms, n, i);
        }
    }
    for (size_t i = 0; i < n; i++)
        regex_destroy((struct regex *)(uintptr_t)ms[i].regex);
    return ERR_OK;
}

static void run(void *arg)
{
    struct world *w = arg;
    struct errmsg e = {0};
    const struct tsdb_options options = {.path = NULL};
    err code = tsdb_open(&options, &w->db, &e);
    make_values(w);
    for (size_t i = 0; i < SERIES && code == ERR_OK; i++)
        add_series(w, i);
    if (code == ERR_OK)
        code = write_file(w, &e);
    for (size_t i = 0; i < QUESTIONS && code == ERR_OK && !w->wrong[0]; i++)
        code = ask(w, &e);
    if (code != ERR_OK)
        snprintf(w->wrong, sizeof w->wrong, "%s: %s", err_name(code), e.text);
    block_file_unref(w->file);
    unlink(w->path);
    if (w->db && tsdb_close(w->db, &e) != ERR_OK && !w->wrong[0])
        snprintf(w->wrong, sizeof w->wrong, "close: %s", e.text);
}

Test(matchers, random)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct world *w = mem_zalloc(sizeof *w);
        rng_init(&w->rng, seed);
        arena_init(&w->arena, 0);
        snprintf(w->dir, sizeof w->dir, "/tmp/test_matchers.XXXXXX");
        cr_assert(mkdtemp(w->dir));
        snprintf(w->path, sizeof w->path, "%s/file", w->dir);
        in_loop(IN_LOOP_URING, run, w);
        rmdir(w->dir);
        cr_assert(!w->wrong[0], "seed %llu: %s", (unsigned long long)seed, w->wrong);
        cr_assert(w->found > SERIES);
        arena_deinit(&w->arena);
        mem_free(w);
    }
}
