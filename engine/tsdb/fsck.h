// Looks at all of a data folder: the catalogue, every byte of every file, every record of the log,
// and whether they agree. Nothing is written, nobody is locked out: a server may have it open.
#ifndef ENGINE_TSDB_FSCK_H
#define ENGINE_TSDB_FSCK_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/err.h"

enum fsck_severity {
    FSCK_NOTE,   // nothing is lost: what a crash left, what the next start removes
    FSCK_DAMAGE, // data is lost or wrong
};

struct fsck_finding { // texts are good during the call
    enum fsck_severity severity;
    const char *path;
    int64_t offset;   // of the bytes that are concerned; -1: of the whole file
    const char *what; // "wrong checksum"
    const char *lost; // "samples of 12 series"; empty: nothing, or it is not known
    // What can be moved aside so that the rest goes on: the file at path. Of a chunk inside of a
    // file it is still false: readers refuse that chunk alone.
    bool is_unusable;
};

struct fsck_counts {
    uint64_t files, chunks, series, samples;                  // of block files
    uint64_t streams, segments, rows, log_samples, log_notes; // of the log
    uint64_t bytes;                                           // of files that were read
    uint64_t files_in_all;                                    // of block files, for progress
    uint64_t notes, damages;
};

struct fsck_ops { // may suspend
    void (*found)(void *arg, const struct fsck_finding *finding);
    void (*progress)(void *arg, const struct fsck_counts *so_far); // or NULL
};

// ERR_NOTFOUND, ERR_IO: it cannot be looked at. Damage is no error. Suspends.
err fsck_folder(const char *dir, const struct fsck_ops *ops, void *arg, struct fsck_counts *out,
                struct errmsg *e);

#endif
