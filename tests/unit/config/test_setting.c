#include <criterion/criterion.h>

#include "engine/base/util.h"
#include "engine/config/setting.h"

struct values {
    bool help, lifecycle, pinned;
    int64_t samples, timeout_ms, size_bytes;
    double ratio;
    struct str file, level, compression;
    struct setting_list addresses, args, messages;
};

enum { ROWS = 13 };

static void make_rows(struct values *v, bool with_args, struct setting rows[static ROWS], size_t *n)
{
    static const char *const levels[] = {"debug", "info", NULL};
    static const char *const compressions[] = {"snappy", "zstd", NULL};
    const struct setting all[ROWS] = {
        {"help", 'h', .flag = &v->help, .traits = SETTING_BUILTIN, .help = "Show help."},
        {"config.file", .text = &v->file, .default_text = "prometheus.yml", .help = "The file."},
        {"web.enable-lifecycle", .flag = &v->lifecycle, .help = "Enable shutdown | reload."},
        {"pin", .flag = &v->pinned, .default_text = "true", .help = "Pin."},
        {"query.max-samples", .number = &v->samples, .default_text = "5e7", .min = 1,
         .max = 1000000000, .help = "Samples.", .traits = SETTING_SERVER},
        {"query.timeout", .duration_ms = &v->timeout_ms, .default_text = "2m", .help = "Time."},
        {"retention.size", .size_bytes = &v->size_bytes, .help = "Bytes."},
        {"ratio", .fraction = &v->ratio, .default_text = "0.9", .traits = SETTING_IGNORED},
        {"log.level", .text = &v->level, .default_text = "info", .choices = levels,
         .choice_name = "log level"},
        {"compression", .text = &v->compression, .default_text = "snappy", .choices = compressions,
         .traits = SETTING_HIDDEN | SETTING_AGENT},
        {"web.listen-address", .list = &v->addresses, .default_text = "0.0.0.0:9090"},
        {"messages", .list = &v->messages, .default_text = "a,b"},
        {"", .list = &v->args},
    };
    memcpy(rows, all, sizeof all);
    *n = with_args ? ROWS : ROWS - 1;
}

static const struct {
    const char *args; // words between spaces
    const char *want; // "name=value", or the error behind "!"
} rows[] = {
    {"", "config.file=prometheus.yml"},
    {"", "query.max-samples=50000000"},
    {"", "query.timeout=2m"},
    {"", "retention.size=0B"},
    {"", "messages=a,b"},
    {"", "pin=true"},
    {"--config.file=x", "config.file=x"},
    {"--config.file x", "config.file=x"},
    {"--config.file=", "config.file="},
    {"--config.file=a=b", "config.file=a=b"},
    {"-h", "help=true"},
    {"--help", "help=true"},
    {"--web.enable-lifecycle", "web.enable-lifecycle=true"},
    {"--no-pin", "pin=false"},
    {"--query.timeout=1h30m", "query.timeout=1h30m"},
    {"--retention.size=512MB", "retention.size=512MiB"},
    {"--ratio=0.5", "ratio=0.5"},
    {"--web.listen-address=a:1", "web.listen-address=a:1"},
    {"--web.listen-address=a:1 --web.listen-address b:2", "web.listen-address=a:1,b:2"},
    {"--log.level=debug", "log.level=debug"},
    // The errors are kingpin's and promslog's, read off Prometheus.
    {"--bogus", "!unknown long flag '--bogus'"},
    {"--bogus=3", "!unknown long flag '--bogus'"},
    {"--query.timeout=xx --bogus", "!unknown long flag '--bogus'"},
    {"--no-no-pin", "!unknown long flag '--no-no-pin'"},
    {"--no-config.file", "!unknown long flag '--no-config.file'"},
    {"-x", "!unknown short flag '-x'"},
    {"-hx", "!unknown short flag '-x'"},
    {"foo", "!unexpected foo"},
    {"-- --pin", "!unexpected --pin"},
    {"-", "!unexpected -"},
    {"--pin=true", "!unexpected true"},
    {"--pin --pin", "!flag 'pin' cannot be repeated"},
    {"--config.file a --config.file b", "!flag 'config.file' cannot be repeated"},
    {"--config.file", "!expected argument for flag '--config.file'"},
    {"--config.file --pin", "!expected argument for flag '--config.file'"},
    {"--query.timeout=", "!empty duration string"},
    {"--query.timeout=1m1m", "!not a valid duration string: \"1m1m\""},
    {"--retention.size=5foo", "!units: unknown unit foo in 5foo"},
    {"--retention.size=x", "!units: invalid x"},
    {"--ratio=x", "!strconv.ParseFloat: parsing \"x\": invalid syntax"},
    {"--query.max-samples=abc", "!strconv.ParseFloat: parsing \"abc\": invalid syntax"},
    {"--query.max-samples=0", "!flag 'query.max-samples': 0 is not within 1..1000000000"},
    {"--query.max-samples=1e300", "!flag 'query.max-samples': 1e300 is out of range"},
    {"--log.level=foo", "!unrecognized log level foo"},
    {"--compression=x", "!enum value must be one of snappy,zstd, got 'x'"},
};

