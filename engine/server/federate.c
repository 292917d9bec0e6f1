// /federate: the newest sample of each series that is asked for, for another server to scrape.
//
// Series leave as they are found, in the order of their names and labels; what is held at a time
// does not depend on how many there are.
#include "engine/base/mem.h"
#include "engine/model/labels.h"
#include "engine/server/handlers.h"
#include "engine/server/newest.h"
#include "engine/server/parse_apart.h"
#include "engine/server/server.h"
#include "io/clock.h"
#include "protocol/exposition_write.h"

enum { FLUSH_FROM = 128 * 1024 };

struct federation {
    struct server *server;
    struct http_exchange *x;
    const struct yaml_pairs *external; // sorted by name
    struct exposition_writer writer;
    struct buf out;
    struct buf name; // of the family at hand
    struct exposition_label *labels;
    size_t labels_capacity;
    struct promql_query *selectors;
    size_t selectors_count;
    bool is_streaming;
    const char *content_type;
};

static bool flush(struct federation *f) // Suspends.
{
    if (!f->is_streaming)
        http_begin(f->x, 200, f->content_type);
    f->is_streaming = true;
    const err code = http_write(f->x, buf_str(&f->out));
    buf_reset(&f->out);
    return code == ERR_OK;
}

static void add_label(struct federation *f, size_t *n, struct str name, struct str value)
{
    f->labels = mem_grow(f->labels, &f->labels_capacity, *n + 1, sizeof *f->labels);
    f->labels[(*n)++] = (struct exposition_label){name, value};
}

// The series' own labels, then the external ones that it has not, then an empty instance where
// there is none: the scraping server must not put its own.
static size_t gather_labels(struct federation *f, struct str labels)
{
    static const struct str instance = {"instance", 8};
    size_t n = 0;
    struct label l;
    bool instance_done = false;
    for (struct labels_iter i = labels_iter(labels); labels_next(&i, &l);)
        if (!str_eq(l.name, LABEL_NAME))
            add_label(f, &n, l.name, l.value);
    for (size_t i = 0; i < f->external->n; i++)
        instance_done |= str_eq(f->external->items[i].key, instance);
    for (size_t i = 0; i < f->external->n; i++) {
        const struct str name = f->external->items[i].key;
        if (!instance_done && str_cmp(instance, name) < 0) {
            instance_done = true;
            if (!labels_get(labels, instance, &l.value))
                add_label(f, &n, instance, (struct str){0});
        }
        if (!labels_get(labels, name, &l.value))
            add_label(f, &n, name, f->external->items[i].value);
    }
    if (!instance_done && !labels_get(labels, instance, &l.value))
        add_label(f, &n, instance, (struct str){0});
    return n;
}

static bool put_series(void *arg, struct str name, struct str labels, int64_t t_ms, double v)
{
    struct federation *f = arg;
    if (!str_eq(name, buf_str(&f->name))) {
        exposition_family(&f->writer, name);
        buf_reset(&f->name);
        buf_put_str(&f->name, name);
    }
    const size_t n = gather_labels(f, labels);
    exposition_sample(&f->writer, f->labels, n, v, t_ms);
    return f->out.n < FLUSH_FROM || flush(f);
}

static bool read_selectors(struct federation *f) // false: answered
{
    struct form form = {0};
    struct errmsg e;
    struct http_exchange *x = f->x;
    if (form_parse(x->query, x->arena, &form, &e) != ERR_OK) {
        http_answer_text(x, 400,
                         arena_printf(x->arena, "error parsing form values: %s\n", e.text).p);
        return false;
    }
    f->selectors =
        arena_alloc(x->arena, form.n * sizeof *f->selectors, _Alignof(struct promql_query));
    for (size_t i = 0; i < form.n; i++) {
        if (!str_eq(form.pairs[i].name, STR("match[]")))
            continue;
        struct promql_query *q = &f->selectors[f->selectors_count];
        *q = (struct promql_query){0};
        if (parse_selector_apart(form.pairs[i].value, &f->server->promql, x->arena, q, &e) !=
            ERR_OK) {
            http_answer_text(x, 400, arena_printf(x->arena, "%s\n", e.text).p);
            return false;
        }
        if (q->expr->vector.matchers_count)
            f->selectors_count++;
        else
            parse_apart_done(q); // {} selects nothing, there as here
    }
    return true;
}

static void answer(struct federation *f)
{
    struct http_exchange *x = f->x;
    struct fan_selector *selectors = arena_alloc(x->arena, f->selectors_count * sizeof *selectors,
                                                 _Alignof(struct fan_selector));
    for (size_t i = 0; i < f->selectors_count; i++)
        selectors[i] = (struct fan_selector){f->selectors[i].expr->vector.matchers,
                                             f->selectors[i].expr->vector.matchers_count};
    const int64_t now_ms = clock_wall_ms();
    const struct newest_question question = {
        .storage = f->server->storage,
        .selectors = selectors,
        .selectors_count = f->selectors_count,
        .mint = now_ms - f->server->flags.prom.query.lookback_delta_ms - 1,
        .maxt = now_ms,
    };
    struct errmsg e;
    const err code = newest_each(&question, &e, put_series, f);
    if (!code)
        exposition_finish(&f->writer);
    else
        server_self(f->server)->federation_errors++;
    if (code && !f->is_streaming) {
        http_answer_text(x, 500, arena_printf(x->arena, "%s\n", e.text).p);
    } else if (code) {
        http_abort(x); // half of an answer must not look like a whole one
    } else if (!f->is_streaming) {
        http_answer(x, 200, f->content_type, buf_str(&f->out));
    } else {
        flush(f);
        http_end(x);
    }
}

void page_federate(struct server *s, struct http_exchange *x)
{
    struct prom_config *config = prom_config_ref(server_self(s)->config);
    struct federation f = {.server = s, .x = x, .external = &config->global.external_labels};
    const struct exposition_style style = exposition_negotiate(http_header(x->head, STR("Accept")));
    struct buf type = {0};
    exposition_put_content_type(style, &type);
    buf_put_char(&type, '\0');
    f.content_type = type.p;
    exposition_writer_init(&f.writer, style, &f.out);
    if (read_selectors(&f))
        answer(&f);
    for (size_t i = 0; i < f.selectors_count; i++)
        parse_apart_done(&f.selectors[i]);
    exposition_writer_deinit(&f.writer);
    buf_deinit(&type);
    buf_deinit(&f.out);
    buf_deinit(&f.name);
    mem_free(f.labels);
    prom_config_unref(config);
}
