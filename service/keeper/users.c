/*
 * Users: as whom the server runs, and as whom it may have processes started, where it is not to
 * have the keeper's rights.
 *
 * The launcher, which can ask the machine's database of users, writes them into the resume blob:
 * "UID:GID,GID… UID:GID…", each with all its groups, its own one first. The server's user is the
 * first; empty: the server is as the keeper is, and asks for what it likes. The keeper believes
 * this text, not the server: whoever has taken the server over starts processes as these users
 * and as nobody else.
 */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "service/keeper/keeper.h"

#define FIRST_ARGUMENT 5 /* of the blob's strings; ours stands behind the last argument */

struct user {
    uint32_t uid, gid;
    const char *groups;           /* from the first one's digits on */
};

static uint32_t read_id(const char **at)
{
    char *end;
    unsigned long id = strtoul(*at, &end, 10);
    *at = end;
    return (uint32_t)id;
}

/* Takes the user that stands at *at and moves on to the next. False: there is none. */
static bool next_user(const char **at, struct user *user)
{
    if (**at < '0' || **at > '9') {
        return false;
    }
    user->uid = read_id(at);
    user->groups = *at += **at == ':';
    user->gid = read_id(at);
    *at += strcspn(*at, " ");
    *at += **at == ' ';
    return true;
}

static bool has_group(const struct user *user, uint32_t gid)
{
    for (const char *at = user->groups; *at >= '0' && *at <= '9'; at += *at == ',') {
        if (read_id(&at) == gid) {
            return true;
        }
    }
    return false;
}

const char *users_text(const struct keeper *keeper)
{
    return resume_string(keeper, FIRST_ARGUMENT + keeper->resume.server_argc);
}

/* ---- processes ---- */

static bool may_be(const struct user *user, const struct spawn *spawn)
{
    bool good = has_group(user, spawn->fixed.gid);
    for (uint32_t i = 0; good && i < spawn->fixed.group_count; i++) {
        uint32_t gid;
        memcpy(&gid, spawn->groups + i * sizeof gid, sizeof gid);
        good = has_group(user, gid);
    }
    return good;
}

/* Who named nobody runs as the server does, without further groups. */
static void be_as_server(const struct user *server, struct spawn *spawn)
{
    spawn->fixed.flags |= SPAWN_SET_IDS;
    spawn->fixed.uid = server->uid;
    spawn->fixed.gid = server->gid;
    spawn->fixed.group_count = 0;
}

int users_check(const struct keeper *keeper, struct spawn *spawn)
{
    const char *at = users_text(keeper);
    struct user server, user;
    if (!next_user(&at, &server)) {
        return 0;
    }
    if (!(spawn->fixed.flags & SPAWN_SET_IDS)) {
        be_as_server(&server, spawn);
    }
    bool good = server.uid == spawn->fixed.uid && may_be(&server, spawn);
    while (!good && next_user(&at, &user)) {
        good = user.uid == spawn->fixed.uid && may_be(&user, spawn);
    }
    if (good && geteuid() != 0 && spawn->fixed.uid == geteuid()) {
        spawn->fixed.flags &= ~(uint32_t)SPAWN_SET_IDS; /* so it is; to say it again takes rights */
    }
    return good ? 0 : -EPERM;
}

/* ---- the server ---- */

static int drop_capabilities(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}}, left[2];
    if (syscall(SYS_capset, &head, none) < 0 || syscall(SYS_capget, &head, left) < 0) {
        return -errno;
    }
    return memcmp(left, none, sizeof none) == 0 ? 0 : -EPERM;
}

static bool is_wholly(const struct user *user)
{
    uid_t uids[3];
    gid_t gids[3];
    if (getresuid(&uids[0], &uids[1], &uids[2]) < 0 ||
        getresgid(&gids[0], &gids[1], &gids[2]) < 0 || getgroups(0, NULL) != 0) {
        return false;
    }
    for (int i = 0; i < 3; i++) {
        if (uids[i] != user->uid || gids[i] != user->gid) {
            return false;
        }
    }
    return setuid(0) < 0 && setgid(0) < 0;
}

int users_become_server(const struct keeper *keeper)
{
    const char *at = users_text(keeper);
    struct user user;
    if (!next_user(&at, &user) || geteuid() == user.uid) {
        return 0;
    }
    if (setgroups(0, NULL) < 0 || setresgid(user.gid, user.gid, user.gid) < 0 ||
        setresuid(user.uid, user.uid, user.uid) < 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        return -errno;
    }
    int error = drop_capabilities();
    return error == 0 && !is_wholly(&user) ? -EPERM : error;
}
