/*
 * Values: one piece of data that processes share, with a version. Value, Array and the dict, list and
 * Namespace of a Manager in one noun.
 *
 * A value has a type. Of numbers and truth values, single or in arrays, C arrays are kept (cells);
 * of everything else a JSON tree. One operation is one step of the loop: checked first, then done
 * wholly, and the version grows by 1; or refused, and nothing has changed. Bytes are an array of cells, too,
 * each a number from 0 to 255 to the operations; all of them together are shown as base64, or as they are.
 * Loop thread only.
 */
#ifndef FORKFUL_SERVICE_VALUE_H
#define FORKFUL_SERVICE_VALUE_H

#include "service/claim.h"
#include "service/json_value.h"
#include "service/pending.h"
#include "service/value_cells.h"
#include "service/value_path.h"

/* Their words are the names of the types in JSON. */
enum value_type {
    VALUE_JSON, VALUE_STRING, VALUE_STRING_ARRAY, VALUE_INT32, VALUE_INT32_ARRAY, VALUE_INT64,
    VALUE_INT64_ARRAY, VALUE_DOUBLE, VALUE_DOUBLE_ARRAY, VALUE_BOOL, VALUE_BOOL_ARRAY, VALUE_BYTES,
    VALUE_TYPES
};

struct value {
    struct object object;
    enum value_type type;
    struct cells cells;                /* of a single number or truth value: one cell */
    json_t *tree;                      /* where there are no cells; owned */
    size_t weight;                     /* of the tree (json_weight) */
    uint64_t version;                  /* 1: as it was made */
    struct wait_list waiters;          /* claims; all are granted by the next change */
    struct pending pending;
    char *initial;                     /* what it was made with, as JSON, or NULL: too long; owned */
    uint64_t initial_hash;             /* when `initial` is NULL */
    bool shown_whole;                  /* by the object_json that runs now, however long it is */
};

extern const struct object_type value_type;
extern const char *const value_type_names[VALUE_TYPES + 1]; /* NULL at the end */

enum cell_type value_cell_type(const struct value *value);  /* CELL_NONE: it has a tree */
bool value_is_array(const struct value *value);             /* of cells or strings; bytes are one */
bool value_is_bytes(const struct value *value);
/* What counts against max_payload_bytes. */
size_t value_weight(const struct value *value);
/* NULL: `added` bytes instead of `removed` ones fit in; else 413. */
struct problem *value_has_room(const struct value *value, size_t removed, size_t added);
/* NULL: this JSON is one of the type, and not too deep; else 422. `place` is where it stands in
   the request. */
struct problem *value_refuses(const struct value *value, const json_t *item, const char *place);
/* Takes what is not refused instead of all that is there. False: no memory, nothing has changed. */
bool value_assign(struct value *value, const json_t *item);
/* The same for bytes as they are. NULL: done; 413 or no memory: nothing has changed. */
struct problem *value_assign_bytes(struct value *value, const void *data, size_t count);
/* In place. NULL: done; else 422 out_of_range, and nothing has changed. */
struct problem *value_write_bytes(struct value *value, size_t offset, const void *data, size_t count);
/* All of it, as JSON: of bytes their base64. */
void value_write(struct text *text, const struct value *value);
/* "value":…, of bytes "value_base64":…; without a comma in front. */
void value_write_member(struct text *text, const struct value *value);
/* "length":…: how many items or keys it has; null of what is no array and no object. */
void value_write_length(struct text *text, const struct value *value);
/* object_json with the whole value. */
void value_json(struct text *text, struct value *value);
/* What it shows cannot be taken back by a crash. False: answer after the commit of the open batch. */
bool value_settled(struct value *value);
/* It has changed: the version grows, it is stored, who waits is woken. */
void value_changed(struct value *value);

/* ---- value_operations.c ---- */

enum value_operation {
    VALUE_ADD, VALUE_APPEND, VALUE_EXTEND, VALUE_INSERT, VALUE_POP, VALUE_REMOVE, VALUE_SET,
    VALUE_UPDATE, VALUE_DEL, VALUE_CLEAR, VALUE_COMPARE_AND_SET, VALUE_OPERATIONS
};

/* Does it with the members of `body`, which have been checked against the table of the operation,
   and writes {"value": the part that was touched, "version":…, "length": of the array or object
   it was done to}. Who waits for a change is woken. */
struct problem *value_operate(struct value *value, enum value_operation operation,
                              const json_t *body, struct text *answer);

#endif
