// YAML into structs by rows, strictly, and structs back into YAML: one table a struct says its
// fields in the order they are printed.
//
// As go-yaml does: wrong types and unknown fields are collected and reported together ("yaml:
// unmarshal errors:" and a line each), while what a check finds ends decoding at once. A null gives
// the zero value and runs no check. Strings are copied into the decoder's arena.
#ifndef ENGINE_CONFIG_YAML_DECODE_H
#define ENGINE_CONFIG_YAML_DECODE_H

#include "engine/base/buf.h"
#include "engine/config/yaml_tree.h"

struct yaml_writer;
struct yaml_decoder;

struct yaml_strs { // []string
    struct str *items;
    size_t n;
};

struct yaml_pair {
    struct str key, value;
};
struct yaml_pairs { // map[string]string, sorted by key
    struct yaml_pair *items;
    size_t n;
};

struct yaml_list { // of structs; a typed list has the same layout: T *items; size_t n;
    void *items;
    size_t n;
};

enum yaml_field_kind {
    YAML_FIELD_BOOL,     // bool
    YAML_FIELD_SWITCH,   // int8_t: 1, 0, or YAML_UNSET
    YAML_FIELD_INT,      // int64_t
    YAML_FIELD_UINT,     // uint64_t
    YAML_FIELD_FLOAT,    // double
    YAML_FIELD_STR,      // struct str
    YAML_FIELD_SECRET,   // struct str, printed as <secret>
    YAML_FIELD_DURATION, // int64_t, ms
    YAML_FIELD_SIZE,     // int64_t, bytes
    YAML_FIELD_STRS,     // struct yaml_strs
    YAML_FIELD_PAIRS,    // struct yaml_pairs
    YAML_FIELD_STRUCT,   // the struct in place
    YAML_FIELD_POINTER,  // a pointer to it; NULL: absent
    YAML_FIELD_LIST,     // struct yaml_list of it
    YAML_FIELD_INLINE,   // the struct in place, its fields among ours
    YAML_FIELD_CUSTOM,
};
enum { YAML_UNSET = -1 };

// A row's offset; tables of rows would be twice as wide without it.
#define YAML_AT(type, member) .offset = offsetof(struct type, member)

struct yaml_custom {
    err (*decode)(struct yaml_decoder *d, const struct yaml_node *n, void *field); // not of a null
    void (*encode)(struct yaml_writer *w, const void *field);
    bool (*is_zero)(const void *field);
    void (*zero)(void *field);
};

struct yaml_field {
    const char *name;
    enum yaml_field_kind kind;
    size_t offset;
    bool always;    // printed even when zero
    const char *go; // Go's name of the type, for error texts; NULL: the kind says it
    const struct yaml_struct *of;
    const struct yaml_custom *custom;
};

struct yaml_struct {
    const char *go; // "config.plain"
    size_t size;
    const struct yaml_field *fields;
    size_t n;
    void (*init)(void *object); // defaults
    err (*check)(struct yaml_decoder *d, const struct yaml_node *n,
                 void *object); // behind decoding
    const char *null_text;      // the error about a null in a list of these
    // A key that no field has; false: unknown. NULL: none is known.
    bool (*other)(struct yaml_decoder *d, const struct yaml_node *key,
                  const struct yaml_node *value, void *object, err *out);
};

struct yaml_unsupported {
    struct str file, what;
    uint32_t line;
};

struct yaml_decoder {
    struct arena *arena;
    enum yaml_version version;
    struct str file; // what unsupported things are said to stand in
    bool no_lines;   // in errors of checks, which upstream's texts have none of
    void *user;      // for checks and custom fields
    struct errmsg *e;
    struct buf errors; // collected, a line each
    struct buf cause;  // why decoding ended, whole: e may take less
    size_t errors_count;
    const struct yaml_node *late; // a null where none may be; told when the types are right
    const char *late_text;
    struct yaml_unsupported *unsupported;
    size_t unsupported_n, unsupported_capacity;
    size_t unsupported_more; // beyond the limit: only counted
};

void yaml_decoder_deinit(struct yaml_decoder *d);
// Decodes a document (NULL: empty) into *object. With type errors: the message of all of them.
err yaml_decode(struct yaml_decoder *d, const struct yaml_node *root,
                const struct yaml_struct *type, void *object);
err yaml_decode_struct(struct yaml_decoder *d, const struct yaml_node *n,
                       const struct yaml_struct *type, void *object);
err yaml_decode_list(struct yaml_decoder *d, const struct yaml_node *n, const char *go,
                     const struct yaml_struct *of, struct yaml_list *out);
err yaml_decode_strs(struct yaml_decoder *d, const struct yaml_node *n, const char *go,
                     struct yaml_strs *out);
// False: of another type, which was collected.
bool yaml_decode_str(struct yaml_decoder *d, const struct yaml_node *n, struct str *out);
// "line 3: cannot unmarshal !!str `abc` into bool".
void yaml_type_error(struct yaml_decoder *d, const struct yaml_node *n, const char *go);
void yaml_collect(struct yaml_decoder *d, const struct yaml_node *n, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// Ends decoding: "line 3: ...". Returns ERR_INVALID.
err yaml_fail(struct yaml_decoder *d, const struct yaml_node *n, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// Notes what a person wrote and this program cannot honour; kept by file and line.
void yaml_note_unsupported(struct yaml_decoder *d, const struct yaml_node *n, const char *format,
                           ...) __attribute__((format(printf, 3, 4)));
// Notes the field of this name if the mapping has it.
void yaml_note_field(struct yaml_decoder *d, const struct yaml_node *mapping, const char *name);
bool yaml_field_is_zero(const struct yaml_field *f, const void *object);

#endif
