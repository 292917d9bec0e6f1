#include "tests/sim/disk.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "tests/sim/disk_state.h"

// ---- inodes and names

static struct inode *inode_make(struct disk *d, bool is_dir)
{
    struct inode *inode = mem_zalloc(sizeof *inode);
    inode->is_dir = is_dir;
    inode->id = ++d->inodes_made;
    inode->changes_end = &inode->changes;
    inode->next = d->inodes;
    if (d->inodes)
        d->inodes->prev = inode;
    d->inodes = inode;
    return inode;
}

static void inode_free(struct disk *d, struct inode *inode)
{
    for (struct change *c; (c = inode_take_change(inode));)
        change_free(d, c);
    entries_clear(d, &inode->names);
    entries_clear(d, &inode->kept_names);
    content_deinit(&inode->now);
    content_deinit(&inode->kept);
    content_deinit(&inode->before);
    if (inode->prev)
        inode->prev->next = inode->next;
    else
        d->inodes = inode->next;
    if (inode->next)
        inode->next->prev = inode->prev;
    mem_free(inode);
}

void inode_unref(struct disk *d, struct inode *inode)
{
    assert(inode->refs > 0);
    if (--inode->refs == 0)
        inode_free(d, inode);
}

static struct entry *entries_find(const struct entries *e, const char *name)
{
    for (size_t i = 0; i < e->n; i++) {
        if (!strcmp(e->items[i].name, name))
            return &e->items[i];
    }
    return NULL;
}

static void entries_remove(struct disk *d, struct entries *e, const char *name)
{
    struct entry *at = entries_find(e, name);
    if (!at)
        return;
    struct inode *inode = at->inode;
    *at = e->items[--e->n];
    inode_unref(d, inode);
}

static void entries_set(struct disk *d, struct entries *e, const char *name, struct inode *inode)
{
    inode->refs++;
    entries_remove(d, e, name);
    e->items = mem_grow(e->items, &e->capacity, e->n + 1, sizeof *e->items);
    struct entry *at = &e->items[e->n++];
    memcpy(at->name, name, strlen(name) + 1);
    at->inode = inode;
}

void entries_clear(struct disk *d, struct entries *e)
{
    while (e->n > 0)
        inode_unref(d, e->items[--e->n].inode);
    mem_free(e->items);
    *e = (struct entries){0};
}

void entries_apply(struct disk *d, struct entries *e, const struct change *c)
{
    if (c->kind == CHANGE_REMOVE) {
        entries_remove(d, e, c->name);
    } else if (c->kind == CHANGE_SET) {
        entries_set(d, e, c->name, c->inode);
    } else {
        assert(c->kind == CHANGE_RENAME);
        entries_set(d, e, c->name2, c->inode);
        entries_remove(d, e, c->name);
    }
}

// ---- changes

static struct change *change_add(struct inode *inode, enum change_kind kind)
{
    struct change *c = mem_zalloc(sizeof *c);
    c->kind = kind;
    c->number = ++inode->changes_made;
    *inode->changes_end = c;
    inode->changes_end = &c->next;
    return c;
}

struct change *inode_take_change(struct inode *inode)
{
    struct change *c = inode->changes;
    if (c) {
        inode->changes = c->next;
        if (!inode->changes)
            inode->changes_end = &inode->changes;
    }
    return c;
}

void change_free(struct disk *d, struct change *c)
{
    if (c->inode)
        inode_unref(d, c->inode);
    mem_free(c->bytes);
    mem_free(c);
}

static void change_names(struct disk *d, struct inode *dir, enum change_kind kind, const char *name,
                         const char *name2, struct inode *inode)
{
    struct change *c = change_add(dir, kind);
    memcpy(c->name, name, strlen(name) + 1);
    if (name2)
        memcpy(c->name2, name2, strlen(name2) + 1);
    c->inode = inode;
    if (inode)
        inode->refs++;
    entries_apply(d, &dir->names, c);
}

// ---- paths

// The folder a path's last name is in; the name is copied out.
static int32_t walk(struct disk *d, const char *path, struct inode **out_dir, char *name)
{
    struct inode *dir = d->root;
    while (*path == '/')
        path++;
    for (;;) {
        const size_t n = strcspn(path, "/");
        if (n > DISK_NAME_MAX)
            return -ENAMETOOLONG;
        memcpy(name, path, n);
        name[n] = '\0';
        path += n;
        while (*path == '/')
            path++;
        if (!*path)
            break;
        const struct entry *e = entries_find(&dir->names, name);
        if (!e)
            return -ENOENT;
        if (!e->inode->is_dir)
            return -ENOTDIR;
        dir = e->inode;
    }
    *out_dir = dir;
    return 0;
}

