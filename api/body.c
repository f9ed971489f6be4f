/*
 * What jansson is asked to be strict about, and what is looked at before it (RFC 8259).
 */
#include "api/body.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "service/json_read.h"
#include "service/text.h"

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " \t");
}

/* "; charset=utf-8", quoted or not, and nothing else. */
static bool parameters_are_utf8(const char *at)
{
    static const char *const spellings[] = {"charset=utf-8", "charset=\"utf-8\""};

    at = skip_blanks(at);
    if (*at == '\0') {
        return true;
    }
    if (*at != ';') {
        return false;
    }
    at = skip_blanks(at + 1);
    for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++) {
        if (strncasecmp(at, spellings[i], strlen(spellings[i])) == 0) {
            return *skip_blanks(at + strlen(spellings[i])) == '\0';
        }
    }
    return false;
}

struct problem *body_check_type(const char *content_type)
{
    static const char json[] = "application/json";

    if (content_type == NULL) {
        return problem_make(PROBLEM_UNSUPPORTED_MEDIA_TYPE,
                            "The body has no Content-Type; it must be application/json.");
    }
    if (strncasecmp(content_type, json, sizeof json - 1) == 0 &&
        parameters_are_utf8(content_type + sizeof json - 1)) {
        return NULL;
    }
    return problem_make(PROBLEM_UNSUPPORTED_MEDIA_TYPE,
                        "The body is \"%.100s\"; it must be application/json.", content_type);
}

static struct problem *invalid(const char *sentence)
{
    return problem_make(PROBLEM_INVALID_JSON, "%s", sentence);
}

/* Counted before parsing, because the parser recurses. */
static bool is_too_deep(const char *data, size_t bytes)
{
    unsigned depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < bytes; i++) {
        char c = data[i];
        if (in_string) {
            if (c == '\\') {
                i++;
            } else {
                in_string = c != '"';
            }
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > BODY_DEPTH) {
                return true;
            }
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return false;
}

static struct problem *not_parsed(const json_error_t *error)
{
    if (json_error_code(error) == json_error_out_of_memory) {
        return problem_make(PROBLEM_OUT_OF_MEMORY, "x");
    }
    /* Whole numbers beyond 64 bits are numbers; what no double holds is none that we know. */
    if (json_error_code(error) == json_error_numeric_overflow && strstr(error->text, "integer")) {
        return problem_make(PROBLEM_OUT_OF_RANGE,
                            "line %d, column %d: a whole number has 64 bits at most", error->line,
                            error->column);
    }
    /* Not what stands there: it may be a secret. */
    bool is_nul = json_error_code(error) == json_error_null_character;
    const char *text = is_nul ? "\\u0000 is not taken" : error->text;
    const char *near = strstr(text, " near '");
    int bytes = near ? (int)(near - text) : (int)strlen(text);
    return problem_make(PROBLEM_INVALID_JSON,
                        "The body is not valid JSON: line %d, column %d: %.*s.", error->line,
                        error->column, bytes, text);
}

struct problem *body_parse(const char *data, size_t bytes, json_t **out)
{
    json_error_t error;

    *out = NULL;
    if (bytes == 0) {
        return invalid("The body is empty; it must be a JSON object.");
    }
    if (!utf8_valid(data, bytes)) {
        return invalid("The body is not valid UTF-8.");
    }
    if (is_too_deep(data, bytes)) {
        return invalid("The body is nested more than 64 deep.");
    }
    json_t *parsed = json_read(data, bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (parsed == NULL) {
        return not_parsed(&error);
    }
    if (!json_is_object(parsed)) {
        json_decref(parsed);
        return invalid("The body must be a JSON object.");
    }
    *out = parsed;
    return NULL;
}
