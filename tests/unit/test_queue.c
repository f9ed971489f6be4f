/* Messages by themselves: the heap's order, what is JSON, how a body is shown, what is stored of attempts. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "service/json_valid.h"
#include "service/message.h"

static struct message *make(const char *type, const void *body, size_t bytes)
{
    struct message *message = message_new(&(struct message_content){type, body, bytes});
    assert_non_null(message);
    return message;
}

/* ---- the heap ---- */

static bool goes_before(const struct message *a, const struct message *b)
{
    return a->priority > b->priority || (a->priority == b->priority && a->seq < b->seq);
}

static void the_heap_gives_by_priority_then_by_number(void **state)
{
    enum { COUNT = 2000 };
    struct message_heap heap = {0};
    struct message *last = NULL;
    (void)state;
    srandom(7);
    assert_true(message_heap_reserve(&heap, COUNT));
    for (int i = 0; i < COUNT; i++) {
        struct message *message = make(NULL, "", 0);
        message->seq = i + 1;
        message->priority = random() % 5 - 2;
        message_heap_push(&heap, message);
    }
    for (size_t left = COUNT; left; left--) {
        struct message *first = heap.items[0];
        assert_int_equal(heap.count, left);
        assert_true(!last || goes_before(last, first));
        message_heap_remove(&heap, first);
        assert_int_equal(first->place, 0);
        message_free(last);
        last = first;
    }
    message_free(last);
    free(heap.items);
}

static void the_heap_stays_in_order_when_any_is_removed(void **state)
{
    enum { COUNT = 500 };
    struct message_heap heap = {0};
    struct message *all[COUNT];
    (void)state;
    srandom(11);
    for (int i = 0; i < COUNT; i++) {
        all[i] = make(NULL, "", 0);
        all[i]->seq = i + 1;
        all[i]->priority = random() % 3;
        assert_true(message_heap_reserve(&heap, heap.count + 1));
        message_heap_push(&heap, all[i]);
    }
    for (int i = 0; i < COUNT; i += 2) {
        message_heap_remove(&heap, all[i]);
        message_free(all[i]);
    }
    for (size_t i = 0; i < heap.count; i++) {
        assert_int_equal(heap.items[i]->place, i + 1);
        assert_true(i == 0 || goes_before(heap.items[(i - 1) / 2], heap.items[i]));
    }
    assert_int_equal(heap.count, COUNT / 2);
    for (int i = 1; i < COUNT; i += 2) {
        message_free(all[i]);
    }
    free(heap.items);
}

/* ---- JSON ---- */

static void json_is_known_from_what_is_not(void **state)
{
    static const char *const good[] = {
        "null", " true ", "0", "-0.5e+10", "\"\"", "\"a\\u00e9\\n\\\"\"", "[]", "[1,[2,{}],3]", "{}",
        "{\"a\":{\"b\":[null]},\"c\":\"\"}", "\t{ \"a\" : [ 1 , 2 ] }\r\n", "\"\\ud83d\\ude00\"",
        "\"\xc3\xbc\"", "1E5", "12.75"};
    static const char *const bad[] = {
        "", " ", "nul", "nulll", "01", "1.", ".5", "-", "1e", "+1", "'a'", "\"", "\"\n\"", "\"\\x\"",
        "\"\\u12\"", "[", "[1,]", "[1 2]", "]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{,}",
        "[1}", "{\"a\":1]", "1 2", "\"\\ud83d\"", "\"\\udc00\"", "\"\xff\"", "NaN", "[,1]", "{1:2}"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        if (!json_valid(good[i], strlen(good[i]))) {
            fail_msg("refused: %s", good[i]);
        }
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (json_valid(bad[i], strlen(bad[i]))) {
            fail_msg("taken: %s", bad[i]);
        }
    }
    assert_false(json_valid("1\0", 2));
    assert_false(json_valid("\"\\\0\"", 4));
}

static void json_is_taken_64_deep_and_no_deeper(void **state)
{
    char text[131];
    (void)state;
    memset(text, '[', 65);
    memset(text + 65, ']', 65);
    assert_false(json_valid(text, 130));
    assert_true(json_valid(text + 1, 128));
    assert_false(json_valid(text, 65));
}

