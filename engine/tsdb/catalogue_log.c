// The format of a data folder's catalogue, version 1. Integers are little-endian.
//
//     offset  size  header of the log
//     0       8     "FERULACT"
//     8       4     format of the data folder: 4; in 3 there were no items 8 to 10, in 2 block
//     files were of version 2 at most,
//                   in 1 no file and no log had histograms
//     12      4     bytes of the header: 32
//     16      12    zero
//     28      4     CRC32C of bytes 0..27
//     32            records; the first holds the whole state (the checkpoint), each other one
//     change
//
//     offset  size  record
//     0       4     CRC32C of bytes 4..15 and the items
//     4       4     bytes of the items
//     8       8     sequence, one more than that of the record before
//     16            items, each a byte for its type and a fixed number of bytes:
//
//     1  folder       partitions 4, spread 4, hash seed 8, bytes of the placement labels 4; then
//                     these labels, names with commas
//     2  epoch        8: of the newest run
//     3  next id      8
//     4  file added   80: id 8, generation 8, kind 4, level 4, partitions from 4 to 4, times from 8
//                     to 8, size 8, series 8, samples 8, tenant 4, tier 4
//     5  file removed id 8
//     6  mark         epoch 8, shard 4, segment 8, sequence 8
//     7  stream done  epoch 8, shard 4: its mark goes
//     8  tombstones   file id 8, bytes 4; then those that tombstones.c describes: what the file
//     hides
//                     from here on; no bytes: nothing
//     9  deletion     epoch 8, shard 4, sequence 8, times from 8 to 8 (both included), partitions
//     from
//                     4 to 4 (the end not included), bytes 4; then matchers (matchers_bytes.c): of
//                     series that match and are in these partitions the samples of these times are
//                     gone that records of this stream below the sequence, or any stream of an
//                     earlier epoch, have
//    10  deletions done  epoch 8, shard 4, sequence 8: those of the stream up to it; all of a
//    stream
//                     that is done are, too
//
// A record whose checksum is wrong ends the log if nothing good follows: its write was cut, so the
// change had not been acknowledged. With a good record behind it, it is damage.
#include "engine/tsdb/catalogue_log.h"

#include "engine/base/bits.h"
#include "engine/base/mem.h"
#include "simd/simd.h"

enum item {
    ITEM_FOLDER = 1,
    ITEM_EPOCH,
    ITEM_NEXT_ID,
    ITEM_ADD,
    ITEM_REMOVE,
    ITEM_MARK,
    ITEM_DONE,
    ITEM_TOMBSTONES,
    ITEM_DELETION,
    ITEM_DELETIONS_DONE,
};

enum {
    HEADER_FORMAT = 8,
    HEADER_SIZE = 12,
    HEADER_CRC = 28,
    RECORD_CRC = 0,
    RECORD_SIZE = 4,
    RECORD_SEQ = 8,
    RECORD_HEADER_BYTES = 16,
    FOLDER_BYTES = 20,
    FILE_BYTES = 80,
    MARK_BYTES = 28,
    STREAM_BYTES = 12,
    TOMBSTONES_BYTES = 12,
    DELETION_BYTES = 48,
};
static_assert(HEADER_CRC + 4 == CATALOGUE_HEADER_BYTES, "the layout above");
static_assert(FILE_BYTES == 2 * 8 + 4 * 4 + 2 * 8 + 3 * 8 + 2 * 4, "the layout above");
static_assert(sizeof(struct catalogue_file) == FILE_BYTES, "a new field needs its bytes on disk");

static const char MAGIC[8] = {'F', 'E', 'R', 'U', 'L', 'A', 'C', 'T'};

void catalogue_state_deinit(struct catalogue_state *s)
{
    buf_deinit(&s->placement_labels);
    mem_free(s->files);
    mem_free(s->marks);
    mem_free(s->done);
    for (size_t i = 0; i < s->tombstones_count; i++)
        mem_free((char *)(uintptr_t)s->tombstones[i].bytes.p);
    for (size_t i = 0; i < s->deletions_count; i++)
        mem_free((char *)(uintptr_t)s->deletions[i].matchers.p);
    mem_free(s->tombstones);
    mem_free(s->deletions);
    *s = (struct catalogue_state){0};
}

// ---- state

