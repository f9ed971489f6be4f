/*
 * Cells; see value_cells.h. What differs between the types is one row of a table each.
 */
#include "service/value_cells.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "service/json_value.h"
#include "service/spec.h"

/* ---- the types ---- */

static void put_int32(char *cell, const json_t *item)
{
    int32_t number = (int32_t)json_integer_value(item);
    memcpy(cell, &number, sizeof number);
}

static void put_int64(char *cell, const json_t *item)
{
    int64_t number = json_integer_value(item);
    memcpy(cell, &number, sizeof number);
}

static void put_double(char *cell, const json_t *item)
{
    double number = json_number_value(item);
    memcpy(cell, &number, sizeof number);
}

static void put_byte(char *cell, const json_t *item)
{
    *cell = (char)json_integer_value(item);
}

static void put_bool(char *cell, const json_t *item)
{
    *cell = json_is_true(item);
}

static int32_t int32_of(const char *cell)
{
    int32_t number;
    memcpy(&number, cell, sizeof number);
    return number;
}

static int64_t int64_of(const char *cell)
{
    int64_t number;
    memcpy(&number, cell, sizeof number);
    return number;
}

static double double_of(const char *cell)
{
    double number;
    memcpy(&number, cell, sizeof number);
    return number;
}

static json_t *get_int32(const char *cell)
{
    return json_integer(int32_of(cell));
}

static json_t *get_int64(const char *cell)
{
    return json_integer(int64_of(cell));
}

static json_t *get_double(const char *cell)
{
    return json_real(double_of(cell));
}

static json_t *get_byte(const char *cell)
{
    return json_integer((unsigned char)*cell);
}

static json_t *get_bool(const char *cell)
{
    return json_boolean(*cell);
}

static void write_int32(struct text *text, const char *cell)
{
    text_number(text, int32_of(cell));
}

static void write_int64(struct text *text, const char *cell)
{
    text_number(text, int64_of(cell));
}

static void write_double(struct text *text, const char *cell)
{
    text_json_double(text, double_of(cell));
}

static void write_byte(struct text *text, const char *cell)
{
    text_unsigned(text, (unsigned char)*cell);
}

static void write_bool(struct text *text, const char *cell)
{
    text_json_bool(text, *cell);
}

static const struct {
    size_t bytes, weight;
    const char *expected;
    void (*put)(char *cell, const json_t *item);
    json_t *(*get)(const char *cell);
    void (*write)(struct text *text, const char *cell);
} types[] = {
    [CELL_INT32] = {4, 4, "an integer of 32 bits", put_int32, get_int32, write_int32},
    [CELL_INT64] = {8, 8, "an integer of 64 bits", put_int64, get_int64, write_int64},
    [CELL_DOUBLE] = {8, 8, "a number", put_double, get_double, write_double},
    [CELL_BOOL] = {1, 4, "true or false", put_bool, get_bool, write_bool},
    [CELL_BYTE] = {1, 1, "an integer from 0 to 255", put_byte, get_byte, write_byte},
};

static char *cell(const struct cells *cells, size_t at)
{
    return cells->data + at * types[cells->type].bytes;
}

void cells_free(struct cells *cells)
{
    free(cells->data);
    cells->data = NULL;
    cells->count = cells->capacity = 0;
}

size_t cell_weight(enum cell_type type)
{
    return types[type].weight;
}

/* ---- what fits ---- */

static bool right_type(enum cell_type type, const json_t *item)
{
    return type == CELL_BOOL     ? json_is_boolean(item)
           : type == CELL_DOUBLE ? json_is_number(item)
                                 : json_is_integer(item);
}

static bool in_range(enum cell_type type, const json_t *item)
{
    json_int_t number = json_integer_value(item);
    return type == CELL_INT32    ? number >= INT32_MIN && number <= INT32_MAX
           : type == CELL_BYTE   ? number >= 0 && number <= UINT8_MAX
           : type == CELL_DOUBLE ? isfinite(json_number_value(item))
                                 : true;
}

