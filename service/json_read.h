/*
 * Parsing JSON so that a lack of memory is told, and never leaves a text that is not what was written.
 *
 * All parsing of the server goes through here. Loop thread only.
 */
#ifndef FORKFUL_SERVICE_JSON_READ_H
#define FORKFUL_SERVICE_JSON_READ_H

#include <jansson.h>
#include <stddef.h>

/* As json_loadb. NULL without memory: then the code in *error (which may be NULL) is
   json_error_out_of_memory. */
json_t *json_read(const char *data, size_t bytes, size_t flags, json_error_t *error);
/* A string of ours, read as it is; NULL gives NULL. */
json_t *json_read_string(const char *string);

#endif
