// Label sets: sorted by name, each name once, no empty values; the metric name is `__name__`.
//
// Encoded as, for each label: varint size and bytes of the name, varint size and bytes of the
// value. Two equal sets have equal encodings, so identity is a hash of the bytes. A slice of such
// bytes is called labels throughout; it comes from labels_builder or was checked by labels_check().
#ifndef ENGINE_MODEL_LABELS_H
#define ENGINE_MODEL_LABELS_H

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/err.h"
#include "engine/base/hash.h"

struct label {
    struct str name, value;
};

static const struct str LABEL_NAME = {"__name__", 8};

// Walks labels: for (struct labels_iter i = labels_iter(l); labels_next(&i, &label);)
struct labels_iter {
    const char *at, *end;
};
static inline struct labels_iter labels_iter(struct str labels)
{
    return (struct labels_iter){labels.p, labels.n ? labels.p + labels.n : labels.p};
}
size_t labels_long_size(const char **at, const char *end); // a size of more than one byte
static inline struct str labels_take(const char **at, const char *end)
{
    const unsigned char first = (unsigned char)**at;
    const size_t n = first < 0x80 ? (++*at, first) : labels_long_size(at, end);
    const struct str s = {*at, n};
    *at += n;
    return s;
}
static inline bool labels_next(struct labels_iter *i, struct label *out)
{
    if (i->at == i->end)
        return false;
    out->name = labels_take(&i->at, i->end);
    out->value = labels_take(&i->at, i->end);
    return true;
}

bool labels_check(struct str labels); // of bytes from disk: well formed, sorted, nothing empty
size_t labels_count(struct str labels);
bool labels_get(struct str labels, struct str name, struct str *out_value); // false: absent
struct str labels_value(struct str labels, struct str name);                // empty: absent
// As Prometheus sorts: name, then value of the first pair, and so on; a prefix comes first.
int labels_cmp(struct str a, struct str b);
// The same for sorts of what begins with them, as a struct str.
int labels_compare(const void *a, const void *b, const void *arg);
// The identity within a data folder: keyed with its seed.
struct hash128 labels_hash(struct str labels, uint64_t seed);
// labels.Labels.Hash() of Prometheus (stringlabels off): XXH64 over name 0xff value 0xff ...
uint64_t labels_hash_prometheus(struct str labels);
// {a="b", c="d"}; with the name in front: up{job="x"}. Values quoted as Go's %q; a name that is not
// [a-zA-Z_][a-zA-Z0-9_]* is quoted too.
void labels_format(struct str labels, struct buf *out);        // {__name__="up", job="x"}
void labels_format_metric(struct str labels, struct buf *out); // up{job="x"}

// Collects labels in any order; a later value of the same name wins, an empty one removes.
struct labels_builder {
    struct label *items; // slices into what the caller added: it must outlive the builder's use
    size_t n, capacity;
    bool sorted;
};
void labels_builder_deinit(struct labels_builder *b);
void labels_builder_reset(struct labels_builder *b); // empties, keeps memory
void labels_builder_load(struct labels_builder *b, struct str labels);
void labels_builder_set(struct labels_builder *b, struct str name, struct str value);
void labels_builder_del(struct labels_builder *b, struct str name);
struct str labels_builder_get(const struct labels_builder *b, struct str name);
// Appends without a look for the same name: the caller finishes with labels_builder_has_duplicates.
void labels_builder_push(struct labels_builder *b, struct str name, struct str value);
bool labels_builder_has_duplicates(struct labels_builder *b);
// As labels_format(), of labels that may be no set: all that were added, sorted.
void labels_builder_format(struct labels_builder *b, struct buf *out);
// The encoding, appended to out / copied into the arena.
void labels_builder_encode(struct labels_builder *b, struct buf *out);
struct str labels_builder_finish(struct labels_builder *b, struct arena *a);
// How many bytes that has: less, where a name repeats.
size_t labels_builder_size_max(const struct labels_builder *b);

// [a-zA-Z_:][a-zA-Z0-9_:]* and without the colon; the UTF-8 scheme takes any valid UTF-8 but "".
bool metric_name_is_legacy(struct str name);
bool label_name_is_legacy(struct str name);
bool name_is_utf8(struct str name);

#endif
