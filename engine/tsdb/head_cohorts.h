// Which cohort a series belongs to, and what lies beside its slots.
#ifndef ENGINE_TSDB_HEAD_COHORTS_H
#define ENGINE_TSDB_HEAD_COHORTS_H

#include "engine/tsdb/head.h"

// The family of a placement key and source; counts one more user.
uint32_t head_family(struct head *h, uint64_t key, uint64_t source, uint32_t partition);
void head_family_unref(struct head *h, uint32_t family);
// A cohort of the family that has a slot at t_ms, or will have one by the commit being staged
// (is_staged says so); otherwise a new one. Members that share times so come together.
typedef bool head_is_staged_fn(const struct head *h, uint32_t cohort, int64_t t_ms);
struct cohort *head_choose_cohort(struct head *h, uint32_t family, int64_t t_ms,
                                  head_is_staged_fn *is_staged);
void head_join(struct head *h, uint32_t id, struct cohort *c); // a series without cohort
// Takes a series out of its cohort; the samples in its slots become late ones.
void head_detach(struct head *h, uint32_t id);
void head_free_cohort(struct head *h, struct cohort *c); // it has no members

#endif
