#include "tests/lib/findings.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void findings_note(struct findings *f, const char *file, int line, const char *what,
                   const char *format, ...)
{
    if (f->text[0])
        return;
    snprintf(f->text, sizeof f->text, "%s:%d: %.900s:", file, line, what);
    const size_t at = strlen(f->text);
    va_list args;
    va_start(args, format);
    vsnprintf(f->text + at, sizeof f->text - at, format, args);
    va_end(args);
}
