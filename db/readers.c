/*
 * The reader threads: one queue of jobs in, one list of finished jobs out.
 *
 * The mutex guards both lists and is never held while a job runs. Each thread has its own read-only
 * connections, opened before the threads start, so that a failure is told by readers_start.
 */
#include "db/readers.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READERS_MAX 8u

struct job_list {
    struct read_job *first, *last;
};

struct reader_thread {
    struct readers *readers;
    struct db *db;
    pthread_t thread;
    bool started;
};

struct readers {
    int event_fd;
    unsigned count;
    struct reader_thread threads[READERS_MAX];
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    struct job_list waiting, finished;  /* guarded by the mutex */
    bool stopping;                      /* guarded by the mutex */
};

static void list_put(struct job_list *list, struct read_job *job)
{
    job->next = NULL;
    if (list->last) {
        list->last->next = job;
    } else {
        list->first = job;
    }
    list->last = job;
}

static struct read_job *list_take(struct job_list *list)
{
    struct read_job *job = list->first;
    if (job) {
        list->first = job->next;
        list->last = list->first ? list->last : NULL;
        job->next = NULL;
    }
    return job;
}

static struct read_job *wait_for_job(struct readers *readers)
{
    pthread_mutex_lock(&readers->mutex);
    while (!readers->waiting.first && !readers->stopping) {
        pthread_cond_wait(&readers->wake, &readers->mutex);
    }
    struct read_job *job = readers->stopping ? NULL : list_take(&readers->waiting);
    pthread_mutex_unlock(&readers->mutex);
    return job;
}

static void give_back(struct readers *readers, struct read_job *job)
{
    pthread_mutex_lock(&readers->mutex);
    list_put(&readers->finished, job);
    pthread_mutex_unlock(&readers->mutex);
    uint64_t one = 1;
    ssize_t written = write(readers->event_fd, &one, sizeof one);
    (void)written; /* a full counter wakes the loop too */
}

static void *reader_main(void *context)
{
    struct reader_thread *self = context;
    struct read_job *job;
    while ((job = wait_for_job(self->readers)) != NULL) {
        if (!job->cancelled) {
            job->run(job, self->db);
        }
        give_back(self->readers, job);
    }
    return NULL;
}

static bool start_thread(struct readers *readers, const char *state_dir, struct db_error *error)
{
    struct reader_thread *thread = &readers->threads[readers->count++];
    thread->readers = readers;
    thread->db = db_open_reader(state_dir, error);
    if (!thread->db) {
        return false;
    }
    thread->started = pthread_create(&thread->thread, NULL, reader_main, thread) == 0;
    if (!thread->started) {
        error->code = SQLITE_NOMEM;
        snprintf(error->text, sizeof error->text, "no thread for a reader");
    }
    return thread->started;
}

struct readers *readers_start(const char *state_dir, unsigned threads, int event_fd,
                              struct db_error *error)
{
    memset(error, 0, sizeof *error);
    struct readers *readers = calloc(1, sizeof *readers);
    if (!readers) {
        error->code = SQLITE_NOMEM;
        snprintf(error->text, sizeof error->text, "no memory for the readers");
        return NULL;
    }
    readers->event_fd = event_fd;
    pthread_mutex_init(&readers->mutex, NULL);
    pthread_cond_init(&readers->wake, NULL);
    while (readers->count < threads && readers->count < READERS_MAX) {
        if (!start_thread(readers, state_dir, error)) {
            readers_stop(readers);
            return NULL;
        }
    }
    return readers;
}

void readers_stop(struct readers *readers)
{
    if (!readers) {
        return;
    }
    pthread_mutex_lock(&readers->mutex);
    readers->stopping = true;
    pthread_cond_broadcast(&readers->wake);
    pthread_mutex_unlock(&readers->mutex);
    for (unsigned i = 0; i < readers->count; i++) {
        if (readers->threads[i].started) {
            pthread_join(readers->threads[i].thread, NULL);
        }
        db_close(readers->threads[i].db);
    }
    pthread_cond_destroy(&readers->wake);
    pthread_mutex_destroy(&readers->mutex);
    free(readers);
}

void readers_submit(struct readers *readers, struct read_job *job)
{
    pthread_mutex_lock(&readers->mutex);
    list_put(&readers->waiting, job);
    pthread_cond_signal(&readers->wake);
    pthread_mutex_unlock(&readers->mutex);
}

struct read_job *readers_collect(struct readers *readers)
{
    pthread_mutex_lock(&readers->mutex);
    struct read_job *job = list_take(&readers->finished);
    pthread_mutex_unlock(&readers->mutex);
    return job;
}
