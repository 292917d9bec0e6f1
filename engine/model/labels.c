#include "engine/model/labels.h"

#include <assert.h>

#include "engine/base/bits.h"
#include "engine/base/mem.h"
#include "engine/base/quote.h"
#include "engine/base/utf8.h"

enum {
    INSERTION_MAX = 32,      // more labels than this are merged: input decides how many there are
    PROMETHEUS_STACK = 1024, // bytes of a label set that labels_hash_prometheus copies to the stack
};

size_t labels_long_size(const char **at, const char *end)
{
    uint64_t n = 0;
    const size_t used = varint_load((const uint8_t *)*at, (const uint8_t *)end, &n);
    *at += used;
    assert(used && n <= (uint64_t)(end - *at));
    return (size_t)n;
}

static bool check_part(const char **at, const char *end, struct str *out)
{
    uint64_t n;
    const size_t used = varint_load((const uint8_t *)*at, (const uint8_t *)end, &n);
    if (!used || !n || n > (uint64_t)(end - *at) - used)
        return false;
    uint8_t again[VARINT_MAX];
    if (varint_store(again, n) != used) // one encoding for each size: identity is by bytes
        return false;
    *out = str_make(*at + used, (size_t)n);
    *at += used + n;
    return true;
}

bool labels_check(struct str labels)
{
    struct labels_iter i = labels_iter(labels);
    struct str before = {0};
    while (i.at != i.end) {
        struct label l;
        if (!check_part(&i.at, i.end, &l.name) || !check_part(&i.at, i.end, &l.value))
            return false;
        if (before.n && str_cmp(before, l.name) >= 0)
            return false;
        before = l.name;
    }
    return true;
}

size_t labels_count(struct str labels)
{
    size_t n = 0;
    struct label l;
    for (struct labels_iter i = labels_iter(labels); labels_next(&i, &l);)
        n++;
    return n;
}

bool labels_get(struct str labels, struct str name, struct str *out_value)
{
    struct label l;
    for (struct labels_iter i = labels_iter(labels); labels_next(&i, &l);) {
        if (str_eq(l.name, name)) {
            *out_value = l.value;
            return true;
        }
    }
    return false;
}

struct str labels_value(struct str labels, struct str name)
{
    struct str value = {0};
    return labels_get(labels, name, &value) ? value : (struct str){0};
}

int labels_cmp(struct str a, struct str b)
{
    if (str_eq(a, b))
        return 0;
    struct labels_iter ai = labels_iter(a), bi = labels_iter(b);
    for (;;) {
        struct label al, bl;
        const bool a_more = labels_next(&ai, &al), b_more = labels_next(&bi, &bl);
        if (!a_more || !b_more)
            return (int)a_more - (int)b_more;
        int order = str_cmp(al.name, bl.name);
        if (!order)
            order = str_cmp(al.value, bl.value);
        if (order)
            return order;
    }
}

int labels_compare(const void *a, const void *b, const void *arg)
{
    (void)arg;
    return labels_cmp(*(const struct str *)a, *(const struct str *)b);
}

struct hash128 labels_hash(struct str labels, uint64_t seed)
{
    return hash128(labels.p, labels.n, seed);
}

uint64_t labels_hash_prometheus(struct str labels)
{
    char stack[PROMETHEUS_STACK];
    // A size of one byte becomes the separator behind the text; longer ones shrink.
    char *const p = labels.n <= sizeof stack ? stack : mem_alloc(labels.n);
    size_t n = 0;
    struct label l;
    for (struct labels_iter i = labels_iter(labels); labels_next(&i, &l);) {
        memcpy(p + n, l.name.p, l.name.n);
        n += l.name.n;
        p[n++] = (char)0xff;
        memcpy(p + n, l.value.p, l.value.n);
        n += l.value.n;
        p[n++] = (char)0xff;
    }
    assert(n <= labels.n);
    const uint64_t hash = hash_xx64(p, n);
    if (p != stack)
        mem_free(p);
    return hash;
}

static void put_pair(struct buf *out, struct label l)
{
    if (label_name_is_legacy(l.name))
        buf_put_str(out, l.name);
    else
        buf_put_quoted(out, l.name);
    buf_put_char(out, '=');
    buf_put_quoted(out, l.value);
}

