// Settings: one row a command-line flag. A row's typed pointer says where the value goes and so
// what it may be; rows live in a function that knows the struct, so a test can parse into its own.
//
// Accepted: --name=value, --name value, --flag, --no-flag, -h for a row with a short name, and
// arguments without dashes where a row has the name "". Error texts are kingpin's, which Prometheus
// uses. Values of str and lists point into argv or default texts, which must outlive them.
#ifndef ENGINE_CONFIG_SETTING_H
#define ENGINE_CONFIG_SETTING_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/buf.h"
#include "engine/base/err.h"
#include "engine/base/log.h"

enum { SETTINGS_MAX = 256, SETTING_LIST_MAX = 1024 };

struct setting_list { // of a flag that may be repeated
    struct str items[SETTING_LIST_MAX];
    size_t n;
};

enum setting_trait {
    SETTING_HIDDEN = 1,   // not in --help
    SETTING_IGNORED = 2,  // accepted for Prometheus's sake, means nothing here: given, it warns
    SETTING_BUILTIN = 4,  // --help, --version: not among the values that status/flags shows
    SETTING_SERVER = 8,   // only without --agent
    SETTING_AGENT = 16,   // only with it
    SETTING_REQUIRED = 32 // must be given
};

struct setting {
    const char *name;
    char short_name; // 0: none
    bool *flag;      // exactly one of these seven is set
    int64_t *number;
    double *fraction;
    int64_t *duration_ms;
    int64_t *size_bytes;
    struct str *text;
    struct setting_list *list;
    int64_t min, max;           // of the integers; both 0: any value from 0 up
    const char *const *choices; // of text: ends with NULL; NULL: any
    const char *choice_name;    // "log level": what the error about a bad choice calls it; or NULL
    const char *default_text;   // parsed like an argument, lists by comma; NULL: 0, false or empty
    const char *placeholder;    // in --help: "<url>"; NULL: the default
    const char *help;
    unsigned traits;
};

struct settings {
    const struct setting *rows;
    size_t n;
    unsigned given[SETTINGS_MAX]; // the how-manieth flag of the line it was first; 0: not given
    bool
        is_malformed; // what failed is the line as such, not a value: Prometheus ends with 1, not 2
};

// Sets every row from its default, then from the arguments behind argv[0].
err settings_parse(struct settings *s, const struct setting *rows, size_t n, int argc,
                   const char *const *argv, struct errmsg *e);
const struct setting *settings_find(const struct settings *s, struct str name); // NULL: none
bool settings_is_given(const struct settings *s, struct str name);
// Appends the given flags that have the trait as Prometheus lists them, in the order of the line:
// ["--a" "--b"]. Whether there are any. For SETTING_SERVER and SETTING_AGENT.
bool settings_given_with(const struct settings *s, unsigned trait, struct buf *out);
// One warning for each given flag that means nothing here.
void settings_warn(const struct settings *s, const struct logger *lg);

// The value as status/flags shows it: "5m", "512MB", "true", lists joined by commas.
void setting_format(const struct setting *row, struct buf *out);
void settings_format_help(const struct settings *s, const char *program, const char *about,
                          struct buf *out);
// Headed by the program's name, a table of all rows that are not hidden.
void settings_format_markdown(const struct settings *s, const char *program, const char *about,
                              struct buf *out);

#endif
