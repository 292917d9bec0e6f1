#include "engine/remote/symbols.h"

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
    *s = (struct symbols){0};
}

void symbols_reset(struct symbols *s)
{
    if (s->capacity > KEPT_MAX)
        symbols_deinit(s);
    s->n = s->held = s->before_n = 0;
    s->name = SYMBOLS_NO_NAME;
}

static err make_room(struct symbols *s, struct intake *in, struct intake_body *body,
                     struct errmsg *e)
{
    const size_t want = s->held ? 2 * s->held : STEP;
    if (s->n == SYMBOLS_MAX)
        return err_set(e, ERR_INVALID, "too many symbols: at most %d", (int)SYMBOLS_MAX);
    if (!intake_hold(in, body, (want - s->held) * (sizeof *s->texts + sizeof *s->prints)))
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

// The label at *at, of references that are in the table.
static inline bool take_label(const struct symbols *s, const uint8_t **at, const uint8_t *end,
                              struct hash128 *out)
{
    uint32_t name, value;
    if (!take_ref(at, end, &name) || !take_ref(at, end, &value) || name >= s->n || value >= s->n)
        return false;
    *out = print_of(s, name, value);
    return true;
}

// The print of the series before with what differs; false: numbers are not at the same places.
static bool print_by_before(const struct symbols *s, const uint8_t *refs, size_t n,
                            struct hash128 *out)
{
    static const uint64_t HIGH = 0x8080808080808080u;
    enum { WORD = 8 };
    struct hash128 sum = s->before_print;
    size_t done = 0; // bytes whose labels are in the sum
    if (n != s->before_n || n < WORD)
        return false;
    for (size_t i = 0; i < n; i += WORD) {
        const size_t from = i + WORD <= n ? i : n - WORD;
        uint64_t differs = load_le64(refs + from) ^ load_le64(s->before + from);
        if (differs & HIGH)
            return false;
        while (differs) {
            const unsigned bit = (unsigned)__builtin_ctzll(differs) & ~7u;
            const size_t byte = from + bit / 8;
            differs &= ~(0xffull << bit);
            if (byte < done)
                continue;
            const uint8_t *at = refs + s->label_at[byte], *old = s->before + s->label_at[byte];
            struct hash128 now, then;
            if (!take_label(s, &at, refs + n, &now) || !take_label(s, &old, s->before + n, &then))
                return false;
            sum.lo += now.lo - then.lo;
            sum.hi += now.hi - then.hi;
            done = (size_t)(at - refs);
        }
    }
    *out = sum;
    return true;
}

static bool print_by_all(struct symbols *s, const uint8_t *refs, size_t n, struct hash128 *out)
{
    struct hash128 sum = {0, 0}, label;
    s->before_n = 0;
    for (const uint8_t *at = refs, *const end = refs + n; at < end;) {
        const size_t begin = (size_t)(at - refs);
        if (!take_label(s, &at, end, &label))
            return false;
        add(&sum, label);
        memset(&s->label_at[begin], (int)begin, 4); // it has four bytes at most
    }
    *out = sum;
    return true;
}

bool symbols_usual_print(struct symbols *s, const uint8_t *refs, size_t n, struct hash128 *out)
{
    if (!print_by_before(s, refs, n, out) && !print_by_all(s, refs, n, out))
        return false;
    s->before = refs;
    s->before_n = n;
    s->before_print = *out;
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
