// Makes a damaged data folder usable again, or files of earlier versions anew. Nothing is deleted
// that could not be read whole: what is damaged goes to quarantine/ below the folder, with a note
// beside it that says what and why; what of it can be read stays, in a new file.
#ifndef ENGINE_TSDB_REPAIR_H
#define ENGINE_TSDB_REPAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/err.h"

enum repair_kind {
    REPAIR_QUARANTINE, // moved aside as a whole
    REPAIR_SALVAGE,    // what can be read stands in a new file, the old one is moved aside
    REPAIR_FORGET,     // a missing file: the catalogue does not name it any more
    REPAIR_COPY,       // of a damaged log segment: it is passed over where damaged, and read
    REPAIR_UPGRADE,    // written anew in the present format; the old one is removed
    REPAIR_KINDS
};

struct repair_action { // texts are good during the call
    enum repair_kind kind;
    const char *path;
    const char *to; // where it is, or would be, from now on; empty: nowhere
    const char *why;
    uint64_t series, samples;           // that it had; 0: not known
    uint64_t series_kept, samples_kept; // that stay
    uint32_t version;                   // REPAIR_UPGRADE: it had
};
typedef void repair_tell_fn(void *arg, const struct repair_action *action);

struct repair_options {
    bool upgrade; // files of earlier versions are written anew; a damaged folder is refused
    bool dry_run; // says what it would do; nothing is locked or written
};

// ERR_EXISTS: a server has the folder, e names it; ERR_CORRUPT: the catalogue itself is damaged, or
// (upgrade) something is. Suspends.
err repair_folder(const char *dir, const struct repair_options *options, void *arg,
                  uint64_t *out_actions, struct errmsg *e, repair_tell_fn *tell);

#endif
