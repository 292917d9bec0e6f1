#include "engine/tsdb/factoring.h"

#include <assert.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/model/labels.h"

enum {
    KEYS_MAX = 64,    // targets that are watched while a job is learned
    COMPARISONS = 32, // pairs of series of one target that decide
    LABELS_MAX = 64,  // label sets beyond are not learned from
    NAMES_MAX = 64,
    NAMES_LOW = 256, // those that came first: nearly all that are factored
    JOBS_MAX = 4096, // more keep to the placement labels
};

struct name_seen {
    uint32_t name, same; // in how many comparisons it had one value
    bool varies;
};

struct key_seen { // the first series of a target
    uint64_t key;
    uint32_t *pairs;
    size_t n;
};

struct factoring_job {
    uint64_t hash;
    bool learned;
    uint32_t comparisons;
    size_t names_n, keys_n;
    uint64_t factored[NAMES_LOW / 64]; // learned: which of the lowest names are, a bit each
    struct name_seen names[NAMES_MAX]; // learned: those that are factored
    struct key_seen *keys;             // KEYS_MAX while learning
};

static void forget_keys(struct factoring_job *job)
{
    for (size_t i = 0; i < job->keys_n; i++)
        mem_free(job->keys[i].pairs);
    mem_free(job->keys);
    job->keys = NULL;
    job->keys_n = 0;
}

void factoring_deinit(struct factoring *f)
{
    for (size_t i = 0; i < f->n; i++) {
        forget_keys(f->jobs[i]);
        mem_free(f->jobs[i]);
    }
    mem_free(f->jobs);
    id_table_deinit(&f->ids);
    *f = (struct factoring){0};
}

static struct factoring_job *find_job(struct factoring *f, uint64_t hash)
{
    struct id_probe probe = id_table_probe(&f->ids, hash);
    uint32_t at;
    while ((at = id_table_next(&f->ids, &probe)) != ID_TABLE_NONE) {
        if (f->jobs[at]->hash == hash)
            return f->jobs[at];
    }
    if (f->n == JOBS_MAX)
        return NULL;
    struct factoring_job *job = mem_zalloc(sizeof *job);
    job->hash = hash;
    f->jobs = mem_grow(f->jobs, &f->capacity, f->n + 1, sizeof *f->jobs);
    f->jobs[f->n] = job;
    id_table_insert(&f->ids, hash, (uint32_t)f->n++);
    return job;
}

static struct name_seen *find_name(struct factoring_job *job, uint32_t name, bool make)
{
    for (size_t i = 0; i < job->names_n; i++) {
        if (job->names[i].name == name)
            return &job->names[i];
    }
    if (!make || job->names_n == NAMES_MAX)
        return NULL;
    job->names[job->names_n] = (struct name_seen){.name = name};
    return &job->names[job->names_n++];
}

static void compare(struct factoring_job *job, const struct label_store *s,
                    const struct key_seen *first, const uint32_t *pairs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct name_seen *seen = find_name(job, label_pair_at(s, pairs[i])->name, true);
        bool same = false;
        for (size_t j = 0; j < first->n; j++)
            same |= first->pairs[j] == pairs[i];
        if (!seen)
            continue;
        seen->varies |= !same;
        seen->same += same;
    }
    if (++job->comparisons < COMPARISONS)
        return;
    size_t kept = 0;
    for (size_t i = 0; i < job->names_n; i++) {
        const struct name_seen *seen = &job->names[i];
        if (!seen->varies && seen->same == job->comparisons &&
            !str_eq(s->names[seen->name].text, LABEL_NAME))
            job->names[kept++] = *seen;
    }
    job->names_n = kept;
    for (size_t i = 0; i < kept; i++) {
        const uint32_t name = job->names[i].name;
        if (name < NAMES_LOW)
            job->factored[name / 64] |= 1ull << (name % 64);
    }
    job->learned = true;
    forget_keys(job);
}

// Pairs of series that were dropped since may have new meanings: that only costs a good guess.
static void learn(struct factoring_job *job, const struct label_store *s, uint64_t key,
                  const uint32_t *pairs, size_t n)
{
    for (size_t i = 0; i < job->keys_n; i++) {
        if (job->keys[i].key == key) {
            compare(job, s, &job->keys[i], pairs, n);
            return;
        }
    }
    if (job->keys_n == KEYS_MAX)
        return;
    if (!job->keys)
        job->keys = mem_alloc_array(KEYS_MAX, sizeof *job->keys);
    uint32_t *copy = mem_alloc_array(n, sizeof *copy);
    memcpy(copy, pairs, n * sizeof *copy);
    job->keys[job->keys_n++] = (struct key_seen){key, copy, n};
}

static bool is_factored(struct factoring_job *job, uint32_t name)
{
    if (name < NAMES_LOW)
        return job->factored[name / 64] >> (name % 64) & 1;
    return find_name(job, name, false) != NULL;
}

void factoring_split(struct factoring *f, const struct label_store *s, uint64_t job_hash,
                     uint64_t key, const uint32_t *pairs, const bool *is_key, size_t n,
                     bool *in_tuple)
{
    struct factoring_job *job = find_job(f, job_hash);
    if (job && !job->learned && n && n <= LABELS_MAX)
        learn(job, s, key, pairs, n);
    for (size_t i = 0; i < n; i++) {
        in_tuple[i] = is_key[i];
        if (job && job->learned && !in_tuple[i])
            in_tuple[i] = is_factored(job, label_pair_at(s, pairs[i])->name);
    }
}
