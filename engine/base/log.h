// Structured logging: one line a record, logfmt or JSON.
//
// Only the code that handles an error logs it; code that returns an err does not. A line is built
// on the stack (beyond 2 KiB on the heap) and given to the sink whole: no lock.
#ifndef ENGINE_BASE_LOG_H
#define ENGINE_BASE_LOG_H

#include <stdint.h>

#include "engine/base/str.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_style { LOG_STYLE_LOGFMT, LOG_STYLE_JSON };

// Shared by the loggers of a program; whoever made it keeps it.
struct log_sink {
    enum log_level level; // records above it are dropped
    enum log_style style;
    void (*write)(void *cookie, const char *line, size_t n); // one line, from any thread
    int64_t (*wall_ms)(void *cookie);                        // NULL: no time in the records
    void *cookie;
};

struct logger {
    const char *component;
    const struct log_sink *sink;
};

struct log_field {
    const char *key;
    enum { LOG_FIELD_END, LOG_FIELD_STR, LOG_FIELD_I64 } kind;
    struct str str;
    int64_t i64;
};

struct log_field log_cstr(const char *key, const char *value);
struct log_field log_str(const char *key, struct str value);
struct log_field log_i64(const char *key, int64_t value);

// fields ends with a LOG_FIELD_END. A record of more than a MiB is cut, and says so.
void log_write(const struct logger *lg, enum log_level level, const char *msg,
               const struct log_field *fields);

// log_warn(lg, "scrape failed", log_str("target", url), log_i64("ms", elapsed_ms));
#define log_at_(lg, level, msg, ...) \
    log_write((lg), (level), (msg), (struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}})
#define log_error(lg, ...) log_at_(lg, LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(lg, ...) log_at_(lg, LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(lg, ...) log_at_(lg, LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(lg, ...) log_at_(lg, LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
