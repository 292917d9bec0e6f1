// The steps of prom_config_load, apart.
#ifndef ENGINE_CONFIG_PROM_CONFIG_PARTS_H
#define ENGINE_CONFIG_PROM_CONFIG_PARTS_H

#include "engine/config/prom_config.h"

// The file's fields. Checks what concerns more than one block.
extern const struct yaml_struct prom_config_type;
// A file of scrape_config_files.
struct scrape_file {
    struct {
        struct scrape_config *items;
        size_t n;
    } scrape_configs;
};
extern const struct yaml_struct scrape_file_type;

extern const struct yaml_struct storage_config_type, otlp_config_type, runtime_config_type;
void otlp_config_init(struct otlp_config *o);
// Reads the translation strategy, which must suit the names that are allowed.
err otlp_config_check_names(struct otlp_config *o, enum name_validation v, struct errmsg *e);

// The files that a pattern names, in order, in the arena. The last part may hold *, ? and [...].
err config_glob(const struct prom_config_source *source, struct arena *a, struct str pattern,
                struct yaml_strs *out, struct errmsg *e);
// $VAR and ${VAR} by the environment, $$ is $; as Go's os.Expand.
struct str config_expand(const struct prom_config_source *source, struct arena *a, struct str text);

#endif