struct problem *cell_refuses(enum cell_type type, const json_t *item, const char *place)
{
    bool right = right_type(type, item);
    if (right && in_range(type, item)) {
        return NULL;
    }
    return problem_add(NULL, right ? PROBLEM_OUT_OF_RANGE : PROBLEM_TYPE_MISMATCH, FAULT_POINTER,
                       place, "It must be %s.", types[type].expected);
}

struct problem *cells_refuse(enum cell_type type, const json_t *items, const char *place)
{
    size_t i;
    const json_t *item;
    if (!json_is_array(items)) {
        return problem_add(NULL, PROBLEM_TYPE_MISMATCH, FAULT_POINTER, place,
                           "It must be an array; each item %s.", types[type].expected);
    }
    json_array_foreach(items, i, item) {
        if (!right_type(type, item) || !in_range(type, item)) {
            char at[80];
            snprintf(at, sizeof at, "%.40s/%zu", place, i);
            return cell_refuses(type, item, at);
        }
    }
    return NULL;
}

/* ---- changing ---- */

static bool make_room(struct cells *cells, size_t more)
{
    size_t most = SIZE_MAX / 16, wanted = cells->capacity ? cells->capacity : 4;
    if (more > most || cells->count > most - more) {
        return false;
    }
    while (wanted < cells->count + more) {
        wanted += wanted / 2 + 4;
    }
    if (cells->data && wanted == cells->capacity) {
        return true;
    }
    char *data = realloc(cells->data, wanted * types[cells->type].bytes);
    if (!data) {
        return false;
    }
    cells->data = data;
    cells->capacity = wanted;
    return true;
}

bool cells_grow(struct cells *cells, size_t count)
{
    if (!make_room(cells, count)) {
        return false;
    }
    memset(cell(cells, cells->count), 0, count * types[cells->type].bytes);
    cells->count += count;
    return true;
}

bool cells_insert(struct cells *cells, size_t at, const json_t *items)
{
    size_t i, count = json_array_size(items);
    const json_t *item;
    if (!make_room(cells, count)) {
        return false;
    }
    memmove(cell(cells, at + count), cell(cells, at),
            (cells->count - at) * types[cells->type].bytes);
    cells->count += count;
    json_array_foreach(items, i, item) {
        cells_set(cells, at + i, item);
    }
    return true;
}

bool cells_assign_bytes(struct cells *cells, const void *data, size_t count)
{
    struct cells fresh = {.type = CELL_BYTE};
    if (!make_room(&fresh, count)) {
        return false;
    }
    memcpy(fresh.data, data, count);
    fresh.count = count;
    cells_free(cells);
    *cells = fresh;
    return true;
}

void cells_set(struct cells *cells, size_t at, const json_t *item)
{
    types[cells->type].put(cell(cells, at), item);
}

void cells_remove(struct cells *cells, size_t at, size_t count)
{
    size_t behind = at + count;
    if (count > 0) {
        memmove(cell(cells, at), cell(cells, behind),
                (cells->count - behind) * types[cells->type].bytes);
        cells->count -= count;
    }
}

/* ---- reading ---- */

json_t *cells_get(const struct cells *cells, size_t at)
{
    return types[cells->type].get(cell(cells, at));
}

size_t cells_find(const struct cells *cells, const json_t *item)
{
    for (size_t at = 0; at < cells->count; at++) {
        json_t *there = cells_get(cells, at);
        bool same = there && json_same(there, item);
        json_decref(there);
        if (same) {
            return at;
        }
    }
    return cells->count;
}

void cells_write(struct text *text, const struct cells *cells, size_t at)
{
    types[cells->type].write(text, cell(cells, at));
}

/* ---- the durable form ---- */

void cells_save(struct text *text, const struct cells *cells)
{
    text_json_base64(text, cells->data ? cells->data : "",
                     cells->count * types[cells->type].bytes);
}

bool cells_restore(struct cells *cells, const char *saved, size_t bytes)
{
    void *data;
    size_t data_bytes;
    if (!base64_decode(saved, bytes, &data, &data_bytes)) {
        return false;
    }
    free(cells->data);
    cells->data = data;
    cells->count = cells->capacity = data_bytes / types[cells->type].bytes;
    return true;
}