// What a path leads to. inode NULL: the name is not there. The path "" or "/" is the root.
struct place {
    struct inode *dir, *inode;
    char name[DISK_NAME_MAX + 1];
};

static int32_t look_up(struct disk *d, const char *path, struct place *out)
{
    const int32_t result = walk(d, path, &out->dir, out->name);
    if (result < 0)
        return result;
    const struct entry *e = entries_find(&out->dir->names, out->name);
    out->inode = !out->name[0] || !strcmp(out->name, ".") ? d->root : e ? e->inode : NULL;
    return 0;
}

static int32_t look_up_two(struct disk *d, const char *from, const char *to, struct place out[2])
{
    const int32_t result = look_up(d, from, &out[0]);
    return result < 0 ? result : look_up(d, to, &out[1]);
}

// ---- what programs do

struct disk *disk_create(struct faults *faults)
{
    struct disk *d = mem_zalloc(sizeof *d);
    d->faults = faults;
    d->root = inode_make(d, true);
    d->root->refs = 1;
    return d;
}

void disk_destroy(struct disk *d)
{
    inode_unref(d, d->root);
    assert(!d->inodes); // something is open
    mem_free(d);
}

int32_t disk_open(struct disk *d, const char *path, int flags, struct inode **out)
{
    struct place at;
    const int32_t result = look_up(d, path, &at);
    if (result < 0)
        return result;
    if (at.inode && (flags & O_EXCL) && (flags & O_CREAT))
        return -EEXIST;
    if (at.inode && at.inode->is_dir && (flags & O_ACCMODE) != O_RDONLY)
        return -EISDIR;
    if (at.inode && !at.inode->is_dir && (flags & O_DIRECTORY))
        return -ENOTDIR;
    if (!at.inode) {
        if (!(flags & O_CREAT))
            return -ENOENT;
        if (d->is_full) {
            faults_note(d->faults, FAULT_NO_SPACE);
            return -ENOSPC;
        }
        at.inode = inode_make(d, false);
        change_names(d, at.dir, CHANGE_SET, at.name, NULL, at.inode);
    } else if ((flags & O_TRUNC) && at.inode->now.size > 0) {
        inode_resize(d, at.inode, 0);
    }
    at.inode->refs++;
    *out = at.inode;
    return 0;
}

void inode_stat(const struct inode *inode, struct op_stat *out)
{
    *out = (struct op_stat){
        .size = inode->now.size, .mtime_ms = inode->mtime_ms, .is_dir = inode->is_dir};
}

int32_t disk_stat(struct disk *d, const char *path, struct op_stat *out)
{
    struct place at;
    const int32_t result = look_up(d, path, &at);
    if (result < 0)
        return result;
    if (!at.inode)
        return -ENOENT;
    inode_stat(at.inode, out);
    return 0;
}

int32_t disk_rename(struct disk *d, const char *from, const char *to)
{
    struct place at[2];
    const int32_t result = look_up_two(d, from, to, at);
    if (result < 0)
        return result;
    struct inode *inode = at[0].inode, *there = at[1].inode;
    if (!inode)
        return -ENOENT;
    if (inode == there)
        return 0;
    if (there && there->is_dir)
        return there->names.n ? -ENOTEMPTY : -EISDIR;
    if (at[0].dir == at[1].dir) {
        change_names(d, at[0].dir, CHANGE_RENAME, at[0].name, at[1].name, inode);
        return 0;
    }
    change_names(d, at[1].dir, CHANGE_SET, at[1].name, NULL, inode);
    change_names(d, at[0].dir, CHANGE_REMOVE, at[0].name, NULL, NULL);
    return 0;
}

int32_t disk_link(struct disk *d, const char *from, const char *to)
{
    struct place at[2];
    const int32_t result = look_up_two(d, from, to, at);
    if (result < 0)
        return result;
    if (!at[0].inode || at[1].inode)
        return at[1].inode ? -EEXIST : -ENOENT;
    change_names(d, at[1].dir, CHANGE_SET, at[1].name, NULL, at[0].inode);
    return 0;
}

