/*
 * Values below HTTP: paths, cells, how documents are written, weighed and compared, and operations at
 * random, after each of which the weight must be that of the tree weighed anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "service/service.h"
#include "service/value_place.h"

static struct config config;
static struct service service = {.config = &config};

static json_t *parse(const char *text)
{
    json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(json);
    return json;
}

/* ---- paths ---- */

static void assert_pointer(const char *pointer, const char *keys)
{
    struct path path = {0};
    struct text seen = {0};
    assert_null(path_from_pointer(&path, pointer, FAULT_POINTER, "/path"));
    for (size_t i = 0; i < path.count; i++) {
        text_printf(&seen, "%s%s%s", i ? " " : "", path.keys[i].name,
                    path.keys[i].numeric ? "#" : "");
    }
    assert_string_equal(seen.data ? seen.data : "", keys);
    text_free(&seen);
    path_free(&path);
}

static void test_a_pointer_is_its_keys(void **state)
{
    assert_pointer("", "");
    assert_pointer("/a/b", "a b");
    assert_pointer("/0/17", "0# 17#");
    assert_pointer("/01/-1/1x", "01 -1 1x");
    assert_pointer("/~0/~1/~01", "~ / ~1");
    assert_pointer("/1234567890123456789", "1234567890123456789");
}

static void assert_refused(const char *body)
{
    struct path path = {0};
    json_t *json = parse(body);
    struct problem *problem = path_from_body(&path, json, false);
    assert_non_null(problem);
    assert_int_equal(problem->code, PROBLEM_INVALID_VALUE);
    problem_free(problem);
    path_free(&path);
    json_decref(json);
}

static void test_a_pointer_that_is_none_is_refused(void **state)
{
    assert_refused("{\"path\":\"a\"}");
    assert_refused("{\"path\":\"/a~\"}");
    assert_refused("{\"path\":\"/~2\"}");
    assert_refused("{\"path\":[true]}");
    assert_refused("{\"key\":\"a\",\"index\":0}");
}

static void test_a_path_has_an_end(void **state)
{
    char pointer[2 * VALUE_DEPTH + 3] = "";
    struct path path = {0};
    for (int i = 0; i < VALUE_DEPTH; i++) {
        strcat(pointer, "/x");
    }
    assert_null(path_from_pointer(&path, pointer, FAULT_POINTER, "/path"));
    path_free(&path);
    strcat(pointer, "/x");
    struct problem *problem = path_from_pointer(&path, pointer, FAULT_PARAMETER, "path");
    assert_int_equal(problem->code, PROBLEM_INVALID_PARAMETER);
    problem_free(problem);
    path_free(&path);
}

/* ---- documents ---- */

static void assert_double(double number, const char *expected)
{
    struct text text = {0};
    text_json_double(&text, number);
    assert_string_equal(text.data, expected);
    text_free(&text);
}

static void test_a_double_is_written_so_that_it_is_read_as_the_same(void **state)
{
    assert_double(0, "0.0");
    assert_double(0.1, "0.1");
    assert_double(-2, "-2.0");
    assert_double(1e21, "1e+21");
    assert_double(1.0 / 3, "0.33333333333333331");
    assert_double(5e-324, "4.94065645841247e-324");
}

static void assert_same(const char *left, const char *right, bool same)
{
    json_t *one = parse(left), *other = parse(right);
    assert_int_equal(json_same(one, other), same);
    assert_int_equal(json_same(other, one), same);
    json_decref(one);
    json_decref(other);
}

static void test_documents_are_compared_as_python_compares(void **state)
{
    assert_same("1", "1.0", true);
    assert_same("9007199254740993", "9007199254740992.0", false);
    assert_same("9223372036854775807", "9223372036854775808.0", false);
    assert_same("-9223372036854775808", "-9223372036854775808.0", true);
    assert_same("true", "1", false);
    assert_same("null", "false", false);
    assert_same("{\"a\":1,\"b\":[2]}", "{\"b\":[2.0],\"a\":1}", true);
    assert_same("{\"a\":1}", "{\"a\":1,\"b\":null}", false);
    assert_same("[1,2]", "[2,1]", false);
}

static void test_the_weight_is_at_least_the_text(void **state)
{
    static const char *const documents[] = {
        "null", "-9223372036854775808", "1.7976931348623157e+308", "\"a\\\"b\\n\\u0001\"", "[]",
        "[1,[2,{}],\"x\"]", "{\"a\\\"\":{\"b\":[true,false,null]}}", "10", "-9", "99"};
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
        struct text text = {0};
        json_t *json = parse(documents[i]);
        text_json_tree(&text, json);
        assert_in_range(json_weight(json), text.bytes, text.bytes + 30);
        text_free(&text);
        json_decref(json);
    }
}

static void test_depth_counts_arrays_and_objects(void **state)
{
    json_t *json = parse("[1,{\"a\":[[]]},[]]");
    assert_int_equal(json_depth(json), 4);
    json_decref(json);
}

/* ---- cells ---- */

