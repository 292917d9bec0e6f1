// The inside of simulated disks: shared by disk.c (what programs do) and disk_crash.c (what is
// left).
#ifndef TESTS_SIM_DISK_STATE_H
#define TESTS_SIM_DISK_STATE_H

#include "tests/sim/disk.h"

enum change_kind { CHANGE_WRITE, CHANGE_SIZE, CHANGE_SET, CHANGE_REMOVE, CHANGE_RENAME };

struct change {
    struct change *next;
    enum change_kind kind;
    uint64_t number;
    int64_t offset; // or the new size
    size_t n;
    uint8_t *bytes;
    char name[DISK_NAME_MAX + 1], name2[DISK_NAME_MAX + 1];
    struct inode *inode; // that the name gets
};

void entries_apply(struct disk *d, struct entries *e, const struct change *c);
void change_free(struct disk *d, struct change *c);
struct change *inode_take_change(struct inode *inode); // the oldest; NULL: none
void entries_clear(struct disk *d, struct entries *e);

#endif
