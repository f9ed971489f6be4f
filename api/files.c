/*
 * The files in the binary: the dashboard and the description of this API.
 *
 * The page runs nothing but its own scripts and talks to nobody but this daemon; it holds no data, so it needs
 * no token. A file is as constant as the binary: its ETag answers a second visit with 304.
 */
#include <string.h>

#include "api/assets.h"
#include "api/handlers.h"

static const char page_policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/* If-None-Match: a list of tags, weak ones too, or "*" (RFC 9110 section 13.1.2). */
static bool is_known(const struct request *request, const char *etag)
{
    const char *known = request_header(request, "If-None-Match");
    return known && (strstr(known, etag) || strcmp(known, "*") == 0);
}

static void answer_file(struct request *request)
{
    char path[128];
    const char *target = request_target(request);
    snprintf(path, sizeof path, "%.*s", (int)strcspn(target, "?"), target);
    const struct asset *asset = asset_find(path);
    if (!asset) {
        answer_problem(request, problem_make(PROBLEM_NOT_FOUND, "this build does not hold %s", path));
    } else if (is_known(request, asset->etag)) {
        answer_header(request, "ETag", asset->etag);
        answer_empty(request, 304);
    } else {
        answer_static(request, 200, asset->content_type, asset->bytes, asset->length, asset->etag);
    }
}

void handle_get_file(struct request *request)
{
    answer_header(request, "Content-Security-Policy", page_policy);
    answer_header(request, "Referrer-Policy", "no-referrer");
    answer_file(request);
}

void handle_get_description(struct request *request)
{
    answer_file(request);
}
