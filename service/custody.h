/*
 * Custody: duplicates of every child's pidfd and pipes, held by the server.
 *
 * Should the keeper be killed, output and exit statuses live on through them, and the server
 * becomes the next keeper (adoption.h). Where the server may open no more files some are missing;
 * they are asked for again. At the start of a server there is an entry for each process
 * in the keeper's table; later for each that lives, and for each of which a pipe is still open.
 */
#ifndef FORKFUL_SERVICE_CUSTODY_H
#define FORKFUL_SERVICE_CUSTODY_H

#include <stdbool.h>
#include <stddef.h>

#include "service/id_map.h"

struct custody {                    /* descriptors are owned; -1: none */
    struct fact_id process;
    int32_t pid;
    int pidfd, stdout_fd, stderr_fd, stdin_fd;
    unsigned missing;               /* bits 0 to 3: there is one, but there was no room for it here */
    bool stdin_closed;              /* by us: one that comes later is closed too */
};

struct custody_table {              /* zeroed = empty */
    struct id_map map;
};

/* A pointer is good until custody_remove. */
struct custody *custody_find(const struct custody_table *table, const struct fact_id *id);
/* The entry of this process, made without descriptors unless there is one. NULL: no memory. */
struct custody *custody_make(struct custody_table *table, const struct fact_id *id);
void custody_remove(struct custody_table *table, struct custody *custody);
void custody_close_fd(int *fd);
bool custody_is_empty(const struct custody *custody); /* no descriptor is left in it, or to come */
void custody_free(struct custody_table *table);
void custody_each(const struct custody_table *table,
                  void (*each)(void *context, const struct custody *custody), void *context);

#endif
