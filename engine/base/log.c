#include "engine/base/log.h"

#include <inttypes.h>
#include <stdio.h>

#include "engine/base/calendar.h"
#include "engine/base/mem.h"

struct line {
    size_t n;
    bool cut;
    enum log_style style;
    char *text;
    size_t size;
};

static const char *const levels[] = {
    [LOG_LEVEL_ERROR] = "error",
    [LOG_LEVEL_WARN] = "warn",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_DEBUG] = "debug",
};

struct log_field log_cstr(const char *key, const char *value)
{
    return log_str(key, str_from_c(value));
}

struct log_field log_str(const char *key, struct str value)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_STR, .str = value};
}

struct log_field log_i64(const char *key, int64_t value)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_I64, .i64 = value};
}

enum { TAIL_ROOM = 8 }; // "...", a quote, a brace and the newline

static void put(struct line *line, const char *bytes, size_t n)
{
    const size_t room = line->size - TAIL_ROOM - line->n;
    if (n > room) {
        n = room;
        line->cut = true;
    }
    memcpy(line->text + line->n, bytes, n);
    line->n += n;
}

static bool is_bare(struct str value)
{
    for (size_t i = 0; i < value.n; i++) {
        const unsigned char c = (unsigned char)value.p[i];
        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f)
            return false;
    }
    return value.n > 0;
}

// Bytes that would end the value or the line are escaped: a label value cannot forge a record.
static void put_quoted(struct line *line, struct str value)
{
    put(line, "\"", 1);
    for (size_t i = 0; i < value.n && !line->cut; i++) {
        const unsigned char c = (unsigned char)value.p[i];
        char escaped[8] = {(char)c};
        if (c == '"' || c == '\\')
            snprintf(escaped, sizeof escaped, "\\%c", c);
        else if (c == '\n')
            memcpy(escaped, "\\n", 3);
        else if (c < ' ' || c == 0x7f)
            snprintf(escaped, sizeof escaped, line->style == LOG_STYLE_JSON ? "\\u%04x" : "\\x%02x",
                     c);
        put(line, escaped, escaped[0] ? strlen(escaped) : 1);
    }
    if (line->cut) {
        memcpy(line->text + line->n, "...", 3);
        line->n += 3;
    }
    line->text[line->n++] = '"'; // put() left room for it
}

static void put_key(struct line *line, const char *key)
{
    const bool json = line->style == LOG_STYLE_JSON;
    const char *separator = line->n == 0 ? (json ? "{" : "") : (json ? "," : " ");
    put(line, separator, strlen(separator));
    put(line, "\"", json);
    put(line, key, strlen(key));
    put(line, json ? "\":" : "=", json ? 2 : 1);
}

static void put_str(struct line *line, const char *key, struct str value)
{
    if (line->cut)
        return;
    put_key(line, key);
    if (line->cut)
        return;
    if (line->style == LOG_STYLE_LOGFMT && is_bare(value))
        put(line, value.p, value.n);
    else
        put_quoted(line, value);
}

static void put_i64(struct line *line, const char *key, int64_t value)
{
    if (line->cut)
        return;
    char number[24];
    const int n = snprintf(number, sizeof number, "%" PRId64, value);
    put_key(line, key);
    put(line, number, (size_t)n);
}

static void put_time(struct line *line, int64_t wall_ms)
{
    char text[CALENDAR_TEXT_MAX];
    const int ms = (int)(wall_ms % 1000); // always three digits, as Prometheus's logs have them
    size_t n = calendar_format(wall_ms - ms, text) - 1;
    n += (size_t)snprintf(text + n, sizeof text - n, ".%03dZ", ms);
    put_str(line, "time", str_make(text, n));
}

static void put_record(struct line *line, const struct logger *lg, int64_t wall_ms,
                       const char *level, const char *msg, const struct log_field *fields)
{
    line->n = 0;
    line->cut = false;
    if (lg->sink->wall_ms)
        put_time(line, wall_ms);
    put_str(line, "level", str_from_c(level));
    put_str(line, "component", str_from_c(lg->component));
    put_str(line, "msg", str_from_c(msg));
    for (const struct log_field *f = fields; f->kind != LOG_FIELD_END; f++) {
        if (f->kind == LOG_FIELD_STR)
            put_str(line, f->key, f->str);
        else
            put_i64(line, f->key, f->i64);
    }
    if (line->style == LOG_STYLE_JSON)
        line->text[line->n++] = '}';
    line->text[line->n++] = '\n';
}

void log_write(const struct logger *lg, enum log_level level, const char *msg,
               const struct log_field *fields)
{
    enum { USUAL = 2048, MOST = 1 << 20 };
    const struct log_sink *sink = lg->sink;
    if (!sink || level > sink->level)
        return;
    char usual[USUAL];
    struct line line = {.style = sink->style, .text = usual, .size = sizeof usual};
    const int64_t wall_ms = sink->wall_ms ? sink->wall_ms(sink->cookie) : 0;
    put_record(&line, lg, wall_ms, levels[level], msg, fields);
    if (line.cut) { // errors of a configuration are long: they happen once
        line.size = MOST;
        line.text = mem_alloc(MOST);
        put_record(&line, lg, wall_ms, levels[level], msg, fields);
    }
    sink->write(sink->cookie, line.text, line.n);
    if (line.text != usual)
        mem_free(line.text);
}
