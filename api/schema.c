/*
 * The checker. It walks the value along the table, so its depth is the table's; the JSON pointer
 * grows and shrinks with it.
 */
#include "api/schema.h"

#include <string.h>

#include "api/similar.h"
#include "service/text.h"

struct walk {
    struct problem *problem;
    struct text pointer;
};

static void check_value(struct walk *walk, const struct field *field, const json_t *value);

/* ---- pointers and faults ---- */

/* Appends "/name" (escaped) and returns what the pointer was before, for pointer_cut. */
static size_t pointer_add(struct walk *walk, const char *name)
{
    size_t before = walk->pointer.bytes;

    text_putc(&walk->pointer, '/');
    for (; *name != '\0'; name++) {
        if (*name == '~' || *name == '/') {
            text_put(&walk->pointer, *name == '~' ? "~0" : "~1");
        } else {
            text_putc(&walk->pointer, *name);
        }
    }
    return before;
}

static void pointer_cut(struct walk *walk, size_t bytes)
{
    if (walk->pointer.failed) {
        return;
    }
    walk->pointer.bytes = bytes;
    walk->pointer.data[bytes] = '\0';
}

static const char *pointer_of(const struct walk *walk)
{
    return walk->pointer.data != NULL ? walk->pointer.data : "";
}

static bool is_full(const struct walk *walk)
{
    return walk->problem != NULL && walk->problem->fault_count >= SCHEMA_FAULTS;
}

static void fault(struct walk *walk, enum problem_code code, const char *sentence)
{
    if (!is_full(walk)) {
        walk->problem =
            problem_add(walk->problem, code, FAULT_POINTER, pointer_of(walk), "%s", sentence);
    }
}

/* "It must be <expected>." */
static void must_be(struct walk *walk, const char *expected)
{
    struct text sentence = {0};

    text_printf(&sentence, "It must be %s.", expected);
    fault(walk, PROBLEM_INVALID_VALUE, sentence.failed ? "It is not valid." : sentence.data);
    text_free(&sentence);
}

/* ---- types ---- */

static unsigned type_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        return FIELD_STRING;
    case JSON_INTEGER:
        return FIELD_INTEGER | FIELD_NUMBER;
    case JSON_REAL:
        return FIELD_NUMBER;
    case JSON_TRUE:
    case JSON_FALSE:
        return FIELD_BOOL;
    case JSON_OBJECT:
        return FIELD_OBJECT;
    case JSON_ARRAY:
        return FIELD_ARRAY;
    default:
        return FIELD_NULL;
    }
}

static const struct {
    unsigned type;
    const char *name;
} type_names[] = {
    {FIELD_STRING, "a string"},    {FIELD_NUMBER, "a number"},  {FIELD_INTEGER, "an integer"},
    {FIELD_BOOL, "true or false"}, {FIELD_OBJECT, "an object"}, {FIELD_ARRAY, "an array"},
    {FIELD_NULL, "null"},
};

static void wrong_type(struct walk *walk, const struct field *field)
{
    struct text expected = {0};

    for (size_t i = 0; i < sizeof type_names / sizeof type_names[0]; i++) {
        if (!(field->type & type_names[i].type)) {
            continue;
        }
        text_put(&expected, expected.bytes > 0 ? " or " : "");
        text_put(&expected, type_names[i].name);
    }
    must_be(walk, expected.failed ? "of another type" : expected.data);
    text_free(&expected);
}

/* ---- bounds and words ---- */

/* What `min` and `max` count in this value, and what it is called. */
static const char *measure(const json_t *value, double *out)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        *out = (double)json_string_length(value);
        return " bytes long";
    case JSON_ARRAY:
        *out = (double)json_array_size(value);
        return " items long";
    case JSON_OBJECT:
        *out = (double)json_object_size(value);
        return " keys large";
    default:
        *out = json_number_value(value);
        return "";
    }
}

static bool check_bounds(struct walk *walk, const struct field *field, const json_t *value)
{
    struct text expected = {0};
    double size;

    if ((field->min == 0 && field->max == 0) || json_is_boolean(value) || json_is_null(value)) {
        return true;
    }
    const char *unit = measure(value, &size);
    if (size >= field->min && size <= field->max) {
        return true;
    }
    text_printf(&expected, "from %.16g to %.16g%s", field->min, field->max, unit);
    must_be(walk, expected.failed ? "within its bounds" : expected.data);
    text_free(&expected);
    return false;
}

static bool check_words(struct walk *walk, const struct field *field, const json_t *value)
{
    struct text expected = {0};

    if (field->words == NULL || !json_is_string(value)) {
        return true;
    }
    for (const char *const *word = field->words; *word != NULL; word++) {
        if (strcmp(*word, json_string_value(value)) == 0) {
            return true;
        }
    }
    for (const char *const *word = field->words; *word != NULL; word++) {
        text_printf(&expected, "%s\"%s\"",
                    word == field->words ? ""
                    : word[1] != NULL    ? ", "
                                         : " or ",
                    *word);
    }
    must_be(walk, expected.failed ? "one of its words" : expected.data);
    text_free(&expected);
    return false;
}

