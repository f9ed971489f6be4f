/* Custody; see custody.h. Open addressing with linear probing; an all-zero id marks a free place. */
#include "service/custody.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service/id.h"

static size_t place_of(const struct custody_table *table, const struct fact_id *id)
{
    size_t mask = table->size - 1;
    size_t place = id_hash(id) & mask;
    while (!id_is_zero(&table->places[place].process) &&
           !id_equal(&table->places[place].process, id)) {
        place = (place + 1) & mask;
    }
    return place;
}

struct custody *custody_find(const struct custody_table *table, const struct fact_id *id)
{
    if (!table->used || id_is_zero(id)) {
        return NULL;
    }
    struct custody *custody = &table->places[place_of(table, id)];
    return id_is_zero(&custody->process) ? NULL : custody;
}

static bool grow(struct custody_table *table)
{
    size_t old_size = table->size;
    struct custody *old = table->places;
    size_t size = old_size ? old_size * 2 : 64;
    struct custody *places = calloc(size, sizeof *places);
    if (!places) {
        return false;
    }
    table->places = places;
    table->size = size;
    for (size_t i = 0; old && i < old_size; i++) {
        if (!id_is_zero(&old[i].process)) {
            places[place_of(table, &old[i].process)] = old[i];
        }
    }
    free(old);
    return true;
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

/* Linear probing: what stands behind the removed place moves up when it belongs there. */
void custody_remove(struct custody_table *table, struct custody *custody)
{
    custody_close(custody);
    size_t mask = table->size - 1;
    size_t hole = (size_t)(custody - table->places);
    for (size_t i = (hole + 1) & mask; !id_is_zero(&table->places[i].process); i = (i + 1) & mask) {
        size_t home = id_hash(&table->places[i].process) & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            table->places[hole] = table->places[i];
            hole = i;
        }
    }
    memset(&table->places[hole], 0, sizeof table->places[hole]);
    table->used--;
}

struct custody *custody_make(struct custody_table *table, const struct fact_id *id)
{
    struct custody *found = custody_find(table, id);
    if (found) {
        custody_close(found);
        return found;
    }
    if (((table->used + 1) * 2 > table->size && !grow(table)) || !table->places) {
        return NULL;
    }
    struct custody *custody = &table->places[place_of(table, id)];
    *custody = (struct custody){*id, 0, -1, -1, -1, -1};
    table->used++;
    return custody;
}

void custody_free(struct custody_table *table)
{
    for (size_t i = 0; i < table->size; i++) {
        if (!id_is_zero(&table->places[i].process)) {
            custody_close(&table->places[i]);
        }
    }
    free(table->places);
    *table = (struct custody_table){0};
}

void custody_each(const struct custody_table *table,
                  void (*each)(void *context, const struct custody *custody), void *context)
{
    for (size_t i = 0; i < table->size; i++) {
        if (!id_is_zero(&table->places[i].process)) {
            each(context, &table->places[i]);
        }
    }
}