// Index of the first file at or above id.
static size_t file_at(const struct catalogue_state *s, uint64_t id)
{
    size_t low = 0, high = s->files_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (s->files[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool catalogue_state_has(const struct catalogue_state *s, uint64_t id)
{
    const size_t at = file_at(s, id);
    return at < s->files_count && s->files[at].id == id;
}

// ---- what is hidden

static struct str copy_bytes(struct str bytes)
{
    char *own = mem_alloc(bytes.n + 1);
    memcpy(own, bytes.n ? bytes.p : "", bytes.n ? bytes.n : 1);
    return str_make(own, bytes.n);
}

static size_t tombstones_at(const struct catalogue_state *s, uint64_t id)
{
    size_t at = 0;
    while (at < s->tombstones_count && s->tombstones[at].id < id)
        at++;
    return at;
}

struct str catalogue_state_tombstones(const struct catalogue_state *s, uint64_t id)
{
    const size_t at = tombstones_at(s, id);
    return at < s->tombstones_count && s->tombstones[at].id == id ? s->tombstones[at].bytes
                                                                  : (struct str){0};
}

static void set_tombstones(struct catalogue_state *s, uint64_t id, struct str bytes)
{
    const size_t at = tombstones_at(s, id);
    if (at < s->tombstones_count && s->tombstones[at].id == id) {
        struct catalogue_tombstones *const there = s->tombstones + at;
        s->tombstones_bytes -= there->bytes.n;
        mem_free((char *)(uintptr_t)there->bytes.p);
        s->tombstones_count--;
        memmove(there, there + 1, (s->tombstones_count - at) * sizeof *there);
    }
    if (!bytes.n)
        return;
    s->tombstones = mem_grow(s->tombstones, &s->tombstones_capacity, s->tombstones_count + 1,
                             sizeof *s->tombstones);
    memmove(s->tombstones + at + 1, s->tombstones + at,
            (s->tombstones_count - at) * sizeof *s->tombstones);
    s->tombstones[at] = (struct catalogue_tombstones){id, copy_bytes(bytes)};
    s->tombstones_count++;
    s->tombstones_bytes += bytes.n;
}

static int stream_cmp(struct wal_stream a, struct wal_stream b);

static void add_deletion(struct catalogue_state *s, const struct catalogue_deletion *d)
{
    size_t at = s->deletions_count;
    while (at > 0) {
        const int order = stream_cmp(s->deletions[at - 1].stream, d->stream);
        if (order < 0 || (order == 0 && s->deletions[at - 1].seq <= d->seq))
            break;
        at--;
    }
    s->deletions = mem_grow(s->deletions, &s->deletions_capacity, s->deletions_count + 1,
                            sizeof *s->deletions);
    memmove(s->deletions + at + 1, s->deletions + at,
            (s->deletions_count - at) * sizeof *s->deletions);
    s->deletions[at] = *d;
    s->deletions[at].matchers = copy_bytes(d->matchers);
    s->deletions_count++;
    s->tombstones_bytes += d->matchers.n + DELETION_BYTES;
}

static void end_deletions(struct catalogue_state *s, struct wal_stream stream, uint64_t seq)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->deletions_count; i++) {
        const struct catalogue_deletion d = s->deletions[i];
        if (stream_cmp(d.stream, stream) != 0 || d.seq > seq) {
            s->deletions[kept++] = d;
            continue;
        }
        s->tombstones_bytes -= d.matchers.n + DELETION_BYTES;
        mem_free((char *)(uintptr_t)d.matchers.p);
    }
    s->deletions_count = kept;
}

static void add_file(struct catalogue_state *s, const struct catalogue_file *f)
{
    const size_t at = file_at(s, f->id);
    s->files = mem_grow(s->files, &s->files_capacity, s->files_count + 1, sizeof *s->files);
    memmove(s->files + at + 1, s->files + at, (s->files_count - at) * sizeof *s->files);
    s->files[at] = *f;
    s->files_count++;
    if (s->next_id <= f->id)
        s->next_id = f->id + 1;
}

static void remove_file(struct catalogue_state *s, uint64_t id)
{
    const size_t at = file_at(s, id);
    set_tombstones(s, id, (struct str){0});
    s->files_count--;
    memmove(s->files + at, s->files + at + 1, (s->files_count - at) * sizeof *s->files);
}

static int stream_cmp(struct wal_stream a, struct wal_stream b)
{
    if (a.epoch != b.epoch)
        return a.epoch < b.epoch ? -1 : 1;
    return (a.shard > b.shard) - (a.shard < b.shard);
}

// The index of a stream among those done; done_count: it is not.
static size_t done_at(const struct catalogue_state *s, struct wal_stream stream)
{
    size_t at = 0;
    while (at < s->done_count && stream_cmp(s->done[at], stream) != 0)
        at++;
    return at;
}

// A stream has a mark, or is done, or is not known.
static void set_mark(struct catalogue_state *s, const struct wal_mark *m)
{
    const size_t done = done_at(s, m->stream);
    if (done < s->done_count)
        s->done[done] = s->done[--s->done_count];
    size_t at = 0;
    while (at < s->marks_count && stream_cmp(s->marks[at].stream, m->stream) < 0)
        at++;
    if (at == s->marks_count || stream_cmp(s->marks[at].stream, m->stream) != 0) {
        s->marks = mem_grow(s->marks, &s->marks_capacity, s->marks_count + 1, sizeof *s->marks);
        memmove(s->marks + at + 1, s->marks + at, (s->marks_count - at) * sizeof *s->marks);
        s->marks_count++;
    }
    s->marks[at] = *m;
}

static void set_done(struct catalogue_state *s, struct wal_stream stream)
{
    end_deletions(s, stream, UINT64_MAX);
    for (size_t i = 0; i < s->marks_count; i++) {
        if (stream_cmp(s->marks[i].stream, stream) != 0)
            continue;
        s->marks_count--;
        memmove(s->marks + i, s->marks + i + 1, (s->marks_count - i) * sizeof *s->marks);
        break;
    }
    if (done_at(s, stream) < s->done_count)
        return;
    s->done = mem_grow(s->done, &s->done_capacity, s->done_count + 1, sizeof *s->done);
    s->done[s->done_count++] = stream;
}

static err check_file(const struct catalogue_file *f, struct errmsg *e)
{
    if (f->min_t_ms <= f->max_t_ms && f->partition_min <= f->partition_max && f->tenant == 0 &&
        f->tier == 0 && (f->kind == CATALOGUE_SPILLED || f->kind == CATALOGUE_SEALED))
        return ERR_OK;
    return err_set(e, ERR_INVALID, "catalogue: file %llu makes no sense",
                   (unsigned long long)f->id);
}

static bool will_have(const struct catalogue_state *s, const struct catalogue_change *change,
                      uint64_t id)
{
    bool has = catalogue_state_has(s, id);
    for (size_t i = 0; i < change->remove_count; i++)
        has = has && change->remove[i] != id;
    for (size_t i = 0; i < change->add_count; i++)
        has = has || change->add[i].id == id;
    return has;
}

static err check_hidden(const struct catalogue_state *s, const struct catalogue_change *change,
                        struct errmsg *e)
{
    uint64_t bytes = s->tombstones_bytes;
    for (size_t i = 0; i < change->tombstones_count; i++) {
        bytes += change->tombstones[i].bytes.n;
        if (!will_have(s, change, change->tombstones[i].id))
            return err_set(e, ERR_INVALID, "catalogue: tombstones of file %llu, which is not there",
                           (unsigned long long)change->tombstones[i].id);
    }
    for (size_t i = 0; i < change->deletions_count; i++)
        bytes += change->deletions[i].matchers.n + DELETION_BYTES;
    if ((change->tombstones_count || change->deletions_count) && bytes > CATALOGUE_HIDDEN_BYTES_MAX)
        return err_set(e, ERR_LIMIT,
                       "what is deleted takes more than %d bytes to remember: clean the tombstones",
                       CATALOGUE_HIDDEN_BYTES_MAX);
    return ERR_OK;
}

err catalogue_state_check(const struct catalogue_state *s, const struct catalogue_change *change,
                          struct errmsg *e)
{
    for (size_t i = 0; i < change->remove_count; i++) {
        bool is_good = catalogue_state_has(s, change->remove[i]);
        for (size_t k = 0; k < i; k++)
            is_good = is_good && change->remove[k] != change->remove[i];
        if (!is_good)
            return err_set(e, ERR_INVALID, "catalogue: file %llu is removed, but not there",
                           (unsigned long long)change->remove[i]);
    }
    for (size_t i = 0; i < change->add_count; i++) {
        const struct catalogue_file *f = &change->add[i];
        bool is_good = !catalogue_state_has(s, f->id);
        for (size_t k = 0; k < i; k++)
            is_good = is_good && change->add[k].id != f->id;
        if (!is_good)
            return err_set(e, ERR_INVALID, "catalogue: file %llu is added twice",
                           (unsigned long long)f->id);
        TRY(check_file(f, e));
    }
    return check_hidden(s, change, e);
}

void catalogue_state_apply(struct catalogue_state *s, const struct catalogue_change *change)
{
    for (size_t i = 0; i < change->remove_count; i++)
        remove_file(s, change->remove[i]);
    for (size_t i = 0; i < change->add_count; i++)
        add_file(s, &change->add[i]);
    for (size_t i = 0; i < change->marks_count; i++)
        set_mark(s, &change->marks[i]);
    for (size_t i = 0; i < change->streams_done_count; i++)
        set_done(s, change->streams_done[i]);
    for (size_t i = 0; i < change->tombstones_count; i++)
        set_tombstones(s, change->tombstones[i].id, change->tombstones[i].bytes);
    for (size_t i = 0; i < change->deletions_done_count; i++)
        end_deletions(s, change->deletions_done[i].stream, change->deletions_done[i].seq);
    for (size_t i = 0; i < change->deletions_count; i++)
        add_deletion(s, &change->deletions[i]);
}

// ---- to bytes

static void put_file(struct buf *out, const struct catalogue_file *f)
{
    buf_put_char(out, ITEM_ADD);
    buf_put_le64(out, f->id);
    buf_put_le64(out, f->generation);
    buf_put_le32(out, f->kind);
    buf_put_le32(out, f->level);
    buf_put_le32(out, f->partition_min);
    buf_put_le32(out, f->partition_max);
    buf_put_le64(out, (uint64_t)f->min_t_ms);
    buf_put_le64(out, (uint64_t)f->max_t_ms);
    buf_put_le64(out, f->size_bytes);
    buf_put_le64(out, f->series);
    buf_put_le64(out, f->samples);
    buf_put_le32(out, f->tenant);
    buf_put_le32(out, f->tier);
}

static void put_u64(struct buf *out, enum item item, uint64_t number)
{
    buf_put_char(out, (char)item);
    buf_put_le64(out, number);
}

static void put_stream(struct buf *out, enum item item, struct wal_stream stream)
{
    put_u64(out, item, stream.epoch);
    buf_put_le32(out, stream.shard);
}

static void put_mark(struct buf *out, const struct wal_mark *m)
{
    put_stream(out, ITEM_MARK, m->stream);
    buf_put_le64(out, m->segment);
    buf_put_le64(out, m->seq);
}

static void put_tombstones(struct buf *out, const struct catalogue_tombstones *t)
{
    put_u64(out, ITEM_TOMBSTONES, t->id);
    buf_put_le32(out, (uint32_t)t->bytes.n);
    buf_put_str(out, t->bytes);
}

static void put_deletion(struct buf *out, const struct catalogue_deletion *d)
{
    put_stream(out, ITEM_DELETION, d->stream);
    buf_put_le64(out, d->seq);
    buf_put_le64(out, (uint64_t)d->min_t_ms);
    buf_put_le64(out, (uint64_t)d->max_t_ms);
    buf_put_le32(out, d->partition_begin);
    buf_put_le32(out, d->partition_end);
    buf_put_le32(out, (uint32_t)d->matchers.n);
    buf_put_str(out, d->matchers);
}

static size_t record_begin(struct buf *out, uint64_t seq)
{
    const size_t at = out->n;
    buf_put_le64(out, 0);
    buf_put_le64(out, seq);
    return at;
}

static void record_end(struct buf *out, size_t at)
{
    uint8_t *p = (uint8_t *)out->p + at;
    const size_t size = out->n - at - RECORD_HEADER_BYTES;
    assert(size <= CATALOGUE_RECORD_BYTES_MAX);
    store_le32(p + RECORD_SIZE, (uint32_t)size);
    store_le32(p + RECORD_CRC,
               simd.crc32c(0, p + RECORD_SIZE, RECORD_HEADER_BYTES - RECORD_SIZE + size));
}

void catalogue_put_checkpoint(const struct catalogue_state *s, struct buf *out)
{
    uint8_t header[CATALOGUE_HEADER_BYTES] = {0};
    memcpy(header, MAGIC, sizeof MAGIC);
    store_le32(header + HEADER_FORMAT, CATALOGUE_FORMAT);
    store_le32(header + HEADER_SIZE, CATALOGUE_HEADER_BYTES);
    store_le32(header + HEADER_CRC, simd.crc32c(0, header, HEADER_CRC));
    buf_put(out, header, sizeof header);
    const size_t at = record_begin(out, s->seq);
    buf_put_char(out, ITEM_FOLDER);
    buf_put_le32(out, s->partitions);
    buf_put_le32(out, s->spread);
    buf_put_le64(out, s->hash_seed);
    buf_put_le32(out, (uint32_t)s->placement_labels.n);
    buf_put_str(out, buf_str(&s->placement_labels));
    put_u64(out, ITEM_EPOCH, s->epoch);
    for (size_t i = 0; i < s->files_count; i++)
        put_file(out, &s->files[i]);
    for (size_t i = 0; i < s->marks_count; i++)
        put_mark(out, &s->marks[i]);
    for (size_t i = 0; i < s->done_count; i++)
        put_stream(out, ITEM_DONE, s->done[i]);
    for (size_t i = 0; i < s->tombstones_count; i++)
        put_tombstones(out, &s->tombstones[i]);
    for (size_t i = 0; i < s->deletions_count; i++)
        put_deletion(out, &s->deletions[i]);
    put_u64(out, ITEM_NEXT_ID, s->next_id);
    record_end(out, at);
}

void catalogue_put_change(const struct catalogue_state *s, const struct catalogue_change *change,
                          struct buf *out)
{
    const size_t at = record_begin(out, s->seq + 1);
    for (size_t i = 0; i < change->remove_count; i++)
        put_u64(out, ITEM_REMOVE, change->remove[i]);
    for (size_t i = 0; i < change->add_count; i++)
        put_file(out, &change->add[i]);
    for (size_t i = 0; i < change->marks_count; i++)
        put_mark(out, &change->marks[i]);
    for (size_t i = 0; i < change->streams_done_count; i++)
        put_stream(out, ITEM_DONE, change->streams_done[i]);
    for (size_t i = 0; i < change->tombstones_count; i++)
        put_tombstones(out, &change->tombstones[i]);
    for (size_t i = 0; i < change->deletions_done_count; i++) {
        put_stream(out, ITEM_DELETIONS_DONE, change->deletions_done[i].stream);
        buf_put_le64(out, change->deletions_done[i].seq);
    }
    for (size_t i = 0; i < change->deletions_count; i++)
        put_deletion(out, &change->deletions[i]);
    put_u64(out, ITEM_NEXT_ID, s->next_id);
    record_end(out, at);
}

// ---- from bytes

static struct catalogue_file load_file(const uint8_t *p)
{
    return (struct catalogue_file){
        .id = load_le64(p),
        .generation = load_le64(p + 8),
        .kind = load_le32(p + 16),
        .level = load_le32(p + 20),
        .partition_min = load_le32(p + 24),
        .partition_max = load_le32(p + 28),
        .min_t_ms = (int64_t)load_le64(p + 32),
        .max_t_ms = (int64_t)load_le64(p + 40),
        .size_bytes = load_le64(p + 48),
        .series = load_le64(p + 56),
        .samples = load_le64(p + 64),
        .tenant = load_le32(p + 72),
        .tier = load_le32(p + 76),
    };
}

// Bytes of the item at p, without its type; 0: no such item, or it does not fit.
static size_t item_size(const uint8_t *p, size_t n)
{
    static const uint8_t sizes[] = {
        [ITEM_FOLDER] = FOLDER_BYTES,
        [ITEM_EPOCH] = 8,
        [ITEM_NEXT_ID] = 8,
        [ITEM_ADD] = FILE_BYTES,
        [ITEM_REMOVE] = 8,
        [ITEM_MARK] = MARK_BYTES,
        [ITEM_DONE] = STREAM_BYTES,
        [ITEM_TOMBSTONES] = TOMBSTONES_BYTES,
        [ITEM_DELETION] = DELETION_BYTES,
        [ITEM_DELETIONS_DONE] = STREAM_BYTES + 8,
    };
    if (p[0] >= sizeof sizes || sizes[p[0]] == 0 || sizes[p[0]] > n - 1)
        return 0;
    size_t size = sizes[p[0]];
    if (p[0] == ITEM_TOMBSTONES || p[0] == ITEM_DELETION) {
        const uint32_t bytes = load_le32(p + 1 + size - 4);
        if (bytes > CATALOGUE_HIDDEN_BYTES_MAX || bytes > n - 1 - size)
            return 0;
        size += bytes;
    }
    if (p[0] == ITEM_FOLDER) {
        const uint32_t labels = load_le32(p + 1 + 16);
        if (labels > CATALOGUE_LABELS_BYTES_MAX || labels > n - 1 - size)
            return 0;
        size += labels;
    }
    return size;
}

static err apply_file_item(struct catalogue_state *s, enum item item, const uint8_t *p,
                           struct errmsg *e)
{
    const uint64_t id = load_le64(p);
    const struct catalogue_file f = item == ITEM_ADD ? load_file(p) : (struct catalogue_file){0};
    const struct catalogue_change change = {
        .add = &f,
        .add_count = item == ITEM_ADD,
        .remove = &id,
        .remove_count = item == ITEM_REMOVE,
    };
    if (catalogue_state_check(s, &change, e) != ERR_OK)
        return ERR_CORRUPT;
    if (id == UINT64_MAX)
        return err_set(e, ERR_CORRUPT, "catalogue: file number out of range");
    catalogue_state_apply(s, &change);
    return ERR_OK;
}

static struct catalogue_deletion load_deletion(const uint8_t *p)
{
    return (struct catalogue_deletion){
        .stream = {load_le64(p), load_le32(p + 8)},
        .seq = load_le64(p + 12),
        .min_t_ms = (int64_t)load_le64(p + 20),
        .max_t_ms = (int64_t)load_le64(p + 28),
        .partition_begin = load_le32(p + 36),
        .partition_end = load_le32(p + 40),
        .matchers = {(const char *)p + DELETION_BYTES, load_le32(p + 44)},
    };
}

static err apply_hidden_item(struct catalogue_state *s, enum item item, const uint8_t *p,
                             struct errmsg *e)
{
    const struct catalogue_tombstones tombstones = {
        load_le64(p), {(const char *)p + TOMBSTONES_BYTES, load_le32(p + 8)}};
    const struct catalogue_deletion deletion =
        item == ITEM_DELETION ? load_deletion(p) : (struct catalogue_deletion){0};
    const struct catalogue_change change = {
        .tombstones = &tombstones,
        .tombstones_count = item == ITEM_TOMBSTONES,
        .deletions = &deletion,
        .deletions_count = item == ITEM_DELETION,
    };
    if (catalogue_state_check(s, &change, e) != ERR_OK)
        return ERR_CORRUPT;
    if (deletion.min_t_ms > deletion.max_t_ms)
        return err_set(e, ERR_CORRUPT, "catalogue: a deletion of no time");
    catalogue_state_apply(s, &change);
    return ERR_OK;
}

static err apply_item(struct catalogue_state *s, const uint8_t *item, struct errmsg *e)
{
    const uint8_t *p = item + 1;
    switch ((enum item)item[0]) {
    case ITEM_FOLDER:
        s->partitions = load_le32(p);
        s->spread = load_le32(p + 4);
        s->hash_seed = load_le64(p + 8);
        buf_reset(&s->placement_labels);
        buf_put(&s->placement_labels, p + FOLDER_BYTES, load_le32(p + 16));
        return ERR_OK;
    case ITEM_EPOCH:
        s->epoch = load_le64(p);
        return ERR_OK;
    case ITEM_NEXT_ID:
        if (load_le64(p) > s->next_id)
            s->next_id = load_le64(p);
        return ERR_OK;
    case ITEM_ADD:
    case ITEM_REMOVE:
        return apply_file_item(s, item[0], p, e);
    case ITEM_MARK:
        set_mark(s, &(struct wal_mark){.stream = {load_le64(p), load_le32(p + 8)},
                                       .segment = load_le64(p + 12),
                                       .seq = load_le64(p + 20)});
        return ERR_OK;
    case ITEM_TOMBSTONES:
    case ITEM_DELETION:
        return apply_hidden_item(s, item[0], p, e);
    case ITEM_DELETIONS_DONE:
        end_deletions(s, (struct wal_stream){load_le64(p), load_le32(p + 8)}, load_le64(p + 12));
        return ERR_OK;
    case ITEM_DONE:
        set_done(s, (struct wal_stream){load_le64(p), load_le32(p + 8)});
        return ERR_OK;
    }
    return err_set(e, ERR_CORRUPT, "catalogue: item of type %u", item[0]);
}

static err apply_record(struct catalogue_state *s, size_t at, const uint8_t *items, size_t n,
                        struct errmsg *e)
{
    while (n > 0) {
        const size_t size = item_size(items, n);
        if (size == 0)
            return err_set(e, ERR_CORRUPT, "catalogue: record at byte %zu: item of type %u", at,
                           items[0]);
        TRY(apply_item(s, items, e));
        items += 1 + size;
        n -= 1 + size;
    }
    return ERR_OK;
}

// Bytes of the good record at p; 0: there is none.
static size_t record_size(const uint8_t *p, size_t n, uint64_t seq_min, uint64_t seq_max)
{
    if (n < RECORD_HEADER_BYTES || load_le32(p + RECORD_SIZE) > n - RECORD_HEADER_BYTES ||
        load_le64(p + RECORD_SEQ) < seq_min || load_le64(p + RECORD_SEQ) > seq_max)
        return 0;
    const size_t size = load_le32(p + RECORD_SIZE);
    const uint32_t crc = simd.crc32c(0, p + RECORD_SIZE, RECORD_HEADER_BYTES - RECORD_SIZE + size);
    return load_le32(p + RECORD_CRC) == crc ? RECORD_HEADER_BYTES + size : 0;
}

static err check_header(struct str bytes, struct errmsg *e)
{
    const uint8_t *p = (const uint8_t *)bytes.p;
    if (bytes.n < CATALOGUE_HEADER_BYTES || memcmp(p, MAGIC, sizeof MAGIC) != 0)
        return err_set(e, ERR_INVALID, "not a catalogue of ours");
    // The format comes before the checksum: a newer one may have it elsewhere.
    if (load_le32(p + HEADER_FORMAT) > CATALOGUE_FORMAT)
        return err_set(e, ERR_INVALID, "data folder format %u is newer than this program's %d",
                       load_le32(p + HEADER_FORMAT), CATALOGUE_FORMAT);
    if (load_le32(p + HEADER_CRC) != simd.crc32c(0, p, HEADER_CRC) ||
        load_le32(p + HEADER_FORMAT) == 0 || load_le32(p + HEADER_SIZE) != CATALOGUE_HEADER_BYTES)
        return err_set(e, ERR_CORRUPT, "catalogue: damaged header");
    return ERR_OK;
}

err catalogue_load(struct str bytes, struct catalogue_state *s, size_t *out_end, struct errmsg *e)
{
    const uint8_t *p = (const uint8_t *)bytes.p;
    TRY(check_header(bytes, e));
    size_t at = CATALOGUE_HEADER_BYTES;
    while (at < bytes.n) {
        const bool is_first = at == CATALOGUE_HEADER_BYTES;
        const size_t size = record_size(p + at, bytes.n - at, is_first ? 1 : s->seq + 1,
                                        is_first ? UINT64_MAX / 2 : s->seq + 1);
        if (size == 0)
            break;
        TRY(apply_record(s, at, p + at + RECORD_HEADER_BYTES, size - RECORD_HEADER_BYTES, e));
        s->seq = load_le64(p + at + RECORD_SEQ);
        at += size;
    }
    if (s->partitions == 0 || s->seq == 0)
        return err_set(e, ERR_CORRUPT, "catalogue: damaged at its beginning");
    // Records behind the next one's place have later sequences; some thousands fit in a log.
    for (size_t later = at + 1; later < bytes.n; later++) {
        if (record_size(p + later, bytes.n - later, s->seq + 1, s->seq + (1 << 20)) > 0)
            return err_set(e, ERR_CORRUPT, "catalogue: damaged at byte %zu", at);
    }
    *out_end = at;
    return ERR_OK;
}
