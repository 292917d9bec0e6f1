// relabel_configs: YAML to the rules of engine/model/relabel.h.
//
// Rules are decoded first and checked later, when it is known which names are allowed.
#ifndef ENGINE_CONFIG_RELABEL_CONFIG_H
#define ENGINE_CONFIG_RELABEL_CONFIG_H

#include "engine/config/config_load.h"
#include "engine/model/relabel.h"

struct relabel_rules {
    struct relabel_rule *items;
    size_t n;
};

// Of a rule; null_text is what a null in the list is called.
extern const struct yaml_struct relabel_target_type; // of targets, in a scrape configuration
extern const struct yaml_struct relabel_metric_type; // of samples

// Checks all rules and prepares them. d only for its error and its load.
err relabel_rules_check(struct yaml_decoder *d, struct relabel_rules *rules, bool legacy_names);

#endif
