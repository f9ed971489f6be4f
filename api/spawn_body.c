/* The body of POST /v1/processes; see spawn_body.h. The bounds are those of openapi.yaml. */
#include "api/spawn_body.h"

#include <string.h>

#include "api/bodies.h"
#include "api/schema.h"

#define ARGUMENT_BYTES_MAX 131071      /* MAX_ARG_STRLEN of the kernel, without its NUL */
#define SAFE_INTEGER_MAX 9007199254740991.0
#define LABEL_KEY_MAX 63               /* characters */
#define LABEL_VALUE_MAX 255

/* ---- what tables cannot say ---- */

static bool has_nul(const json_t *value)
{
    return json_is_string(value) && strlen(json_string_value(value)) != json_string_length(value);
}

/* Those of ASCII, and U+0080 to U+009F. */
static bool has_control(const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c < 0x20 || *c == 0x7f || (*c == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f)) {
            return true;
        }
    }
    return false;
}

/* Of UTF-8: all bytes but those that continue a character. */
static size_t characters(const char *text)
{
    size_t count = 0;
    for (; *text; text++) {
        count += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return count;
}

static const char *must_have_no_nul(const json_t *value)
{
    return has_nul(value) ? "a string without NUL" : NULL;
}

const char *must_be_name(const json_t *value)
{
    bool bad = has_nul(value) || has_control(json_string_value(value));
    return bad ? "without control characters" : NULL;
}

static const char *must_be_umask(const json_t *value)
{
    const char *text = json_string_value(value);
    size_t bytes = json_string_length(value);
    bool octal = (bytes == 3 || (bytes == 4 && *text == '0')) && strspn(text, "01234567") == bytes;
    return octal ? NULL : "octal digits, \"000\" to \"0777\"";
}

static const char *must_be_absolute(const json_t *value)
{
    return *json_string_value(value) == '/' ? NULL : "an absolute path";
}

static const char *must_be_plain_path(const json_t *value)
{
    bool good = !has_nul(value) && spec_path_is_plain(json_string_value(value));
    return good ? NULL : "an absolute path without \"..\"";
}

static const char *must_be_account(const json_t *value)
{
    size_t bytes = json_is_string(value) ? json_string_length(value) : 1;
    bool bad = bytes < 1 || bytes > 255 || has_nul(value);
    return bad ? "a name, a number from 0 on, or null" : NULL;
}

static const char *must_be_object_name(const json_t *value)
{
    static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    const char *text = json_string_value(value);
    size_t bytes = json_string_length(value);
    bool good = bytes >= 1 && bytes <= 128 && strchr(first, text[0]);
    for (size_t i = 0; good && i < bytes; i++) {
        good = text[i] && (strchr(first, text[i]) || strchr("._-", text[i]));
    }
    return good ? NULL : "a name of letters, digits, '.', '_' and '-', 1 to 128 long";
}

static const char *must_be_base64(const json_t *value)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *text = json_string_value(value);
    size_t bytes = json_string_length(value), plain = strspn(text, digits);
    bool good = bytes % 4 == 0 && bytes - plain <= 2 && strspn(text + plain, "=") == bytes - plain;
    return good ? NULL : "base64 with its padding";
}

static const char *must_have_one_key(const json_t *value)
{
    int given = (field_value(value, "text") != NULL) + (field_value(value, "base64") != NULL);
    return !json_is_object(value) || given == 1
               ? NULL
               : "\"null\", \"pipe\", {\"text\":…} or {\"base64\":…}";
}

static const char *must_be_environment(const json_t *value)
{
    const char *key;
    json_t *item;
    json_object_foreach((json_t *)value, key, item) {
        if (!*key || strchr(key, '=')) {
            return "an object whose keys are names of variables: not empty, without '='";
        }
    }
    return NULL;
}

static const char *must_be_label_value(const json_t *value)
{
    bool bad = must_be_name(value) || characters(json_string_value(value)) > LABEL_VALUE_MAX;
    return bad ? "at most 255 characters, none of them a control character" : NULL;
}

