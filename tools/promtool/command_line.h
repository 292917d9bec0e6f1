// A command line with commands: their words first, flags anywhere behind the word they belong to.
#ifndef TOOLS_PROMTOOL_COMMAND_LINE_H
#define TOOLS_PROMTOOL_COMMAND_LINE_H

#include "tools/promtool/promtool.h"

enum { COMMAND_LINE_MAX = 4096 }; // words

// Fills p. *out: the command; NULL: none was named, or --help, --version or help was asked for (see
// p). *out_help_words: how many words of help_words name what help is wanted for. Errors are those
// of kingpin, which promtool uses.
struct command_line {
    const struct command *command; // NULL: only --help, --version or nothing at all was given
    const char *words[COMMAND_WORDS_MAX]; // as far as they were given
    size_t words_n;
};
err command_line_parse(struct promtool *p, int argc, const char *const *argv,
                       struct command_line *out, struct errmsg *e);

// Help about a command, about all that begin with the given words, or about everything (none).
void command_line_help(struct promtool *p, const struct command_line *line, struct buf *out);

#endif
