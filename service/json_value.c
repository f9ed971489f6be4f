/* Documents; see json_value.h. */
#include "service/json_value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_WEIGHT 24               /* -1.2345678901234567e-308 */

/* ---- writing ---- */

/* 15 digits if they are enough to tell it from all others, else 17, which always are (IEEE 754). */
void text_json_double(struct text *text, double number)
{
    char digits[40];
    snprintf(digits, sizeof digits, "%.15g", number);
    if (strtod(digits, NULL) != number) {
        snprintf(digits, sizeof digits, "%.17g", number);
    }
    text_put(text, digits);
    if (strpbrk(digits, ".e") == NULL) {
        text_put(text, ".0");          /* it stays a double for who reads it */
    }
}

static void write_array(struct text *text, const json_t *array)
{
    size_t i;
    const json_t *item;
    text_putc(text, '[');
    json_array_foreach(array, i, item) {
        text_json_comma(text);
        text_json_tree(text, item);
    }
    text_putc(text, ']');
}

static void write_object(struct text *text, const json_t *object)
{
    const char *key;
    json_t *value;
    text_putc(text, '{');
    json_object_foreach((json_t *)object, key, value) {
        text_json_comma(text);
        text_json_string(text, key);
        text_putc(text, ':');
        text_json_tree(text, value);
    }
    text_putc(text, '}');
}

void text_json_tree(struct text *text, const json_t *tree)
{
    switch (json_typeof(tree)) {
    case JSON_OBJECT:
        write_object(text, tree);
        break;
    case JSON_ARRAY:
        write_array(text, tree);
        break;
    case JSON_STRING:
        text_json_bytes(text, json_string_value(tree), json_string_length(tree));
        break;
    case JSON_INTEGER:
        text_number(text, json_integer_value(tree));
        break;
    case JSON_REAL:
        text_json_double(text, json_real_value(tree));
        break;
    default:
        text_put(text, json_is_null(tree) ? "null" : json_is_true(tree) ? "true" : "false");
        break;
    }
}

/* ---- measuring ---- */

static size_t string_weight(const char *data, size_t bytes)
{
    size_t weight = bytes + 2;
    for (size_t i = 0; i < bytes; i++) {
        weight += (unsigned char)data[i] < ' ' ? 5 : data[i] == '"' || data[i] == '\\' ? 1 : 0;
    }
    return weight;
}

size_t json_key_weight(const char *key)
{
    return string_weight(key, strlen(key)) + 1;
}

static size_t integer_weight(json_int_t number)
{
    size_t weight = number < 0 ? 2 : 1;
    for (; number > 9 || number < -9; number /= 10) {
        weight++;
    }
    return weight;
}

static size_t container_weight(const json_t *tree)
{
    size_t weight = 2, i;
    const char *key;
    json_t *item;
    json_array_foreach(tree, i, item) {
        weight += json_weight(item) + 1;
    }
    json_object_foreach((json_t *)tree, key, item) {
        weight += json_key_weight(key) + json_weight(item) + 1;
    }
    return weight;
}

size_t json_weight(const json_t *tree)
{
    switch (json_typeof(tree)) {
    case JSON_OBJECT:
    case JSON_ARRAY:
        return container_weight(tree);
    case JSON_STRING:
        return string_weight(json_string_value(tree), json_string_length(tree));
    case JSON_INTEGER:
        return integer_weight(json_integer_value(tree));
    case JSON_REAL:
        return NUMBER_WEIGHT;
    default:
        return 5;
    }
}

unsigned json_depth(const json_t *tree)
{
    unsigned deepest = 0, depth;
    const char *key;
    json_t *item;
    size_t i;
    if (!json_is_array(tree) && !json_is_object(tree)) {
        return 0;
    }
    json_array_foreach(tree, i, item) {
        depth = json_depth(item);
        deepest = depth > deepest ? depth : deepest;
    }
    json_object_foreach((json_t *)tree, key, item) {
        depth = json_depth(item);
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest + 1;
}

/* ---- comparing ---- */

static bool same_numbers(const json_t *left, const json_t *right)
{
    if (json_is_integer(left) && json_is_integer(right)) {
        return json_integer_value(left) == json_integer_value(right);
    }
    if (json_is_real(left) && json_is_real(right)) {
        return json_real_value(left) == json_real_value(right);
    }
    json_int_t whole = json_integer_value(json_is_integer(left) ? left : right);
    double real = json_real_value(json_is_integer(left) ? right : left);
    /* As a double the integer may be rounded; the other way nothing is, within the range. */
    const double limit = 9223372036854775808.0; /* 2 to the 63 */
    if (real < -limit || real >= limit) {
        return false;
    }
    json_int_t cut = (json_int_t)real;
    return cut == whole && (double)cut == real;
}

static bool same_arrays(const json_t *left, const json_t *right)
{
    bool same = json_array_size(left) == json_array_size(right);
    for (size_t i = 0; same && i < json_array_size(left); i++) {
        same = json_same(json_array_get(left, i), json_array_get(right, i));
    }
    return same;
}

static bool same_objects(const json_t *left, const json_t *right)
{
    const char *key;
    json_t *value;
    if (json_object_size(left) != json_object_size(right)) {
        return false;
    }
    json_object_foreach((json_t *)left, key, value) {
        const json_t *other = json_object_get(right, key);
        if (!other || !json_same(value, other)) {
            return false;
        }
    }
    return true;
}

bool json_same(const json_t *left, const json_t *right)
{
    if (json_is_number(left) && json_is_number(right)) {
        return same_numbers(left, right);
    }
    if (json_typeof(left) != json_typeof(right)) {
        return false;
    }
    return json_is_array(left)    ? same_arrays(left, right)
           : json_is_object(left) ? same_objects(left, right)
                                  : json_equal(left, right);
}
