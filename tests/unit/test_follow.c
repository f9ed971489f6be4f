/*
 * Answers fed from a store: nothing is missed, nothing is held for a client that is slow or gone.
 *
 * The store is a list of numbers in memory, the reader runs when the test says so, and the HTTP
 * side is replaced by a client that takes as many bytes as it is told to. So every order of commit,
 * read, wake and leaving can be played through.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/follow.h"

/* ---- the client ---- */

struct request {
    enum method method;
    struct park park;
    struct text body;
    int status;                       /* 0: not answered */
};

struct stream {
    struct text got;
    size_t room;                      /* bytes it takes before it must be told of more */
    bool ended, aborted;
    struct stream_events events;
};

static struct request the_request;
static struct stream the_stream;
static struct read_job *the_job;      /* submitted and not run */
static struct app the_app;

enum method request_method(const struct request *request)
{
    return request->method;
}

void http_park(struct request *request, struct park park)
{
    request->park = park;
}

void answer_json(struct request *request, int status, struct text *body)
{
    assert_int_equal(request->status, 0);
    request->status = status;
    request->body = *body;
    *body = (struct text){0};
}

void answer_problem(struct request *request, struct problem *problem)
{
    assert_int_equal(request->status, 0);
    request->status = problem_status(problem);
    problem_free(problem);
}

struct stream *stream_open(struct request *request, enum stream_form form,
                           const char *content_type, struct stream_events events)
{
    the_stream.events = events;
    return &the_stream;
}

size_t stream_room(const struct stream *stream)
{
    assert_false(stream->ended);
    return stream->room;
}

void stream_write(struct stream *stream, const void *data, size_t bytes)
{
    assert_false(stream->ended);
    text_add(&stream->got, data, bytes);
    stream->room -= bytes < stream->room ? bytes : stream->room;
}

void stream_end(struct stream *stream)
{
    assert_false(stream->ended);
    stream->ended = true;
}

void stream_abort(struct stream *stream)
{
    stream_end(stream);
    stream->aborted = true;
}

void readers_submit(struct readers *readers, struct read_job *job)
{
    assert_null(the_job);
    the_job = job;
}

void service_log(struct service *service, enum log_level level, const struct process *process,
                 const char *format, ...)
{
}

/* ---- the store ---- */

struct store_follow {
    struct follow follow;
    unsigned cursor, limit;
};

static unsigned stored;               /* numbers 1 … stored are there */
static unsigned freed;
static size_t item_bytes;             /* each item is padded to so many */
static bool store_deleted, store_ended, store_broken;
static struct wait_list followers;

static bool read_store(struct follow *follow, struct db *reader, struct db_error *error)
{
    struct store_follow *store = (struct store_follow *)follow;
    snprintf(error->text, sizeof error->text, "broken");
    while (store->cursor < stored && !follow_full(follow) && !follow->complete) {
        if (follow->form == STREAM_FORM_JSON)
            text_json_comma(&follow->text);
        text_printf(&follow->text, "%0*u", (int)item_bytes, ++store->cursor);
        follow->items++;
        follow->complete = follow->items == store->limit;
    }
    follow->more = store->cursor < stored;
    return !store_broken;
}

static struct wait_list *find_store(struct follow *follow)
{
    follow->last = store_ended;
    return store_deleted ? NULL : &followers;
}

static bool store_news(const struct follow *follow)
{
    return ((const struct store_follow *)follow)->cursor < stored || store_ended;
}

static void end_store(struct follow *follow)
{
    text_put(&follow->text, follow->form == STREAM_FORM_JSON ? "]}" : " end");
}

static void free_store(struct follow *follow)
{
    assert_null(follow->waiter.list);
    assert_ptr_not_equal(the_job, &follow->job);
    text_free(&follow->text);
    free(follow);
    freed++;
}

static const struct follow_type store_type = {read_store, find_store, store_news, end_store,
                                              free_store};

