// A file of any bytes, with its checksums put right so that what they guard is reached, is refused
// as corrupt or answers consistently.
#include <stdio.h>
#include <unistd.h>

#include "engine/base/util.h"
#include "engine/model/histogram.h"
#include "engine/model/labels.h"
#include "engine/tsdb/block_format.h"
#include "engine/tsdb/fsck_state.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/in_loop.h"

static void put_right_section(uint8_t *p, size_t end, uint8_t *section)
{
    const uint64_t table = load_le64(section), chunks = load_le32(section + 8);
    if (table > end || chunks > (end - table) / BLOCK_CHUNK_BYTES)
        return;
    for (uint64_t i = 0; i < chunks; i++) {
        uint8_t *at = p + table + i * BLOCK_CHUNK_BYTES;
        struct block_chunk c = block_chunk_load(at);
        if (c.offset > end || c.size > end - c.offset)
            continue;
        c.crc = block_chunk_crc(c.offset, p + c.offset, c.size);
        block_chunk_store(&c, at);
    }
    store_le32(section + 16, block_chunk_crc(table, p + table, chunks * BLOCK_CHUNK_BYTES));
}

static void put_right(uint8_t *p, size_t n)
{
    const uint32_t stored = load_le32(p + 8);
    const uint32_t version =
        stored < BLOCK_VERSION_MIN || stored > BLOCK_VERSION ? BLOCK_VERSION : stored;
    const size_t size = block_footer_size(version), end = n - size;
    uint8_t *footer = p + end, *sections = footer + 8 + 4 * 5 + 8 * 5;
    block_header_store(load_le32(p + 12), load_le32(p + 16), p);
    store_le32(p + 8, version);
    store_le32(p + 20, block_chunk_crc(0, p, 20));
    memcpy(footer, p, 12);
    store_le64(sections - 8, n);
    for (unsigned i = 0; i < (version == 1 ? BLOCK_SECTIONS_1 : BLOCK_SECTION_COUNT); i++)
        put_right_section(p, end, sections + i * (size_t)BLOCK_SECTION_BYTES);
    store_le32(footer + size - 4, block_chunk_crc(end, footer, size - 4));
}

static bool is_good(err code, const struct errmsg *e)
{
    if (code != ERR_OK && code != ERR_CORRUPT)
        fprintf(stderr, "%s: %s\n", err_name(code), e->text);
    fuzz_must(code == ERR_OK || code == ERR_CORRUPT);
    return code == ERR_OK;
}

static void check_columns(const struct column *columns, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 1; k < columns[i].n; k++)
            fuzz_must(columns[i].t[k] > columns[i].t[k - 1]);
        for (size_t k = 0; columns[i].histograms && k < columns[i].n; k++)
            fuzz_must(!columns[i].histograms[k].p || histogram_is_packed(columns[i].histograms[k]));
    }
}

static err take_some(void *arg, const struct block_series *series, size_t n, struct errmsg *e)
{
    for (size_t i = 0; i < n; i++)
        TRY(least_add(arg, series[i].labels, e));
    return ERR_OK;
}

static void ask(struct block_file *f, const struct matcher *ms, size_t n)
{
    static const struct block_range ranges[] = {{0, UINT32_MAX}, {1, 9}};
    for (size_t i = 0; i < countof(ranges); i++) {
        struct arena a;
        struct errmsg e;
        struct block_series *series = NULL;
        struct least texts;
        size_t count = 0;
        arena_init(&a, 0);
        least_init(&texts, &a, 0, false);
        (void)is_good(block_file_label_names(f, ms, n, ranges[i], &texts, &e), &e);
        (void)is_good(block_file_label_values(f, STR("job"), ms, n, ranges[i], &texts, &e), &e);
        (void)is_good(least_finish(&texts, &e), &e);
        (void)is_good(block_file_each(f, ms, n, ranges[i], &a, &texts, &e, take_some), &e);
        least_deinit(&texts);
        if (is_good(block_file_select(f, ms, n, ranges[i], 0, &a, &series, &count, &e), &e)) {
            struct column *columns = arena_array(&a, count, struct column);
            uint32_t *ids = arena_array(&a, count, uint32_t);
            for (size_t k = 0; k < count; k++) {
                ids[k] = series[k].id;
                fuzz_must(labels_check(series[k].labels)); // which match is the postings' word
                fuzz_must(series[k].partition >= ranges[i].begin &&
                          series[k].partition < ranges[i].end);
            }
            if (is_good(block_file_read(f, ids, count, INT64_MIN, INT64_MAX, &a, columns, &e), &e))
                check_columns(columns, count);
        }
        arena_deinit(&a);
    }
}

struct run {
    char path[64], merged[80];
    const struct regex *regex;
};

static void see_finding(void *arg, const struct fsck_finding *f)
{
    const struct run *r = arg;
    fuzz_must(f->what[0] && !strcmp(f->path, r->path));
}

static void check(struct run *r)
{
    static const struct fsck_ops ops = {see_finding, NULL};
    struct fsck k = {.dir = "/", .ops = &ops, .arg = r};
    fsck_block(&k, r->path, NULL);
}

static void open_and_ask(void *arg)
{
    struct run *r = arg;
    check(r);
    const struct matcher ms[] = {{MATCHER_NE, STR("mode"), STR("idle"), NULL},
                                 {MATCHER_RE, LABEL_NAME, STR("n.*|up"), r->regex},
                                 {MATCHER_EQ, STR("instance"), STR("a:1"), NULL}};
    struct block_file *f;
    struct errmsg e;
    struct block_summary summary;
    if (!is_good(block_file_open(r->path, 4096, &f, &e), &e))
        return;
    for (size_t n = 0; n <= countof(ms); n++)
        ask(f, ms, n);
    struct block_file *const both[] = {f, f};
    unlink(r->merged);
    const err code = block_merge(both, 2, (struct block_range){0, UINT32_MAX}, r->merged, INT64_MIN,
                                 &summary, &e);
    if (code != ERR_INVALID) // labels that no writer makes
        (void)is_good(code, &e);
    block_file_unref(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run r;
    struct regex *regex;
    FILE *file;
    if (size < BLOCK_HEADER_BYTES + BLOCK_FOOTER_BYTES)
        return 0;
    const struct str input = fuzz_exact(data, size);
    snprintf(r.path, sizeof r.path, "/dev/shm/ferula-fuzz-%d", (int)getpid());
    snprintf(r.merged, sizeof r.merged, "%s-merged", r.path);
    put_right((uint8_t *)(uintptr_t)input.p, input.n);
    file = fopen(r.path, "wbe");
    fuzz_must(file && fwrite(input.p, 1, input.n, file) == input.n && fclose(file) == 0);
    fuzz_must(regex_create(STR("n.*|up"), REGEX_ANCHORED, &regex, NULL) == ERR_OK);
    r.regex = regex;
    in_loop(IN_LOOP_POLL, open_and_ask, &r);
    regex_destroy(regex);
    unlink(r.path);
    unlink(r.merged);
    fuzz_release(input);
    return 0;
}
