#include "protocol/protobuf.h"

#include <assert.h>

err pb_long_varint(struct pb *m, uint64_t *out, struct errmsg *e)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (m->at == m->end)
            return pb_eof(e);
        const uint8_t byte = *m->at++;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = v;
            return ERR_OK;
        }
    }
    return err_set(e, ERR_INVALID, "proto: integer overflow");
}

err pb_bytes(struct pb *m, struct str *out, struct errmsg *e)
{
    uint64_t n;
    TRY(pb_varint(m, &n, e));
    if (n > INT64_MAX)
        return err_set(e, ERR_INVALID, "proto: negative length found during unmarshaling");
    if (n > pb_left(m))
        return pb_eof(e);
    *out = str_make((const char *)m->at, (size_t)n);
    m->at += n;
    return ERR_OK;
}

err pb_tag(struct pb *m, const char *message, struct pb_field *out, struct errmsg *e)
{
    uint64_t tag;
    out->start = m->at;
    TRY(pb_varint(m, &tag, e));
    const int32_t number = (int32_t)(uint32_t)(tag >> 3);
    out->type = (enum pb_type)(tag & 7);
    if (out->type == PB_GROUP_END)
        return err_set(e, ERR_INVALID, "proto: %s: wiretype end group for non-group", message);
    if (number <= 0)
        return err_set(e, ERR_INVALID, "proto: %s: illegal tag %d (wire type %llu)", message,
                       number, (unsigned long long)tag); // all of it, as there
    out->number = (uint32_t)number;
    return ERR_OK;
}

static err skip_bytes(struct pb *m, size_t n, struct errmsg *e)
{
    if (pb_left(m) < n)
        return pb_eof(e);
    m->at += n;
    return ERR_OK;
}

err pb_skip(struct pb *m, const struct pb_field *field, struct errmsg *e)
{
    uint64_t depth = 0, tag, ignored;
    struct str bytes;
    m->at = field->start;
    do {
        if (m->at == m->end)
            return pb_eof(e);
        TRY(pb_varint(m, &tag, e));
        switch ((enum pb_type)(tag & 7)) {
        case PB_VARINT:
            TRY(pb_varint(m, &ignored, e));
            break;
        case PB_FIXED64:
            TRY(skip_bytes(m, 8, e));
            break;
        case PB_BYTES:
            TRY(pb_bytes(m, &bytes, e));
            break;
        case PB_GROUP:
            depth++;
            break;
        case PB_GROUP_END:
            if (depth == 0)
                return err_set(e, ERR_INVALID, "proto: unexpected end of group");
            depth--;
            break;
        case PB_FIXED32:
            TRY(skip_bytes(m, 4, e));
            break;
        default:
            return err_set(e, ERR_INVALID, "proto: illegal wireType %d", (int)(tag & 7));
        }
    } while (depth > 0);
    return ERR_OK;
}

err pb_want(const struct pb_field *field, enum pb_type type, const char *name, struct errmsg *e)
{
    if (field->type != type)
        return err_set(e, ERR_INVALID, "proto: wrong wireType = %d for field %s", (int)field->type,
                       name);
    return ERR_OK;
}

bool pb_next(struct pb *m, uint32_t number, struct str *out)
{
    while (m->at < m->end) {
        struct pb_field field;
        err code = pb_tag(m, "", &field, NULL);
        assert(code == ERR_OK);
        if (field.number == number) {
            code = pb_bytes(m, out, NULL);
            assert(code == ERR_OK);
            return true;
        }
        code = pb_skip(m, &field, NULL);
        assert(code == ERR_OK);
    }
    return false;
}

err pb_numbers(struct pb *m, const struct pb_field *field, enum pb_type type, const char *name,
               struct pb_numbers *out, struct errmsg *e)
{
    struct str packed;
    out->type = type;
    if (field->type == PB_BYTES) {
        TRY(pb_bytes(m, &packed, e));
        out->in = pb_of(packed);
        return ERR_OK;
    }
    TRY(pb_want(field, type, name, e));
    uint64_t ignored;
    const uint8_t *const start = m->at;
    TRY(type == PB_VARINT ? pb_varint(m, &ignored, e) : pb_fixed64(m, &ignored, e));
    out->in = (struct pb){start, m->at};
    return ERR_OK;
}
