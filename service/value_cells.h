/*
 * Cells: arrays of numbers or truth values of one type, as C arrays. A million of them is four
 * megabytes, and one of them is changed as quickly as in an array of ten.
 *
 * They take and give JSON scalars; what does not fit is refused and nothing is changed. A single
 * number is an array of one. Loop thread only.
 */
#ifndef FORKFUL_SERVICE_VALUE_CELLS_H
#define FORKFUL_SERVICE_VALUE_CELLS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "service/problem.h"
#include "service/text.h"

enum cell_type { CELL_NONE, CELL_INT32, CELL_INT64, CELL_DOUBLE, CELL_BOOL, CELL_BYTE };

struct cells {                         /* zeroed = none; `type` is set by the owner */
    enum cell_type type;
    size_t count, capacity;
    char *data;                        /* owned */
};

void cells_free(struct cells *cells);
/* What a cell counts for the limit of a value's size: 1, 4 or 8 bytes. */
size_t cell_weight(enum cell_type type);

/* NULL: this JSON scalar is one of the type; else 422 type_mismatch or out_of_range. `place`: where
   it stands in the request. */
struct problem *cell_refuses(enum cell_type type, const json_t *item, const char *place);
/* All items of a JSON array; the first that is not right is told. */
struct problem *cells_refuse(enum cell_type type, const json_t *items, const char *place);

/* `count` zeros at the end. False: no memory. */
bool cells_grow(struct cells *cells, size_t count);
/* Items that are not refused, at 0 … count. False: no memory, nothing has changed. */
bool cells_insert(struct cells *cells, size_t at, const json_t *items);
void cells_set(struct cells *cells, size_t at, const json_t *item);
void cells_remove(struct cells *cells, size_t at, size_t count);
json_t *cells_get(const struct cells *cells, size_t at);   /* new; NULL: no memory */
/* The first that is the same, or `count`. */
size_t cells_find(const struct cells *cells, const json_t *item);
void cells_write(struct text *text, const struct cells *cells, size_t at);

/* Of CELL_BYTE: so many instead of all that are there. False: no memory, nothing has changed. */
bool cells_assign_bytes(struct cells *cells, const void *data, size_t count);

/* Their bytes in base64; of all but CELL_BYTE it is the durable form only. */
void cells_save(struct text *text, const struct cells *cells);
/* Into cells that are none yet. False: it is not that, or no memory. */
bool cells_restore(struct cells *cells, const char *saved, size_t bytes);

#endif