void labels_format(struct str labels, struct buf *out)
{
    const char *separator = "";
    buf_put_char(out, '{');
    struct label l;
    for (struct labels_iter i = labels_iter(labels); labels_next(&i, &l);) {
        buf_put_str(out, str_from_c(separator));
        put_pair(out, l);
        separator = ", ";
    }
    buf_put_char(out, '}');
}

void labels_format_metric(struct str labels, struct buf *out)
{
    const struct str metric = labels_value(labels, LABEL_NAME);
    const bool in_front = metric_name_is_legacy(metric);
    const size_t others = labels_count(labels) - (metric.n != 0);
    if (in_front) {
        buf_put_str(out, metric);
        if (!others)
            return;
    }
    const char *separator = "";
    buf_put_char(out, '{');
    if (metric.n && !in_front) {
        buf_put_quoted(out, metric);
        separator = ", ";
    }
    struct label l;
    for (struct labels_iter i = labels_iter(labels); labels_next(&i, &l);) {
        if (str_eq(l.name, LABEL_NAME))
            continue;
        buf_put_str(out, str_from_c(separator));
        put_pair(out, l);
        separator = ", ";
    }
    buf_put_char(out, '}');
}

void labels_builder_deinit(struct labels_builder *b)
{
    mem_free(b->items);
    *b = (struct labels_builder){0};
}

void labels_builder_reset(struct labels_builder *b)
{
    b->n = 0;
    b->sorted = true;
}

void labels_builder_load(struct labels_builder *b, struct str labels)
{
    labels_builder_reset(b);
    struct label l;
    for (struct labels_iter i = labels_iter(labels); labels_next(&i, &l);) {
        b->items = mem_grow(b->items, &b->capacity, b->n + 1, sizeof *b->items);
        b->items[b->n++] = l;
    }
}

static struct label *find(const struct labels_builder *b, struct str name)
{
    for (size_t i = 0; i < b->n; i++)
        if (str_eq(b->items[i].name, name))
            return &b->items[i];
    return NULL;
}

void labels_builder_set(struct labels_builder *b, struct str name, struct str value)
{
    if (!value.n) {
        labels_builder_del(b, name);
        return;
    }
    struct label *have = find(b, name);
    if (have)
        have->value = value;
    else
        labels_builder_push(b, name, value);
}

void labels_builder_del(struct labels_builder *b, struct str name)
{
    struct label *have = find(b, name);
    if (!have)
        return;
    const size_t behind = (size_t)(b->items + b->n - (have + 1));
    memmove(have, have + 1, behind * sizeof *have);
    b->n--;
}

struct str labels_builder_get(const struct labels_builder *b, struct str name)
{
    const struct label *have = find(b, name);
    return have ? have->value : (struct str){0};
}

void labels_builder_push(struct labels_builder *b, struct str name, struct str value)
{
    if (!b->n)
        b->sorted = true;
    else if (b->sorted)
        b->sorted = str_cmp(b->items[b->n - 1].name, name) < 0;
    if (b->n == b->capacity)
        b->items = mem_grow(b->items, &b->capacity, b->n + 1, sizeof *b->items);
    b->items[b->n++] = (struct label){name, value};
}

// The first bytes as a number that orders like them; equal numbers say nothing.
static uint64_t prefix_of(struct str s)
{
    uint64_t bytes = 0;
    if (s.n >= sizeof bytes)
        bytes = load_le64(s.p);
    else if (s.n)
        memcpy(&bytes, s.p, s.n);
    return __builtin_bswap64(bytes);
}

static void insertion_sort(struct label *items, size_t n)
{
    assert(n <= INSERTION_MAX);
    uint64_t prefixes[INSERTION_MAX];
    for (size_t i = 0; i < n; i++) {
        const struct label l = items[i];
        const uint64_t prefix = prefix_of(l.name);
        size_t at = i;
        for (; at && prefixes[at - 1] >= prefix; at--) {
            if (prefixes[at - 1] == prefix && str_cmp(items[at - 1].name, l.name) <= 0)
                break;
            items[at] = items[at - 1];
            prefixes[at] = prefixes[at - 1];
        }
        items[at] = l;
        prefixes[at] = prefix;
    }
}

