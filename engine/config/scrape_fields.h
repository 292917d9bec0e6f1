// Fields that the global block and scrape configurations share.
#ifndef ENGINE_CONFIG_SCRAPE_FIELDS_H
#define ENGINE_CONFIG_SCRAPE_FIELDS_H

#include "engine/config/scrape_config.h"

// All limits but keep_dropped_targets, which is printed elsewhere.
extern const struct yaml_struct scrape_limits_type;
extern const struct yaml_custom name_validation_field; // enum name_validation

err scrape_protocol_parse(struct str text, enum scrape_protocol *out, struct errmsg *e);
// Reads names into items; none, unknown and repeated ones are refused.
err scrape_protocols_check(struct scrape_protocols *p, struct errmsg *e);
void scrape_protocols_default(struct scrape_protocols *p, bool protobuf_first, struct arena *a);
// Notes protobuf where it is asked for first: native histograms would be missing in silence.
// Further down it means what the next protocol means.
void scrape_protocols_note(struct yaml_decoder *d, const struct yaml_node *n,
                           const struct scrape_protocols *p);
err name_escaping_parse(struct str text, const char *whose, enum name_escaping *out,
                        struct errmsg *e);

#endif