static const char *must_be_labels(const json_t *value)
{
    const char *key;
    json_t *item;
    json_object_foreach((json_t *)value, key, item) {
        if (!*key || strchr(key, '=') || has_control(key) || characters(key) > LABEL_KEY_MAX) {
            return "an object whose keys have 1 to 63 characters, no '=' and no control characters";
        }
    }
    return NULL;
}

/* ---- the table ---- */

#define FLAG .type = FIELD_BOOL
#define ACCOUNT                                                                                \
    .type = FIELD_STRING | FIELD_INTEGER | FIELD_NULL, .min = 0, .max = 4294967294.0,          \
    .check = must_be_account
#define LIMIT .type = FIELD_INTEGER, .min = 0, .max = SAFE_INTEGER_MAX

static const char *const stdin_words[] = {"null", "pipe", NULL};
static const char *const stdout_words[] = {"log", "null", NULL};
static const char *const stderr_words[] = {"log", "null", "stdout", NULL};
static const char *const when_full_words[] = {"drop_oldest", "drop_newest", "block", NULL};

static const struct field argument = {.name = "argument", .type = FIELD_STRING, .min = 0,
                                      .max = ARGUMENT_BYTES_MAX, .check = must_have_no_nul};
static const struct field secret_fields[] = {
    {.name = "file", .type = FIELD_STRING, .required = true, .min = 1, .max = 4095,
     .check = must_be_plain_path},
    {0}};
static const struct field secret = {.name = "secret", .type = FIELD_OBJECT, .fields = secret_fields};
static const struct field label = {.name = "label", .type = FIELD_STRING,
                                   .check = must_be_label_value};

static const struct field stdin_fields[] = {
    {.name = "text", .type = FIELD_STRING},
    {.name = "base64", .type = FIELD_STRING, .check = must_be_base64},
    {0}};

static const struct field rlimits_fields[] = {
    {.name = "nofile", LIMIT},        {.name = "as_bytes", LIMIT},
    {.name = "cpu_seconds", LIMIT},   {.name = "core_bytes", LIMIT},
    {.name = "data_bytes", LIMIT},    {.name = "fsize_bytes", LIMIT},
    {.name = "memlock_bytes", LIMIT}, {.name = "msgqueue_bytes", LIMIT},
    {.name = "nproc", LIMIT},         {.name = "sigpending", LIMIT},
    {.name = "stack_bytes", LIMIT},   {0}};

static const struct field stop_fields[] = {
    {.name = "signal", .type = FIELD_STRING | FIELD_INTEGER, .check = must_be_signal},
    {.name = "grace_seconds", .type = FIELD_NUMBER, .min = 0, .max = 86400},
    {0}};

static const struct field output_fields[] = {
    {.name = "max_bytes", .type = FIELD_INTEGER, .min = 1, .max = 1099511627776.0},
    {.name = "when_full", .type = FIELD_STRING, .words = when_full_words},
    {0}};

static const struct field sandbox_path = {.name = "path", .type = FIELD_STRING, .min = 1, .max = 4095,
                                          .check = must_be_plain_path};
static const char *const seccomp_words[] = {"default", NULL};
static const struct field sandbox_fields[] = {
    {.name = "read", .type = FIELD_ARRAY, .min = 0, .max = 64, .items = &sandbox_path},
    {.name = "write", .type = FIELD_ARRAY, .min = 0, .max = 64, .items = &sandbox_path},
    {.name = "seccomp", .type = FIELD_STRING, .words = seccomp_words},
    {.name = "require", FLAG},
    {0}};

static const struct field on_exit_fields[] = {
    {.name = "queue", .type = FIELD_STRING, .required = true, .check = must_be_object_name},
    {0}};

static const struct field requires_fields[] = {
    {.name = "lock", .type = FIELD_STRING, .required = true, .check = must_be_object_name},
    {0}};

