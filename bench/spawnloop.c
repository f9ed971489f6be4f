/*
 * spawnloop: the peer of the spawn rows. CONCURRENCY threads, each a loop of posix_spawn and
 * waitpid of PROGRAM for SECONDS: no pipes, no record, nothing between the two calls.
 *
 * One thread that keeps CONCURRENCY children alive with waitpid(-1) would be the other way to
 * write it; it is up to a tenth slower, because posix_spawn holds its caller until the child has
 * called exec. The harder peer is the one used.
 * Prints one JSON line; the clock stops with the last child. Exits 1 when one did not exit with 0.
 */
#include "http.h"

#include <errno.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>

enum { MAX_CONCURRENCY = 256 };

extern char **environ;

struct worker {
    pthread_t thread;
    const char *program;
    uint64_t deadline_us;
    unsigned long done;
    unsigned long wrong;
};

static int spawn_and_wait(const char *program)
{
    char *const argv[] = {(char *)program, NULL};
    pid_t pid;
    int status;

    errno = posix_spawn(&pid, program, NULL, NULL, argv, environ);
    if (errno != 0)
        die("posix_spawn");
    if (waitpid(pid, &status, 0) != pid)
        die("waitpid");
    return status;
}

static void *work(void *argument)
{
    struct worker *worker = argument;

    do {
        worker->wrong += spawn_and_wait(worker->program) != 0;
        worker->done++;
    } while (now_us() < worker->deadline_us);
    return NULL;
}

int main(int argc, char **argv)
{
    static struct worker workers[MAX_CONCURRENCY];
    unsigned long done = 0, wrong = 0;

    if (argc != 4) {
        fprintf(stderr, "usage: spawnloop CONCURRENCY SECONDS PROGRAM\n");
        return 2;
    }
    unsigned long count = number_argument(argv[1], MAX_CONCURRENCY);
    uint64_t start = now_us();
    uint64_t deadline = start + number_argument(argv[2], 600) * 1000000u;
    for (unsigned long i = 0; i < count; i++) {
        workers[i] = (struct worker){.program = argv[3], .deadline_us = deadline};
        errno = pthread_create(&workers[i].thread, NULL, work, &workers[i]);
        if (errno != 0)
            die("pthread_create");
    }
    for (unsigned long i = 0; i < count; i++) {
        pthread_join(workers[i].thread, NULL);
        done += workers[i].done;
        wrong += workers[i].wrong;
    }
    printf("{\"done\":%lu,\"wrong\":%lu,\"seconds\":%.6f}\n", done, wrong,
           (double)(now_us() - start) / 1e6);
    return wrong > 0;
}
