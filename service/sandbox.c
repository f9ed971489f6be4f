/* Sandboxes: Landlock, and which layers there are; see sandbox.h. */
#include "service/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "service/fault.h"

/* Rights by the bit, as <linux/landlock.h>; each ABI knows the first so many. */
#define RIGHTS_READ \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define RIGHT_TRUNCATE (1ull << 14)    /* ABI 3 */
#define RIGHT_IOCTL_DEV (1ull << 15)   /* ABI 5 */
#define RIGHTS_OF_FILES                                                                        \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE |                               \
     LANDLOCK_ACCESS_FS_WRITE_FILE | RIGHT_TRUNCATE | RIGHT_IOCTL_DEV)

/* ---- what there is ---- */

static int landlock_abi(void)
{
    static int abi = -1;
    if (abi < 0) {
        long version = FAULT_ERRNO("landlock")
                           ? -1
                           : syscall(SYS_landlock_create_ruleset, NULL, 0,
                                     LANDLOCK_CREATE_RULESET_VERSION);
        abi = version > 0 ? (int)version : 0;
    }
    return abi;
}

static uint64_t rights_of(int abi)
{
    unsigned bits = abi >= 5 ? 16 : abi >= 3 ? 15 : abi == 2 ? 14 : 13;
    return (1ull << bits) - 1;
}

struct sandbox_layers sandbox_available(void)
{
    return (struct sandbox_layers){landlock_abi(), seccomp_available()};
}

/* NULL: it does not say. */
static const json_t *paths(const struct spec *spec, const char *member)
{
    const json_t *list = json_object_get(spec->sandbox, member);
    return json_is_array(list) ? list : NULL;
}

static bool wants_landlock(const struct spec *spec)
{
    return paths(spec, "read") || paths(spec, "write");
}

static bool wants_seccomp(const struct spec *spec)
{
    return json_is_string(json_object_get(spec->sandbox, "seccomp"));
}

static struct problem *missing(struct problem *problem, const char *pointer, const char *what)
{
    return problem_add(problem, PROBLEM_SANDBOX_UNAVAILABLE, FAULT_POINTER, pointer, "%s", what);
}

struct problem *sandbox_choose(struct spec *spec)
{
    struct problem *problem = NULL;
    bool required = !json_is_false(json_object_get(spec->sandbox, "require"));
    spec->layers.landlock_abi = wants_landlock(spec) ? landlock_abi() : 0;
    spec->layers.seccomp = wants_seccomp(spec) && seccomp_available();
    if (required && wants_landlock(spec) && !spec->layers.landlock_abi) {
        problem = missing(problem, paths(spec, "read") ? "/sandbox/read" : "/sandbox/write",
                          "this kernel has no Landlock, or it is not switched on");
    }
    if (required && wants_seccomp(spec) && !spec->layers.seccomp) {
        problem = missing(problem, "/sandbox/seccomp", "this kernel takes no seccomp filter");
    }
    return problem;
}

/* ---- Landlock ---- */

static int open_path(const char *path)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC,
                           .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
}

/* 0 or an errno. What is no directory takes the rights of files only. */
static int allow(int ruleset, uint64_t rights, const char *path)
{
    struct stat status;
    struct landlock_path_beneath_attr rule = {.allowed_access = rights, .parent_fd = open_path(path)};
    if (rule.parent_fd < 0) {
        return errno;
    }
    int error = fstat(rule.parent_fd, &status) < 0 ? errno : 0;
    if (!error && !S_ISDIR(status.st_mode)) {
        rule.allowed_access &= RIGHTS_OF_FILES;
    }
    if (!error && syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0) {
        error = errno;
    }
    close(rule.parent_fd);
    return error;
}

static struct problem *allow_all(const struct spec *spec, const char *member, uint64_t rights,
                                 struct problem *problem)
{
    const json_t *list = paths(spec, member), *item;
    size_t i;
    json_array_foreach((json_t *)list, i, item) {
        int error = allow(spec->ruleset, rights, json_string_value(item));
        char pointer[64];
        snprintf(pointer, sizeof pointer, "/sandbox/%s/%zu", member, i);
        if (error) {
            problem = problem_add(problem, PROBLEM_INVALID_VALUE, FAULT_POINTER, pointer,
                                  error == ELOOP ? "a link is in it: name where that leads"
                                                 : "it cannot be opened: %s", strerror(error));
        }
    }
    return problem;
}

static struct problem *make_ruleset(struct spec *spec)
{
    uint64_t rights = rights_of(spec->layers.landlock_abi);
    struct landlock_ruleset_attr all = {.handled_access_fs = rights};
    spec->ruleset = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0);
    if (spec->ruleset < 0) {
        return problem_make(PROBLEM_UNAVAILABLE, "a Landlock ruleset: %s", strerror(errno));
    }
    return allow_all(spec, "write", rights, allow_all(spec, "read", RIGHTS_READ, NULL));
}

struct problem *sandbox_prepare(struct spec *spec)
{
    if (spec->layers.seccomp && !(spec->filter = seccomp_preset(&spec->filter_bytes))) {
        return problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for the filter");
    }
    return spec->layers.landlock_abi ? make_ruleset(spec) : NULL;
}

/* ---- told ---- */

static void word(struct text *text, bool told, const char *name)
{
    if (told) {
        text_json_comma(text);
        text_json_string(text, name);
    }
}

void sandbox_json(struct text *text, const struct spec *spec)
{
    char landlock[32];
    if (!spec->sandbox) {
        text_put(text, "null");
        return;
    }
    snprintf(landlock, sizeof landlock, "landlock:abi%d", spec->layers.landlock_abi);
    text_put(text, "{\"applied\":[\"no_new_privs\"");
    word(text, spec->layers.landlock_abi, landlock);
    word(text, spec->layers.seccomp, "seccomp:default");
    text_put(text, "],\"missing\":[");
    word(text, wants_landlock(spec) && !spec->layers.landlock_abi, "landlock");
    word(text, wants_seccomp(spec) && !spec->layers.seccomp, "seccomp:default");
    text_put(text, "]}");
}
