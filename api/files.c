/*
 * The files in the binary: the dashboard and the description of this API.
 *
 * A file is as constant as the binary, and answer_static says the rest: the page's strict policy,
 * ETag and 304. What is behind a '?' is the page's own business. The page holds no data, so it
 * needs no token.
 */
#include <stdio.h>
#include <string.h>

#include "api/assets.h"
#include "api/handlers.h"

#define PATH_BYTES 128                 /* longer than any path of a file; what is cut off is of none */
#define SWAGGER "/web/swagger/"

/* Swagger UI writes styles into its page, and markup that Trusted Types would refuse. */
static const char swagger_policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

void handle_get_file(struct request *request)
{
    char path[PATH_BYTES];
    const char *target = request_target(request);
    snprintf(path, sizeof path, "%.*s", (int)strcspn(target, "?"), target);
    const struct asset *asset = asset_find(path);
    if (asset && strncmp(path, SWAGGER, strlen(SWAGGER)) == 0) {
        answer_header(request, "Content-Security-Policy", swagger_policy);
    }
    if (asset) {
        answer_static(request, 200, asset->content_type, asset->bytes, asset->length, asset->etag);
    } else {
        answer_problem(request,
                       problem_make(PROBLEM_NOT_FOUND, "this build does not hold %s", path));
    }
}
