// Prometheus's configuration file, read and checked as a whole: all of it or nothing.
//
// A loaded configuration is immutable and counted: any shard may hold a reference. Times are ms.
#ifndef ENGINE_CONFIG_PROM_CONFIG_H
#define ENGINE_CONFIG_PROM_CONFIG_H

#include "engine/config/scrape_config.h"

struct retention_config { // a present block replaces the flags of the command line
    int64_t time_ms;      // 0: no limit
    int64_t size_bytes;   // 0: no limit
    double percentage;    // of the disk, 0..100; 0: no limit
};

struct chunk_encoding_config {
    struct str floats; // "xor", "xor2" or empty
};

struct tsdb_config {
    int64_t out_of_order_ms; // the same as the window: Prometheus prints it under a name of its own
    int64_t out_of_order_time_window_ms;
    double stale_series_compaction_threshold; // 0..1
    struct chunk_encoding_config chunk_encoding;
    struct retention_config *retention; // NULL: the flags decide
};

struct exemplars_config {
    int64_t max_exemplars;
};

struct storage_config {
    struct tsdb_config *tsdb;           // NULL: nothing is said
    struct exemplars_config *exemplars; // NULL: nothing is said
};

enum otlp_translation {
    OTLP_TRANSLATION_UNSET,
    OTLP_TRANSLATION_UNDERSCORES_SUFFIXES,
    OTLP_TRANSLATION_UNDERSCORES,
    OTLP_TRANSLATION_UTF8_SUFFIXES,
    OTLP_TRANSLATION_NONE,
};

struct otlp_config {
    bool promote_all_resource_attributes;
    struct yaml_strs promote_resource_attributes, ignore_resource_attributes;
    struct str translation_text;
    enum otlp_translation translation;
    bool keep_identifying_resource_attributes, convert_histograms_to_nhcb, promote_scope_metadata;
    bool label_name_underscore_sanitization, label_name_preserve_multiple_underscores;
};

struct runtime_config {
    int64_t gogc; // means nothing here, but runtimeinfo shows it
};

// The last reference may be dropped on any shard.
struct prom_config {
    struct global_config global;
    struct runtime_config runtime;
    struct yaml_strs rule_files, scrape_config_files; // patterns, joined to the file's folder
    struct {
        struct scrape_config *items;
        size_t n;
    } scrape_configs; // of this file
    struct storage_config storage;
    struct otlp_config otlp;

    const struct scrape_config **jobs; // all to scrape: those above, then those of other files
    size_t jobs_n;
    struct str path;      // the file's
    struct str yaml;      // for status/config: what is in effect, without secrets
    struct str *warnings; // what could not be honoured and was to be ignored
    size_t warnings_n;
    size_t unsupported;      // parts that they are about
    struct arena arena;      // holds everything
    struct config_load load; // its regular expressions
    unsigned refs;           // atomic
};

// How files and the environment are reached; tests answer from memory.
struct prom_config_source {
    void *arg;
    // The whole file appended to out. ERR_NOTFOUND: there is none.
    err (*read)(void *arg, const char *path, struct buf *out, struct errmsg *e);
    // Names in a folder, sorted, a NUL behind each. ERR_NOTFOUND: there is none. NULL: no folders.
    err (*list)(void *arg, const char *dir, struct buf *out, size_t *out_count, struct errmsg *e);
    // A variable's value; empty: not set. NULL: none is.
    struct str (*env)(void *arg, struct str name);
};

struct prom_config_options {
    bool agent;              // rules, alerting and remote_read are refused
    bool ignore_unsupported; // what is not built becomes a warning instead of an error
    bool protobuf_first;     // a feature flag: the default of scrape_protocols begins with protobuf
    struct str web_config_file; // one with content, which is not supported; empty: none
    bool no_lines;              // errors are Prometheus's to the letter: without "line 3: "
    struct str folder;          // of relative names in errors; empty: they are left as they are
    bool main_file_only;        // files of scrape_config_files are not read
    struct buf *cause;          // takes the innermost part of an error, whole; NULL: nobody asks
};

// Reads the file at path and what it includes. Errors as Prometheus's, with a line: "parsing YAML
// file x.yml: line 3: ...". The source's functions may suspend, and then this does.
err prom_config_load(const char *path, const struct prom_config_source *source,
                     const struct prom_config_options *options, struct prom_config **out,
                     struct errmsg *e);
// The text of such an error with all of its cause, where it was too long for e.
void prom_config_error(const struct errmsg *e, struct str cause, struct buf *out);
struct prom_config *prom_config_ref(struct prom_config *c);
void prom_config_unref(struct prom_config *c); // NULL is accepted

#endif
