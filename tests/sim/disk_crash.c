// What a disk holds when the power comes back.
//
// Changes of a file are gone through in their order. Each sector follows them up to some point and
// then stays behind: a sector never holds a later write without an earlier one. Sizes follow up to
// a point of their own. A folder's names do the same, those of a rename together.
#include <stdio.h>
#include <string.h>

#include "engine/base/mem.h"
#include "tests/sim/disk_state.h"

enum fate { FATE_ALL_KEPT, FATE_ALL_LOST, FATE_MIXED, FATE_COUNT };

struct behind { // by sector: follows no more
    bool *items;
    size_t n, capacity;
};

static bool is_behind(const struct behind *b, int64_t sector)
{
    return (size_t)sector < b->n && b->items[sector];
}

static void stay_behind(struct behind *b, int64_t sector)
{
    const size_t at = (size_t)sector;
    b->items = mem_grow(b->items, &b->capacity, at + 1, sizeof *b->items);
    for (; b->n <= at; b->n++)
        b->items[b->n] = false;
    b->items[at] = true;
}

struct survivor {
    struct disk *disk;
    struct inode *inode;
    enum fate fate;
    double chance; // of a sector or name to be lost at a change
    struct behind behind;
    bool size_behind;
};

static bool is_lost(struct survivor *s)
{
    return s->fate == FATE_ALL_LOST ||
           (s->fate == FATE_MIXED && rng_double(&s->disk->faults->rng) < s->chance);
}

static void keep_size(struct survivor *s, int64_t size)
{
    if (s->size_behind || is_lost(s)) {
        s->size_behind = true;
        faults_note(s->disk->faults, FAULT_LOST_SIZE);
        return;
    }
    content_resize(&s->inode->kept, size);
}

static void keep_write(struct survivor *s, const struct change *c)
{
    struct content *kept = &s->inode->kept;
    const int64_t end = c->offset + (int64_t)c->n;
    if (end > kept->size)
        keep_size(s, end);
    size_t lost = 0, sectors = 0;
    for (int64_t at = c->offset, next; at < end; at = next) {
        const int64_t sector = at / DISK_SECTOR;
        next = (sector + 1) * DISK_SECTOR < end ? (sector + 1) * DISK_SECTOR : end;
        sectors++;
        if (is_behind(&s->behind, sector) || is_lost(s)) {
            stay_behind(&s->behind, sector);
            lost++;
            faults_note(s->disk->faults, FAULT_LOST_SECTOR);
            continue;
        }
        const int64_t until = next < kept->size ? next : kept->size;
        if (at < until)
            content_write(kept, at, c->bytes + (at - c->offset), (size_t)(until - at));
    }
    if (lost > 0 && lost < sectors)
        faults_note(s->disk->faults, FAULT_TORN_WRITE);
}

struct names_behind {
    const char **items;
    size_t n, capacity;
};

static bool is_name_behind(const struct names_behind *b, const char *name)
{
    for (size_t i = 0; i < b->n; i++) {
        if (!strcmp(b->items[i], name))
            return true;
    }
    return false;
}

static void name_stays_behind(struct names_behind *b, const char *name)
{
    b->items = mem_grow(b->items, &b->capacity, b->n + 1, sizeof *b->items);
    b->items[b->n++] = name;
}

static void keep_names(struct survivor *s)
{
    struct names_behind behind = {0};
    for (const struct change *c = s->inode->changes; c; c = c->next) {
        if (is_name_behind(&behind, c->name) ||
            (c->kind == CHANGE_RENAME && is_name_behind(&behind, c->name2)) || is_lost(s)) {
            name_stays_behind(&behind, c->name);
            if (c->kind == CHANGE_RENAME)
                name_stays_behind(&behind, c->name2);
            faults_note(s->disk->faults, FAULT_LOST_NAME);
        } else {
            entries_apply(s->disk, &s->inode->kept_names, c);
        }
    }
    mem_free(behind.items);
}

static void survive(struct disk *d, struct inode *inode)
{
    struct rng *rng = &d->faults->rng;
    struct survivor s = {.disk = d, .inode = inode, .fate = (enum fate)rng_below(rng, FATE_COUNT)};
    s.chance = rng_double(rng);
    s.chance *= s.chance;
    if (inode->is_dir)
        keep_names(&s);
    for (struct change *c; (c = inode_take_change(inode));) {
        if (c->kind == CHANGE_WRITE)
            keep_write(&s, c);
        else if (c->kind == CHANGE_SIZE)
            keep_size(&s, c->offset);
        change_free(d, c);
    }
    mem_free(s.behind.items);
    content_deinit(&inode->now);
    content_copy(&inode->now, &inode->kept);
    entries_clear(d, &inode->names);
    for (size_t i = 0; i < inode->kept_names.n; i++) {
        struct change c = {.kind = CHANGE_SET, .inode = inode->kept_names.items[i].inode};
        memcpy(c.name, inode->kept_names.items[i].name, sizeof c.name);
        entries_apply(d, &inode->names, &c);
    }
    inode->locked_by = NULL;
}

void disk_lose_power(struct disk *d)
{
    struct inode **all = NULL;
    size_t n = 0, capacity = 0;
    for (struct inode *i = d->inodes; i; i = i->next) {
        all = mem_grow(all, &capacity, n + 1, sizeof *all);
        all[n++] = i;
        i->refs++;
    }
    for (size_t i = n; i-- > 0;) // oldest first
        survive(d, all[i]);
    for (size_t i = 0; i < n; i++)
        inode_unref(d, all[i]);
    mem_free(all);
}

// ---- for who looks for a mistake

static void print_changes(const struct inode *inode)
{
    for (const struct change *c = inode->changes; c; c = c->next) {
        switch (c->kind) {
        case CHANGE_WRITE:
            fprintf(stderr, "        write %zu bytes at %lld\n", c->n, (long long)c->offset);
            break;
        case CHANGE_SIZE:
            fprintf(stderr, "        size %lld\n", (long long)c->offset);
            break;
        case CHANGE_SET:
            fprintf(stderr, "        name %s is inode %llu\n", c->name,
                    (unsigned long long)c->inode->id);
            break;
        case CHANGE_REMOVE:
            fprintf(stderr, "        name %s is gone\n", c->name);
            break;
        case CHANGE_RENAME:
            fprintf(stderr, "        name %s becomes %s\n", c->name, c->name2);
            break;
        }
    }
}

void disk_print(const struct disk *d, int64_t now_ns)
{
    fprintf(stderr, "%12.6f the disk:\n", (double)now_ns / 1e9);
    for (const struct inode *i = d->inodes; i; i = i->next) {
        fprintf(stderr, "    inode %llu%s: %lld bytes, %lld kept\n", (unsigned long long)i->id,
                i->is_dir ? ", a folder" : "", (long long)i->now.size, (long long)i->kept.size);
        for (size_t k = 0; k < i->names.n; k++)
            fprintf(stderr, "        %s: inode %llu\n", i->names.items[k].name,
                    (unsigned long long)i->names.items[k].inode->id);
        print_changes(i);
    }
}
