// The symbols of a request of 2.0, and the fingerprint of a series by its references to them.
//
// Each symbol is hashed once a request. A series' fingerprint is the sum over its labels of the
// name's hash times the value's: it goes by the labels' bytes alone, whatever their numbers and
// their order, so that equal labels have equal fingerprints in all requests. Hashes are keyed:
// nobody can choose them. Most references of a series are those of the last one whose references
// took as many bytes, at the same places: only the labels that differ are taken from the sum and
// added to it.
//
// Belongs to a request, whose memory it stays with for the next one.
#ifndef ENGINE_REMOTE_SYMBOLS_H
#define ENGINE_REMOTE_SYMBOLS_H

#include "engine/remote/intake.h"
#include "protocol/remote_write2.h"
#include "simd/fingerprint.h"

// More than any sender has; a table of as many takes 128 MiB.
enum { SYMBOLS_MAX = 4 << 20 };

enum { SYMBOLS_NO_NAME = UINT32_MAX };

// By how many bytes usual references have: those seen last.
struct symbols_known {
    struct symbols_before {
        const uint8_t *refs; // NULL: none
        struct hash128 print;
    } before[REMOTE_WRITE2_USUAL_REFS + 1];
    uint8_t label_at[REMOTE_WRITE2_USUAL_REFS + 1][REMOTE_WRITE2_USUAL_REFS + 1]; // of each byte
};

struct symbols {
    struct str *texts;
    struct hash128 *prints;
    size_t n, capacity;
    size_t held;                 // whose memory is counted in the budget of decoded bytes
    uint32_t name;               // the first that is `__name__`, or SYMBOLS_NO_NAME
    struct symbols_known *known; // references seen before; NULL: none ever
};

void symbols_deinit(struct symbols *s);
// Empty, keeps memory unless it is much.
void symbols_reset(struct symbols *s);
// All symbols of the body, counted in its budget unless in is NULL: ERR_LIMIT is that this is used
// up. Suspends.
err symbols_index(struct symbols *s, struct intake *in, struct intake_body *body,
                  const struct fingerprint_key *key, struct errmsg *e);

// Of references in usual form, which stay where they are until the next reset. False: they are not
// of that form, or one is not in the table, or has no partner.
bool symbols_usual_print(struct symbols *s, const uint8_t *refs, size_t n, struct hash128 *out);
// Of references in any form; false: one is not in the table, or has no partner.
bool symbols_print(const struct symbols *s, struct str refs, struct hash128 *out);

#endif
