/* As whom the keeper lets a server have processes started. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "service/keeper/keeper.h"

enum { SERVER = 990, LISTED = 65534, OTHER = 7 };

static struct keeper keeper;

/* A blob with one argument and this behind it. */
static void given(const char *users)
{
    static const char before[] = "binary\0line\0state\0runtime\0config\0--server";
    memset(&keeper, 0, sizeof keeper);
    memcpy(keeper.strings, before, sizeof before);
    strcpy(keeper.strings + sizeof before, users);
    keeper.resume.server_argc = 1;
    keeper.resume.strings_bytes = (uint32_t)(sizeof before + strlen(users) + 1);
}

static int check(uint32_t flags, uint32_t uid, uint32_t gid, uint32_t group, struct spawn *spawn)
{
    static uint32_t groups[1];
    groups[0] = group;
    *spawn = (struct spawn){.groups = (const unsigned char *)groups,
                            .fixed = {.flags = flags, .uid = uid, .gid = gid,
                                      .group_count = flags & SPAWN_SET_IDS ? 1 : 0}};
    return users_check(&keeper, spawn);
}

static int as(uint32_t uid, uint32_t gid, uint32_t group)
{
    struct spawn spawn;
    return check(SPAWN_SET_IDS, uid, gid, group, &spawn);
}

static void without_users_everything_is_left_as_asked(void **state)
{
    struct spawn spawn;
    given("");
    assert_int_equal(check(0, 0, 0, 0, &spawn), 0);
    assert_int_equal(spawn.fixed.flags, 0);
    assert_int_equal(as(0, 0, 0), 0);
    assert_int_equal(as(OTHER, 1, 2), 0);
}

static void who_names_nobody_is_the_servers_user_without_groups(void **state)
{
    struct spawn spawn;
    given("990:991,27");
    assert_int_equal(check(0, 0, 0, 0, &spawn), 0);
    assert_int_equal(spawn.fixed.flags, SPAWN_SET_IDS);
    assert_int_equal(spawn.fixed.uid, SERVER);
    assert_int_equal(spawn.fixed.gid, 991);
    assert_int_equal(spawn.fixed.group_count, 0);
}

static void only_listed_users_are_started_with_groups_of_their_own(void **state)
{
    given("990:991,27 65534:65534 33:33,4");
    assert_int_equal(as(SERVER, 991, 27), 0);
    assert_int_equal(as(SERVER, 27, 991), 0);
    assert_int_equal(as(LISTED, 65534, 65534), 0);
    assert_int_equal(as(33, 33, 4), 0);
    assert_int_equal(as(0, 0, 0), -EPERM);
    assert_int_equal(as(OTHER, 7, 7), -EPERM);
    assert_int_equal(as(LISTED, 0, 65534), -EPERM);
    assert_int_equal(as(LISTED, 65534, 0), -EPERM);
    assert_int_equal(as(LISTED, 991, 991), -EPERM);
    assert_int_equal(as(SERVER, 4, 4), -EPERM);
    assert_int_equal(as(99, 991, 991), -EPERM);
    assert_int_equal(as(9909, 991, 991), -EPERM);
    assert_int_equal(as(SERVER, 2, 2), -EPERM);
}

static void root_is_started_where_it_is_listed(void **state)
{
    given("990:991 0:0");
    assert_int_equal(as(0, 0, 0), 0);
    assert_int_equal(as(0, 991, 0), -EPERM);
}

/* In a fork, for there is no way back. Not as root nothing is taken: then it says so. */
static void the_server_is_its_user_and_nothing_else(void **state)
{
    int status;
    char text[64];
    bool root = geteuid() == 0;
    snprintf(text, sizeof text, "%u:%u", root ? SERVER : geteuid(), root ? SERVER : getegid());
    given(text);
    pid_t child = fork();
    if (child == 0) {
        bool done = users_become_server(&keeper) == 0;
        bool is_it = root ? geteuid() == SERVER && getegid() == SERVER && setuid(0) < 0 : done;
        _exit(done && is_it ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_users_everything_is_left_as_asked),
        cmocka_unit_test(who_names_nobody_is_the_servers_user_without_groups),
        cmocka_unit_test(only_listed_users_are_started_with_groups_of_their_own),
        cmocka_unit_test(root_is_started_where_it_is_listed),
        cmocka_unit_test(the_server_is_its_user_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
