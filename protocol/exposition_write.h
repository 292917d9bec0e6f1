// Samples out, as exposition formats have them: text 0.0.4 and protobuf, of untyped families.
//
// Families come one after the other, each with its samples; text needs no memory beyond the line at
// hand, delimited protobuf holds a message until it is full: a family above
// EXPOSITION_MESSAGE_BYTES leaves in several of the same name.
#ifndef PROTOCOL_EXPOSITION_WRITE_H
#define PROTOCOL_EXPOSITION_WRITE_H

#include "protocol/escape.h"

enum { EXPOSITION_MESSAGE_BYTES = 1 << 20 };

enum exposition_format {
    EXPOSITION_TEXT,
    EXPOSITION_PROTOBUF,         // delimited
    EXPOSITION_PROTOBUF_TEXT,    // for reading
    EXPOSITION_PROTOBUF_COMPACT, // the same, a family a line
};

struct exposition_style {
    enum exposition_format format;
    enum escape_scheme escaping;
};

// What an Accept header asks for, of what there is; text 0.0.4 otherwise. As expfmt.Negotiate does.
struct exposition_style exposition_negotiate(struct str accept);
void exposition_put_content_type(struct exposition_style style, struct buf *out);

struct exposition_label {
    struct str name, value;
};

struct exposition_writer {
    struct exposition_style style;
    struct buf *out;
    struct buf name;    // of the family at hand, escaped
    struct buf message; // what of it has not left
    struct buf scratch;
    bool is_open;
};

void exposition_writer_init(struct exposition_writer *w, struct exposition_style style,
                            struct buf *out);
void exposition_writer_deinit(struct exposition_writer *w);
void exposition_family(struct exposition_writer *w, struct str name); // ends the one before
void exposition_sample(struct exposition_writer *w, const struct exposition_label *labels, size_t n,
                       double value, int64_t t_ms);
void exposition_finish(struct exposition_writer *w); // ends the last family

#endif
