/*
 * jansson's lexer does not look whether its buffer could grow. A byte of a string is missing then, an assertion ends
 * the process, or the closing quote is looked for behind the end. So while it parses it is never told that there is
 * no memory: what malloc does not have comes from a reserve, and what was parsed with its help is thrown away. A
 * text that is too large for the reserve as well ends this server; the next one begins with empty hands.
 */
#include "service/json_read.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "service/recorder.h"

#define RESERVE_BYTES (512 * 1024)     /* pages that are never touched cost nothing */
#define ALIGNMENT 16

static _Alignas(ALIGNMENT) char reserve[RESERVE_BYTES];
static size_t reserve_used;
static bool parsing;

static void *from_reserve(size_t bytes)
{
    size_t wanted = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (wanted < bytes || wanted > RESERVE_BYTES - reserve_used) {
        recorder_fatal("out of memory for a JSON text");
    }
    reserve_used += wanted;
    return reserve + reserve_used - wanted;
}

static void *json_malloc(size_t bytes)
{
    void *memory = malloc(bytes);
    if (!memory && parsing) {
        memory = from_reserve(bytes);
    }
    return memory;
}

static void json_free(void *memory)
{
    uintptr_t at = (uintptr_t)memory, start = (uintptr_t)reserve;
    if (at < start || at >= start + RESERVE_BYTES) {
        free(memory);
    }
}

static void tell_no_memory(json_error_t *error)
{
    if (error) {
        *error = (json_error_t){.line = -1, .column = -1, .text = "out of memory"};
        error->text[JSON_ERROR_TEXT_LENGTH - 1] = (char)json_error_out_of_memory;
    }
}

json_t *json_read(const char *data, size_t bytes, size_t flags, json_error_t *error)
{
    json_set_alloc_funcs(json_malloc, json_free);
    parsing = true;
    json_t *parsed = json_loadb(data, bytes, flags, error);
    parsing = false;
    if (reserve_used > 0) {
        json_decref(parsed);
        parsed = NULL;
        reserve_used = 0;
        tell_no_memory(error);
    }
    return parsed;
}

json_t *json_read_string(const char *string)
{
    return string ? json_read(string, strlen(string), 0, NULL) : NULL;
}
