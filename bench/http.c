/* The small HTTP client of the load programs; see http.h. */
#include "http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

size_t http_format(char *out, const struct target *target, const char *method, const char *path,
                   const char *body)
{
    char authorization[256] = "", content[96] = "";

    if (target->token[0] != '\0')
        snprintf(authorization, sizeof authorization, "Authorization: Bearer %s\r\n",
                 target->token);
    if (body != NULL)
        snprintf(content, sizeof content,
                 "Content-Type: application/json\r\nContent-Length: %zu\r\n", strlen(body));
    else if (strcmp(method, "POST") == 0)
        snprintf(content, sizeof content, "Content-Length: 0\r\n");
    int bytes = snprintf(out, HTTP_REQUEST_BYTES,
                         "%s %s HTTP/1.1\r\nHost: localhost\r\n%s%s\r\n%s", method, path,
                         authorization, content, body != NULL ? body : "");
    if (bytes < 0 || bytes >= HTTP_REQUEST_BYTES) {
        errno = EMSGSIZE;
        die("request");
    }
    return (size_t)bytes;
}

/* Status and Content-Length. */
static int parse(struct wire *wire, const char *end)
{
    static const char length_name[] = "content-length:";
    const char *line = wire->buffer;
    int has_length = 0;

    if (strncmp(line, "HTTP/1.1 ", 9) != 0)
        return 0;
    wire->status = (int)strtoul(line + 9, NULL, 10);
    while (line < end && (line = memchr(line, '\n', (size_t)(end - line))) != NULL) {
        line++;
        if (strncasecmp(line, length_name, sizeof length_name - 1) == 0) {
            wire->body_bytes = strtoul(line + sizeof length_name - 1, NULL, 10);
            has_length = 1;
        }
    }
    return has_length || wire->status == 204;
}

const struct framing http_framing = {"\r\n\r\n", parse};

const char *json_value(const char *json, const char *key)
{
    size_t length = strlen(key);

    for (const char *at = strchr(json, '"'); at != NULL; at = strchr(at + 1, '"')) {
        if (strncmp(at + 1, key, length) != 0 || at[1 + length] != '"')
            continue;
        const char *value = at + 2 + length;
        value += strspn(value, " \t\r\n");
        if (*value != ':')
            continue;
        value++;
        return value + strspn(value, " \t\r\n");
    }
    return NULL;
}

int json_string_value(const char *json, const char *key, char *out, size_t room)
{
    const char *value = json_value(json, key);
    size_t length = value != NULL && *value == '"' ? strcspn(value + 1, "\"") : 0;

    if (length == 0 || length >= room)
        return 0;
    memcpy(out, value + 1, length);
    out[length] = '\0';
    return 1;
}
