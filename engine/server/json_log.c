#include "engine/server/json_log.h"

#include <assert.h>

#include "engine/base/calendar.h"
#include "engine/base/mem.h"
#include "io/clock.h"
#include "io/fiber.h"
#include "io/file.h"

struct json_log {
    struct file file;
    struct logger lg;
    struct buf pending; // whole lines
    uint64_t lines, failures;
    uint64_t parts_taken, parts_written; // what was pending at once is a part
    struct buf line;                     // the one that is written
    bool is_writing, has_failed;
    unsigned waiting;
    struct waiters written;
};

err json_log_open(struct str path, const struct logger *lg, struct json_log **out, struct errmsg *e)
{
    char text[sizeof((struct file *)0)->path];
    if (path.n >= sizeof text)
        return err_set(e, ERR_INVALID, "can't create json log file: the path is too long");
    struct json_log *l = mem_zalloc(sizeof *l);
    memcpy(text, path.p, path.n);
    text[path.n] = '\0';
    const err code = file_open(&l->file, text, FILE_WRITE | FILE_CREATE | FILE_APPEND, e);
    if (code) {
        mem_free(l);
        return err_wrap(e, code, "can't create json log file");
    }
    l->lg = *lg;
    waiters_init(&l->written);
    *out = l;
    return ERR_OK;
}

struct str json_log_path(const struct json_log *l)
{
    return str_from_c(l->file.path);
}

uint64_t json_log_failures(const struct json_log *l)
{
    return l->failures;
}

// A file that cannot be written is said once, until it can be.
static void note_failure(struct json_log *l, uint64_t lines, const struct errmsg *e)
{
    l->failures += lines;
    if (!l->has_failed)
        log_error(&l->lg, "lines of a log were lost", log_cstr("file", l->file.path),
                  log_cstr("err", e->text));
    l->has_failed = true;
}

static void write_pending(void *arg) // a fiber of its own, as long as there are lines
{
    struct json_log *l = arg;
    while (l->pending.n) {
        struct errmsg e;
        struct buf part = l->pending;
        const uint64_t lines = l->lines;
        l->pending = (struct buf){0};
        l->lines = 0;
        l->parts_taken++;
        if (file_write(&l->file, 0, part.p, part.n, &e) != ERR_OK) // at the end, wherever that is
            note_failure(l, lines, &e);
        else
            l->has_failed = false;
        buf_deinit(&part);
        l->parts_written++;
        waiters_wake_all(&l->written);
    }
    l->is_writing = false;
    waiters_wake_all(&l->written);
}

void json_log_wait(struct json_log *l)
{
    const uint64_t part = l->parts_taken + (l->pending.n > 0);
    fiber_shield_begin();
    l->waiting++;
    while (l->parts_written < part)
        (void)waiters_wait(&l->written); // behind a shield: cannot be told to end
    l->waiting--;
    fiber_shield_end();
    waiters_wake_all(&l->written); // for who closes
}

void json_log_close(struct json_log *l)
{
    if (!l)
        return;
    fiber_shield_begin();
    while (l->is_writing || l->waiting)
        (void)waiters_wait(&l->written); // behind a shield: cannot be told to end
    file_close(&l->file);
    fiber_shield_end();
    buf_deinit(&l->pending);
    buf_deinit(&l->line);
    mem_free(l);
}

void json_log_begin(struct json_log *l, const char *level, const char *source, struct str msg,
                    struct json *j)
{
    char date[CALENDAR_TEXT_MAX];
    buf_reset(&l->line);
    json_init(j, &l->line);
    json_object_begin(j);
    json_key(j, "time");
    json_str(j, str_make(date, calendar_format(clock_wall_ms(), date)));
    json_key(j, "level");
    json_cstr(j, level);
    json_key(j, "source");
    json_cstr(j, source);
    json_key(j, "msg");
    json_str_plain(j, msg);
}

void json_log_end(struct json_log *l, struct json *j)
{
    json_object_end(j);
    buf_put_char(&l->line, '\n');
    if (l->pending.n + l->line.n > JSON_LOG_PENDING_MAX) {
        struct errmsg e;
        err_format(&e, "the file takes no more than is already waiting");
        note_failure(l, 1, &e);
        return;
    }
    buf_put_str(&l->pending, buf_str(&l->line));
    l->lines++;
    if (!l->is_writing) {
        l->is_writing = true;
        fiber_start_always(LOOP_EXPORT, write_pending, l, NULL);
    }
}
