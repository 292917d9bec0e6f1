// The configuration's files and variables, from the system.
#ifndef ENGINE_CONFIG_CONFIG_FILES_H
#define ENGINE_CONFIG_CONFIG_FILES_H

#include "engine/config/prom_config.h"

enum { CONFIG_FILE_MAX = 64 << 20 }; // bytes of one file

// For prom_config_load, which then suspends while it reads.
extern const struct prom_config_source config_files;

#endif
