// The C face of RE2. See regex.h for the rules; this only carries calls over.
#ifndef ENGINE_BASE_REGEX_SHIM_H
#define ENGINE_BASE_REGEX_SHIM_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct re2_shim;

// RE2::ErrorCode as RE2 numbers it; 0: no error. arg: the part of the pattern it names.
struct re2_shim_error {
    int code;
    char arg[256];
};
struct re2_shim *re2_shim_create(const char *p, size_t n, bool literal_dot_all,
                                 struct re2_shim_error *error); // NULL: *error is set
void re2_shim_destroy(struct re2_shim *r);
size_t re2_shim_groups_count(const struct re2_shim *r);
int re2_shim_group_index(const struct re2_shim *r, const char *name, size_t n); // -1: no such group

struct re2_shim_span {
    const char *p; // NULL: did not take part
    size_t n;
};
bool re2_shim_match(const struct re2_shim *r, const char *p, size_t n, bool anchored,
                    struct re2_shim_span *groups, size_t groups_count);
// The range of texts that can match: at least *low, at most *high. False: no bound is known.
bool re2_shim_range(const struct re2_shim *r, char *low, size_t *low_n, char *high, size_t *high_n,
                    size_t max);

#ifdef __cplusplus
}
#endif

#endif
