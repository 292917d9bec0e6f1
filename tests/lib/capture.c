#include "tests/lib/capture.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/base/bits.h"
#include "engine/base/mem.h"

static FILE *open_recording(void)
{
    const char *const name = getenv("FERULA_CAPTURE");
    if (!name || !*name)
        return NULL;
    char command[1024];
    const bool is_packed = str_has_suffix(str_from_c(name), STR(".xz"));
    if (snprintf(command, sizeof command, "%s '%s'", is_packed ? "xz -dc" : "cat", name) >=
        (int)sizeof command)
        abort();
    return popen(command, "re");
}

bool capture_load(struct capture *c)
{
    enum { STEP = 1 << 20, HEAD = 12 };
    *c = (struct capture){0};
    FILE *const file = open_recording();
    if (!file)
        return false;
    for (size_t n = 1; n > 0; c->bytes.n += n)
        n = fread(buf_reserve(&c->bytes, STEP), 1, STEP, file);
    if (pclose(file) != 0 || c->bytes.n == 0)
        abort();
    for (size_t at = 0; at < c->bytes.n;) {
        if (c->bytes.n - at < HEAD)
            abort();
        const size_t size = load_le32(c->bytes.p + at + 8);
        at += HEAD;
        if (c->bytes.n - at < size)
            abort();
        if (c->n == c->capacity)
            c->bodies = mem_grow(c->bodies, &c->capacity, c->n + 1, sizeof c->bodies[0]);
        c->bodies[c->n++] = str_make(c->bytes.p + at, size);
        at += size;
    }
    return true;
}

void capture_deinit(struct capture *c)
{
    buf_deinit(&c->bytes);
    mem_free(c->bodies);
    *c = (struct capture){0};
}
