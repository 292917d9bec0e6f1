// Errors: a code for the program, a sentence for the person.
//
// What can fail returns err. Where a person will read the reason (configuration, queries, HTTP,
// start) the last parameter is a struct errmsg *: the caller's memory, may be NULL, touched only on
// failure.
#ifndef ENGINE_BASE_ERR_H
#define ENGINE_BASE_ERR_H

#define NODISCARD [[nodiscard]]

typedef enum NODISCARD err {
    ERR_OK = 0,
    ERR_INVALID, // the input breaks a rule; the same input will always fail
    ERR_LIMIT,   // a configured bound was reached; a smaller request may pass
    ERR_NOTFOUND,
    ERR_EXISTS,
    ERR_CORRUPT, // stored bytes are not what was written
    ERR_CANCELED,
    ERR_TIMEOUT,
    ERR_IO, // the system refused; errmsg holds the errno text
} err;

struct errmsg {
    char text[1024]; // innermost cause last: "load rules: a.yml: line 7: ..."
};

const char *err_name(err code);

void err_format(struct errmsg *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
void err_prefix(struct errmsg *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

// return err_set(e, ERR_INVALID, "line %d: ...", line); e may be NULL. Macros, so that the compiler
// sees the code: behind a function it must assume ERR_OK, and warns of outputs left unset.
#define err_set(e, code, ...) (err_format((e), __VA_ARGS__), (err)(code))
// Puts "...: " before the text that a callee left.
#define err_wrap(e, code, ...) (err_prefix((e), __VA_ARGS__), (err)(code))

// Returns the error of expr to the caller, if any. Only where nothing is left to release.
#define TRY(expr)                \
    do {                         \
        err try_code_ = (expr);  \
        if (try_code_ != ERR_OK) \
            return try_code_;    \
    } while (0)

#endif
