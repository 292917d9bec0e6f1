// A simulated disk: what programs see of it, and what of that would be left without power.
//
// Writes, sizes and changes of folders are seen at once; they are kept when a sync of that file or
// folder has ended that began after them. Without power each unsynced sector of 512 bytes and each
// unsynced change of a folder is kept or lost as the seed says, those of one sector or one name in
// their order. Results below 0 are -errno.
#ifndef TESTS_SIM_DISK_H
#define TESTS_SIM_DISK_H

#include "engine/base/buf.h"
#include "io/op.h"
#include "tests/sim/content.h"
#include "tests/sim/faults.h"

enum { DISK_SECTOR = 512, DISK_NAME_MAX = 127 };

struct change; // of a file or a folder, not synced

struct entry {
    char name[DISK_NAME_MAX + 1];
    struct inode *inode;
};

struct entries {
    struct entry *items;
    size_t n, capacity;
};

struct inode {
    struct inode *next, *prev; // all of the disk
    bool is_dir;
    unsigned refs; // from entries of both kinds, changes, descriptors
    uint64_t id;
    uint64_t changes_made;  // number of the newest change; 0: none
    struct change *changes; // not synced, oldest first
    struct change **changes_end;
    struct content now, kept; // of a file
    struct content before;    // what it held when its first bytes were written anew: see broken.h
    struct entries names, kept_names; // of a folder
    int64_t mtime_ms;
    const void *locked_by;
};

struct disk {
    struct faults *faults;
    struct inode *inodes, *root;
    uint64_t inodes_made;
    bool is_full;     // nothing new fits
    bool loses_syncs; // a broken world: says that it has synced file contents, and has not
    bool remembers;   // keeps inode.before
};

struct disk *disk_create(struct faults *faults);
void disk_destroy(struct disk *d);    // nothing may be open
void disk_lose_power(struct disk *d); // nothing may be open

// out gets a reference, for inode_unref().
int32_t disk_open(struct disk *d, const char *path, int flags, struct inode **out);
void inode_unref(struct disk *d, struct inode *inode);
int32_t disk_stat(struct disk *d, const char *path, struct op_stat *out);
int32_t disk_rename(struct disk *d, const char *from, const char *to);
int32_t disk_link(struct disk *d, const char *from, const char *to);
int32_t disk_unlink(struct disk *d, const char *path);
int32_t disk_mkdir(struct disk *d, const char *path);
int32_t disk_rmdir(struct disk *d, const char *path);
int32_t disk_list(struct disk *d, const char *path, struct buf *out, size_t *out_count);
void disk_print(const struct disk *d, int64_t now_ns); // to standard error
uint64_t disk_used_bytes(const struct disk *d);
size_t disk_memory_bytes(const struct disk *d); // what it takes itself

void inode_stat(const struct inode *inode, struct op_stat *out);
int32_t inode_write(struct disk *d, struct inode *inode, int64_t offset, const void *p, size_t n);
int32_t inode_resize(struct disk *d, struct inode *inode, int64_t size);
// A sync that began when changes_made was upto.
void inode_sync(struct disk *d, struct inode *inode, uint64_t upto);
// A sync that failed: what it should have kept is seen on, and will never be kept.
void inode_sync_failed(struct disk *d, struct inode *inode, uint64_t upto);

#endif
