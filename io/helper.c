#include "io/helper.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "engine/base/list.h"
#include "engine/base/mem.h"
#include "io/loop.h"
#include "io/op_queue.h"
#include "io/system.h"

// Threads are started when there is work and none is idle. A name is looked up on an op of the
// job's own, apart from the one that asked, so that the asker can leave; at most half of the
// threads do that, so that a dead name server does not stop the disk.

enum { THREADS_MAX = 8, RESOLVERS_MAX = THREADS_MAX / 2, HOST_MAX = 256, ADDRESSES_MAX = 64 };

struct job {
    struct list link; // in a queue, or in its client's finished
    struct helper_client *client;
    struct op *asker; // NULL: left
    struct op *op;    // what is run: the asker's, or own
    bool is_running, is_finished;
};

struct name_job {
    struct job job;
    struct op own;
    char host[HOST_MAX];
    struct address addresses[ADDRESSES_MAX];
};

struct helper_client {
    struct backend *backend;
    struct list finished;    // of jobs
    atomic_bool is_finished; // something is in there
    struct op_queue left;    // askers that left; the loop's thread's
    size_t jobs_count;
    bool gone; // destroyed: the last job frees it
};

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t work;
    struct list jobs, names; // queues
    pthread_t threads[THREADS_MAX];
    unsigned threads_count, idle_count, names_running;
    size_t queued_count; // in both
    bool is_set_up, stop;
} pool = {.mutex = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER};

static struct job *take_job(void)
{
    struct list *link = list_pop(&pool.jobs);
    if (!link && pool.names_running < RESOLVERS_MAX)
        link = list_pop(&pool.names);
    if (!link)
        return NULL;
    pool.queued_count--;
    return container_of(link, struct job, link);
}

// The pool's mutex is held. The wake comes after the job is in its list.
static void finish_job(struct job *job)
{
    struct helper_client *c = job->client;
    job->is_finished = true;
    if (!c->gone) {
        list_push(&c->finished, &job->link);
        atomic_store(&c->is_finished, true);
        (void)loop_wake(c->backend->loop);
        return;
    }
    mem_free(job);
    if (--c->jobs_count == 0)
        mem_free(c);
}

static void *helper_main(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&pool.mutex);
    for (;;) {
        struct job *job = take_job();
        if (!job) {
            if (pool.stop)
                break;
            pool.idle_count++;
            pthread_cond_wait(&pool.work, &pool.mutex);
            pool.idle_count--;
            continue;
        }
        const bool is_name = job->op->kind == OP_RESOLVE;
        job->is_running = true;
        pool.names_running += is_name;
        pthread_mutex_unlock(&pool.mutex);
        job->op->result = system_run(job->op);
        pthread_mutex_lock(&pool.mutex);
        pool.names_running -= is_name;
        finish_job(job);
    }
    pthread_mutex_unlock(&pool.mutex);
    return NULL;
}

// The pool's mutex is held. A signal is never delivered to a helper.
static void start_thread(void)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t *thread = &pool.threads[pool.threads_count];
    const bool started = !pthread_create(thread, NULL, helper_main, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    assert(started || pool.threads_count > 0); // fewer will do, none will not
    pool.threads_count += started;
}

struct helper_client *helper_client_create(struct backend *b)
{
    struct helper_client *c = mem_alloc(sizeof *c);
    *c = (struct helper_client){.backend = b};
    list_init(&c->finished);
    op_queue_init(&c->left);
    return c;
}

void helper_client_destroy(struct helper_client *c)
{
    pthread_mutex_lock(&pool.mutex);
    for (struct list *l; (l = list_pop(&c->finished)); c->jobs_count--)
        mem_free(container_of(l, struct job, link));
    c->gone = true;
    const bool is_last = c->jobs_count == 0;
    pthread_mutex_unlock(&pool.mutex);
    if (is_last)
        mem_free(c);
}