int32_t disk_unlink(struct disk *d, const char *path)
{
    struct place at;
    const int32_t result = look_up(d, path, &at);
    if (result < 0)
        return result;
    if (!at.inode || at.inode->is_dir)
        return at.inode ? -EISDIR : -ENOENT;
    change_names(d, at.dir, CHANGE_REMOVE, at.name, NULL, NULL);
    return 0;
}

int32_t disk_mkdir(struct disk *d, const char *path)
{
    struct place at;
    const int32_t result = look_up(d, path, &at);
    if (result < 0)
        return result;
    if (at.inode)
        return -EEXIST;
    change_names(d, at.dir, CHANGE_SET, at.name, NULL, inode_make(d, true));
    return 0;
}

int32_t disk_rmdir(struct disk *d, const char *path)
{
    struct place at;
    const int32_t result = look_up(d, path, &at);
    if (result < 0)
        return result;
    if (!at.inode || !at.inode->is_dir || at.inode == d->root)
        return at.inode ? -ENOTDIR : -ENOENT;
    if (at.inode->names.n)
        return -ENOTEMPTY;
    change_names(d, at.dir, CHANGE_REMOVE, at.name, NULL, NULL);
    return 0;
}

static int compare_entries(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

int32_t disk_list(struct disk *d, const char *path, struct buf *out, size_t *out_count)
{
    struct place at;
    const int32_t result = look_up(d, path, &at);
    if (result < 0)
        return result;
    if (!at.inode || !at.inode->is_dir)
        return at.inode ? -ENOTDIR : -ENOENT;
    if (at.inode->names.n)
        qsort(at.inode->names.items, at.inode->names.n, sizeof *at.inode->names.items,
              compare_entries);
    for (size_t i = 0; i < at.inode->names.n; i++)
        buf_put(out, at.inode->names.items[i].name, strlen(at.inode->names.items[i].name) + 1);
    *out_count = at.inode->names.n;
    return 0;
}

uint64_t disk_used_bytes(const struct disk *d)
{
    uint64_t sum = 0;
    for (const struct inode *i = d->inodes; i; i = i->next)
        sum += (uint64_t)i->now.size;
    return sum;
}

size_t disk_memory_bytes(const struct disk *d)
{
    size_t sum = 0;
    for (const struct inode *i = d->inodes; i; i = i->next) {
        sum += sizeof *i + content_memory_bytes(&i->now) + content_memory_bytes(&i->kept) +
               (i->names.capacity + i->kept_names.capacity) * sizeof *i->names.items;
        for (const struct change *c = i->changes; c; c = c->next)
            sum += sizeof *c + c->n;
    }
    return sum;
}

int32_t inode_write(struct disk *d, struct inode *inode, int64_t offset, const void *p, size_t n)
{
    if (inode->is_dir)
        return -EBADF;
    uint8_t first = 0;
    (void)content_read(&inode->now, 0, &first, 1);
    if (d->remembers && offset == 0 && first && inode->now.size > (int64_t)n) {
        content_deinit(&inode->before);
        content_copy(&inode->before, &inode->now);
    }
    struct change *c = change_add(inode, CHANGE_WRITE);
    c->offset = offset;
    c->n = n;
    c->bytes = mem_alloc(n);
    memcpy(c->bytes, p, n);
    content_write(&inode->now, offset, p, n);
    return (int32_t)n;
}

int32_t inode_resize(struct disk *d, struct inode *inode, int64_t size)
{
    (void)d;
    if (inode->is_dir || size < 0)
        return -EINVAL;
    change_add(inode, CHANGE_SIZE)->offset = size;
    content_resize(&inode->now, size);
    return 0;
}

static void keep(struct disk *d, struct inode *inode, const struct change *c)
{
    if (inode->is_dir)
        entries_apply(d, &inode->kept_names, c);
    else if (c->kind == CHANGE_SIZE)
        content_resize(&inode->kept, c->offset);
    else
        content_write(&inode->kept, c->offset, c->bytes, c->n);
}

void inode_sync(struct disk *d, struct inode *inode, uint64_t upto)
{
    if (d->loses_syncs && !inode->is_dir)
        return;
    while (inode->changes && inode->changes->number <= upto) {
        struct change *c = inode_take_change(inode);
        keep(d, inode, c);
        change_free(d, c);
    }
}

void inode_sync_failed(struct disk *d, struct inode *inode, uint64_t upto)
{
    while (!inode->is_dir && inode->changes && inode->changes->number <= upto)
        change_free(d, inode_take_change(inode));
}
