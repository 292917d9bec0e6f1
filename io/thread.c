#include "io/thread.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "engine/base/mem.h"
#include "io/system.h"

struct thread {
    pthread_t id;
    thread_fn *fn;
    void *arg;
    char name[16];
};

static void *run(void *arg)
{
    struct thread *t = arg;
    (void)pthread_setname_np(pthread_self(), t->name); // for people only
    t->fn(t->arg);
    return NULL;
}

err thread_start(const char *name, thread_fn *fn, void *arg, struct thread **out, struct errmsg *e)
{
    struct thread *t = mem_zalloc(sizeof *t);
    t->fn = fn;
    t->arg = arg;
    const size_t n = strlen(name);
    memcpy(t->name, name, n < sizeof t->name ? n : sizeof t->name - 1);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int code = pthread_create(&t->id, NULL, run, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code) {
        mem_free(t);
        return err_set(e, ERR_IO, "start thread %s: %s", name, system_text(-code).text);
    }
    *out = t;
    return ERR_OK;
}

void thread_join(struct thread *t)
{
    if (!t)
        return;
    pthread_join(t->id, NULL);
    mem_free(t);
}

struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t opened;
    unsigned count;
};

struct gate *gate_create(unsigned count)
{
    struct gate *g = mem_alloc(sizeof *g);
    *g = (struct gate){
        .mutex = PTHREAD_MUTEX_INITIALIZER, .opened = PTHREAD_COND_INITIALIZER, .count = count};
    return g;
}

void gate_destroy(struct gate *g)
{
    pthread_mutex_destroy(&g->mutex);
    pthread_cond_destroy(&g->opened);
    mem_free(g);
}

void gate_pass(struct gate *g)
{
    pthread_mutex_lock(&g->mutex);
    if (g->count > 0 && --g->count == 0)
        pthread_cond_broadcast(&g->opened);
    pthread_mutex_unlock(&g->mutex);
}

void gate_wait(struct gate *g)
{
    pthread_mutex_lock(&g->mutex);
    while (g->count > 0)
        pthread_cond_wait(&g->opened, &g->mutex);
    pthread_mutex_unlock(&g->mutex);
}