// ERR_INVALID: longer than any name may be.
static err name_job_init(struct name_job *n, struct op *op)
{
    const size_t size = strlen(op->path) + 1;
    if (size > sizeof n->host)
        return ERR_INVALID;
    memcpy(n->host, op->path, size);
    n->own = (struct op){.kind = OP_RESOLVE, .path = n->host, .buf = n->addresses};
    n->own.n = op->n < ADDRESSES_MAX ? op->n : ADDRESSES_MAX;
    n->job.op = &n->own;
    return ERR_OK;
}

static void leave(struct helper_client *c, struct op *op, int32_t result)
{
    op->result = result;
    op_queue_push(&c->left, op);
}

void helper_submit(struct helper_client *c, struct op *op)
{
    const bool is_name = op->kind == OP_RESOLVE;
    struct job *job = mem_zalloc(is_name ? sizeof(struct name_job) : sizeof *job);
    *job = (struct job){.client = c, .asker = op, .op = op};
    if (is_name && name_job_init(container_of(job, struct name_job, job), op) != ERR_OK) {
        mem_free(job);
        op->backend[0] = 0;
        leave(c, op, -ENOENT);
        return;
    }
    op->backend[0] = (uintptr_t)job;
    pthread_mutex_lock(&pool.mutex);
    if (!pool.is_set_up) {
        list_init(&pool.jobs);
        list_init(&pool.names);
        pool.is_set_up = true;
        pool.stop = false;
    }
    c->jobs_count++;
    list_push(is_name ? &pool.names : &pool.jobs, &job->link);
    if (++pool.queued_count > pool.idle_count && pool.threads_count < THREADS_MAX)
        start_thread();
    pthread_cond_signal(&pool.work);
    pthread_mutex_unlock(&pool.mutex);
}

void helper_cancel(struct helper_client *c, struct op *op)
{
    struct job *job = (struct job *)(uintptr_t)op->backend[0];
    if (!job)
        return;
    pthread_mutex_lock(&pool.mutex);
    const bool can_leave = !job->is_running && !job->is_finished;
    if (can_leave) {
        list_remove(&job->link);
        pool.queued_count--;
        c->jobs_count--;
    } else if (job->asker && op->kind == OP_RESOLVE) {
        job->asker = NULL;
    }
    const bool left = can_leave || !job->asker;
    pthread_mutex_unlock(&pool.mutex);
    if (can_leave)
        mem_free(job);
    if (left) {
        op->backend[0] = 0;
        leave(c, op, -ECANCELED);
    }
}

// Gives the asker, if it is still there, what the job came to.
static unsigned deliver(struct helper_client *c, struct job *job)
{
    struct op *op = job->asker;
    if (op) {
        op->result = job->op->result;
        if (op != job->op && op->result > 0)
            memcpy(op->buf, job->op->buf, (size_t)op->result * sizeof(struct address));
        loop_finish(c->backend->loop, op);
    }
    mem_free(job);
    return op ? 1 : 0;
}

unsigned helper_reap(struct helper_client *c)
{
    unsigned count = 0;
    for (struct op *op; (op = op_queue_pop(&c->left)); count++)
        loop_finish(c->backend->loop, op);
    if (!atomic_exchange(&c->is_finished, false))
        return count;
    struct list done;
    list_init(&done);
    pthread_mutex_lock(&pool.mutex);
    for (struct list *l; (l = list_pop(&c->finished)); c->jobs_count--)
        list_push(&done, l);
    pthread_mutex_unlock(&pool.mutex);
    for (struct list *l; (l = list_pop(&done));)
        count += deliver(c, container_of(l, struct job, link));
    return count;
}

void helpers_stop(void)
{
    pthread_mutex_lock(&pool.mutex);
    pool.stop = true;
    pthread_cond_broadcast(&pool.work);
    pthread_mutex_unlock(&pool.mutex);
    for (unsigned i = 0; i < pool.threads_count; i++)
        pthread_join(pool.threads[i], NULL);
    pool.threads_count = 0;
    pool.is_set_up = false;
}
