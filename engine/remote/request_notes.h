// What a request says besides its samples: exemplars and metadata, kept behind them.
#ifndef ENGINE_REMOTE_REQUEST_NOTES_H
#define ENGINE_REMOTE_REQUEST_NOTES_H

#include "engine/remote/request.h"

struct request_exemplar {
    struct tsdb_exemplar x;
    uint32_t series;
};

// An exemplar of a series, both sets of labels encoded; what is said of a family: in memory that
// outlives the request. To be kept behind request_keep(), which suspends, too.
void request_put_exemplar(struct request *q, uint32_t series, const struct tsdb_exemplar *x);
void request_keep_exemplars(struct request *q);          // where their samples were kept
bool request_was_told(struct request *q, uint64_t hash); // of all that is said: need not be put
void request_put_metadata(struct request *q, uint64_t hash, const struct tsdb_metadata *m);
void request_keep_metadata(struct request *q);

#endif
