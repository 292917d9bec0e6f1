// The handlers behind the routes.
#ifndef ENGINE_SERVER_HANDLERS_H
#define ENGINE_SERVER_HANDLERS_H

#include "engine/server/api.h"

// Under /api/v1. All suspend.
void api_query(struct api *api);
void api_query_range(struct api *api);
void api_query_exemplars(struct api *api);
void api_series(struct api *api);
void api_label_names(struct api *api);
void api_label_values(struct api *api, struct str name);
void api_metadata(struct api *api);
void api_format_query(struct api *api);
void api_parse_query(struct api *api);
void api_targets(struct api *api);
void api_targets_metadata(struct api *api);
void api_relabel_steps(struct api *api);
void api_scrape_pools(struct api *api);
void api_scrape_pools_config(struct api *api);
void api_features(struct api *api);
void api_admin_snapshot(struct api *api);
void api_admin_delete(struct api *api);
void api_admin_clean(struct api *api);
void api_search(struct api *api);
void api_rules(struct api *api);
void api_alerts(struct api *api);
void api_alertmanagers(struct api *api);
void api_status_config(struct api *api);
void api_status_flags(struct api *api);
void api_status_buildinfo(struct api *api);
void api_status_runtimeinfo(struct api *api);
void api_status_tsdb(struct api *api);
void api_status_walreplay(struct api *api);

// Everything else.
void api_put_build(struct json *json); // what buildinfo says
void page_index(struct server *s, struct http_exchange *x);
void metrics_put_runtime(struct server *s, struct buf *b); // Suspends.
void page_federate(struct server *s, struct http_exchange *x);
void page_metrics(struct server *s, struct http_exchange *x);

#endif
