/*
 * The checkpointer's thread. The mutex guards the requests and results; it is not held while SQLite
 * works.
 */
#include "db/checkpointer.h"

#include <pthread.h>
#include <stdlib.h>

struct checkpointer {
    struct db *db;                     /* its thread's own */
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake, finished;     /* of its thread; of the writer */
    bool asked[DB_FILES];              /* until the result is there */
    struct checkpoint results[DB_FILES];
    bool stopping;
};

/* Busy: the writer copies this file itself just now. */
static struct checkpoint copy_back(struct checkpointer *checkpointer, enum db_file file)
{
    int copied = 0;
    int code = sqlite3_wal_checkpoint_v2(db_handle(checkpointer->db, file), NULL,
                                         SQLITE_CHECKPOINT_PASSIVE, NULL, &copied);
    if (code == SQLITE_BUSY) {
        return (struct checkpoint){ .done = true };
    }
    return (struct checkpoint){ .done = true, .code = code, .copied = copied };
}

/* The file to be copied, or DB_FILES: none. state.db first: it is short. */
static enum db_file next_file(const struct checkpointer *checkpointer)
{
    int file = 0;
    while (file < DB_FILES && !checkpointer->asked[file]) {
        file++;
    }
    return (enum db_file)file;
}

static void *checkpointer_main(void *context)
{
    struct checkpointer *checkpointer = context;
    pthread_mutex_lock(&checkpointer->mutex);
    while (!checkpointer->stopping) {
        enum db_file file = next_file(checkpointer);
        if (file == DB_FILES) {
            pthread_cond_wait(&checkpointer->wake, &checkpointer->mutex);
            continue;
        }
        pthread_mutex_unlock(&checkpointer->mutex);
        struct checkpoint result = copy_back(checkpointer, file);
        pthread_mutex_lock(&checkpointer->mutex);
        checkpointer->results[file] = result;
        checkpointer->asked[file] = false;
        pthread_cond_signal(&checkpointer->finished);
    }
    pthread_mutex_unlock(&checkpointer->mutex);
    return NULL;
}

static void checkpointer_free(struct checkpointer *checkpointer)
{
    db_close(checkpointer->db);
    pthread_cond_destroy(&checkpointer->wake);
    pthread_cond_destroy(&checkpointer->finished);
    pthread_mutex_destroy(&checkpointer->mutex);
    free(checkpointer);
}

struct checkpointer *checkpointer_start(struct db *db, int *code)
{
    struct checkpointer *checkpointer = calloc(1, sizeof *checkpointer);
    *code = SQLITE_NOMEM;
    if (!checkpointer) {
        return NULL;
    }
    pthread_mutex_init(&checkpointer->mutex, NULL);
    pthread_cond_init(&checkpointer->wake, NULL);
    pthread_cond_init(&checkpointer->finished, NULL);
    checkpointer->db = db_open_beside(db, code);
    if (checkpointer->db &&
        pthread_create(&checkpointer->thread, NULL, checkpointer_main, checkpointer) == 0) {
        return checkpointer;
    }
    *code = *code == SQLITE_OK ? SQLITE_NOMEM : *code; /* no thread */
    checkpointer_free(checkpointer);
    return NULL;
}

void checkpointer_stop(struct checkpointer *checkpointer)
{
    if (!checkpointer) {
        return;
    }
    pthread_mutex_lock(&checkpointer->mutex);
    checkpointer->stopping = true;
    pthread_cond_signal(&checkpointer->wake);
    pthread_mutex_unlock(&checkpointer->mutex);
    pthread_join(checkpointer->thread, NULL);
    checkpointer_free(checkpointer);
}

void checkpointer_ask(struct checkpointer *checkpointer, enum db_file file)
{
    pthread_mutex_lock(&checkpointer->mutex);
    checkpointer->asked[file] = true;
    pthread_cond_signal(&checkpointer->wake);
    pthread_mutex_unlock(&checkpointer->mutex);
}

bool checkpointer_busy(struct checkpointer *checkpointer, enum db_file file)
{
    pthread_mutex_lock(&checkpointer->mutex);
    bool busy = checkpointer->asked[file];
    pthread_mutex_unlock(&checkpointer->mutex);
    return busy;
}

void checkpointer_wait(struct checkpointer *checkpointer, enum db_file file)
{
    pthread_mutex_lock(&checkpointer->mutex);
    while (checkpointer->asked[file]) {
        pthread_cond_wait(&checkpointer->finished, &checkpointer->mutex);
    }
    pthread_mutex_unlock(&checkpointer->mutex);
}

struct checkpoint checkpointer_collect(struct checkpointer *checkpointer, enum db_file file)
{
    pthread_mutex_lock(&checkpointer->mutex);
    struct checkpoint result = checkpointer->results[file];
    checkpointer->results[file] = (struct checkpoint){ 0 };
    pthread_mutex_unlock(&checkpointer->mutex);
    return result;
}