static void whatever_is_taken_for_json_jansson_takes_too(void **state)
{
    static const char pieces[] = "{}[]\":,0123e.-\\untrfals\xc3\xbc ";
    unsigned taken = 0;
    (void)state;
    srandom(5);
    for (int round = 0; round < 200000; round++) {
        char text[12];
        size_t bytes = (size_t)random() % sizeof text;
        for (size_t i = 0; i < bytes; i++) {
            text[i] = pieces[(size_t)random() % (sizeof pieces - 1)];
        }
        json_t *parsed = json_loadb(text, bytes, JSON_DECODE_ANY, NULL);
        bool valid = json_valid(text, bytes);
        if (valid != (parsed != NULL) && !(valid && memchr(text, 'e', bytes))) { /* 1e999 is JSON */
            fail_msg("%.*s: %d", (int)bytes, text, valid);
        }
        taken += valid;
        json_decref(parsed);
    }
    assert_true(taken > 100);
}

/* ---- showing ---- */

static void assert_shown(const char *type, const char *body, size_t bytes, const char *expected)
{
    struct message *message = make(type, body, bytes);
    struct text text = {0};
    text_putc(&text, '{');
    message_write_body(&text, message);
    text_putc(&text, '}');
    assert_string_equal(text.data, expected);
    text_free(&text);
    message_free(message);
}

static void a_body_is_shown_by_its_type_and_content(void **state)
{
    (void)state;
    assert_shown("application/json", "{\"a\": 1}", 8,
                 "{\"content_type\":\"application/json\",\"body\":{\"a\": 1}}");
    assert_shown("Application/X+JSON; charset=utf-8", "[]", 2,
                 "{\"content_type\":\"Application/X+JSON; charset=utf-8\",\"body\":[]}");
    assert_shown("application/json", "{", 1, "{\"content_type\":\"application/json\",\"body\":\"{\"}");
    assert_shown("application/jsonx", "1", 1, "{\"content_type\":\"application/jsonx\",\"body\":\"1\"}");
    assert_shown(NULL, "a\"b", 3, "{\"content_type\":null,\"body\":\"a\\\"b\"}");
    assert_shown("text/plain", "\xff", 1, "{\"content_type\":\"text/plain\",\"body_base64\":\"/w==\"}");
}

/* ---- attempts ---- */

static void the_last_attempts_are_remembered(void **state)
{
    struct message *message = make(NULL, "", 0);
    (void)state;
    for (unsigned i = 1; i <= MESSAGE_ATTEMPTS + 5; i++) {
        struct hold hold = {.end = HOLD_OWNER_ENDED, .owner.kind = PARENT_PROCESS,
                            .cause = {.exitcode_known = true, .exitcode = -(int)i}};
        message->attempts = i;
        message_note_end(message, &hold);
    }
    assert_int_equal(message->history->count, MESSAGE_ATTEMPTS);
    assert_int_equal(message->history->items[0].number, 6);
    assert_int_equal(message->history->items[MESSAGE_ATTEMPTS - 1].exitcode, -(MESSAGE_ATTEMPTS + 5));
    message_free(message);
}

static void what_a_row_says_of_attempts_is_read_back(void **state)
{
    struct message_row row = {
        .seq = 3, .state = MESSAGE_BURIED, .attempts = 2, .body = "x", .body_bytes = 1,
        .last = "{\"reason\":\"why\",\"buried\":5,\"attempts\":[{\"n\":2,"
                "\"hold\":\"h_01jd8m3q7v0x4t5k6n7p8q9r0s\",\"owner\":\"p_01jd8m3q7v0x4t5k6n7p8q9r0s\","
                "\"from\":1,\"to\":2,\"end\":4,\"exitcode\":-9}]}"};
    struct message *message = message_from_row(&row);
    (void)state;
    assert_non_null(message);
    assert_string_equal(message->reason, "why");
    assert_int_equal(message->history->count, 1);
    assert_int_equal(message->history->items[0].exitcode, -9);
    assert_int_equal(message->history->items[0].end, HOLD_OWNER_ENDED);
    assert_int_equal(message->history->items[0].owner.kind, PARENT_PROCESS);
    assert_memory_equal(message_body(message), "x", 1);
    assert_null(message_content_type(message));
    message_free(message);
    row.last = "no JSON";
    message = message_from_row(&row);
    assert_non_null(message);
    assert_null(message->history);
    message_free(message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_heap_gives_by_priority_then_by_number),
        cmocka_unit_test(the_heap_stays_in_order_when_any_is_removed),
        cmocka_unit_test(json_is_known_from_what_is_not),
        cmocka_unit_test(json_is_taken_64_deep_and_no_deeper),
        cmocka_unit_test(whatever_is_taken_for_json_jansson_takes_too),
        cmocka_unit_test(a_body_is_shown_by_its_type_and_content),
        cmocka_unit_test(the_last_attempts_are_remembered),
        cmocka_unit_test(what_a_row_says_of_attempts_is_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
