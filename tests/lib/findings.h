// What a flow on a fiber or a second thread found wrong, for the test to report: Criterion's
// assertions work on the main thread's own stack alone.
#ifndef TESTS_LIB_FINDINGS_H
#define TESTS_LIB_FINDINGS_H

struct findings {    // zeroed is empty
    char text[2048]; // the first thing that was not as wanted
};

void findings_note(struct findings *f, const char *file, int line, const char *what,
                   const char *format, ...) __attribute__((format(printf, 5, 6)));

// want(f, n == 3, "%d came", n): notes what is not so; the text may be left out.
#define want(f, condition, ...)                                                  \
    do {                                                                         \
        if (!(condition))                                                        \
            findings_note((f), __FILE__, __LINE__, #condition, " " __VA_ARGS__); \
    } while (0)

#endif
