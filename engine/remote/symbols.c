#include "engine/remote/symbols.h"

#include <assert.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/model/labels.h"
#include "io/fiber.h"
#include "simd/simd.h"

enum { STEP = 1024, KEPT_MAX = 64 * 1024 };

void symbols_deinit(struct symbols *s)
{
    mem_free(s->texts);
    mem_free(s->prints);
    mem_free(s->known);
    *s = (struct symbols){0};
}

void symbols_reset(struct symbols *s)
{
    if (s->capacity > KEPT_MAX)
        symbols_deinit(s);
    s->n = s->held = 0;
    if (s->known)
        memset(s->known->before, 0, sizeof s->known->before);
    s->name = SYMBOLS_NO_NAME;
}

static err make_room(struct symbols *s, struct intake *in, struct intake_body *body,
                     struct errmsg *e)
{
    const size_t want = s->held ? 2 * s->held : STEP;
    if (s->n == SYMBOLS_MAX)
        return err_set(e, ERR_INVALID, "too many symbols: at most %d", (int)SYMBOLS_MAX);
    if (in && !intake_hold(in, body, (want - s->held) * (sizeof *s->texts + sizeof *s->prints)))
        return err_set(e, ERR_LIMIT, "too many decoded bytes are held; try again later");
    s->held = want;
    if (s->capacity < want) {
        s->texts = mem_realloc(s->texts, want * sizeof *s->texts);
        s->prints = mem_realloc(s->prints, want * sizeof *s->prints);
        s->capacity = want;
    }
    return ERR_OK;
}

err symbols_index(struct symbols *s, struct intake *in, struct intake_body *body,
                  const struct fingerprint_key *key, struct errmsg *e)
{
    struct pb request = pb_of(buf_str(&body->bytes));
    for (struct str text; remote_write2_next_symbol(&request, &text);) {
        if (s->n == s->held)
            TRY(make_room(s, in, body, e));
        if (s->name == SYMBOLS_NO_NAME && str_eq(text, LABEL_NAME))
            s->name = (uint32_t)s->n;
        s->texts[s->n] = text;
        s->prints[s->n] = simd.fingerprint(text.n ? text.p : "", text.n, key);
        if (++s->n % STEP == 0)
            fiber_yield_if_due();
    }
    return ERR_OK;
}

// Odd factors lose nothing; halves are crossed, so that a name is no value.
static inline struct hash128 print_of(const struct symbols *s, uint32_t name, uint32_t value)
{
    const struct hash128 *const n = &s->prints[name], *const v = &s->prints[value];
    return (struct hash128){.lo = (n->hi | 1) * v->lo, .hi = (n->lo | 1) * v->hi};
}

static inline void add(struct hash128 *sum, struct hash128 x)
{
    sum->lo += x.lo;
    sum->hi += x.hi;
}

// A number of up to 14 bits; false: it is of another form.
static inline bool take_ref(const uint8_t **at, const uint8_t *end, uint32_t *out)
{
    const uint8_t *p = *at;
    if (p == end)
        return false;
    *out = *p++;
    if (*out >= 0x80) {
        if (p == end || *p >= 0x80)
            return false;
        *out = (*out & 0x7f) | (uint32_t)*p++ << 7;
    }
    *at = p;
    return true;
}

static bool print_of_all(struct symbols *s, const uint8_t *refs, size_t n, struct hash128 *out)
{
    struct hash128 sum = {0, 0};
    s->known->before[n].refs = NULL;
    for (const uint8_t *at = refs, *const end = refs + n; at < end;) {
        const size_t begin = (size_t)(at - refs);
        uint32_t name, value;
        if (!take_ref(&at, end, &name) || !take_ref(&at, end, &value) || name >= s->n ||
            value >= s->n)
            return false;
        add(&sum, print_of(s, name, value));
        memset(&s->known->label_at[n][begin], (int)begin, (size_t)(at - refs) - begin);
    }
    *out = sum;
    return true;
}

