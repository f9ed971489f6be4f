/* Custody; see custody.h. */
#include "service/custody.h"

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

static struct custody *custody_of(struct fact_id *id)
{
    return id ? (struct custody *)((char *)id - offsetof(struct custody, process)) : NULL;
}

struct custody *custody_find(const struct custody_table *table, const struct fact_id *id)
{
    return custody_of(id_map_find(&table->map, id));
}

void custody_close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

static void custody_close(struct custody *custody)
{
    custody_close_fd(&custody->pidfd);
    custody_close_fd(&custody->stdout_fd);
    custody_close_fd(&custody->stderr_fd);
    custody_close_fd(&custody->stdin_fd);
}

bool custody_is_empty(const struct custody *custody)
{
    return custody->pidfd < 0 && custody->stdout_fd < 0 && custody->stderr_fd < 0 &&
           custody->stdin_fd < 0 && custody->missing == 0;
}

void custody_remove(struct custody_table *table, struct custody *custody)
{
    id_map_remove(&table->map, &custody->process);
    custody_close(custody);
    free(custody);
}

struct custody *custody_make(struct custody_table *table, const struct fact_id *id)
{
    struct custody *custody = custody_find(table, id);
    if (custody) {
        return custody;
    }
    custody = malloc(sizeof *custody);
    if (!custody) {
        return NULL;
    }
    *custody = (struct custody){.process = *id, .pidfd = -1, .stdout_fd = -1,
                                .stderr_fd = -1, .stdin_fd = -1};
    if (!id_map_add(&table->map, &custody->process)) {
        free(custody);
        return NULL;
    }
    return custody;
}

void custody_each(const struct custody_table *table,
                  void (*each)(void *context, const struct custody *custody), void *context)
{
    for (size_t i = 0; i < table->map.size; i++) {
        if (table->map.places[i]) {
            each(context, custody_of(table->map.places[i]));
        }
    }
}

void custody_free(struct custody_table *table)
{
    for (size_t i = 0; i < table->map.size; i++) {
        if (table->map.places[i]) {
            custody_close(custody_of(table->map.places[i]));
            free(custody_of(table->map.places[i]));
        }
    }
    id_map_free(&table->map);
}
