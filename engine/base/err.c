#include "engine/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const names[] = {
    [ERR_OK] = "ok",
    [ERR_INVALID] = "invalid",
    [ERR_LIMIT] = "limit",
    [ERR_NOTFOUND] = "not found",
    [ERR_EXISTS] = "exists",
    [ERR_CORRUPT] = "corrupt",
    [ERR_CANCELED] = "canceled",
    [ERR_TIMEOUT] = "timeout",
    [ERR_IO] = "io",
};

const char *err_name(err code)
{
    return names[code];
}

void err_format(struct errmsg *e, const char *format, ...)
{
    if (!e)
        return;
    char text[sizeof e->text]; // an argument may be e's own text
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    memcpy(e->text, text, sizeof text);
}

void err_prefix(struct errmsg *e, const char *format, ...)
{
    if (!e)
        return;
    const struct errmsg inner = *e;
    va_list args;
    va_start(args, format);
    vsnprintf(e->text, sizeof e->text, format, args);
    va_end(args);
    size_t at = strlen(e->text);
    const char *const parts[] = {": ", inner.text};
    for (size_t i = 0; i < 2; i++)
        for (const char *p = parts[i]; *p && at + 1 < sizeof e->text; p++)
            e->text[at++] = *p;
    e->text[at] = '\0';
}
