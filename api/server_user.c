/* The server's user; see server_user.h. */
#include "api/server_user.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- who ---- */

static bool put_groups(struct text *users, const struct passwd *entry)
{
    int count = 0;
    getgrouplist(entry->pw_name, entry->pw_gid, NULL, &count);
    gid_t *groups = calloc((size_t)count + 1, sizeof *groups);
    if (!groups || getgrouplist(entry->pw_name, entry->pw_gid, groups, &count) < 0) {
        free(groups);
        return false;
    }
    for (int i = 0; i < count; i++) {
        if (groups[i] != entry->pw_gid) {
            text_printf(users, ",%u", groups[i]);
        }
    }
    free(groups);
    return true;
}

static bool put_user(struct server_user *user, const struct passwd *entry,
                     struct refusal *refusal)
{
    text_printf(&user->users, "%s%u:%u", user->users.bytes ? " " : "", entry->pw_uid,
                entry->pw_gid);
    return (put_groups(&user->users, entry) && !user->users.failed) ||
           refuse(refusal, "the groups of user %s: there is no memory", entry->pw_name);
}

static const struct passwd *find(const char *key, const char *name, struct refusal *refusal)
{
    const struct passwd *entry = getpwnam(name);
    if (!entry) {
        refuse(refusal, "%s: there is no user \"%s\"", key, name);
    }
    return entry;
}

static bool find_server(const struct config *config, struct server_user *out,
                        struct refusal *refusal)
{
    const struct passwd *entry = find("server.user", config->server_user, refusal);
    if (!entry) {
        return false;
    }
    if (entry->pw_uid == 0) {
        return refuse(refusal, "server.user must not be root, whose rights it is to be without");
    }
    out->given = true;
    out->name = config->server_user;
    out->uid = entry->pw_uid;
    out->gid = entry->pw_gid;
    return put_user(out, entry, refusal);
}

bool server_user_find(const struct config *config, struct server_user *out,
                      struct refusal *refusal)
{
    if (!config->server_user) {
        return config->server_spawn_users.count == 0 ||
               refuse(refusal, "server.spawn_users says nothing without server.user");
    }
    if (geteuid() != 0) {
        return refuse(refusal, "server.user: only root can run the server as another user");
    }
    bool good = find_server(config, out, refusal);
    for (size_t i = 0; good && i < config->server_spawn_users.count; i++) {
        const struct passwd *entry = find("server.spawn_users", config->server_spawn_users.items[i],
                                          refusal);
        good = entry && put_user(out, entry, refusal);
    }
    return good && (setgroups(0, NULL) == 0 ||
                    refuse(refusal, "setgroups: %s", strerror(errno)));
}

/* ---- whose the directories are ---- */

static bool failed(const char *path, const char *name, const char *call, struct refusal *refusal)
{
    return refuse(refusal, "%s%s%s: %s: %s", path, *name ? "/" : "", name, call, strerror(errno));
}

/* Somebody who runs as root in here would lose what is handed over. */
static bool is_unused(const char *path, int directory, struct refusal *refusal)
{
    int fd = openat(directory, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    bool unused = fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return unused || refuse(refusal, "the directory %s is in use by another daemon", path);
}

/* Links, files with a second name and whatever else is strange are left alone: a former owner may
   have put them there. */
static bool hand_over_one(const struct server_user *user, const char *path, int directory,
                          const char *name, struct refusal *refusal)
{
    struct stat status;
    if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0) {
        return failed(path, name, "stat", refusal);
    }
    if (status.st_uid == user->uid || S_ISDIR(status.st_mode)) {
        return true;
    }
    if (status.st_uid != 0 || status.st_nlink != 1 ||
        !(S_ISREG(status.st_mode) || S_ISSOCK(status.st_mode))) {
        return refuse(refusal, "%s/%s is no plain file of root's: it is not given to %s", path,
                      name, user->name);
    }
    return fchownat(directory, name, user->uid, user->gid, AT_SYMLINK_NOFOLLOW) == 0 ||
           failed(path, name, "chown", refusal);
}

static bool hand_over_all(const struct server_user *user, const char *path, int directory,
                          struct refusal *refusal)
{
    int copy = fcntl(directory, F_DUPFD_CLOEXEC, 0);
    DIR *listing = copy >= 0 ? fdopendir(copy) : NULL;
    const struct dirent *entry;
    bool good = true;
    if (!listing) {
        return failed(path, "", "opendir", refusal);
    }
    while (good && (entry = readdir(listing))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            good = hand_over_one(user, path, directory, entry->d_name, refusal);
        }
    }
    closedir(listing);
    return good && (fchown(directory, user->uid, user->gid) == 0 ||
                    failed(path, "", "chown", refusal));
}

static bool own_opened(const struct server_user *user, const char *path, int directory,
                       struct refusal *refusal)
{
    struct stat status;
    if (fstat(directory, &status) < 0) {
        return failed(path, "", "fstat", refusal);
    }
    bool only_roots = status.st_uid == 0 && !(status.st_mode & (S_IWGRP | S_IWOTH));
    return !only_roots || (is_unused(path, directory, refusal) &&
                           hand_over_all(user, path, directory, refusal));
}

bool server_user_own(const struct server_user *user, const char *path, struct refusal *refusal)
{
    if (mkdir(path, 0700) < 0 && errno != EEXIST) {
        return failed(path, "", "mkdir", refusal);
    }
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (directory < 0 && (errno == ELOOP || errno == ENOTDIR)) {
        return true; /* what it leads to must be the user's already, and that is asked later */
    }
    if (directory < 0) {
        return failed(path, "", "open", refusal);
    }
    bool good = own_opened(user, path, directory, refusal);
    close(directory);
    return good;
}

bool server_user_act(const struct server_user *user, bool on, struct refusal *refusal)
{
    if (!user->given) {
        return true;
    }
    int result = on ? setegid(user->gid) | seteuid(user->uid) : seteuid(0) | setegid(0);
    return result == 0 ||
           refuse(refusal, "the rights of %s: %s", on ? user->name : "root", strerror(errno));
}
