// Structs to YAML by the rows of yaml_decode.h, laid out as go-yaml v2 prints: fields in their
// order, empty ones left out, lists not indented, quotes only where the text would mean something
// else.
#ifndef ENGINE_CONFIG_YAML_ENCODE_H
#define ENGINE_CONFIG_YAML_ENCODE_H

#include "engine/config/yaml_decode.h"

// A whole document, appended to out.
void yaml_encode(const struct yaml_struct *type, const void *object, struct buf *out);

// For custom fields. What is begun must be ended.
void yaml_put_map(struct yaml_writer *w);
void yaml_put_map_end(struct yaml_writer *w);
void yaml_put_seq(struct yaml_writer *w);
void yaml_put_seq_end(struct yaml_writer *w);
void yaml_put_str(struct yaml_writer *w, struct str text);   // quoted where it must be
void yaml_put_plain(struct yaml_writer *w, struct str text); // a number, a boolean, a duration
void yaml_put_secret(struct yaml_writer *w, struct str secret);
void yaml_put_strs(struct yaml_writer *w, const struct yaml_strs *all);
void yaml_put_flow_strs(struct yaml_writer *w, const struct yaml_strs *all); // [a, b]
void yaml_put_secrets(struct yaml_writer *w, const struct yaml_strs *all);
void yaml_put_fields(struct yaml_writer *w, const struct yaml_struct *type, const void *object);

// The order in which go-yaml prints the keys of a map: numbers in them by value, letters behind all
// else. Below 0, 0, above 0.
int yaml_key_cmp(struct str a, struct str b);

#endif