static void commit(unsigned count)
{
    stored += count;
    wait_list_wake_all(&followers);
}

/* ---- turns ---- */

static struct deferred turn_end;

static void end_turn(struct deferred *deferred)
{
    loop_end(the_app.service.loop);
}

static void turn(void)
{
    turn_end.run = end_turn;
    loop_defer(the_app.service.loop, &turn_end);
    assert_int_equal(loop_run(the_app.service.loop), 0);
}

static struct read_job *run_job(void)
{
    struct read_job *job = the_job;
    assert_non_null(job);
    the_job = NULL;
    job->run(job, NULL);
    return job;
}

static void read_once(void)
{
    struct read_job *job = run_job();
    job->done(job);
    turn();
}

static void read_all(void)
{
    while (the_job)
        read_once();
}

static void start(enum stream_form form, bool live, unsigned limit)
{
    struct store_follow *store = calloc(1, sizeof *store);
    store->limit = limit;
    store->follow.type = &store_type;
    store->follow.app = &the_app;
    store->follow.form = form;
    store->follow.live = live;
    store->follow.deadline_us = INT64_MAX;
    if (follow_open(&store->follow, &the_request, "text/plain"))
        follow_start(&store->follow);
    turn();
}

static void client_leaves(void)
{
    the_stream.events.gone(the_stream.events.context);
    turn();
}

static int set_up(void **state)
{
    the_request = (struct request){.method = METHOD_GET};
    the_stream = (struct stream){.room = SIZE_MAX};
    the_job = NULL;
    stored = freed = 0;
    item_bytes = 1;
    store_deleted = store_ended = store_broken = false;
    followers = (struct wait_list){0};
    the_app.service.loop = loop_new();
    return the_app.service.loop == NULL;
}

static int tear_down(void **state)
{
    assert_int_equal(freed, 1);
    assert_int_equal(followers.count, 0);
    assert_null(the_job);
    text_free(&the_request.body);
    text_free(&the_stream.got);
    loop_free(the_app.service.loop);
    return 0;
}

/* ---- pages ---- */

static void a_page_gives_what_is_there(void **state)
{
    stored = 3;
    start(STREAM_FORM_JSON, false, 0);
    read_all();
    assert_string_equal(the_request.body.data, "{\"items\":[1,2,3]}");
}

static void a_page_ends_at_its_limit(void **state)
{
    stored = 3;
    start(STREAM_FORM_JSON, true, 2);
    read_all();
    assert_string_equal(the_request.body.data, "{\"items\":[1,2]}");
}

static void an_empty_page_that_does_not_wait_is_empty(void **state)
{
    start(STREAM_FORM_JSON, false, 0);
    read_all();
    assert_string_equal(the_request.body.data, "{\"items\":[]}");
}

static void an_empty_page_waits_for_the_next_commit(void **state)
{
    start(STREAM_FORM_JSON, true, 0);
    read_all();
    assert_int_equal(the_request.status, 0);
    commit(0);
    turn();
    assert_null(the_job);
    commit(1);
    turn();
    read_all();
    assert_string_equal(the_request.body.data, "{\"items\":[1]}");
}

static void an_empty_page_is_given_when_the_time_is_over(void **state)
{
    start(STREAM_FORM_JSON, true, 0);
    read_all();
    struct waiter *waiter = followers.first;
    waiter_cancel(waiter);
    waiter->wake(waiter, false);
    turn();
    assert_string_equal(the_request.body.data, "{\"items\":[]}");
}

static void a_page_of_what_is_deleted_while_it_waits_is_404(void **state)
{
    start(STREAM_FORM_JSON, true, 0);
    read_all();
    store_deleted = true;
    commit(0);
    turn();
    assert_int_equal(the_request.status, 404);
}

static void a_page_that_cannot_be_read_is_500(void **state)
{
    store_broken = true;
    start(STREAM_FORM_JSON, true, 0);
    read_all();
    assert_int_equal(the_request.status, 500);
}

