// One scrape: fetch, walk the body beside the last one, commit, report.
//
// Everything of a scrape, stale markers and the series about the scrape included, is one commit on
// the target's shard; series that relabelling moved elsewhere are committed by their owners.
#include "engine/base/mem.h"
#include "engine/base/quote.h"
#include "engine/base/util.h"
#include "engine/http/media_type.h"
#include "engine/model/value.h"
#include "engine/scrape/scrape_pass.h"
#include "engine/shard/shard.h"
#include "io/clock.h"

enum { NS_PER_MS = 1000000, REPORTS_ALWAYS = 5 };

// ---- the body

// A sample at now's line, as the limits count it.
static void count_sample(struct pass *p, size_t line)
{
    const struct scrape_page *now = &p->walk->now;
    const struct scrape_entry *entry = &now->entries[line];
    const bool own_time = entry->flags & SCRAPE_TIMED && p->job->honor_timestamps;
    const uint64_t limit = p->job->limits.samples;
    if (entry->flags & SCRAPE_DROPPED)
        return;
    p->kept++; // also what is there twice: what the target exposes, less what relabelling drops
    if (entry->flags & SCRAPE_REPEAT && !own_time) {
        p->t->scrape->stats.duplicate_timestamp++;
        return;
    }
    p->limited++;
    if (limit && p->limited > limit) {
        p->over_sample_limit = true;
        return;
    }
    const bool is_added =
        entry->flags & SCRAPE_NEW && (!own_time || pass_is_in_bounds(p, now->times[line]));
    p->added += is_added;
    p->added_timed += is_added && own_time;
}

// The lines below end that the walk took where they were expected, but those that are counted.
static void count_lines(struct pass *p, size_t end)
{
    const struct scrape_page *now = &p->walk->now;
    const unsigned special = SCRAPE_DROPPED | SCRAPE_REPEAT | SCRAPE_NEW | SCRAPE_TIMED;
    const uint64_t limit = p->job->limits.samples;
    uint64_t samples = 0, plain = 0;
    for (; p->counted < end; p->counted++) {
        const unsigned flags = now->entries[p->counted].flags;
        samples += (flags & SCRAPE_SAMPLE) != 0;
        plain += (flags & (SCRAPE_SAMPLE | special)) == SCRAPE_SAMPLE;
        if (flags & special)
            count_sample(p, p->counted);
    }
    p->kept += plain;
    p->limited += plain;
    p->over_sample_limit |= limit && p->limited > limit;
    p->scraped += samples;
    p->t->scrape->stats.lines_expected += samples;
}

// A body that the walk followed to its end: the page knows.
static void count_page(struct pass *p)
{
    const struct scrape_page *page = &p->t->memory.page;
    const uint64_t limit = p->job->limits.samples;
    p->counted = page->lines.n;
    p->scraped = page->samples;
    p->kept = p->limited = page->samples - page->dropped;
    p->over_sample_limit = limit && p->limited > limit;
    p->t->scrape->stats.lines_expected += page->samples;
}

// A series that is not remembered. Beyond the sample limit it takes no place in the database.
static err add_series(struct pass *p, const struct exposition *x, struct scrape_entry *entry,
                      struct errmsg *e)
{
    struct str labels;
    TRY(pass_labels(p, x, &labels, e));
    if (!labels.n)
        entry->flags |= SCRAPE_DROPPED;
    else if (!p->job->limits.samples || p->limited < p->job->limits.samples)
        pass_place(p, entry, labels);
    return ERR_OK;
}

static err take_line(struct pass *p, const struct exposition *x, struct errmsg *e)
{
    struct scrape_page *now = &p->walk->now;
    bool is_new;
    scrape_walk_line(p->walk, x, buf_str(&p->body), &is_new);
    count_lines(p, now->lines.n - 1);
    p->counted = now->lines.n;
    if (x->event != EXPOSITION_SERIES)
        return ERR_OK;
    p->scraped++; // also one that fails the scrape
    if (is_new)
        TRY(add_series(p, x, &now->entries[now->lines.n - 1], e));
    pass_take_exemplar(p, x);
    count_sample(p, now->lines.n - 1);
    return ERR_OK;
}

