// --help and the documentation of flags, both from the rows.
#include "engine/config/setting.h"

enum { COLUMN = 29, WIDTH = 80 }; // where the text begins, and ends

// Words of text, wrapped between COLUMN and WIDTH.
static void put_wrapped(struct str text, struct buf *out)
{
    size_t at = 0;
    struct str word;
    while (str_split(&text, ' ', &word)) {
        if (at && COLUMN + at + 1 + word.n > WIDTH) {
            buf_printf(out, "\n%*s", COLUMN, "");
            at = 0;
        } else if (at) {
            buf_put_char(out, ' ');
            at++;
        }
        buf_put_str(out, word);
        at += word.n;
    }
    buf_put_char(out, '\n');
}

static void put_default(const struct setting *row, struct buf *out)
{
    if (row->placeholder)
        buf_printf(out, "=%s", row->placeholder);
    else if (row->default_text && row->text && !row->choices)
        buf_printf(out, "=\"%s\"", row->default_text);
    else if (row->default_text)
        buf_printf(out, "=%s", row->default_text);
    else
        buf_put_str(out, row->text ? STR("=\"\"") : STR("=<value>"));
    if (row->list)
        buf_put_str(out, STR(" ..."));
}

static void put_row(const struct setting *row, struct buf *out)
{
    const size_t from = out->n;
    if (row->short_name)
        buf_printf(out, "  -%c, ", row->short_name);
    else
        buf_put_str(out, STR("      "));
    buf_printf(out, row->flag ? "--[no-]%s" : "--%s", row->name);
    if (!row->flag)
        put_default(row, out);
    const size_t used = out->n - from;
    if (used + 2 > COLUMN)
        buf_printf(out, "\n%*s", COLUMN, "");
    else
        buf_printf(out, "%*s", (int)(COLUMN - used), "");
    struct buf text = {0};
    buf_put_str(&text, str_from_c(row->help ? row->help : ""));
    if (row->traits & SETTING_SERVER)
        buf_put_str(&text, STR(" Use with server mode only."));
    if (row->traits & SETTING_AGENT)
        buf_put_str(&text, STR(" Use with agent mode only."));
    if (row->traits & SETTING_IGNORED)
        buf_put_str(&text, STR(" Accepted, without effect here."));
    put_wrapped(buf_str(&text), out);
    buf_deinit(&text);
}

void settings_format_help(const struct settings *s, const char *program, const char *about,
                          struct buf *out)
{
    const struct setting *const rest = settings_find(s, STR(""));
    buf_printf(out, "usage: %s [<flags>]%s%s\n\n%s\n\n\nFlags:\n", program, rest ? " " : "",
               rest && rest->placeholder ? rest->placeholder : "", about);
    for (size_t i = 0; i < s->n; i++)
        if (s->rows[i].name[0] && !(s->rows[i].traits & SETTING_HIDDEN))
            put_row(&s->rows[i], out);
    buf_put_char(out, '\n');
}

void settings_format_markdown(const struct settings *s, const char *program, const char *about,
                              struct buf *out)
{
    buf_printf(out, "# %s\n\n%s\n\n## Flags\n\n", program, about);
    buf_put_str(out, STR("| Flag | Description | Default |\n| --- | --- | --- |\n"));
    for (size_t i = 0; i < s->n; i++) {
        const struct setting *const row = &s->rows[i];
        if (!row->name[0] || (row->traits & SETTING_HIDDEN))
            continue;
        if (row->short_name)
            buf_printf(out, "| <code>-%c</code>, ", row->short_name);
        else
            buf_put_str(out, STR("| "));
        buf_printf(out, "<code>--%s%s</code> | ", row->flag ? "[no-]" : "", row->name);
        for (const char *c = row->help ? row->help : ""; *c; c++) {
            if (*c == '|')
                buf_put_char(out, '\\');
            buf_put_char(out, *c);
        }
        if (row->traits & SETTING_IGNORED)
            buf_put_str(out, STR(" Accepted, without effect here."));
        if (row->default_text && row->default_text[0])
            buf_printf(out, " | `%s` |\n", row->default_text);
        else
            buf_put_str(out, STR(" | |\n"));
    }
}