/* ---- streams ---- */

static void a_stream_goes_on_behind_what_it_gave(void **state)
{
    stored = 2;
    start(STREAM_FORM_NDJSON, true, 0);
    read_all();
    assert_string_equal(the_stream.got.data, "12");
    commit(1);
    turn();
    read_all();
    assert_string_equal(the_stream.got.data, "123");
    store_ended = true;
    commit(1);
    turn();
    read_all();
    assert_string_equal(the_stream.got.data, "1234 end");
    assert_true(the_stream.ended);
}

static void a_stream_that_is_not_live_ends_with_what_is_there(void **state)
{
    stored = 2;
    start(STREAM_FORM_NDJSON, false, 0);
    read_all();
    assert_string_equal(the_stream.got.data, "12 end");
    assert_true(the_stream.ended);
}

static void a_commit_while_a_read_is_under_way_is_not_missed(void **state)
{
    start(STREAM_FORM_NDJSON, true, 0);
    struct read_job *job = run_job();
    commit(1);
    turn();
    job->done(job);
    turn();
    read_all();
    assert_string_equal(the_stream.got.data, "1");
    client_leaves();
}

static void the_end_while_a_read_is_under_way_is_not_missed(void **state)
{
    start(STREAM_FORM_NDJSON, true, 0);
    struct read_job *job = run_job();
    store_ended = true;
    commit(1);
    job->done(job);
    turn();
    read_all();
    assert_string_equal(the_stream.got.data, "1 end");
}

static void many_commits_of_one_turn_are_one_read(void **state)
{
    start(STREAM_FORM_NDJSON, true, 0);
    read_all();
    commit(1);
    commit(1);
    commit(1);
    turn();
    read_once();
    assert_string_equal(the_stream.got.data, "123");
    assert_null(the_job);
    client_leaves();
}

static void a_slow_client_gets_everything_and_costs_one_piece(void **state)
{
    item_bytes = 1000;
    stored = 300;
    the_stream.room = 10;
    start(STREAM_FORM_NDJSON, true, 0);
    for (int i = 0; i < 1000; i++) {
        read_all();
        the_stream.room = 997;
        the_stream.events.room(the_stream.events.context);
        turn();
        if (i == 100)
            commit(100);
    }
    read_all();
    assert_int_equal(the_stream.got.bytes, 400 * 1000);
    client_leaves();
}

static void a_slow_client_holds_no_read(void **state)
{
    item_bytes = 1000;
    stored = 300;
    the_stream.room = 0;
    start(STREAM_FORM_NDJSON, true, 0);
    read_once();
    commit(1);
    turn();
    assert_null(the_job);
    client_leaves();
}

static void an_item_larger_than_a_piece_comes_whole(void **state)
{
    item_bytes = 400000;
    stored = 2;
    the_stream.room = 65536;
    start(STREAM_FORM_NDJSON, false, 0);
    for (int i = 0; i < 100 && !the_stream.ended; i++) {
        read_all();
        the_stream.room = 65536;
        if (!the_stream.ended)
            the_stream.events.room(the_stream.events.context);
        turn();
    }
    assert_int_equal(the_stream.got.bytes, 2 * 400000 + 4);
}

static void a_stream_of_what_is_deleted_ends(void **state)
{
    start(STREAM_FORM_NDJSON, true, 0);
    read_all();
    wait_list_wake_all(&followers);
    store_deleted = true;
    turn();
    assert_true(the_stream.ended && !the_stream.aborted);
}

static void a_stream_that_cannot_be_read_breaks_off(void **state)
{
    store_broken = true;
    start(STREAM_FORM_NDJSON, true, 0);
    read_all();
    assert_true(the_stream.aborted);
    assert_int_equal(the_stream.got.bytes, 0);
}