static int split(char *text, const char *argv[static 16])
{
    int n = 0;
    argv[n++] = "program";
    for (char *at = text; *at;) {
        argv[n++] = at;
        while (*at && *at != ' ')
            at++;
        if (*at)
            *at++ = '\0';
    }
    return n;
}

Test(setting, command_lines)
{
    for (size_t i = 0; i < countof(rows); i++) {
        struct values v;
        struct setting all[ROWS];
        size_t n;
        make_rows(&v, false, all, &n);
        char text[128] = "";
        memcpy(text, rows[i].args, strlen(rows[i].args));
        const char *argv[16];
        const int argc = split(text, argv);
        struct settings s;
        struct errmsg e = {0};
        const err code = settings_parse(&s, all, n, argc, argv, &e);
        if (rows[i].want[0] == '!') {
            cr_assert_neq(code, ERR_OK, "row %zu", i);
            cr_assert_str_eq(e.text, rows[i].want + 1, "row %zu: %s", i, e.text);
            continue;
        }
        cr_assert_eq(code, ERR_OK, "row %zu: %s", i, e.text);
        struct str value = str_from_c(rows[i].want), name;
        cr_assert(str_split(&value, '=', &name));
        struct buf b = {0};
        setting_format(settings_find(&s, name), &b);
        cr_assert(str_eq(buf_str(&b), value), "row %zu: %.*s", i, STR_ARG(buf_str(&b)));
        buf_deinit(&b);
    }
}

Test(setting, what_was_given)
{
    struct values v;
    struct setting all[ROWS];
    size_t n;
    make_rows(&v, true, all, &n);
    all[1].traits = SETTING_REQUIRED;
    struct settings s;
    struct errmsg e = {0};
    const char *const none[] = {"p"};
    cr_assert_neq(settings_parse(&s, all, n, 1, none, &e), ERR_OK);
    cr_assert_str_eq(e.text, "required flag(s) '--config.file' not provided");
    const char *const some[] = {"p", "one", "--config.file", "x", "--compression=zstd", "--", "-y"};
    cr_assert_eq(settings_parse(&s, all, n, 7, some, &e), ERR_OK);
    cr_assert(settings_is_given(&s, STR("compression")));
    cr_assert(!settings_is_given(&s, STR("pin")));
    struct buf list = {0};
    cr_assert(settings_given_with(&s, SETTING_AGENT | SETTING_REQUIRED, &list));
    cr_assert(!settings_given_with(&s, SETTING_SERVER, &list));
    cr_assert(str_eq(buf_str(&list), STR("[\"--config.file\" \"--compression\"][]")));
    buf_deinit(&list);
    cr_assert_eq(v.args.n, 2);
    cr_assert(str_eq(v.args.items[1], STR("-y")));
}

Test(setting, documents_come_from_the_rows)
{
    struct values v;
    struct setting all[ROWS];
    size_t n;
    make_rows(&v, false, all, &n);
    struct settings s;
    const char *const none[] = {"p"};
    cr_assert_eq(settings_parse(&s, all, n, 1, none, NULL), ERR_OK);
    struct buf b = {0};
    settings_format_help(&s, "ferula", "The monitoring server", &b);
    buf_put_char(&b, '\0');
    cr_assert(strstr(b.p, "usage: ferula [<flags>]\n\nThe monitoring server\n\n\nFlags:\n"));
    cr_assert(strstr(b.p, "  -h, --[no-]help            Show help.\n"));
    cr_assert(
        strstr(b.p, "      --config.file=\"prometheus.yml\"\n                             The"));
    cr_assert(strstr(b.p, "server mode only."));
    cr_assert_null(strstr(b.p, "compression"));
    buf_reset(&b);
    settings_format_markdown(&s, "ferula", "The monitoring server", &b);
    buf_put_char(&b, '\0');
    cr_assert(strstr(b.p, "# ferula\n\nThe monitoring server\n\n## Flags\n\n| Flag |"));
    cr_assert(strstr(b.p, "| <code>--query.timeout</code> | Time. | `2m` |\n"));
    cr_assert(strstr(b.p, "Enable shutdown \\| reload."));
    buf_deinit(&b);
}
