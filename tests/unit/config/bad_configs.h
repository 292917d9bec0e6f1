// A table of configuration files that must be refused, for test_prom_config.
#ifndef TESTS_UNIT_CONFIG_BAD_CONFIGS_H
#define TESTS_UNIT_CONFIG_BAD_CONFIGS_H

#include <stddef.h>

struct bad_config {
    const char *text, *want; // want: behind "parsing YAML file x.yml: "
};
extern const struct bad_config bad_configs[];
extern const size_t bad_configs_n;

#endif
