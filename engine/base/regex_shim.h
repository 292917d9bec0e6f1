// The C face of RE2. See regex.h for the rules; this only carries calls over.
#ifndef ENGINE_BASE_REGEX_SHIM_H
#define ENGINE_BASE_REGEX_SHIM_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct re2_shim;

struct re2_shim_error {
    bool is_too_large; // for bytes_max
    char text[256];
};
// bytes_max: of the program, and of the states made in matching. NULL: *error is set.
struct re2_shim *re2_shim_create(const char *p, size_t n, size_t bytes_max,
                                 struct re2_shim_error *error);
// What r says of texts of ASCII is right; where it finds a match in another, the expression exact
// is asked, which is compiled then, once, by whichever thread comes first.
void re2_shim_set_exact(struct re2_shim *r, const char *exact, size_t n, size_t bytes_max);
void re2_shim_destroy(struct re2_shim *r);
size_t re2_shim_size(const struct re2_shim *r); // instructions
struct re2_shim_span {
    const char *p; // NULL: did not take part
    size_t n;
};
bool re2_shim_match(const struct re2_shim *r, const char *p, size_t n, bool anchored,
                    struct re2_shim_span *groups, size_t groups_count);

#ifdef __cplusplus
}
#endif

#endif
