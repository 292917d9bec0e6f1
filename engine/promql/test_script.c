#include "engine/promql/test_script.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/duration.h"
#include "engine/base/mem.h"
#include "engine/base/number.h"
#include "engine/base/regex.h"
#include "engine/base/util.h"
#include "engine/model/labels.h"
#include "engine/model/value.h"
#include "engine/promql/eval.h"
#include "engine/promql/parser.h"
#include "engine/promql/test_refusal.h"
#include "engine/promql/test_series.h"

enum { EXPECT_MAX = 64, MINUTE_MS = 60000 };

struct expectation { // expect warn, info, fail: what the text must be
    enum {
        EXPECT_FAIL,
        EXPECT_WARN,
        EXPECT_INFO,
        EXPECT_NO_WARN,
        EXPECT_NO_INFO,
        EXPECT_ORDERED,
        EXPECT_KINDS
    } kind;
    enum { EXPECT_ANY, EXPECT_MSG, EXPECT_REGEX } form;
    struct str text;
};

struct loaded_series {
    struct test_series series;
    size_t line;
    bool has_start_timestamps;
    bool is_replaced; // by a later line of the same command
};

struct expected_series {
    struct test_series series;
    bool seen;
};

struct test_case {
    size_t line; // of the eval command
    struct str expr;
    bool is_range;
    int64_t start_ms, end_ms, step_ms;
    struct expectation expects[EXPECT_MAX];
    size_t expects_count;
    bool wants_string, wants_scalar, wants_samples; // of a range vector
    int64_t samples_start_ms, samples_step_ms;
    struct str string;
    double scalar;
    struct expected_series *series;
    size_t series_count, series_capacity;
};

struct script {
    struct str text; // what is left
    size_t line;     // of what was read last
    const struct test_script_storage *storage;
    struct test_script_report *report;
    struct arena arena; // of one command
    struct test_refusals refusals;
    struct test_refusing refusing[TEST_SCRIPT_PARTS_MAX]; // before the storage's parts
    struct storage parts[TEST_SCRIPT_PARTS_MAX];
    struct query_source source; // of these parts
};

// ---- lines

// The next line without comment and spaces around it: empty for a comment. False: no more.
static bool next_line(struct script *s, struct str *out)
{
    if (!str_split(&s->text, '\n', out))
        return false;
    s->line++;
    *out = str_trim(*out);
    if (out->n && out->p[0] == '#')
        *out = str_until(*out, 0);
    return true;
}

// The next line of a command's block, which an empty line ends.
static bool next_in_block(struct script *s, struct str *out)
{
    return next_line(s, out) && out->n;
}

static void skip_block(struct script *s)
{
    for (struct str line; next_in_block(s, &line);)
        continue;
}

