// promql format, promql label-matchers set|delete: a query, changed and printed anew.
#include <stdio.h>

#include "engine/base/util.h"
#include "engine/promql/printer.h"
#include "tools/promtool/promtool.h"

size_t label_matchers_set_flags(struct promtool *p, struct setting *rows)
{
    static const char *const kinds[] = {"=", "!=", "=~", "!~", NULL};
    const struct setting all[] = {
        {"type", 't', .text = &p->matcher_type, .choices = kinds, .default_text = "=",
         .help = "Type of the label matcher to set: =, !=, =~ or !~."},
    };
    memcpy(rows, all, sizeof all);
    return countof(all);
}

// What to do with each selector of the query.
struct edit {
    enum { FORMAT, SET, DELETE } what;
    struct matcher matcher; // of SET; its name alone of DELETE
};

static void set_matcher(struct promql_expr *e, const struct matcher *with, struct arena *a)
{
    bool found = false;
    for (size_t i = 0; i < e->vector.matchers_count; i++) {
        if (!str_eq(e->vector.matchers[i].name, with->name))
            continue;
        e->vector.matchers[i] = *with;
        found = true;
    }
    if (found)
        return;
    const size_t n = e->vector.matchers_count;
    struct matcher *const more = arena_array(a, n + 1, struct matcher);
    if (n)
        memcpy(more, e->vector.matchers, n * sizeof *more);
    more[n] = *with;
    e->vector.matchers = more;
    e->vector.matchers_count = n + 1;
}

static void delete_matcher(struct promql_expr *e, struct str name)
{
    size_t kept = 0;
    for (size_t i = 0; i < e->vector.matchers_count; i++)
        if (!str_eq(e->vector.matchers[i].name, name))
            e->vector.matchers[kept++] = e->vector.matchers[i];
    e->vector.matchers_count = kept;
}

static err apply(struct promql_expr *root, const struct edit *edit, struct arena *a,
                 struct errmsg *e)
{
    const struct promql_expr *const *const all = promql_list(root, a);
    if (!all)
        return err_set(e, ERR_LIMIT, "the query is too large");
    for (size_t i = 0; i < root->size; i++) {
        struct promql_expr *const one = (struct promql_expr *)(uintptr_t)all[i]; // of root
        if (one->kind != PROMQL_VECTOR)
            continue;
        if (edit->what == SET)
            set_matcher(one, &edit->matcher, a);
        else if (edit->what == DELETE)
            delete_matcher(one, edit->matcher.name);
    }
    return ERR_OK;
}

static int run(const struct promtool *p, struct edit edit)
{
    const struct promql_options options = promtool_promql(p);
    if (!p->experimental) {
        fprintf(stderr, "This command is experimental and requires the --experimental flag to be "
                        "set.\n");
        return PROMTOOL_FAILED;
    }
    struct arena arena;
    struct promql_query query = {0};
    struct errmsg e;
    arena_init(&arena, 0);
    err code = promql_parse(p->args.items[0], &options, &arena, &query, &e);
    struct buf text = {0};
    if (!code) {
        code = apply(query.expr, &edit, &arena, &e);
        if (!code && promql_print_pretty(query.expr, &text))
            code = err_set(&e, ERR_LIMIT, "more than %d bytes of text", PROMQL_PRETTY_MAX);
        promql_parse_done(&query);
    }
    if (code == ERR_OK)
        printf("%.*s\n", STR_ARG(buf_str(&text)));
    else
        fprintf(stderr, "%s\n", e.text);
    buf_deinit(&text);
    arena_deinit(&arena);
    return code ? PROMTOOL_FAILED : PROMTOOL_OK;
}

int promql_format(const struct promtool *p)
{
    return run(p, (struct edit){.what = FORMAT});
}

int label_matchers_set(const struct promtool *p)
{
    enum matcher_kind kind = MATCHER_EQ;
    while (!str_eq(p->matcher_type, str_from_c(matcher_kind_text(kind))))
        kind++;
    return run(p,
               (struct edit){
                   .what = SET,
                   .matcher = {.kind = kind, .name = p->args.items[1], .value = p->args.items[2]}});
}

int label_matchers_delete(const struct promtool *p)
{
    return run(p, (struct edit){.what = DELETE, .matcher = {.name = p->args.items[1]}});
}
