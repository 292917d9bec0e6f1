// What can be wrong with the flags and arguments that say whom to ask and how.
#ifndef TOOLS_PROMTOOL_SERVER_CHECK_H
#define TOOLS_PROMTOOL_SERVER_CHECK_H

#include "tools/promtool/promtool.h"
#include "tools/server_ask.h"

// False: something is wrong, which standard error says in promtool's words.
bool server_check(const struct promtool *p, const struct server_ask *ask);

// False: there is no such file, which has been said likewise. Suspends.
bool server_check_file(const struct promtool *p, const char *path);

#endif
