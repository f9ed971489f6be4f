/*
 * The route tree: which route a path and a method lead to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "api/router.h"

static const struct route table[] = {
    {.method = METHOD_GET, .path = "/", .operation = "page"},
    {.method = METHOD_GET, .path = "/v1/processes", .operation = "list"},
    {.method = METHOD_POST, .path = "/v1/processes", .operation = "spawn"},
    {.method = METHOD_GET, .path = "/v1/processes/me", .operation = "me"},
    {.method = METHOD_GET, .path = "/v1/processes/{id}", .operation = "get"},
    {.method = METHOD_DELETE, .path = "/v1/processes/{id}", .operation = "delete"},
    {.method = METHOD_POST, .path = "/v1/pipes/{p}/{end}/send", .operation = "send"},
    {.method = METHOD_GET, .path = "/{file}", .operation = "file"},
};

static struct router *router;
static struct match match;
static struct uri uri;

static int make_router(void **state)
{
    router = router_new(table, sizeof table / sizeof table[0]);
    return router == NULL;
}

static int drop_router(void **state)
{
    router_free(router);
    return 0;
}

/* The operation found, or NULL. */
static const char *find(enum method method, const char *path)
{
    static char buffer[256];

    snprintf(buffer, sizeof buffer, "%s", path);
    assert_null(uri_parse(buffer, strlen(path), &uri));
    router_match(router, method, &uri, &match);
    return match.route != NULL ? match.route->operation : NULL;
}

static void a_path_leads_to_the_route_of_its_method(void **state)
{
    assert_string_equal(find(METHOD_GET, "/"), "page");
    assert_string_equal(find(METHOD_GET, "/v1/processes"), "list");
    assert_string_equal(find(METHOD_POST, "/v1/processes"), "spawn");
    assert_string_equal(find(METHOD_DELETE, "/v1/processes/p_1"), "delete");
    assert_string_equal(find(METHOD_HEAD, "/v1/processes/p_1"), "get");
    assert_string_equal(find(METHOD_GET, "/app.js"), "file");
}

static void a_literal_wins_over_a_capture(void **state)
{
    assert_string_equal(find(METHOD_GET, "/v1/processes/me"), "me");
    assert_int_equal(match.captures, 0);
    assert_null(find(METHOD_DELETE, "/v1/processes/me"));
    assert_true(match.path_known);
}

static void captures_tell_which_segment_they_took(void **state)
{
    assert_string_equal(find(METHOD_POST, "/v1/pipes/q/a/send"), "send");
    assert_int_equal(match.captures, 2);
    assert_string_equal(uri.segments[match.capture[0]].data, "q");
    assert_string_equal(uri.segments[match.capture[1]].data, "a");
}

static void a_known_path_tells_what_it_allows(void **state)
{
    assert_null(find(METHOD_PUT, "/v1/processes"));
    assert_true(match.path_known);
    assert_string_equal(match.allow, "GET, HEAD, POST, OPTIONS");
    assert_null(find(METHOD_OPTIONS, "/v1/pipes/q/a/send"));
    assert_true(match.path_known);
    assert_string_equal(match.allow, "POST, OPTIONS");
    assert_null(find(METHOD_OTHER, "/v1/processes/p_1"));
    assert_string_equal(match.allow, "GET, HEAD, DELETE, OPTIONS");
}

static void paths_between_and_behind_routes_are_unknown(void **state)
{
    static const char *const paths[] = {
        "/v1/",          "/v1/processes/",      "/v1/processes/a/b", "/v1/pipes/q",
        "/v1/pipes/q/a", "/v1/pipes/q/a/send/", "/v2/processes",     "/v1/Processes",
        "/v1/processe",  "/v1/processess",
    };

    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        assert_null(find(METHOD_GET, paths[i]));
        if (match.path_known)
            fail_msg("known: %s", paths[i]);
    }
}

static void a_table_with_the_same_route_twice_is_refused(void **state)
{
    struct route twice[] = {table[1], table[1]};

    assert_null(router_new(twice, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_leads_to_the_route_of_its_method),
        cmocka_unit_test(a_literal_wins_over_a_capture),
        cmocka_unit_test(captures_tell_which_segment_they_took),
        cmocka_unit_test(a_known_path_tells_what_it_allows),
        cmocka_unit_test(paths_between_and_behind_routes_are_unknown),
        cmocka_unit_test(a_table_with_the_same_route_twice_is_refused),
    };

    return cmocka_run_group_tests(tests, make_router, drop_router);
}
