#include "tools/promtool/command_line.h"

#include <stdio.h>

#include "engine/base/mem.h"

// Flags of everything, then of the first word, then of the command.
struct flags {
    struct setting rows[SETTINGS_MAX];
    size_t n;
};

static size_t global_flags(struct promtool *p, struct setting *rows)
{
    const struct setting all[] = {
        {"", .list = &p->args},
        {"help", 'h', .flag = &p->help, .help = "Show context-sensitive help."},
        {"version", .flag = &p->version, .help = "Show the version."},
        {"experimental", .flag = &p->experimental, .help = "Enable experimental commands."},
        {"enable-feature", .list = &p->features, .placeholder = "<names>",
         .help = "Comma separated feature names to enable: promql-experimental-functions, "
                 "promql-delayed-name-removal, promql-extended-range-selectors, "
                 "promql-binop-fill-modifiers."},
    };
    memcpy(rows, all, sizeof all);
    return sizeof all / sizeof *all;
}

static bool begins(const struct command *c, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (i >= COMMAND_WORDS_MAX || !c->words[i] || strcmp(c->words[i], words[i]) != 0)
            return false;
    return true;
}

static const struct command *first_of(const char *const *words, size_t n)
{
    for (size_t i = 0; i < promtool_commands_n; i++)
        if (begins(&promtool_commands[i], words, n))
            return &promtool_commands[i];
    return NULL;
}

static bool is_whole(const struct command *c, size_t words_n)
{
    return words_n == COMMAND_WORDS_MAX || !c->words[words_n];
}

// The flags that may stand behind these words.
static void add_flags(struct promtool *p, const struct command_line *line, struct flags *f)
{
    if (line->words_n == 1 && !strcmp(line->words[0], "query"))
        f->n += query_flags(p, f->rows + f->n);
    else if (line->words_n == 1 && !strcmp(line->words[0], "check"))
        f->n += check_flags(p, f->rows + f->n);
    if (line->command && line->command->flags)
        f->n += line->command->flags(p, f->rows + f->n);
}

static const struct setting *flag_named(const struct flags *f, struct str word)
{
    const ptrdiff_t equals = str_find(word, '=', 0);
    const struct str name =
        str_from(equals == STR_NONE ? word : str_until(word, (size_t)equals), 2);
    for (size_t i = 0; i < f->n; i++)
        if (str_eq(name, str_from_c(f->rows[i].name)) ||
            (f->rows[i].flag && str_has_prefix(name, STR("no-")) &&
             str_eq(str_from(name, 3), str_from_c(f->rows[i].name))))
            return &f->rows[i];
    return NULL;
}

// A flag in front of the command's last word; *out_takes: its value is the next word.
static err pass_flag(const struct flags *f, const char *word, bool *out_takes, struct errmsg *e)
{
    *out_takes = false;
    if (word[1] != '-') {
        for (size_t i = 0; i < f->n; i++)
            if (f->rows[i].short_name && f->rows[i].short_name == word[1]) {
                *out_takes = !f->rows[i].flag && !word[2];
                return ERR_OK;
            }
        return err_set(e, ERR_INVALID, "unknown short flag '-%c'", word[1]);
    }
    const struct str text = str_from_c(word);
    const struct setting *const row = flag_named(f, text);
    const ptrdiff_t equals = str_find(text, '=', 0);
    if (!row || !word[2])
        return err_set(e, ERR_INVALID, "unknown long flag '%.*s'",
                       STR_ARG(equals == STR_NONE ? text : str_until(text, (size_t)equals)));
    *out_takes = !row->flag && equals == STR_NONE;
    return ERR_OK;
}

static err take_word(struct promtool *p, struct command_line *line, struct flags *f,
                     const char *word, struct errmsg *e)
{
    line->words[line->words_n] = word;
    const struct command *const c = first_of(line->words, line->words_n + 1);
    if (!c)
        return err_set(e, ERR_INVALID, "expected command but got \"%s\"", word);
    line->words_n++;
    line->command = is_whole(c, line->words_n) ? c : NULL;
    add_flags(p, line, f);
    return ERR_OK;
}

// Separates the command's words from the rest, which is left in rest.
static err find_command(struct promtool *p, int argc, const char *const *argv,
                        struct command_line *line, struct flags *f, const char **rest, int *rest_n,
                        struct errmsg *e)
{
    bool is_value = false, wants_help = false;
    for (int i = 1; i < argc; i++) {
        const char *const word = argv[i];
        const bool is_flag = !is_value && word[0] == '-' && word[1];
        if (line->command || is_flag || is_value) {
            if (is_flag && !line->command)
                TRY(pass_flag(f, word, &is_value, e));
            else
                is_value = false;
            rest[(*rest_n)++] = word;
        } else if (!wants_help && !line->words_n && !strcmp(word, "help")) {
            wants_help = true;
        } else {
            TRY(take_word(p, line, f, word, e));
        }
    }
    p->help |= wants_help;
    return ERR_OK;
}

static err check_args(const struct promtool *p, const struct command *c, struct errmsg *e)
{
    size_t max = 0;
    bool has_list = false;
    for (; max < COMMAND_ARGS_MAX && c->args[max].name; max++) {
        if (p->args.n <= max && !c->args[max].is_optional)
            return err_set(e, ERR_INVALID, "required argument '%s' not provided",
                           c->args[max].name);
        has_list |= c->args[max].is_list;
    }
    if (p->args.n > max && !has_list)
        return err_set(e, ERR_INVALID, "unexpected %.*s", STR_ARG(p->args.items[max]));
    return ERR_OK;
}