const struct field spawn_fields[] = {
    {.name = "argv", .type = FIELD_ARRAY, .min = 1, .max = 4096, .items = &argument},
    {.name = "shell", .type = FIELD_STRING, .min = 1, .max = ARGUMENT_BYTES_MAX,
     .check = must_have_no_nul},
    {.name = "name", .type = FIELD_STRING, .min = 1, .max = 255, .check = must_be_name},
    {.name = "cwd", .type = FIELD_STRING, .min = 1, .max = 4095, .check = must_be_absolute},
    {.name = "env", .type = FIELD_OBJECT, .open = true, .min = 0, .max = 4096,
     .items = &argument, .check = must_be_environment},
    {.name = "env_from", .type = FIELD_OBJECT, .open = true, .min = 0, .max = 256, .items = &secret,
     .check = must_be_environment},
    {.name = "clear_env", FLAG},
    {.name = "daemon", FLAG},
    {.name = "start", FLAG},
    {.name = "stdin", .type = FIELD_STRING | FIELD_OBJECT, .words = stdin_words,
     .fields = stdin_fields, .check = must_have_one_key},
    {.name = "stdout", .type = FIELD_STRING, .words = stdout_words},
    {.name = "stderr", .type = FIELD_STRING, .words = stderr_words},
    {.name = "user", ACCOUNT},
    {.name = "group", ACCOUNT},
    {.name = "no_new_privs", FLAG},
    {.name = "sandbox", .type = FIELD_OBJECT, .fields = sandbox_fields},
    {.name = "umask", .type = FIELD_STRING, .check = must_be_umask},
    {.name = "nice", .type = FIELD_INTEGER, .min = -20, .max = 19},
    {.name = "rlimits", .type = FIELD_OBJECT, .fields = rlimits_fields},
    {.name = "timeout_seconds", .type = FIELD_NUMBER | FIELD_NULL, .min = 1e-6, .max = 315360000},
    {.name = "stop", .type = FIELD_OBJECT, .fields = stop_fields},
    {.name = "output", .type = FIELD_OBJECT, .fields = output_fields},
    {.name = "on_exit", .type = FIELD_OBJECT, .fields = on_exit_fields},
    {.name = "requires", .type = FIELD_OBJECT, .fields = requires_fields},
    {.name = "labels", .type = FIELD_OBJECT, .open = true, .min = 0, .max = 64, .items = &label,
     .check = must_be_labels},
    {.name = "api", FLAG},
    {0}};

/* ---- reading ---- */

static struct problem *check_fields(const json_t *body)
{
    struct problem *problem = schema_check(body, spawn_fields);
    bool has_argv = field_value(body, "argv"), has_shell = field_value(body, "shell");
    if (!has_argv && !has_shell) {
        problem = problem_add(problem, PROBLEM_MISSING_FIELD, FAULT_POINTER, "/argv",
                              "Either argv or shell is needed.");
    } else if (has_argv && has_shell) {
        problem = problem_add(problem, PROBLEM_INVALID_VALUE, FAULT_POINTER, "/shell",
                              "It stands instead of argv, not beside it.");
    }
    return problem;
}

/* Null says the same as nothing: from here on it is nothing. */
static void drop_nulls(json_t *object)
{
    const char *key;
    json_t *value;
    void *next;
    json_object_foreach_safe(object, next, key, value) {
        if (json_is_null(value)) {
            json_object_del(object, key);
        } else {
            drop_nulls(value);
        }
    }
}

struct problem *spawn_body_read(json_t *body, const struct config *config,
                                struct spec **out)
{
    struct spec_defaults defaults = {config->stop_grace_us, config->output_max_bytes,
                                     config->output_when_full};
    *out = NULL;
    struct problem *problem = check_fields(body);
    if (!problem) {
        drop_nulls(body);
    }
    return problem ? problem : spec_from_json(body, &defaults, out);
}
