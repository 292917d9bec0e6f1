// scrape_pools and what is asked of one: its configuration, its relabelling step by step.
#include <stdlib.h>

#include "engine/base/quote.h"
#include "engine/config/yaml_encode.h"
#include "engine/server/api.h"
#include "engine/server/handlers.h"
#include "engine/server/server.h"
#include "protocol/json_read.h"

static int compare_names(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

void api_scrape_pools(struct api *api)
{
    const struct prom_config *config = server_self(api->server)->config;
    struct str *names =
        arena_alloc(api->x->arena, config->jobs_n * sizeof *names, _Alignof(struct str));
    const size_t n = config->jobs_n;
    for (size_t i = 0; i < n; i++)
        names[i] = config->jobs[i]->job_name;
    qsort(names, n, sizeof *names, compare_names);
    api_begin(api);
    json_object_begin(&api->json);
    json_key(&api->json, "scrapePools");
    json_array_begin(&api->json);
    for (size_t i = 0; i < n; i++)
        json_str(&api->json, names[i]);
    json_array_end(&api->json);
    json_object_end(&api->json);
    api_end(api);
}

// The job that scrapePool names; NULL: answered.
static const struct scrape_config *find_job(struct api *api, const struct prom_config *config)
{
    const struct str pool = api_get(api, "scrapePool");
    for (size_t i = 0; i < config->jobs_n; i++)
        if (str_eq(config->jobs[i]->job_name, pool))
            return config->jobs[i];
    struct buf quoted = {0};
    buf_put_quoted(&quoted, pool);
    api_error(api, API_BAD_DATA, "error getting scrape config: scrape pool %.*s not found",
              STR_ARG(buf_str(&quoted)));
    buf_deinit(&quoted);
    return NULL;
}

static bool has_parameter(struct api *api, const char *name)
{
    if (api_get(api, name).n)
        return true;
    api_error(api, API_BAD_DATA, "no %s parameter provided", name);
    return false;
}

void api_scrape_pools_config(struct api *api)
{
    if (!has_parameter(api, "scrapePool"))
        return;
    const struct scrape_config *job = find_job(api, server_self(api->server)->config);
    struct buf yaml = {0};
    if (!job)
        return;
    yaml_encode(&scrape_config_type, job, &yaml);
    api_begin(api);
    json_object_begin(&api->json);
    json_key(&api->json, "yaml");
    json_str(&api->json, buf_str(&yaml));
    json_object_end(&api->json);
    api_end(api);
    buf_deinit(&yaml);
}

static void put_text(struct json *j, const char *key, struct str value)
{
    if (!value.n)
        return;
    json_key(j, key);
    json_str(j, value);
}

// A rule as it is in effect, defaults included; empty fields are left out but for the regex.
static void put_rule(struct json *j, const struct relabel_rule *rule)
{
    json_object_begin(j);
    if (rule->sources_n) {
        json_key(j, "sourceLabels");
        json_array_begin(j);
        for (size_t i = 0; i < rule->sources_n; i++)
            json_str(j, rule->sources[i]);
        json_array_end(j);
    }
    put_text(j, "separator", rule->separator);
    json_key(j, "regex");
    json_str(j, rule->regex ? regex_pattern(rule->regex) : STR("(.*)"));
    if (rule->modulus) {
        json_key(j, "modulus");
        json_u64(j, rule->modulus);
    }
    put_text(j, "targetLabel", rule->target);
    put_text(j, "replacement", rule->replacement);
    put_text(j, "action", str_from_c(relabel_action_text(rule->action)));
    json_object_end(j);
}

// Each rule, and what stands behind it; nothing from the rule on that drops the labels.
static void answer_steps(struct api *api, const struct relabel_rules *rules,
                         const struct json_pair *pairs, size_t n)
{
    struct json *j = &api->json;
    struct labels_builder b = {0};
    struct buf scratch = {0};
    bool keep = true;
    for (size_t i = 0; i < n; i++)
        labels_builder_set(&b, pairs[i].name, pairs[i].value);
    api_begin(api);
    json_object_begin(j);
    json_key(j, "steps");
    json_array_begin(j);
    for (size_t i = 0; i < rules->n; i++) {
        keep = keep && relabel_apply(&rules->items[i], 1, &b, api->x->arena, &scratch);
        json_object_begin(j);
        json_key(j, "rule");
        put_rule(j, &rules->items[i]);
        json_key(j, "output");
        api_put_labels(j, keep ? labels_builder_finish(&b, api->x->arena) : (struct str){0});
        json_key(j, "keep");
        json_bool(j, keep);
        json_object_end(j);
    }
    json_array_end(j);
    json_object_end(j);
    api_end(api);
    buf_deinit(&scratch);
    labels_builder_deinit(&b);
}

void api_relabel_steps(struct api *api)
{
    struct json_pair *pairs;
    size_t n;
    struct errmsg e;
    if (!has_parameter(api, "scrapePool") || !has_parameter(api, "labels"))
        return;
    if (json_read_strings(api_get(api, "labels"), api->x->arena, &pairs, &n, &e) != ERR_OK) {
        api_error(api, API_BAD_DATA, "error parsing labels: %s", e.text);
        return;
    }
    struct prom_config *config = prom_config_ref(server_self(api->server)->config);
    const struct scrape_config *job = find_job(api, config);
    if (job)
        answer_steps(api, &job->relabel, pairs, n);
    prom_config_unref(config);
}