static err parse_lines(struct pass *p, struct exposition *x, struct errmsg *e)
{
    enum { TURN = 64 };
    for (size_t count = 0;; count++) {
        const bool again = scrape_walk_run(p->walk, x);
        if (again || count % TURN == TURN - 1)
            fiber_yield_if_due();
        if (again)
            continue;
        enum exposition_event event;
        TRY(exposition_next(x, &event, e));
        if (event == EXPOSITION_END)
            return ERR_OK;
        TRY(take_line(p, x, e));
    }
}

static err parse(struct pass *p, enum exposition_format format, struct errmsg *e)
{
    struct target *t = p->t;
    struct exposition x;
    exposition_init(&x, format, buf_str(&p->body));
    scrape_walk_begin(p->walk, &t->memory, format);
    const err code = parse_lines(p, &x, e);
    if (code)
        scrape_walk_leave(p->walk);
    else
        scrape_walk_end(p->walk);
    if (p->walk->follows)
        count_page(p);
    else
        count_lines(p, p->walk->now.lines.n);
    TRY(code);
    if (p->over_sample_limit) {
        scrape_walk_leave(p->walk);
        t->scrape->stats.exceeded_sample_limit++;
        return err_set(e, ERR_LIMIT, "sample limit exceeded");
    }
    return ERR_OK;
}

// The format of a body by its content type; false: not one to read.
static bool format_of(const struct scrape_config *job, struct str type, enum exposition_format *out,
                      struct errmsg *e)
{
    struct str media = {0};
    struct errmsg why;
    const err malformed = type.n ? media_type_parse(type, &media, &why) : ERR_OK;
    if (str_eq_nocase(media, STR("application/openmetrics-text"))) {
        *out = EXPOSITION_OPENMETRICS;
        return true;
    }
    if (str_eq_nocase(media, STR("text/plain"))) {
        *out = EXPOSITION_TEXT;
        return true;
    }
    switch (job->fallback_protocol) {
    case SCRAPE_PROTOCOL_TEXT_0_0_4:
    case SCRAPE_PROTOCOL_TEXT_1_0_0:
        *out = EXPOSITION_TEXT;
        return true;
    case SCRAPE_PROTOCOL_OPENMETRICS_0_0_1:
    case SCRAPE_PROTOCOL_OPENMETRICS_1_0_0:
        *out = EXPOSITION_OPENMETRICS;
        return true;
    case SCRAPE_PROTOCOL_NONE:
    case SCRAPE_PROTOCOL_PROTOBUF:
    case SCRAPE_PROTOCOLS:
        break;
    }
    struct buf quoted = {0};
    buf_put_quoted(&quoted, type);
    if (str_eq_nocase(media, STR("application/vnd.google.protobuf")))
        err_format(e, "received protobuf, which is not supported yet");
    else if (!type.n)
        err_format(e, "non-compliant scrape target sending blank Content-Type and no "
                      "fallback_scrape_protocol specified for target");
    else if (malformed)
        err_format(e,
                   "cannot parse Content-Type %.*s and no fallback_scrape_protocol for "
                   "target\n%s",
                   STR_ARG(buf_str(&quoted)), why.text);
    else
        err_format(e,
                   "received unsupported Content-Type %.*s and no fallback_scrape_protocol "
                   "specified for target",
                   STR_ARG(buf_str(&quoted)));
    buf_deinit(&quoted);
    return false;
}

static err read_body(struct pass *p, struct errmsg *e) // Suspends.
{
    struct target *t = p->t;
    const struct scrape *s = t->scrape;
    struct http_result *r = mem_zalloc(sizeof *r);
    struct str type;
    enum exposition_format format;
    err code = ERR_OK;
    fiber_set_deadline(clock_mono_ns() + t->timeout_ms * NS_PER_MS);
    if (t->over_limit)
        code = err_set(e, ERR_LIMIT, "target_limit exceeded (number of targets: %zu, limit: %llu)",
                       t->job_targets, (unsigned long long)p->job->limits.targets);
    if (!code) {
        code = target_fetch(t, p->job, &p->body, &type, r, e);
        p->body_bytes = code == ERR_LIMIT ? -1 : code ? 0 : (int64_t)p->body.n;
        if (code && code != ERR_CANCELED && s->options.failed)
            s->options.failed(s->options.failed_arg, p->job, t->url, str_from_c(e->text));
    }
    fiber_set_deadline(INT64_MAX);
    if (!code && p->body.n && !format_of(p->job, type, &format, e))
        code = ERR_INVALID;
    t->scrape->stats.bytes += code ? 0 : p->body.n;
    if (!code && p->body.n) {
        p->walk = scrape_take_walk(t->scrape);
        code = parse(p, format, e);
    }
    http_result_deinit(r);
    mem_free(r);
    return code;
}