static bool asks_for_help(const char *const *words, int n)
{
    for (int i = 1; i < n && strcmp(words[i], "--") != 0; i++)
        if (!strcmp(words[i], "-h") || !strcmp(words[i], "--help") ||
            !strcmp(words[i], "--version"))
            return true;
    return false;
}

static err parse(struct promtool *p, int argc, const char *const *argv, struct command_line *line,
                 struct flags *f, struct errmsg *e)
{
    if (argc > COMMAND_LINE_MAX)
        return err_set(e, ERR_LIMIT, "more than %d words", COMMAND_LINE_MAX);
    const char **const rest = mem_alloc_array(COMMAND_LINE_MAX + 1, sizeof *rest);
    int rest_n = 1;
    rest[0] = argc ? argv[0] : "";
    f->n = global_flags(p, f->rows);
    err code = find_command(p, argc, argv, line, f, rest, &rest_n, e);
    struct settings s;
    if (!code) {
        const bool help = p->help || asks_for_help(rest, rest_n);
        for (size_t i = 0; help && i < f->n; i++) // what is asked about need not be complete
            f->rows[i].traits &= ~(unsigned)SETTING_REQUIRED;
        const bool was_asked = p->help;
        code = settings_parse(&s, f->rows, f->n, rest_n, rest, e);
        p->help |= was_asked;
        p->has_step = !code && settings_is_given(&s, STR("step"));
        p->has_http_config_file = !code && settings_is_given(&s, STR("http.config.file"));
    }
    if (!code && !line->command && line->words_n && !p->help && !p->version) {
        struct buf path = {0};
        for (size_t i = 0; i < line->words_n; i++)
            buf_printf(&path, "%s%s", i ? " " : "", line->words[i]);
        code =
            err_set(e, ERR_INVALID, "must select a subcommand of '%.*s'", STR_ARG(buf_str(&path)));
        buf_deinit(&path);
    }
    if (!code && line->command && !p->help && !p->version)
        code = check_args(p, line->command, e);
    mem_free((void *)(uintptr_t)rest);
    return code;
}

err command_line_parse(struct promtool *p, int argc, const char *const *argv,
                       struct command_line *out, struct errmsg *e)
{
    *out = (struct command_line){0};
    struct flags *const f = mem_alloc(sizeof *f);
    const err code = parse(p, argc, argv, out, f, e);
    mem_free(f);
    return code;
}

// ---- help

static void put_words(const struct command *c, struct buf *out)
{
    for (size_t i = 0; i < COMMAND_WORDS_MAX && c->words[i]; i++)
        buf_printf(out, "%s%s", i ? " " : "", c->words[i]);
}

static void put_args(const struct command *c, struct buf *out)
{
    for (size_t i = 0; i < COMMAND_ARGS_MAX && c->args[i].name; i++)
        buf_printf(out, c->args[i].is_optional ? " [<%s>%s]" : " <%s>%s", c->args[i].name,
                   c->args[i].is_list ? "..." : "");
}

static void put_list(const struct command_line *line, struct buf *out)
{
    buf_put_str(out, STR("Commands:\n"));
    for (size_t i = 0; i < promtool_commands_n; i++) {
        const struct command *const c = &promtool_commands[i];
        if (!begins(c, line->words, line->words_n))
            continue;
        buf_put_str(out, STR("  "));
        put_words(c, out);
        put_args(c, out);
        buf_printf(out, "\n        %s\n", c->summary);
    }
    buf_put_str(out, STR("\n\"COMMAND --help\" says what a command does, with examples.\n"));
}

static void put_lesson(const struct command *c, struct buf *out)
{
    if (c->args[0].name)
        buf_put_str(out, STR("Arguments:\n"));
    for (size_t i = 0; i < COMMAND_ARGS_MAX && c->args[i].name; i++)
        buf_printf(out, "  <%s>%s  %s\n", c->args[i].name, c->args[i].is_list ? "..." : "",
                   c->args[i].help);
    buf_printf(out, "%s%s", c->args[0].name ? "\n" : "", c->lesson);
}

void command_line_help(struct promtool *p, const struct command_line *line, struct buf *out)
{
    struct flags *const f = mem_alloc(sizeof *f);
    struct command_line at = {0};
    f->n = global_flags(p, f->rows);
    for (size_t i = 0; i < line->words_n; i++)
        (void)(take_word(p, &at, f, line->words[i], NULL) == ERR_OK);
    struct buf usage = {0}, words = {0};
    buf_printf(&usage, "%s", p->name);
    for (size_t i = 0; i < line->words_n; i++)
        buf_printf(&usage, " %s", line->words[i]);
    if (line->command)
        put_args(line->command, &words);
    else
        buf_put_str(&words, STR(" <command> [<args> ...]"));
    buf_put_char(&words, '\0');
    buf_put_char(&usage, '\0');
    f->rows[0].placeholder = words.n > 1 ? words.p + 1 : words.p; // they begin with a blank
    const struct settings s = {.rows = f->rows, .n = f->n};
    settings_format_help(&s, usage.p,
                         line->command ? line->command->summary
                                       : "Checks configurations and metrics, asks servers, formats "
                                         "and tests PromQL.",
                         out);
    if (line->command)
        put_lesson(line->command, out);
    else
        put_list(line, out);
    buf_deinit(&usage);
    buf_deinit(&words);
    mem_free(f);
}
