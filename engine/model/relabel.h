// Relabelling: rules that change or drop a label set, of targets, samples, alerts and senders.
//
// Rules are immutable once prepared and may be used on any shard.
#ifndef ENGINE_MODEL_RELABEL_H
#define ENGINE_MODEL_RELABEL_H

#include "engine/base/regex.h"
#include "engine/model/labels.h"

enum relabel_action {
    RELABEL_NONE, // an explicit null in a configuration: refused there
    RELABEL_REPLACE,
    RELABEL_KEEP,
    RELABEL_DROP,
    RELABEL_KEEPEQUAL,
    RELABEL_DROPEQUAL,
    RELABEL_HASHMOD,
    RELABEL_LABELMAP,
    RELABEL_LABELDROP,
    RELABEL_LABELKEEP,
    RELABEL_LOWERCASE,
    RELABEL_UPPERCASE,
};

struct relabel_rule {
    enum relabel_action action;
    const struct str *sources; // names whose values are joined
    size_t sources_n;
    struct str separator;
    const struct regex *regex; // anchored; the owner of the rules frees it
    bool default_regex;        // the configuration names none: (.*)
    uint64_t modulus;          // of RELABEL_HASHMOD, above 0
    struct str target, replacement;
    bool legacy_names; // target names must be [a-zA-Z_][a-zA-Z0-9_]*, otherwise any UTF-8
    uint32_t line;     // in its file, for messages; 0: none
    // Set by relabel_prepare.
    bool takes_all;     // the regex is (.*)
    bool plain_target;  // no $ in it
    bool whole_value;   // the replacement is $1 of (.*): the value itself
    bool plain_replace; // no $ in the replacement
};

const char *relabel_action_text(enum relabel_action action);          // "replace"
bool relabel_action_parse(struct str text, enum relabel_action *out); // in any case
// Fills what speeds a rule up; once, when its other fields stand.
void relabel_prepare(struct relabel_rule *rule);
// Runs the rules in order; false: one of them dropped the set, whose labels are then undefined. New
// texts are made in the arena, scratch is used in between.
bool relabel_apply(const struct relabel_rule *rules, size_t n, struct labels_builder *b,
                   struct arena *a, struct buf *scratch);

// Whether both lists say the same.
bool relabel_rules_equal(const struct relabel_rule *a, size_t a_n, const struct relabel_rule *b,
                         size_t b_n);

#endif