// ---- what is remembered of it

// Behind a commit. kept: it came to something.
static void settle_reports(struct pass *p, bool kept, bool is_end)
{
    for (size_t i = 0; kept && i < REPORT_SERIES; i++) {
        struct scrape_entry *entry = &p->t->reports[i];
        entry->flags &= (uint16_t)~SCRAPE_TRACKED;
        if (!is_end && entry->ref)
            entry->flags |= SCRAPE_TRACKED;
    }
}

// The body becomes the page. What the last one had besides is forgotten, when its marker is kept.
static void settle_success(struct pass *p, bool kept)
{
    struct scrape_memory *m = &p->t->memory;
    size_t away_n = 0;
    for (size_t i = 0; i < m->away_n; i++) {
        struct scrape_away *a = &m->away[i];
        if (kept || scrape_walk_saw_away(p->walk, i) || !(a->entry.flags & SCRAPE_TRACKED))
            mem_free(a->prefix);
        else
            m->away[away_n++] = *a;
    }
    m->away_n = away_n;
    for (size_t i = 0; !kept && i < m->page.lines.n; i++) {
        const struct scrape_entry *entry = &m->page.entries[i];
        if (!scrape_walk_saw(p->walk, i) && !(entry->flags & SCRAPE_REPEAT) &&
            entry->flags & SCRAPE_TRACKED)
            scrape_memory_keep(m, scrape_line_prefix(buf_str(&m->page.body), &m->page.lines, i),
                               *entry);
    }
    scrape_walk_store(p->walk, m, &p->body, kept);
}

// The page stays. Series that only bodies of failed scrapes had are remembered beside it, unless
// each of them brings others.
static void settle_failure(struct pass *p, bool kept)
{
    enum { AWAY_FREE = 1000 };
    struct scrape_memory *m = &p->t->memory;
    const struct scrape_page *now = p->walk ? &p->walk->now : NULL;
    const bool is_full = m->away_n > m->page.lines.n + AWAY_FREE;
    size_t away_n = 0;
    for (size_t i = 0; kept && i < m->page.lines.n; i++)
        m->page.entries[i].flags &= (uint16_t)~SCRAPE_TRACKED;
    m->page.is_plain &= !kept;
    for (size_t i = 0; i < m->away_n; i++) {
        struct scrape_away *a = &m->away[i];
        if (kept)
            a->entry.flags &= (uint16_t)~SCRAPE_TRACKED;
        if (is_full && !(a->entry.flags & SCRAPE_TRACKED))
            mem_free(a->prefix);
        else
            m->away[away_n++] = *a;
    }
    m->away_n = away_n;
    for (size_t i = 0; now && i < now->lines.n; i++) {
        struct scrape_entry entry = now->entries[i];
        if (!(entry.flags & SCRAPE_NEW) || !(entry.flags & (SCRAPE_PLACED | SCRAPE_DROPPED)))
            continue;
        entry.flags &= (uint16_t) ~(SCRAPE_NEW | SCRAPE_TRACK);
        scrape_memory_keep(m, scrape_line_prefix(buf_str(&p->body), &now->lines, i), entry);
    }
}

// ---- the whole

// The time of a scrape: the schedule's, when the clock is close to it.
static int64_t choose_time(struct target *t)
{
    const struct scrape_options *o = &t->scrape->options;
    const int64_t now_ms = clock_wall_ms();
    int64_t tolerance = t->interval_ms / 100;
    if (tolerance > o->tolerance_ms)
        tolerance = o->tolerance_ms;
    if (!o->adjust_timestamps)
        return now_ms;
    if (!t->aligned_ms || now_ms < t->aligned_ms - t->interval_ms) // the first, or a clock set back
        t->aligned_ms = now_ms;
    if (now_ms > t->aligned_ms)
        t->aligned_ms += (now_ms - t->aligned_ms) / t->interval_ms * t->interval_ms;
    return now_ms - t->aligned_ms <= tolerance ? t->aligned_ms : now_ms;
}