static void merge(const struct label *a, size_t a_n, const struct label *b, size_t b_n,
                  struct label *out)
{
    for (size_t i = 0, j = 0; i < a_n || j < b_n;) {
        const bool first = j == b_n || (i < a_n && str_cmp(a[i].name, b[j].name) <= 0);
        *out++ = first ? a[i++] : b[j++];
    }
}

// Stable: of equal names the later one stays behind. The capacity is twice the labels' number, and
// runs are merged from one half into the other.
static void merge_sort(struct labels_builder *b)
{
    const size_t n = b->n;
    b->items = mem_grow(b->items, &b->capacity, 2 * n, sizeof *b->items);
    struct label *from = b->items, *to = b->items + n;
    for (size_t at = 0; at < n; at += INSERTION_MAX)
        insertion_sort(from + at, n - at < INSERTION_MAX ? n - at : INSERTION_MAX);
    for (size_t run = INSERTION_MAX; run < n; run *= 2) {
        for (size_t at = 0; at < n; at += 2 * run) {
            const size_t left = n - at < run ? n - at : run;
            const size_t right = n - at - left < run ? n - at - left : run;
            merge(from + at, left, from + at + left, right, to + at);
        }
        struct label *const other = from;
        from = to;
        to = other;
    }
    if (from != b->items)
        memcpy(b->items, from, n * sizeof *from);
}

static void sort(struct labels_builder *b)
{
    if (b->sorted)
        return;
    if (b->n <= INSERTION_MAX)
        insertion_sort(b->items, b->n);
    else
        merge_sort(b);
    b->sorted = true;
}

bool labels_builder_has_duplicates(struct labels_builder *b)
{
    sort(b);
    for (size_t i = 1; i < b->n; i++)
        if (str_eq(b->items[i - 1].name, b->items[i].name))
            return true;
    return false;
}

void labels_builder_format(struct labels_builder *b, struct buf *out)
{
    sort(b);
    buf_put_char(out, '{');
    for (size_t i = 0; i < b->n; i++) {
        if (i)
            buf_put_str(out, STR(", "));
        put_pair(out, b->items[i]);
    }
    buf_put_char(out, '}');
}

static char *put_part(char *at, struct str s)
{
    if (s.n < 0x80)
        *at++ = (char)s.n;
    else
        at += varint_store((uint8_t *)at, s.n);
    memcpy(at, s.p, s.n);
    return at + s.n;
}

static size_t part_size(struct str s)
{
    size_t size = s.n + 1;
    for (size_t n = s.n; n >= 0x80; n >>= 7)
        size++;
    return size;
}

size_t labels_builder_size_max(const struct labels_builder *b)
{
    size_t size = 0;
    for (size_t i = 0; i < b->n; i++)
        if (b->items[i].value.n && b->items[i].name.n)
            size += part_size(b->items[i].name) + part_size(b->items[i].value);
    return size;
}

static char *encode(const struct labels_builder *b, char *at)
{
    for (size_t i = 0; i < b->n; i++) {
        const struct label *l = &b->items[i];
        if (!l->value.n || !l->name.n)
            continue;
        if (i + 1 < b->n && str_eq(l->name, l[1].name))
            continue; // the later value wins
        at = put_part(at, l->name);
        at = put_part(at, l->value);
    }
    return at;
}

void labels_builder_encode(struct labels_builder *b, struct buf *out)
{
    sort(b);
    char *const at = buf_reserve(out, labels_builder_size_max(b));
    out->n += (size_t)(encode(b, at) - at);
}

struct str labels_builder_finish(struct labels_builder *b, struct arena *a)
{
    sort(b);
    char *const at = arena_alloc(a, labels_builder_size_max(b), 1);
    return str_make(at, (size_t)(encode(b, at) - at));
}

static bool is_legacy(struct str name, bool colon)
{
    for (size_t i = 0; i < name.n; i++) {
        const char c = name.p[i];
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(c >= '0' && c <= '9' && i) && !(c == ':' && colon))
            return false;
    }
    return name.n;
}

bool metric_name_is_legacy(struct str name)
{
    return is_legacy(name, true);
}

bool label_name_is_legacy(struct str name)
{
    return is_legacy(name, false);
}

bool name_is_utf8(struct str name)
{
    return name.n && utf8_is_valid(name);
}