static void fail(struct script *s, size_t line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void fail(struct script *s, size_t line, const char *format, ...)
{
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    s->report->failed++;
    if (s->report->fail)
        s->report->fail(s->report->arg, line, str_from_c(text));
}

static struct str take_word(struct str *s)
{
    size_t n = 0;
    while (n < s->n && s->p[n] != ' ' && s->p[n] != '\t')
        n++;
    const struct str word = str_until(*s, n);
    *s = str_trim(str_from(*s, n));
    return word;
}

static bool time_parse(struct str s, int64_t *out_ms)
{
    const bool minus = s.n && s.p[0] == '-';
    double seconds;
    if (minus)
        s = str_from(s, 1);
    if (duration_parse(s, out_ms, NULL) != ERR_OK) {
        if (number_parse_decimal(s, &seconds) != ERR_OK || !(fabs(seconds) < 1e12))
            return false;
        *out_ms = (int64_t)(seconds * 1000);
    }
    if (minus)
        *out_ms = -*out_ms;
    return true;
}

// ---- load

static const char histograms[] = "native histograms";

// load_with_nhcb also makes native histograms of classic ones, which stand without a suffix.
static void load_custom_buckets(struct script *s, const struct test_series *series, size_t at,
                                int64_t t_ms)
{
    const struct str name = labels_value(series->labels, LABEL_NAME);
    if (!str_has_suffix(name, STR("_bucket")) || series->values[at].kind == TEST_VALUE_NONE)
        return;
    struct labels_builder b = {0};
    labels_builder_load(&b, series->labels);
    labels_builder_del(&b, STR("le"));
    labels_builder_set(&b, LABEL_NAME, str_until(name, name.n - 7));
    const struct str labels = labels_builder_finish(&b, &s->arena);
    test_refusals_add(&s->refusals, labels, t_ms, histograms);
    labels_builder_deinit(&b);
}

static err load_floats(struct script *s, const struct test_series *series, int64_t gap_ms,
                       struct errmsg *e)
{
    const struct test_script_storage *st = s->storage;
    int64_t *t = arena_array(&s->arena, series->n, int64_t);
    double *v = arena_array(&s->arena, series->n, double);
    size_t n = 0;
    for (size_t i = 0; i < series->n; i++) {
        if (series->values[i].kind != TEST_VALUE_FLOAT)
            continue;
        t[n] = (int64_t)i * gap_ms;
        v[n++] = series->values[i].v;
    }
    const struct column samples = {.t = t, .v = v, .n = n};
    return n ? st->append(st->self, series->labels, &samples, e) : ERR_OK;
}

static void load_series(struct script *s, const struct loaded_series *loaded, int64_t gap_ms,
                        bool with_custom_buckets)
{
    const struct test_series *series = &loaded->series;
    struct errmsg e = {0};
    if (load_floats(s, series, gap_ms, &e))
        fail(s, loaded->line, "%s", e.text);
    for (size_t i = 0; i < series->n; i++) {
        const int64_t t_ms = (int64_t)i * gap_ms;
        if (loaded->has_start_timestamps)
            test_refusals_add(&s->refusals, series->labels, t_ms, "start timestamps");
        if (series->values[i].kind == TEST_VALUE_HISTOGRAM)
            test_refusals_add(&s->refusals, series->labels, t_ms, histograms);
        if (with_custom_buckets)
            load_custom_buckets(s, series, i, t_ms);
    }
}

static int compare_loaded(const void *left, const void *right)
{
    const struct loaded_series *a = *(struct loaded_series *const *)left;
    const struct loaded_series *b = *(struct loaded_series *const *)right;
    const int order = str_cmp(a->series.labels, b->series.labels);
    return order ? order : (a > b) - (a < b);
}

// Of several lines of one series the last one counts.
static void replace_repeated(struct script *s, struct loaded_series *all, size_t n)
{
    struct loaded_series **sorted = arena_array(&s->arena, n, struct loaded_series *);
    for (size_t i = 0; i < n; i++)
        sorted[i] = &all[i];
    if (n)
        qsort(sorted, n, sizeof(struct loaded_series *), compare_loaded);
    for (size_t i = 1; i < n; i++)
        sorted[i - 1]->is_replaced = str_eq(sorted[i - 1]->series.labels, sorted[i]->series.labels);
}

static struct loaded_series *read_loaded(struct script *s, size_t *out_n)
{
    struct loaded_series *all = NULL;
    size_t n = 0, capacity = 0;
    bool has_start_timestamps = false;
    for (struct str line; next_in_block(s, &line);) {
        struct test_series series;
        struct errmsg e = {0};
        if (test_series_parse(line, &s->arena, &series, &e)) {
            fail(s, s->line, "%s", e.text);
            continue;
        }
        if (!series.is_start_timestamps) {
            all = mem_grow(all, &capacity, n + 1, sizeof *all);
            all[n++] = (struct loaded_series){series, s->line, has_start_timestamps, false};
        }
        has_start_timestamps = series.is_start_timestamps;
    }
    *out_n = n;
    return all;
}

static void load(struct script *s, struct str args, bool with_custom_buckets)
{
    int64_t gap_ms;
    if (!time_parse(args, &gap_ms)) {
        fail(s, s->line, "not a duration: %.*s", STR_ARG(args));
        skip_block(s);
        return;
    }
    size_t n;
    struct loaded_series *all = read_loaded(s, &n);
    replace_repeated(s, all, n);
    for (size_t i = 0; i < n; i++)
        if (!all[i].is_replaced)
            load_series(s, &all[i], gap_ms, with_custom_buckets);
    mem_free(all);
}

// ---- eval: the command and what it expects

static bool take_prefix(struct str *s, struct str prefix)
{
    if (!str_has_prefix(*s, prefix))
        return false;
    *s = str_trim(str_from(*s, prefix.n));
    return true;
}

static bool eval_head(struct str args, struct test_case *c)
{
    if (take_prefix(&args, STR("instant "))) {
        if (!take_prefix(&args, STR("at ")) || !time_parse(take_word(&args), &c->start_ms))
            return false;
        c->end_ms = c->start_ms;
        c->expr = args;
        return true;
    }
    c->is_range = true;
    const bool ok = take_prefix(&args, STR("range ")) && take_prefix(&args, STR("from ")) &&
                    time_parse(take_word(&args), &c->start_ms) && take_prefix(&args, STR("to ")) &&
                    time_parse(take_word(&args), &c->end_ms) && take_prefix(&args, STR("step ")) &&
                    time_parse(take_word(&args), &c->step_ms);
    c->expr = args;
    return ok && c->step_ms > 0 && c->end_ms >= c->start_ms;
}

static bool add_expectation(struct test_case *c, struct expectation e)
{
    if (c->expects_count == EXPECT_MAX)
        return false;
    c->expects[c->expects_count++] = e;
    return true;
}

static bool no_expectation(struct errmsg *e)
{
    err_format(e, "invalid expect statement, must match `expect <type> <match_type> <string>` "
                  "format");
    return false;
}

// The text behind msg: or regex:, or nothing.
static bool expect_text(struct test_case *c, int kind, struct str rest, struct errmsg *e)
{
    struct expectation x = {.kind = (unsigned)kind, .form = EXPECT_ANY};
    struct regex *regex;
    struct errmsg reason;
    if (take_prefix(&rest, STR("msg:")))
        x.form = EXPECT_MSG;
    else if (take_prefix(&rest, STR("regex:")))
        x.form = EXPECT_REGEX;
    if (x.form == EXPECT_ANY ? rest.n > 0 : rest.n == 0)
        return no_expectation(e);
    x.text = rest;
    if (x.form == EXPECT_REGEX) {
        if (regex_create(rest, REGEX_SEARCH, &regex, &reason)) {
            err_format(e, "invalid regex %.*s: %s", STR_ARG(rest), reason.text);
            return false;
        }
        regex_destroy(regex);
    }
    return add_expectation(c, x);
}

// What may not stand together. NULL: nothing.
static const char *contradiction(const struct test_case *c)
{
    size_t counts[EXPECT_KINDS] = {0};
    for (size_t i = 0; i < c->expects_count; i++)
        counts[c->expects[i].kind]++;
    if (counts[EXPECT_FAIL] > 1)
        return "invalid expect lines, multiple expect fail lines are not allowed";
    if (counts[EXPECT_ORDERED] > 1)
        return "invalid expect lines, multiple expect ordered lines are not allowed";
    if (counts[EXPECT_NO_WARN] > 1)
        return "invalid expect lines, multiple expect no_warn lines are not allowed";
    if (counts[EXPECT_NO_INFO] > 1)
        return "invalid expect lines, multiple expect no_info lines are not allowed";
    if (counts[EXPECT_WARN] && counts[EXPECT_NO_WARN])
        return "invalid expect lines, warn and no_warn cannot be used together";
    if (counts[EXPECT_INFO] && counts[EXPECT_NO_INFO])
        return "invalid expect lines, info and no_info cannot be used together";
    return NULL;
}

static bool unquote(struct script *s, struct str text, struct str *out)
{
    struct promql_query parsed;
    const struct promql_options options = {0};
    if (promql_parse(text, &options, &s->arena, &parsed, NULL) ||
        parsed.expr->kind != PROMQL_STRING)
        return false;
    *out = parsed.expr->string;
    promql_parse_done(&parsed);
    return true;
}

static bool expect_samples(struct test_case *c, struct str rest)
{
    int64_t to_ms;
    c->wants_samples = true;
    return take_prefix(&rest, STR("vector ")) && take_prefix(&rest, STR("from ")) &&
           time_parse(take_word(&rest), &c->samples_start_ms) && take_prefix(&rest, STR("to ")) &&
           time_parse(take_word(&rest), &to_ms) && take_prefix(&rest, STR("step ")) &&
           time_parse(rest, &c->samples_step_ms);
}

static bool expect_line(struct script *s, struct test_case *c, struct str rest, struct errmsg *e)
{
    static const struct {
        const char *word;
        int kind;
    } kinds[] = {{"fail", EXPECT_FAIL},       {"warn", EXPECT_WARN},
                 {"info", EXPECT_INFO},       {"no_warn", EXPECT_NO_WARN},
                 {"no_info", EXPECT_NO_INFO}, {"ordered", EXPECT_ORDERED}};
    const struct str word = take_word(&rest);
    for (size_t i = 0; i < countof(kinds); i++)
        if (str_eq(word, str_from_c(kinds[i].word)))
            return expect_text(c, kinds[i].kind, rest, e);
    if (str_eq(word, STR("string"))) {
        c->wants_string = true;
        return unquote(s, rest, &c->string) || no_expectation(e);
    }
    return (str_eq(word, STR("range")) && expect_samples(c, rest)) || no_expectation(e);
}

static bool add_expected(struct script *s, struct test_case *c, struct test_series series)
{
    if (c->series_count == c->series_capacity) {
        const size_t capacity = c->series_capacity ? c->series_capacity * 2 : 16;
        struct expected_series *all = arena_array(&s->arena, capacity, struct expected_series);
        if (c->series_count)
            memcpy(all, c->series, c->series_count * sizeof *all);
        c->series = all;
        c->series_capacity = capacity;
    }
    c->series[c->series_count++] = (struct expected_series){.series = series};
    return true;
}

static bool wanted_line(struct script *s, struct test_case *c, struct str line, struct errmsg *e)
{
    struct str rest = line;
    if (take_prefix(&rest, STR("expect ")))
        return expect_line(s, c, rest, e);
    if (take_prefix(&rest, STR("expected_fail_message ")))
        return add_expectation(c, (struct expectation){EXPECT_FAIL, EXPECT_MSG, rest});
    if (take_prefix(&rest, STR("expected_fail_regexp ")))
        return add_expectation(c, (struct expectation){EXPECT_FAIL, EXPECT_REGEX, rest});
    if (number_parse(line, &c->scalar) == ERR_OK) {
        c->wants_scalar = true;
        return true;
    }
    struct test_series series;
    if (test_series_parse(line, &s->arena, &series, e))
        return false;
    if (series.n > 1 && !c->is_range && !c->wants_samples) {
        err_format(e, "expecting multiple values in instant evaluation not allowed");
        return false;
    }
    return add_expected(s, c, series);
}

// ---- comparing

static const struct expectation *find_expectation(const struct test_case *c, int kind)
{
    for (size_t i = 0; i < c->expects_count; i++)
        if ((int)c->expects[i].kind == kind)
            return &c->expects[i];
    return NULL;
}

static bool almost_equal(double a, double b)
{
    const double epsilon = 1e-6;
    if (value_is_stale(a) || value_is_stale(b))
        return value_is_stale(a) && value_is_stale(b);
    if ((isnan(a) && isnan(b)) || a == b)
        return true;
    const double sum = fabs(a) + fabs(b), difference = fabs(a - b);
    if (a == 0 || b == 0 || sum < DBL_MIN)
        return difference < epsilon * DBL_MIN;
    return difference / fmin(sum, DBL_MAX) < epsilon;
}

static struct str say(struct script *s, struct str labels)
{
    struct buf text = {0};
    labels_format(labels, &text);
    const struct str copy = arena_str(&s->arena, buf_str(&text));
    buf_deinit(&text);
    return copy;
}

static struct expected_series *find_expected(struct test_case *c, struct str labels)
{
    for (size_t i = 0; i < c->series_count; i++)
        if (str_eq(c->series[i].series.labels, labels))
            return &c->series[i];
    return NULL;
}

// The values of one result series at start, start + step, ... against the expected ones.
static err compare_points(struct script *s, const struct query_result *r,
                          const struct query_series *got, const struct test_series *want,
                          int64_t start_ms, int64_t step_ms, struct errmsg *e)
{
    struct query_points p = {0};
    int64_t t = 0;
    double v = 0;
    bool more = query_points_next(r, got, &p, &t, &v);
    for (size_t i = 0; i < want->n; i++) {
        const int64_t at = start_ms + (int64_t)i * step_ms;
        if (want->values[i].kind == TEST_VALUE_NONE)
            continue;
        if (want->values[i].kind == TEST_VALUE_HISTOGRAM)
            return err_set(e, ERR_INVALID, "unsupported: native histograms");
        if (!more || t != at || !almost_equal(v, want->values[i].v)) {
            if (more && t == at)
                return err_set(e, ERR_INVALID, "%.*s at %lld ms: want %.17g, got %.17g",
                               STR_ARG(say(s, got->labels)), (long long)at, want->values[i].v, v);
            if (more)
                return err_set(e, ERR_INVALID, "%.*s: want %.17g at %lld ms, got %.17g at %lld ms",
                               STR_ARG(say(s, got->labels)), want->values[i].v, (long long)at, v,
                               (long long)t);
            return err_set(e, ERR_INVALID, "%.*s: want %.17g at %lld ms, got nothing from there on",
                           STR_ARG(say(s, got->labels)), want->values[i].v, (long long)at);
        }
        more = query_points_next(r, got, &p, &t, &v);
    }
    if (more)
        return err_set(e, ERR_INVALID, "%.*s: unexpected %.17g at %lld ms",
                       STR_ARG(say(s, got->labels)), v, (long long)t);
    return ERR_OK;
}

static err compare_series(struct script *s, struct test_case *c, const struct query_result *r,
                          int64_t start_ms, int64_t step_ms, struct errmsg *e)
{
    for (size_t i = 0; i < c->series_count; i++)
        c->series[i].seen = false;
    for (size_t i = 0; i < r->series_count; i++) {
        const struct query_series *got = &r->series[i];
        struct query_points p = {0};
        int64_t t;
        double v;
        if (!query_points_next(r, got, &p, &t, &v))
            continue;
        struct expected_series *want = find_expected(c, got->labels);
        if (!want)
            return err_set(e, ERR_INVALID, "unexpected %.*s = %.17g", STR_ARG(say(s, got->labels)),
                           v);
        if (find_expectation(c, EXPECT_ORDERED) && want != &c->series[i])
            return err_set(e, ERR_INVALID, "%.*s stands at place %zu, want it at %zu",
                           STR_ARG(say(s, got->labels)), i + 1, (size_t)(want - c->series) + 1);
        TRY(compare_points(s, r, got, &want->series, start_ms, step_ms, e));
        want->seen = true;
    }
    for (size_t i = 0; i < c->series_count; i++)
        for (size_t k = 0; !c->series[i].seen && k < c->series[i].series.n; k++)
            if (c->series[i].series.values[k].kind != TEST_VALUE_NONE)
                return err_set(e, ERR_INVALID, "%.*s is missing",
                               STR_ARG(say(s, c->series[i].series.labels)));
    return ERR_OK;
}

static const char *const kind_words[] = {
    [QUERY_SCALAR] = "a scalar",
    [QUERY_STRING] = "the string ",
    [QUERY_VECTOR] = "a vector",
    [QUERY_MATRIX] = "a matrix",
};

static err compare_result(struct script *s, struct test_case *c, const struct query_result *r,
                          struct errmsg *e)
{
    if (r->kind == QUERY_MATRIX && find_expectation(c, EXPECT_ORDERED))
        return err_set(e, ERR_INVALID, "expected ordered result, but query returned a matrix");
    if (c->wants_string)
        return r->kind == QUERY_STRING && str_eq(r->string, c->string)
                   ? ERR_OK
                   : err_set(e, ERR_INVALID, "want the string \"%.*s\", got %s%.*s",
                             STR_ARG(c->string), kind_words[r->kind], STR_ARG(r->string));
    if (r->kind == QUERY_STRING)
        return err_set(e, ERR_INVALID, "got the string %.*s", STR_ARG(r->string));
    if (c->wants_scalar && r->kind != QUERY_SCALAR)
        return err_set(e, ERR_INVALID, "want the scalar %.17g, got %s", c->scalar,
                       kind_words[r->kind]);
    if (r->kind == QUERY_SCALAR) {
        if (!c->wants_scalar)
            return err_set(e, ERR_INVALID, "want a vector, got the scalar %.17g", r->scalar);
        if (!almost_equal(c->scalar, r->scalar))
            return err_set(e, ERR_INVALID, "want the scalar %.17g, got %.17g", c->scalar,
                           r->scalar);
        return ERR_OK;
    }
    if (c->wants_samples)
        return compare_series(s, c, r, c->samples_start_ms, c->samples_step_ms, e);
    return compare_series(s, c, r, c->start_ms, c->is_range ? c->step_ms : 1, e);
}

static bool text_matches(const struct expectation *x, struct str text)
{
    if (x->form == EXPECT_ANY)
        return true;
    if (x->form == EXPECT_MSG)
        return str_eq(x->text, text);
    struct regex *r;
    if (regex_create(x->text, REGEX_SEARCH, &r, NULL))
        return false;
    const bool matches = regex_matches(r, text);
    regex_destroy(r);
    return matches;
}

// Every note of the kind matches an expectation and every expectation a note, where there are any.
static err compare_notes_of(const struct test_case *c, const struct query_result *r,
                            bool is_warning, struct errmsg *e)
{
    const int want = is_warning ? EXPECT_WARN : EXPECT_INFO;
    const bool wants_none = find_expectation(c, is_warning ? EXPECT_NO_WARN : EXPECT_NO_INFO);
    if (!wants_none && !find_expectation(c, want))
        return ERR_OK;
    for (size_t i = 0; i < r->notes_count; i++) {
        bool expected = r->notes[i].is_warning != is_warning;
        for (size_t k = 0; k < c->expects_count && !expected && !wants_none; k++)
            expected =
                (int)c->expects[k].kind == want && text_matches(&c->expects[k], r->notes[i].text);
        if (!expected)
            return err_set(e, ERR_INVALID, "unexpected annotation: %.*s",
                           STR_ARG(r->notes[i].text));
    }
    for (size_t k = 0; k < c->expects_count; k++) {
        bool met = (int)c->expects[k].kind != want;
        for (size_t i = 0; i < r->notes_count && !met; i++)
            met = r->notes[i].is_warning == is_warning &&
                  text_matches(&c->expects[k], r->notes[i].text);
        if (!met)
            return err_set(e, ERR_INVALID, "no %s like: %.*s", is_warning ? "warning" : "info",
                           STR_ARG(c->expects[k].text));
    }
    return ERR_OK;
}

// ---- running

static const struct promql_options parse_options = {
    .experimental_functions = true,
    .extended_range_selectors = true,
    .binop_fill_modifiers = true,
};

static struct query_options query_options_of(int64_t start_ms, int64_t end_ms, int64_t step_ms)
{
    return (struct query_options){
        .start_ms = start_ms,
        .end_ms = end_ms,
        .step_ms = step_ms,
        .lookback_ms = 5 * MINUTE_MS,
        .subquery_step_ms = MINUTE_MS,
        .delayed_name_removal = true,
    };
}

// What was asked must be refused, in the words expected.
static err check_failure(const struct test_case *c, const struct errmsg *said, struct errmsg *e)
{
    const struct expectation *want = find_expectation(c, EXPECT_FAIL);
    const struct str text = str_from_c(said->text);
    if (!want || str_has_prefix(text, STR("unsupported: ")))
        return err_set(e, ERR_INVALID, "%s", said->text);
    if (text_matches(want, text))
        return ERR_OK;
    static const char mark[] = "parse error: ";
    for (size_t i = 0; i + sizeof mark - 1 < text.n; i++)
        if (str_has_prefix(str_from(text, i), str_make(mark, sizeof mark - 1)) &&
            text_matches(want, str_from(text, i + sizeof mark - 1)))
            return ERR_OK;
    return err_set(e, ERR_INVALID, "want an error like: %.*s; got: %s", STR_ARG(want->text),
                   said->text);
}

// The middle step of a range query from a minute before to a minute after.
static err run_as_range(struct script *s, struct test_case *c, const struct promql_expr *expr,
                        struct errmsg *e)
{
    const struct query_options o =
        query_options_of(c->start_ms - MINUTE_MS, c->start_ms + MINUTE_MS, MINUTE_MS);
    struct query_result r;
    struct arena a;
    arena_init(&a, 0);
    err code = promql_exec(&s->source, &o, expr, c->expr, &a, &r, e);
    if (code == ERR_OK) {
        for (size_t i = 0; i < r.series_count; i++)
            r.series[i].column.present[0] &= (uint64_t)1 << 1;
        if (c->wants_scalar) {
            r.kind = QUERY_SCALAR;
            r.scalar = r.series_count == 1 ? r.series[0].column.v[1] : NAN;
        }
        code = compare_result(s, c, &r, e);
        query_done(&s->source, &r);
    }
    arena_deinit(&a);
    return code ? err_wrap(e, code, "as a range query") : ERR_OK;
}

static void set_shift(struct promql_shift *shift, int64_t at_ms)
{
    if (shift->at == PROMQL_AT_NONE) {
        shift->at = PROMQL_AT_TIME;
        shift->at_ms = at_ms;
    }
}

// Gives every selector and subquery without an @ the time at_ms, but below a subquery. False: the
// expression has a function whose result depends on the time of evaluation anyway.
static bool set_at(struct promql_expr *root, int64_t at_ms)
{
    struct promql_expr **stack = NULL, *child;
    size_t n = 0, capacity = 0;
    bool ok = true;
    stack = mem_grow(stack, &capacity, 1, sizeof root);
    stack[n++] = root;
    while (n && ok) {
        struct promql_expr *e = stack[--n];
        if (e->kind == PROMQL_VECTOR)
            set_shift(&e->vector.shift, at_ms);
        if (e->kind == PROMQL_SUBQUERY)
            set_shift(&e->subquery.shift, at_ms);
        ok = e->kind != PROMQL_CALL || !function_is_of_time(e->call.function->id);
        for (size_t i = 0; e->kind != PROMQL_SUBQUERY && (child = promql_child(e, i)); i++) {
            stack = mem_grow(stack, &capacity, n + 1, sizeof root);
            stack[n++] = child;
        }
    }
    mem_free(stack);
    return ok;
}

static err run_with_at(struct script *s, struct test_case *c, struct promql_expr *expr,
                       struct errmsg *e)
{
    const int64_t t = c->start_ms;
    if (!set_at(expr, t))
        return ERR_OK;
    const int64_t times[] = {t == 0 ? -1000 : -10 * t, t == 0 ? 1000 : 0, t / 5, t, 10 * t};
    for (size_t i = 0; i < countof(times); i++) {
        const struct query_options o = query_options_of(times[i], times[i], 0);
        struct query_result r;
        struct arena a;
        arena_init(&a, 0);
        err code = promql_exec(&s->source, &o, expr, c->expr, &a, &r, e);
        if (code == ERR_OK) {
            r.steps.start_ms = r.kind == QUERY_VECTOR ? t : r.steps.start_ms;
            code = compare_result(s, c, &r, e);
            query_done(&s->source, &r);
        }
        arena_deinit(&a);
        if (code)
            return err_wrap(e, code, "with @ at %lld ms", (long long)times[i]);
    }
    return ERR_OK;
}

// As the reference runner does; not where there is an order, a failure, or something that depends
// on the range of the query.
static err run_again(struct script *s, struct test_case *c, struct promql_expr *expr,
                     struct errmsg *e)
{
    const enum promql_type type = expr->type;
    static const struct str of_range[] = {
        {"range()", 7}, {"step()", 6}, {"start()", 7}, {"end()", 5}};
    for (size_t i = 0; i < countof(of_range); i++)
        if (str_contains(c->expr, of_range[i]))
            return ERR_OK;
    if (c->is_range || find_expectation(c, EXPECT_ORDERED) || find_expectation(c, EXPECT_FAIL) ||
        (type != PROMQL_TYPE_SCALAR && type != PROMQL_TYPE_VECTOR))
        return ERR_OK;
    TRY(run_as_range(s, c, expr, e));
    return run_with_at(s, c, expr, e);
}

static err run_parsed(struct script *s, struct test_case *c, struct promql_expr *expr,
                      struct errmsg *e)
{
    const struct query_options o =
        query_options_of(c->start_ms, c->end_ms, c->is_range ? c->step_ms : 0);
    struct query_result r;
    struct errmsg said = {0};
    struct arena a;
    arena_init(&a, 0);
    err code = promql_exec(&s->source, &o, expr, c->expr, &a, &r, &said);
    if (code) {
        code = check_failure(c, &said, e);
    } else {
        if (find_expectation(c, EXPECT_FAIL))
            code = err_set(e, ERR_INVALID, "want an error, got an answer");
        if (!code)
            code = compare_result(s, c, &r, e);
        if (!code)
            code = compare_notes_of(c, &r, true, e);
        if (!code)
            code = compare_notes_of(c, &r, false, e);
        query_done(&s->source, &r);
    }
    arena_deinit(&a);
    return code ? code : run_again(s, c, expr, e);
}

static err run_case(struct script *s, struct test_case *c, struct errmsg *e)
{
    struct promql_query parsed;
    struct errmsg said = {0};
    if (promql_parse(c->expr, &parse_options, &s->arena, &parsed, &said))
        return check_failure(c, &said, e);
    const err code = run_parsed(s, c, parsed.expr, e);
    promql_parse_done(&parsed);
    return code;
}

static void eval(struct script *s, struct str command, struct str args)
{
    struct test_case c = {.line = s->line};
    struct errmsg e = {0};
    if (!eval_head(args, &c)) {
        fail(s, c.line, "cannot read this eval command");
        skip_block(s);
        return;
    }
    bool good = true;
    for (struct str line; next_in_block(s, &line);)
        if (good && !wanted_line(s, &c, line, &e))
            good = err_wrap(&e, ERR_INVALID, "line %zu", s->line) == ERR_OK;
    static const struct {
        const char *command;
        int kind;
    } older[] = {{"eval_fail", EXPECT_FAIL},
                 {"eval_warn", EXPECT_WARN},
                 {"eval_info", EXPECT_INFO},
                 {"eval_ordered", EXPECT_ORDERED}};
    for (size_t i = 0; i < countof(older); i++)
        if (good && str_eq(command, str_from_c(older[i].command)) &&
            !find_expectation(&c, older[i].kind))
            good = add_expectation(&c, (struct expectation){.kind = (unsigned)older[i].kind});
    const char *why = good ? contradiction(&c) : NULL;
    if (why)
        good = err_set(&e, ERR_INVALID, "%s", why) == ERR_OK;
    if (!good)
        fail(s, c.line, "cannot read what is expected: %s", e.text);
    else if (run_case(s, &c, &e))
        fail(s, c.line, "%.*s: %s", STR_ARG(c.expr), e.text);
    else
        s->report->passed++;
}

static void clear(struct script *s)
{
    s->storage->clear(s->storage->self);
    test_refusals_clear(&s->refusals);
}

static void run_command(struct script *s, struct str command, struct str args)
{
    if (str_eq(command, STR("clear")))
        clear(s);
    else if (str_eq(command, STR("load")))
        load(s, args, false);
    else if (str_eq(command, STR("load_with_nhcb")))
        load(s, args, true);
    else if (str_eq(command, STR("eval")) || str_eq(command, STR("eval_ordered")) ||
             str_eq(command, STR("eval_fail")) || str_eq(command, STR("eval_warn")) ||
             str_eq(command, STR("eval_info")))
        eval(s, command, args);
    else
        fail(s, s->line, "unknown command: %.*s", STR_ARG(command));
}

void test_script_run(struct str text, const struct test_script_storage *storage,
                     struct test_script_report *report)
{
    const struct query_source *source = &storage->source;
    assert(!source->on_shards && source->parts_count <= TEST_SCRIPT_PARTS_MAX);
    struct script s = {.text = text, .storage = storage, .report = report};
    arena_init(&s.arena, 0);
    test_refusals_init(&s.refusals);
    for (size_t i = 0; i < source->parts_count; i++) {
        s.refusing[i] = (struct test_refusing){&s.refusals, &source->parts[i]};
        s.parts[i] = test_refusing_storage(&s.refusing[i]);
    }
    s.source = (struct query_source){.parts = s.parts, .parts_count = source->parts_count};
    clear(&s);
    for (struct str line; next_line(&s, &line);) {
        if (!line.n)
            continue;
        arena_reset(&s.arena);
        struct str args = line;
        const struct str command = take_word(&args);
        run_command(&s, command, args);
    }
    test_refusals_deinit(&s.refusals);
    arena_deinit(&s.arena);
}