static void push_reports(struct pass *p, bool up, int64_t start_ns)
{
    const struct target *t = p->t;
    const double duration = (double)(clock_mono_ns() - start_ns) / 1e9;
    const double values[REPORT_SERIES] = {
        up,
        duration,
        (double)p->scraped,
        (double)p->kept,
        (double)p->added,
        (double)t->timeout_ms / 1000,
        (double)p->job->limits.samples,
        (double)p->body_bytes,
    };
    const size_t n = p->job->extra_scrape_metrics == 1 ? REPORT_SERIES : REPORTS_ALWAYS;
    for (size_t i = 0; i < n; i++)
        pass_push_report(p, i, bits_from_double(values[i]));
}

// refused: new series, e says why; what is there was kept: the target is up.
static void note_result(struct target *t, err code, uint64_t refused, struct errmsg *e,
                        int64_t start_ns)
{
    struct scrape *s = t->scrape;
    const bool was_up = t->health == SCRAPE_UP;
    t->health = code ? SCRAPE_DOWN : SCRAPE_UP;
    t->last_duration_s = (double)(clock_mono_ns() - start_ns) / 1e9;
    if (!code && refused)
        err_prefix(e, "%llu new series left out", (unsigned long long)refused);
    target_note_error(t, code || refused ? e->text : "");
    s->stats.scrapes++;
    s->stats.failed += code != ERR_OK;
    if (code && was_up)
        log_debug(&s->lg, "scrape failed", log_str("scrape_pool", t->job->job_name),
                  log_str("target", t->url), log_cstr("err", e->text));
}

// Nothing of a body that failed is kept: all series become stale.
static void keep(struct pass *p, err code, int64_t start_ns) // Suspends.
{
    struct target *t = p->t;
    struct errmsg e;
    const bool succeeded = !code && p->walk;
    if (succeeded) {
        scrape_walk_settle(p->walk, &t->memory);
        pass_push_lines(p);
    }
    if (succeeded && p->added_timed)
        pass_judge_added(p);
    push_reports(p, !code, start_ns);
    pass_push_missing(p, !succeeded);
    const bool kept = pass_commit(p, &e) == ERR_OK;
    if (!kept)
        log_warn(&t->scrape->lg, "a scrape was not kept", log_str("target", t->url),
                 log_cstr("err", e.text));
    else if (succeeded)
        pass_keep_exemplars(p);
    t->scrapes++;
    target_note_metadata(p, succeeded);
    t->scrape->stats.cache_bytes -= t->memory_bytes;
    settle_reports(p, kept, false);
    if (succeeded)
        settle_success(p, kept);
    else
        settle_failure(p, kept);
    t->memory_bytes = scrape_memory_bytes(&t->memory);
    t->scrape->stats.cache_bytes += t->memory_bytes;
}

void target_scrape(struct target *t)
{
    struct errmsg e = {0};
    struct pass p;
    const int64_t start_ns = clock_mono_ns();
    pass_init(&p, t, choose_time(t));
    t->last_ms = clock_wall_ms();
    const err code = read_body(&p, &e);
    if (fiber_status() != ERR_CANCELED) { // else the server stops: nothing is written, no markers
        keep(&p, code, start_ns);
        note_result(t, code, p.refused, code ? &e : &p.refusal, start_ns);
    }
    if (p.walk)
        scrape_give_walk(t->scrape, p.walk);
    pass_deinit(&p);
}

void target_end_series(struct target *t, int64_t ms)
{
    struct pass p;
    struct errmsg e;
    pass_init(&p, t, ms);
    pass_push_missing(&p, true);
    for (size_t i = 0; i < REPORT_SERIES; i++) {
        if (t->reports[i].flags & SCRAPE_TRACKED)
            pass_push(&p, ORIGIN_REPORT, i, ms, VALUE_STALE_BITS);
    }
    if (p.n + p.foreign_n && pass_commit(&p, &e) != ERR_OK)
        log_warn(&t->scrape->lg, "stale markers were not kept", log_str("target", t->url),
                 log_cstr("err", e.text));
    settle_reports(&p, true, true);
    pass_deinit(&p);
}
