#include "engine/server/active_queries.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/mem.h"
#include "io/file.h"
#include "io/mapped.h"
#include "protocol/json_write.h"

enum { FILE_MAX = 16 << 20, LINE_BYTES = 1500 };
static const size_t NO_SLOT = SIZE_MAX;

// The entries as JSON arrays, one a line of the log; more than a line holds go on in the next.
static void log_unfinished(struct str left, const struct logger *lg)
{
    struct buf line = {0};
    struct str rest = str_from(left, left.n > 0), slot;
    while (rest.n) {
        slot = str_until(rest, rest.n < ACTIVE_QUERY_BYTES ? rest.n : ACTIVE_QUERY_BYTES);
        rest = str_from(rest, slot.n);
        const ptrdiff_t end = str_find(slot, '\0', 0);
        slot = str_trim(end == STR_NONE ? slot : str_until(slot, (size_t)end));
        if (slot.n && slot.p[slot.n - 1] == ',')
            slot.n--;
        if (slot.n) {
            buf_put_char(&line, line.n ? ',' : '[');
            buf_put_str(&line, slot);
        }
        if (line.n && (line.n > LINE_BYTES - ACTIVE_QUERY_BYTES || !rest.n)) {
            buf_put_char(&line, ']');
            log_info(lg, "These queries didn't finish in prometheus' last run:",
                     log_str("queries", buf_str(&line)));
            buf_reset(&line);
        }
    }
    buf_deinit(&line);
}

void active_queries_open(struct active_queries *a, const char *folder, size_t slots,
                         const struct logger *lg)
{
    char path[600];
    struct buf left = {0};
    struct errmsg e;
    const struct logger mine = {.component = "activeQueryTracker", .sink = lg->sink};
    *a = (struct active_queries){.size = 1 + slots * ACTIVE_QUERY_BYTES, .slots = slots};
    snprintf(path, sizeof path, "%s/queries.active", folder);
    err code = path_read(path, FILE_MAX, &left, &e);
    if (!code)
        log_unfinished(buf_str(&left), &mine);
    else if (code != ERR_NOTFOUND)
        log_error(&mine, "Failed to read query log file", log_cstr("err", e.text));
    buf_deinit(&left);
    code = mapped_create(path, a->size, (void **)&a->map, &e);
    if (code) {
        a->map = NULL;
        log_error(&mine, "Unable to create mmap-ed active query log", log_cstr("err", e.text));
        return;
    }
    a->map[0] = '[';
    a->taken = mem_zalloc(slots * sizeof *a->taken);
}

void active_queries_close(struct active_queries *a)
{
    if (a->map)
        mapped_destroy(a->map, a->size);
    mem_free(a->taken);
    a->map = NULL;
    a->taken = NULL;
}

// {"query":"...","timestamp_sec":N}, with as much of text as fits.
static void put_entry(struct str text, int64_t now_s, struct buf *out)
{
    struct json j;
    json_init(&j, out);
    json_object_begin(&j);
    json_key(&j, "query");
    json_str(&j, text);
    json_key(&j, "timestamp_sec");
    json_i64(&j, now_s);
    json_object_end(&j);
}

// Escapes make text longer, by up to five bytes for one: text is cut until its JSON fits whole.
static void put_fitting_entry(struct str text, int64_t now_s, struct buf *out)
{
    size_t n = text.n < ACTIVE_QUERY_BYTES ? text.n : ACTIVE_QUERY_BYTES;
    for (;;) {
        while (n && n < text.n && ((unsigned char)text.p[n] & 0xc0) == 0x80)
            n--; // not within a rune
        buf_reset(out);
        put_entry(str_until(text, n), now_s, out);
        if (out->n < ACTIVE_QUERY_BYTES)
            return;
        n -= (out->n - ACTIVE_QUERY_BYTES) / 6 + 1;
    }
}

size_t active_queries_add(struct active_queries *a, struct str text, int64_t now_s)
{
    if (!a->map)
        return NO_SLOT;
    size_t slot = 0;
    while (slot < a->slots && atomic_exchange(&a->taken[slot], true))
        slot++;
    assert(slot < a->slots);
    struct buf entry = {0};
    put_fitting_entry(text, now_s, &entry);
    char *at = a->map + 1 + slot * ACTIVE_QUERY_BYTES;
    memcpy(at + 1, entry.p + 1, entry.n - 1);
    at[ACTIVE_QUERY_BYTES - 1] = ',';
    at[0] = entry.p[0]; // last: a slot that begins is whole
    buf_deinit(&entry);
    return slot;
}

void active_queries_remove(struct active_queries *a, size_t slot)
{
    if (!a->map || slot == NO_SLOT)
        return;
    memset(a->map + 1 + slot * ACTIVE_QUERY_BYTES, 0, ACTIVE_QUERY_BYTES);
    atomic_store(&a->taken[slot], false);
}
