// Protobuf's wire format, read where it lies, in the words of the decoder that Prometheus uses.
//
// A field is a varint (number << 3 | wire type) and its content; of a field that is given twice the
// last one counts, unless it is repeated. Repeated numbers may come packed or one by one.
#ifndef PROTOCOL_PROTOBUF_H
#define PROTOCOL_PROTOBUF_H

#include <stdint.h>

#include "engine/base/bits.h"
#include "engine/base/err.h"
#include "engine/base/str.h"

enum pb_type {
    PB_VARINT = 0,
    PB_FIXED64 = 1,
    PB_BYTES = 2,
    PB_GROUP = 3,
    PB_GROUP_END = 4,
    PB_FIXED32 = 5,
};

struct pb { // a message that is being read
    const uint8_t *at, *end;
};

struct pb_field {
    uint32_t number;
    enum pb_type type;
    const uint8_t *start; // of its tag
};

static inline struct pb pb_of(struct str message)
{
    const uint8_t *const p = (const uint8_t *)(message.n ? message.p : "");
    return (struct pb){p, p + message.n};
}

static inline size_t pb_left(const struct pb *m)
{
    return (size_t)(m->end - m->at);
}

// Ten bytes at most; bits beyond the 64th are lost, as in Go's decoder.
err pb_long_varint(struct pb *m, uint64_t *out, struct errmsg *e);
static inline err pb_varint(struct pb *m, uint64_t *out, struct errmsg *e)
{
    if (m->at < m->end && *m->at < 0x80) {
        *out = *m->at++;
        return ERR_OK;
    }
    return pb_long_varint(m, out, e);
}

static inline err pb_eof(struct errmsg *e)
{
    return err_set(e, ERR_INVALID, "unexpected EOF");
}

static inline err pb_fixed64(struct pb *m, uint64_t *out, struct errmsg *e)
{
    if (pb_left(m) < 8)
        return pb_eof(e);
    *out = load_le64(m->at);
    m->at += 8;
    return ERR_OK;
}

err pb_bytes(struct pb *m, struct str *out, struct errmsg *e);
// The tag; message names what is read, for the error.
err pb_tag(struct pb *m, const char *message, struct pb_field *out, struct errmsg *e);
// Over a field of any kind, groups with all they hold, from its tag on.
err pb_skip(struct pb *m, const struct pb_field *field, struct errmsg *e);
err pb_want(const struct pb_field *field, enum pb_type type, const char *name, struct errmsg *e);
// The content of the next field of bytes with this number in a message that was checked; false at
// its end.
bool pb_next(struct pb *m, uint32_t number, struct str *out);

// A repeated number: the content of a field that holds one or many. type: PB_VARINT or PB_FIXED64.
struct pb_numbers {
    struct pb in;
    enum pb_type type;
};
err pb_numbers(struct pb *m, const struct pb_field *field, enum pb_type type, const char *name,
               struct pb_numbers *out, struct errmsg *e);
static inline err pb_number(struct pb_numbers *n, uint64_t *out, struct errmsg *e)
{
    return n->type == PB_VARINT ? pb_varint(&n->in, out, e) : pb_fixed64(&n->in, out, e);
}

static inline int32_t pb_zigzag32(uint64_t n)
{
    const uint32_t low = (uint32_t)n;
    return (int32_t)(low >> 1 ^ (0 - (low & 1)));
}

#endif
