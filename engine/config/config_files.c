#include "engine/config/config_files.h"

#include <stdio.h>
#include <stdlib.h>

#include "io/file.h"

static err read_file(void *arg, const char *path, struct buf *out, struct errmsg *e)
{
    (void)arg;
    return path_read(path, CONFIG_FILE_MAX, out, e);
}

static err list_folder(void *arg, const char *dir, struct buf *out, size_t *out_count,
                       struct errmsg *e)
{
    (void)arg;
    return path_list(dir, out, out_count, e);
}

static struct str variable(void *arg, struct str name)
{
    (void)arg;
    char text[256];
    if (name.n >= sizeof text)
        return STR("");
    snprintf(text, sizeof text, "%.*s", STR_ARG(name));
    const char *value = getenv(text);
    return value ? str_from_c(value) : STR("");
}

const struct prom_config_source config_files = {NULL, read_file, list_folder, variable};
