// check metrics: the text format from standard input or files, linted and counted.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/utf8.h"
#include "engine/base/util.h"
#include "tools/promtool/metric_lint.h"
#include "tools/promtool/promtool.h"

enum { READ_PART = 1 << 16, COLUMN_GAP = 4 };

size_t check_metrics_flags(struct promtool *p, struct setting *rows)
{
    rows[0] = (struct setting){"lint", .text = &p->lint, .default_text = "all",
                               .help = "Linting checks to apply for metrics. Available options "
                                       "are: all, none. Use --lint=none to disable metrics "
                                       "linting."};
    return 1;
}

static bool read_all(FILE *f, struct buf *out)
{
    size_t n;
    do {
        n = fread(buf_reserve(out, READ_PART), 1, READ_PART, f);
        out->n += n;
    } while (n > 0);
    return !ferror(f);
}

// ---- --extended

struct count {
    struct str name;
    size_t series;
};

static int cmp_counts(const void *a, const void *b)
{
    const struct count *const x = a, *const y = b;
    if (x->series != y->series)
        return x->series < y->series ? 1 : -1;
    return str_cmp(x->name, y->name);
}

// Lines that a family stands for; of histograms and summaries as its first metric has them.
static size_t count_series(const struct metric_family *f)
{
    const bool has_parts =
        f->has_type && (f->type == METRIC_HISTOGRAM || f->type == METRIC_SUMMARY);
    return has_parts ? f->n * (2 + f->metrics[0].parts) : f->n;
}

struct table {
    struct buf cells; // a NUL behind each
    size_t widths[3], n;
};

static void put_cell(struct table *t, struct str text)
{
    const size_t width = utf8_count(text);
    size_t *const column = &t->widths[t->n++ % 3];
    *column = width > *column ? width : *column;
    buf_put_str(&t->cells, text);
    buf_put_char(&t->cells, '\0');
}

static void put_row(struct table *t, struct str name, size_t series, const char *percent)
{
    char number[24];
    snprintf(number, sizeof number, "%zu", series);
    put_cell(t, name);
    put_cell(t, str_from_c(number));
    put_cell(t, str_from_c(percent));
}

static void print_table(const struct table *t)
{
    const char *at = t->cells.p;
    for (size_t i = 0; i < t->n; i++) {
        const struct str cell = str_from_c(at);
        const size_t pad = t->widths[i % 3] + COLUMN_GAP - utf8_count(cell);
        printf("%s%*s%s", at, (int)pad, "", i % 3 == 2 ? "\n" : "");
        at += cell.n + 1;
    }
}

static void print_counts(const struct metric_families *families)
{
    struct count *const all = mem_alloc_array(families->n + 1, sizeof *all);
    size_t n = 0, total = 0;
    for (size_t i = 0; i < families->n; i++) {
        if (!families->items[i].n)
            continue;
        all[n] = (struct count){families->items[i].name, count_series(&families->items[i])};
        total += all[n++].series;
    }
    qsort(all, n, sizeof *all, cmp_counts);
    struct table t = {0};
    put_cell(&t, STR("Metric"));
    put_cell(&t, STR("Cardinality"));
    put_cell(&t, STR("Percentage"));
    for (size_t i = 0; i < n; i++) {
        char percent[32];
        snprintf(percent, sizeof percent, "%.2f%%", (double)all[i].series / (double)total * 100);
        put_row(&t, all[i].name, all[i].series, percent);
    }
    put_row(&t, STR("Total"), total, "100%");
    print_table(&t);
    buf_deinit(&t.cells);
    mem_free(all);
}

static int check(const struct promtool *p, struct metric_families *families)
{
    struct metric_problems problems = {0};
    if (!str_eq(p->lint, STR("none")))
        metric_lint(families, &problems);
    for (size_t i = 0; i < problems.n; i++)
        fprintf(stderr, "%.*s %.*s\n", STR_ARG(problems.items[i].metric),
                STR_ARG(problems.items[i].text));
    if (p->extended)
        print_counts(families);
    const int code = problems.n ? PROMTOOL_LINT : PROMTOOL_OK;
    metric_problems_deinit(&problems);
    return code;
}

// A file, or standard input (NULL or "-"), in out.
static bool read_input(const char *path, struct buf *out)
{
    if (!path || !strcmp(path, "-"))
        return read_all(stdin, out);
    FILE *const f = fopen(path, "rbe");
    const bool is_read = f && read_all(f, out);
    if (f)
        fclose(f);
    return is_read;
}

static int check_input(const struct promtool *p, const char *path)
{
    const bool lints = !str_eq(p->lint, STR("none"));
    struct buf text = {0};
    struct metric_families families = {0};
    struct errmsg e;
    int code = PROMTOOL_FAILED;
    if (!read_input(path, &text))
        fprintf(stderr, "error while reading %s: %s\n", path ? path : "standard input",
                strerror(errno));
    else if (metric_families_parse(buf_str(&text), &families, &e))
        fprintf(stderr, "%s: %s\n",
                lints ? "error while linting" : "error while parsing text to metric families",
                e.text);
    else
        code = check(p, &families);
    metric_families_deinit(&families);
    buf_deinit(&text);
    return code;
}

int check_metrics(const struct promtool *p)
{
    if (!p->extended && str_eq(p->lint, STR("none"))) {
        fprintf(stderr, "error: at least one of --extended or linting must be enabled\n"
                        "Use --extended for cardinality analysis, or remove --lint=none to enable "
                        "linting\n");
        return PROMTOOL_FAILED;
    }
    int worst = p->args.n ? PROMTOOL_OK : check_input(p, NULL);
    for (size_t i = 0; i < p->args.n; i++) {
        const int code = check_input(p, p->args.items[i].p);
        if (code == PROMTOOL_FAILED || worst == PROMTOOL_OK)
            worst = code;
    }
    return worst;
}
