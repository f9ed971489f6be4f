/*
 * The spawn policy's programs and directories; see policy.h.
 *
 * What a path names can change between a look at it and its use. So the directory and the program
 * are opened first (O_PATH: nothing is read, no device or pipe is touched), and it is the opened
 * file whose place is compared with the lists, as the kernel tells it: absolute, without links and
 * dots. The child must find the same file by the same name with its own rights, else it fails with
 * EACCES.
 *
 * A script cannot be executed by a descriptor that is closed on exec, because its interpreter opens
 * it by name once more. It keeps the descriptor, and is called /dev/fd/N: so what was judged is also
 * what the interpreter reads.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service/policy.h"

/* Where an open file lies. False: nowhere that has a name. */
static bool place_of(int fd, char place[PATH_MAX])
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t bytes = readlink(link, place, PATH_MAX - 1);
    place[bytes > 0 ? bytes : 0] = '\0';
    return place[0] == '/';
}

/* `root` is a directory's place. */
static bool is_beneath(const char *place, const char *root)
{
    size_t length = strcmp(root, "/") == 0 ? 0 : strlen(root);
    return strncmp(place, root, length) == 0 && place[length] == '/';
}

/* An item may go through links; it stands for what they point to now. */
static bool item_has(const char *item, bool is_directory, const char *place)
{
    char root[PATH_MAX];
    int fd = open(item, O_PATH | O_CLOEXEC);
    bool known = fd >= 0 && place_of(fd, root);
    if (fd >= 0) {
        close(fd);
    }
    return known && (strcmp(place, root) == 0 || (is_directory && is_beneath(place, root)));
}

bool policy_list_has(const struct config_list *list, bool all_directories, int fd)
{
    char place[PATH_MAX];
    bool known = place_of(fd, place);
    for (size_t i = 0; known && i < list->count; i++) {
        const char *item = list->items[i];
        if (item_has(item, all_directories || item[strlen(item) - 1] == '/', place)) {
            return true;
        }
    }
    return false;
}

/* ---- finding the program ---- */

static const char *variable(char *const *environment, size_t count, const char *prefix)
{
    for (size_t i = 0; i < count && environment[i]; i++) {
        if (strncmp(environment[i], prefix, strlen(prefix)) == 0) {
            return environment[i] + strlen(prefix);
        }
    }
    return NULL;
}

/* As the keeper finds it in what it is given. */
static const char *search_path(const struct service *service, const struct spec *spec)
{
    const char *path = variable(spec->env, spec->envc, "PATH=");
    if (!path && !spec->clear_env) {
        path = variable(service->base_env, SIZE_MAX, "PATH=");
    }
    return path ? path : SPAWN_STANDARD_PATH;
}

static bool is_program(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && (status.st_mode & 0111);
}

/* The first regular file of that name that anybody may execute; or a negative errno. */
static int search(int cwd, const char *path, const char *name)
{
    char candidate[PATH_MAX];
    for (const char *at = path, *end; at; at = *end == ':' ? end + 1 : NULL) {
        end = strchrnul(at, ':');
        int length = (int)(end - at);
        if ((size_t)snprintf(candidate, sizeof candidate, "%.*s/%s", length ? length : 1,
                             length ? at : ".", name) >= sizeof candidate) {
            continue;
        }
        int fd = openat(cwd, candidate, O_PATH | O_CLOEXEC);
        if (fd >= 0 && is_program(fd)) {
            return fd;
        }
        if (fd >= 0) {
            close(fd);
        }
    }
    return -ENOENT;
}

static int open_program(const struct service *service, const struct spec *spec)
{
    const char *name = spec->argv[0];
    if (!*name) {
        return -ENOENT;
    }
    if (!strchr(name, '/')) {
        return search(spec->directory, search_path(service, spec), name);
    }
    int fd = openat(spec->directory, name, O_PATH | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static bool is_script(int fd)
{
    char link[64], mark[2] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int reader = is_program(fd) ? open(link, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : -1;
    bool is = reader >= 0 && pread(reader, mark, 2, 0) == 2 && memcmp(mark, "#!", 2) == 0;
    if (reader >= 0) {
        close(reader);
    }
    return is;
}

/* ---- the check ---- */

static struct problem *not_there(int error, unsigned stage)
{
    struct problem *problem = problem_make(PROBLEM_SPAWN_FAILED, "%s: %s", spawn_stage_name(stage),
                                           strerror(error));
    problem->error = error;
    problem->stage = spawn_stage_name(stage);
    return problem;
}

static struct problem *check_directory(const struct service *service, struct spec *spec,
                                       struct problem *problem)
{
    const struct config_list *roots = &service->config->spawn_directories;
    spec->directory = open(spec->cwd ? spec->cwd : service->cwd, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (spec->directory < 0) {
        return problem ? problem : not_there(errno, STAGE_CWD);
    }
    if (roots->count && !policy_list_has(roots, true, spec->directory)) {
        problem = problem_add(problem, PROBLEM_SPAWN_DENIED, FAULT_POINTER, "/cwd",
                              "it lies in no directory of spawn.directories");
    }
    return problem;
}

static struct problem *check_program(const struct service *service, struct spec *spec,
                                     struct problem *problem)
{
    spec->program = open_program(service, spec);
    if (spec->program < 0) {
        return problem ? problem : not_there(-spec->program, STAGE_EXEC);
    }
    spec->is_script = is_script(spec->program);
    if (!policy_list_has(&service->config->spawn_executables, false, spec->program)) {
        problem = problem_add(problem, PROBLEM_SPAWN_DENIED, FAULT_POINTER,
                              spec->by_shell ? "/shell" : "/argv/0",
                              "spawn.executables does not have the program");
    }
    return problem;
}

struct problem *policy_check_files(const struct service *service, struct spec *spec,
                                   struct problem *problem)
{
    const struct config *config = service->config;
    if (!config->spawn_executables.count && !config->spawn_directories.count) {
        return problem;
    }
    problem = check_directory(service, spec, problem);
    if (config->spawn_executables.count && spec->directory >= 0) {
        problem = check_program(service, spec, problem);
    }
    return problem;
}