/* ---- objects and arrays ---- */

static const struct field *field_find(const struct field *fields, const char *name)
{
    for (; fields->name != NULL; fields++) {
        if (strcmp(fields->name, name) == 0) {
            return fields;
        }
    }
    return NULL;
}

static void unknown_field(struct walk *walk, const struct field *fields, const char *name)
{
    struct similar similar = similar_to(name);
    struct text sentence = {0};

    for (; fields->name != NULL; fields++) {
        similar_try(&similar, fields->name);
    }
    text_printf(&sentence, "The field \"%.200s\" is not known here", name);
    if (similar.best != NULL) {
        text_printf(&sentence, "; did you mean \"%s\"?", similar.best);
    } else {
        text_putc(&sentence, '.');
    }
    fault(walk, PROBLEM_UNKNOWN_FIELD, sentence.failed ? "It is not known here." : sentence.data);
    text_free(&sentence);
}

static void missing_fields(struct walk *walk, const struct field *fields, const json_t *object)
{
    for (; fields->name != NULL; fields++) {
        if (!fields->required || json_object_get(object, fields->name) != NULL) {
            continue;
        }
        size_t before = pointer_add(walk, fields->name);
        fault(walk, PROBLEM_MISSING_FIELD, "This field is needed.");
        pointer_cut(walk, before);
    }
}

static void check_fields(struct walk *walk, const struct field *fields, const json_t *object)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)object, name, value)
    {
        const struct field *field = field_find(fields, name);
        size_t before = pointer_add(walk, name);
        if (field == NULL) {
            unknown_field(walk, fields, name);
        } else if (!json_is_null(value) || field->required) {
            check_value(walk, field, value);
        }
        pointer_cut(walk, before);
        if (is_full(walk)) {
            return;
        }
    }
    missing_fields(walk, fields, object);
}

static void check_open(struct walk *walk, const struct field *items, const json_t *object)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)object, name, value)
    {
        size_t before = pointer_add(walk, name);
        check_value(walk, items, value);
        pointer_cut(walk, before);
        if (is_full(walk)) {
            return;
        }
    }
}

static void check_items(struct walk *walk, const struct field *items, const json_t *array)
{
    size_t i;
    json_t *value;

    json_array_foreach(array, i, value)
    {
        size_t before = walk->pointer.bytes;
        text_printf(&walk->pointer, "/%zu", i);
        check_value(walk, items, value);
        pointer_cut(walk, before);
        if (is_full(walk)) {
            return;
        }
    }
}

static void check_value(struct walk *walk, const struct field *field, const json_t *value)
{
    if (is_full(walk)) {
        return;
    }
    if (!(field->type & type_of(value))) {
        wrong_type(walk, field);
        return;
    }
    if (!check_bounds(walk, field, value) || !check_words(walk, field, value)) {
        return;
    }
    if (json_is_object(value) && field->open && field->items != NULL) {
        check_open(walk, field->items, value);
    } else if (json_is_object(value) && field->fields != NULL) {
        check_fields(walk, field->fields, value);
    } else if (json_is_array(value) && field->items != NULL) {
        check_items(walk, field->items, value);
    }
    const char *expected = field->check != NULL ? field->check(value) : NULL;
    if (expected != NULL) {
        must_be(walk, expected);
    }
}

struct problem *schema_check(const json_t *body, const struct field *fields)
{
    struct walk walk = {0};

    check_fields(&walk, fields, body);
    if (walk.pointer.failed) {
        problem_free(walk.problem);
        walk.problem = problem_make(PROBLEM_OUT_OF_MEMORY, "x");
    }
    text_free(&walk.pointer);
    return walk.problem;
}

/* ---- reading ---- */

json_t *field_value(const json_t *body, const char *name)
{
    json_t *value = json_object_get(body, name);

    return json_is_null(value) ? NULL : value;
}

const char *field_text(const json_t *body, const char *name, const char *standard)
{
    json_t *value = field_value(body, name);

    return json_is_string(value) ? json_string_value(value) : standard;
}

int64_t field_integer(const json_t *body, const char *name, int64_t standard)
{
    json_t *value = field_value(body, name);

    return json_is_integer(value) ? json_integer_value(value) : standard;
}

double field_number(const json_t *body, const char *name, double standard)
{
    json_t *value = field_value(body, name);

    return json_is_number(value) ? json_number_value(value) : standard;
}

bool field_bool(const json_t *body, const char *name, bool standard)
{
    json_t *value = field_value(body, name);

    return json_is_boolean(value) ? json_is_true(value) : standard;
}

int64_t field_seconds_us(const json_t *body, const char *name, int64_t standard_us)
{
    json_t *value = field_value(body, name);

    if (!json_is_number(value)) {
        return standard_us;
    }
    /* Rounded, because 0.1 is a little less than a tenth; what does not fit is cut. */
    double us = json_number_value(value) * 1e6;
    if (us >= 9.2e18) {
        return INT64_MAX;
    }
    if (us <= -9.2e18) {
        return INT64_MIN;
    }
    return (int64_t)(us < 0 ? us - 0.5 : us + 0.5);
}
