/* Payloads; see payload.h. */
#include "api/payload.h"

#include <string.h>

#include "api/app.h"
#include "api/stream.h"

struct problem *payload_check(const struct request *request, const struct message_content *content)
{
    uint64_t most = request_app(request)->config.max_payload_bytes;
    if (content->body_bytes > most) {
        return problem_make(PROBLEM_PAYLOAD_TOO_LARGE, "a message has %llu bytes at most",
                            (unsigned long long)most);
    }
    if (content->content_type && strlen(content->content_type) > MESSAGE_TYPE_BYTES) {
        return problem_add(NULL, PROBLEM_BAD_REQUEST, FAULT_HEADER, "Content-Type",
                           "it has %d bytes at most", MESSAGE_TYPE_BYTES);
    }
    return NULL;
}

struct problem *payload_form(const struct request *request, bool *raw)
{
    const char *accept = request_header(request, "Accept");
    enum stream_form form = STREAM_FORM_JSON;
    const char *type;
    struct problem *problem = accept && strcasestr(accept, PAYLOAD_TYPE)
                                  ? stream_negotiate(request, true, &form, &type)
                                  : NULL;
    *raw = form == STREAM_FORM_RAW;
    return problem;
}
