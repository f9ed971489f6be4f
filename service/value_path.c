/* Paths; see value_path.h. */
#include "service/value_path.h"

#include <stdlib.h>
#include <string.h>

static struct problem *refuse(int where, const char *place, const char *sentence)
{
    enum problem_code code =
        where == FAULT_PARAMETER ? PROBLEM_INVALID_PARAMETER : PROBLEM_INVALID_VALUE;
    return problem_add(NULL, code, where, place, "%s", sentence);
}

static struct problem *add_key(struct path *path, struct path_key key, int where,
                               const char *place)
{
    if (path->count == VALUE_DEPTH) {
        return refuse(where, place, "It leads deeper than a document may be.");
    }
    path->keys[path->count++] = key;
    return NULL;
}

/* "0", "17"; no sign and no zero in front (RFC 6901 section 4). */
static bool is_index(const char *name, int64_t *index)
{
    size_t digits = strspn(name, "0123456789");
    if (digits == 0 || digits > 18 || name[digits] != '\0' || (name[0] == '0' && digits > 1)) {
        return false;
    }
    *index = strtoll(name, NULL, 10);
    return true;
}

static struct problem *add_name(struct path *path, const char *name, int where,
                                const char *place)
{
    struct path_key key = {.name = name};
    key.numeric = is_index(name, &key.index);
    return add_key(path, key, where, place);
}

/* "~1" is a slash, "~0" a tilde. In place; false: another tilde. */
static bool unescape(char *name)
{
    char *out = name;
    for (const char *in = name; *in; in++, out++) {
        *out = *in;
        if (*in == '~') {
            in++;
            if (*in != '0' && *in != '1') {
                return false;
            }
            *out = *in == '0' ? '~' : '/';
        }
    }
    *out = '\0';
    return true;
}

struct problem *path_from_pointer(struct path *path, const char *pointer, int where,
                                  const char *place)
{
    struct problem *problem = NULL;
    if (!pointer || !*pointer) {
        return NULL;
    }
    if (*pointer != '/') {
        return refuse(where, place, "It must be empty or begin with a slash (RFC 6901).");
    }
    path->text = strdup(pointer + 1);
    if (!path->text) {
        return problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for the path");
    }
    for (char *name = path->text; name && !problem;) {
        char *end = strchr(name, '/');
        if (end) {
            *end++ = '\0';
        }
        problem = unescape(name) ? add_name(path, name, where, place)
                                 : refuse(where, place, "A tilde is written ~0, a slash in a key ~1.");
        name = end;
    }
    return problem;
}

static struct problem *add_json(struct path *path, const json_t *key, const char *place)
{
    if (json_is_string(key)) {
        return add_name(path, json_string_value(key), FAULT_POINTER, place);
    }
    if (!json_is_integer(key)) {
        return refuse(FAULT_POINTER, place, "Its keys must be strings and integers.");
    }
    return add_key(path, (struct path_key){NULL, true, json_integer_value(key)}, FAULT_POINTER,
                   place);
}

struct problem *path_from_body(struct path *path, const json_t *body, bool own_index)
{
    const json_t *way = json_object_get(body, "path");
    const json_t *name = json_object_get(body, "key");
    const json_t *index = own_index ? NULL : json_object_get(body, "index");
    struct problem *problem =
        json_is_string(way)
            ? path_from_pointer(path, json_string_value(way), FAULT_POINTER, "/path")
            : NULL;
    for (size_t i = 0; !problem && i < json_array_size(way); i++) {
        problem = add_json(path, json_array_get(way, i), "/path");
    }
    if (!problem && name && index) {
        problem = refuse(FAULT_POINTER, "/index", "It stands instead of key, not beside it.");
    }
    if (!problem && (name || index)) {
        problem = add_json(path, name ? name : index, name ? "/key" : "/index");
    }
    return problem;
}

void path_free(struct path *path)
{
    free(path->text);
    *path = (struct path){0};
}