static void test_cells_are_saved_and_restored(void **state)
{
    struct cells cells = {.type = CELL_DOUBLE}, again = {.type = CELL_DOUBLE};
    struct text saved = {0};
    json_t *items = parse("[0.1,2,-3.5]"), *one = parse("[7]");
    assert_true(cells_insert(&cells, 0, items));
    cells_save(&saved, &cells);
    assert_true(cells_restore(&again, saved.data + 1, saved.bytes - 2));
    assert_int_equal(again.count, 3);
    assert_memory_equal(again.data, cells.data, 3 * sizeof(double));
    assert_true(cells_insert(&again, 1, one));
    assert_int_equal(cells_find(&again, json_array_get(one, 0)), 1);
    assert_false(cells_restore(&again, "?", 1));
    text_free(&saved);
    cells_free(&cells);
    cells_free(&again);
    json_decref(items);
    json_decref(one);
}

static void test_cells_of_any_count_grow(void **state)
{
    for (size_t count = 0; count < 20; count++) {
        struct cells cells = {.type = CELL_BOOL}, again = {.type = CELL_BOOL};
        struct text saved = {0};
        json_t *items = parse("[true]");
        assert_true(cells_grow(&cells, count));
        cells_save(&saved, &cells);
        assert_true(cells_restore(&again, saved.data + 1, saved.bytes - 2));
        assert_true(cells_insert(&again, count, items));
        assert_int_equal(again.count, count + 1);
        cells_remove(&again, 0, count + 1);
        assert_int_equal(again.count, 0);
        text_free(&saved);
        cells_free(&cells);
        cells_free(&again);
        json_decref(items);
    }
}

/* ---- operations ---- */

static struct value *make(const char *body)
{
    struct value *value = calloc(1, sizeof *value);
    json_t *json = parse(body);
    config.max_payload_bytes = 2000;
    value->object.service = &service;
    value->object.type = &value_type;
    assert_null(value_type.configure(&service, &value->object, json));
    json_decref(json);
    return value;
}

static void end(struct value *value)
{
    value_type.release(&value->object);
    free(value);
}

/* Any operation with a body of any members. What it does not need, or may not be there, is part of the test. */
static bool operate_at_random(struct value *value)
{
    static const char *const paths[] = {"\"\"", "\"/a\"", "\"/b/c\"", "\"/a/0\"", "[\"b\",-1]", "[0]", "[\"a\",1,\"k\"]"};
    static const char *const items[] = {"1", "1.5", "\"text\\n\"", "[]", "{}", "[1,[2]]", "{\"k\":[0]}", "null"};
    struct text text = {0}, answer = {0};
#define ANY(list) list[(size_t)rand() % (sizeof list / sizeof *list)]
    const char *path = ANY(paths), *item = ANY(items), *other = ANY(items);
    text_printf(&text, "{\"path\":%s,\"item\":%s,\"value\":%s,\"items\":[%s,%s],\"members\":{\"a\":%s,\"b\\\"\":%s},\"expected\":%s",
                path, item, item, item, other, item, other, other);
    if (rand() % 3 == 0) {
        text_printf(&text, ",\"index\":%d", rand() % 5 - 2);
    }
    text_putc(&text, '}');
    enum value_operation operation = (enum value_operation)(rand() % VALUE_OPERATIONS);
    uint64_t version = value->version;
    json_t *body = parse(text.data);
    struct problem *problem = value_operate(value, operation, body, &answer);
    bool done = problem == NULL;
    assert_int_equal(value->version, done ? version + 1 : version);
    assert_int_equal(answer.bytes > 0, done);
    problem_free(problem);
    json_decref(body);
    text_free(&text);
    text_free(&answer);
    return done;
}

static void test_the_weight_is_kept_through_any_operations(void **state)
{
    size_t done = 0;
    srand(20260131);
    for (int round = 0; round < 400; round++) {
        struct value *value = make(round % 2 ? "{\"value\":{\"a\":[],\"b\":{\"c\":[1]}}}" : "{\"value\":[1]}");
        for (int i = 0; i < 25; i++) {
            done += operate_at_random(value);
            assert_int_equal(value->weight, json_weight(value->tree));
            assert_in_range(value->weight, 0, config.max_payload_bytes);
            assert_in_range(json_depth(value->tree), 0, VALUE_DEPTH);
        }
        end(value);
    }
    assert_in_range(done, 1000, 10000);
}

static void test_cells_take_any_operations(void **state)
{
    static const char *const types[] = {
        "{\"type\":\"int32[]\",\"length\":3}", "{\"type\":\"double[]\",\"length\":1}",
        "{\"type\":\"bool[]\"}", "{\"type\":\"string[]\",\"length\":2}", "{\"type\":\"int64\"}",
        "{\"type\":\"string\"}"};
    srand(20260201);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct value *value = make(types[i]);
        for (int n = 0; n < 1000; n++) {
            operate_at_random(value);
            assert_in_range(value_weight(value), 0, config.max_payload_bytes);
        }
        end(value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_pointer_is_its_keys),
        cmocka_unit_test(test_a_pointer_that_is_none_is_refused),
        cmocka_unit_test(test_a_path_has_an_end),
        cmocka_unit_test(test_a_double_is_written_so_that_it_is_read_as_the_same),
        cmocka_unit_test(test_documents_are_compared_as_python_compares),
        cmocka_unit_test(test_the_weight_is_at_least_the_text),
        cmocka_unit_test(test_depth_counts_arrays_and_objects),
        cmocka_unit_test(test_cells_are_saved_and_restored),
        cmocka_unit_test(test_cells_of_any_count_grow),
        cmocka_unit_test(test_the_weight_is_kept_through_any_operations),
        cmocka_unit_test(test_cells_take_any_operations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
