/* The set of ids; see id_map.h. Open addressing with linear probing. */
#include "service/id_map.h"

#include <stdlib.h>

#include "service/id.h"

#define FIRST_SIZE 64u

/* Where the id is, or else the free place where it would go. */
static size_t place_of(const struct id_map *map, const struct fact_id *id)
{
    size_t mask = map->size - 1, place = id_hash(id) & mask;
    while (map->places[place] && !id_equal(map->places[place], id)) {
        place = (place + 1) & mask;
    }
    return place;
}

static bool grow(struct id_map *map)
{
    struct id_map larger = {.size = map->size ? map->size * 2 : FIRST_SIZE, .used = map->used};
    larger.places = calloc(larger.size, sizeof *larger.places);
    if (!larger.places) {
        return false;
    }
    for (size_t i = 0; i < map->size; i++) {
        if (map->places[i]) {
            larger.places[place_of(&larger, map->places[i])] = map->places[i];
        }
    }
    free(map->places);
    *map = larger;
    return true;
}

bool id_map_add(struct id_map *map, struct fact_id *id)
{
    if ((map->used + 1) * 2 > map->size && !grow(map)) {
        return false;
    }
    map->places[place_of(map, id)] = id;
    map->used++;
    return true;
}

struct fact_id *id_map_find(const struct id_map *map, const struct fact_id *id)
{
    return map->used ? map->places[place_of(map, id)] : NULL;
}

/* What stands behind the removed one moves up when it belongs there, so that no search ends
   early. */
void id_map_remove(struct id_map *map, const struct fact_id *id)
{
    size_t mask = map->size - 1, hole = map->used ? place_of(map, id) : 0;
    if (!map->used || !map->places[hole]) {
        return;
    }
    for (size_t i = (hole + 1) & mask; map->places[i]; i = (i + 1) & mask) {
        size_t home = id_hash(map->places[i]) & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            map->places[hole] = map->places[i];
            hole = i;
        }
    }
    map->places[hole] = NULL;
    map->used--;
}

void id_map_free(struct id_map *map)
{
    free(map->places);
    *map = (struct id_map){0};
}