// The label whose bytes begin word; *out_bytes: how many they are.
static inline bool label_of(const struct symbols *s, uint32_t word, struct hash128 *out,
                            unsigned *out_bytes)
{
    const unsigned first = word & 0x80 ? 16 : 8;
    const uint32_t rest = word >> first;
    const unsigned second = rest & 0x80 ? 16 : 8;
    const uint32_t name = (word & 0x7f) | (first == 16 ? word >> 1 & 0x3f80 : 0);
    const uint32_t value = (rest & 0x7f) | (second == 16 ? rest >> 1 & 0x3f80 : 0);
    *out_bytes = (first + second) / 8;
    if (name >= s->n || value >= s->n)
        return false;
    *out = print_of(s, name, value);
    return true;
}

// One bit for each byte that is not 0.
static inline uint64_t bytes_set(uint64_t x)
{
    static const uint64_t LOW = 0x7f7f7f7f7f7f7f7fu;
    const uint64_t high = (((x & LOW) + LOW) | x) & ~LOW;
    return (high >> 7) * 0x0102040810204080u >> 56;
}

// By those of the same size before; false: numbers are not at the same places, or not in the table.
static bool print_by_before(const struct symbols *s, const uint8_t *refs, size_t n,
                            struct hash128 *out)
{
    static const uint64_t HIGH = 0x8080808080808080u;
    enum { WORD = 8, PIECE = 64 };
    const uint8_t *const before = s->known->before[n].refs;
    const uint8_t *const label_at = s->known->label_at[n];
    struct hash128 sum = s->known->before[n].print;
    size_t done = 0; // bytes whose labels are in the sum
    if (!before || n < WORD)
        return false;
    for (size_t piece = 0; piece < n; piece += PIECE) {
        uint64_t differs = 0, any = 0;
        for (size_t i = piece; i < n && i < piece + PIECE; i += WORD) {
            const size_t late = i + WORD <= n ? 0 : i + WORD - n; // bytes that were looked at
            const uint64_t x =
                (load_le64(refs + i - late) ^ load_le64(before + i - late)) >> 8 * late;
            any |= x;
            differs |= bytes_set(x) << (i - piece);
        }
        if (any & HIGH)
            return false;
        for (; differs; differs &= differs - 1) {
            const size_t byte = piece + (size_t)__builtin_ctzll(differs);
            if (byte < done)
                continue;
            // A label has four bytes at most, and the last ones are read from the end.
            const size_t at = label_at[byte], late = at + 4 <= n ? 0 : at + 4 - n;
            struct hash128 now, then;
            unsigned bytes;
            if (!label_of(s, load_le32(refs + at - late) >> 8 * late, &now, &bytes) ||
                !label_of(s, load_le32(before + at - late) >> 8 * late, &then, &bytes))
                return false;
            sum.lo += now.lo - then.lo;
            sum.hi += now.hi - then.hi;
            done = at + bytes;
        }
    }
    *out = sum;
    return true;
}

bool symbols_usual_print(struct symbols *s, const uint8_t *refs, size_t n, struct hash128 *out)
{
    struct hash128 print;
    assert(n <= REMOTE_WRITE2_USUAL_REFS);
    if (!s->known)
        s->known = mem_zalloc(sizeof *s->known);
    if (!print_by_before(s, refs, n, &print) && !print_of_all(s, refs, n, &print))
        return false;
    // By halves, as it was made: a copy of both at once would wait for them to be stored.
    struct symbols_before *const before = &s->known->before[n];
    before->refs = refs;
    out->lo = before->print.lo = print.lo;
    out->hi = before->print.hi = print.hi;
    return true;
}

bool symbols_print(const struct symbols *s, struct str region, struct hash128 *out)
{
    struct hash128 sum = {0, 0};
    struct remote_write2_refs refs = remote_write2_refs(region);
    for (uint32_t name, value; remote_write2_refs_next(&refs, &name);) {
        if (!remote_write2_refs_next(&refs, &value) || name >= s->n || value >= s->n)
            return false;
        add(&sum, print_of(s, name, value));
    }
    *out = sum;
    return true;
}