static void head_opens_and_ends(void **state)
{
    the_request.method = METHOD_HEAD;
    start(STREAM_FORM_NDJSON, true, 0);
    assert_true(the_stream.ended);
    assert_null(the_job);
}

/* ---- clients that leave ---- */

static void a_client_that_leaves_while_waiting_leaves_the_list(void **state)
{
    start(STREAM_FORM_NDJSON, true, 0);
    read_all();
    assert_int_equal(followers.count, 1);
    client_leaves();
    assert_int_equal(freed, 1);
}

static void a_client_that_leaves_while_it_is_read_for_is_freed_behind_the_read(void **state)
{
    start(STREAM_FORM_NDJSON, true, 0);
    client_leaves();
    assert_int_equal(freed, 0);
    assert_true(the_job->cancelled);
    read_once();
    assert_int_equal(freed, 1);
}

static void a_client_that_leaves_when_woken_is_freed_at_the_end_of_the_turn(void **state)
{
    start(STREAM_FORM_NDJSON, true, 0);
    read_all();
    commit(1);
    the_stream.events.gone(the_stream.events.context);
    assert_int_equal(freed, 0);
    turn();
    assert_int_equal(freed, 1);
}

static void what_is_held_is_told_when_it_is_ready(void **state)
{
    struct store_follow *store = calloc(1, sizeof *store);
    store->follow = (struct follow){.type = &store_type, .app = &the_app, .live = false,
                                    .form = STREAM_FORM_NDJSON, .more = true};
    assert_true(follow_open(&store->follow, &the_request, "text/plain"));
    text_put(&store->follow.text, "before ");
    follow_hold(&store->follow);
    the_stream.events.room(the_stream.events.context);
    turn();
    assert_int_equal(the_stream.got.bytes, 0);
    stored = 1;
    follow_ready(&store->follow);
    read_all();
    assert_string_equal(the_stream.got.data, "before 1 end");
}

static void what_is_held_for_a_client_that_leaves_is_freed_when_ready(void **state)
{
    struct store_follow *store = calloc(1, sizeof *store);
    store->follow = (struct follow){.type = &store_type, .app = &the_app,
                                    .form = STREAM_FORM_NDJSON};
    assert_true(follow_open(&store->follow, &the_request, "text/plain"));
    follow_hold(&store->follow);
    client_leaves();
    assert_int_equal(freed, 0);
    follow_ready(&store->follow);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_page_gives_what_is_there),
        TEST(a_page_ends_at_its_limit),
        TEST(an_empty_page_that_does_not_wait_is_empty),
        TEST(an_empty_page_waits_for_the_next_commit),
        TEST(an_empty_page_is_given_when_the_time_is_over),
        TEST(a_page_of_what_is_deleted_while_it_waits_is_404),
        TEST(a_page_that_cannot_be_read_is_500),
        TEST(a_stream_goes_on_behind_what_it_gave),
        TEST(a_stream_that_is_not_live_ends_with_what_is_there),
        TEST(a_commit_while_a_read_is_under_way_is_not_missed),
        TEST(the_end_while_a_read_is_under_way_is_not_missed),
        TEST(many_commits_of_one_turn_are_one_read),
        TEST(a_slow_client_gets_everything_and_costs_one_piece),
        TEST(a_slow_client_holds_no_read),
        TEST(an_item_larger_than_a_piece_comes_whole),
        TEST(a_stream_of_what_is_deleted_ends),
        TEST(a_stream_that_cannot_be_read_breaks_off),
        TEST(head_opens_and_ends),
        TEST(a_client_that_leaves_while_waiting_leaves_the_list),
        TEST(a_client_that_leaves_while_it_is_read_for_is_freed_behind_the_read),
        TEST(a_client_that_leaves_when_woken_is_freed_at_the_end_of_the_turn),
        TEST(what_is_held_is_told_when_it_is_ready),
        TEST(what_is_held_for_a_client_that_leaves_is_freed_when_ready),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
