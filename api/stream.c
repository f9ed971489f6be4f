/*
 * Which form of a stream the client wants: the Accept header against the forms there are (RFC 9110
 * section 12.5.1).
 *
 * The highest quality wins, the first named among equals. Quality counts in thousandths.
 */
#include "api/stream.h"

#include <string.h>
#include <strings.h>

enum { ALL_OF_IT = 1000 };

struct offer {
    const char *range; /* what the client may name */
    enum stream_form form;
    const char *content_type; /* NULL: the standard of the call */
    bool raw_only;            /* offered only where raw bytes are */
};

static const struct offer offers[] = {
    {"application/json", STREAM_FORM_JSON, "application/json", false},
    {"application/x-ndjson", STREAM_FORM_NDJSON, "application/x-ndjson", false},
    {"text/event-stream", STREAM_FORM_SSE, "text/event-stream", false},
    {"text/plain", STREAM_FORM_RAW, "text/plain; charset=utf-8", true},
    {"application/octet-stream", STREAM_FORM_RAW, "application/octet-stream", true},
    {"*/*", STREAM_FORM_JSON, NULL, false},
    {"application/*", STREAM_FORM_JSON, "application/json", false},
    {"text/*", STREAM_FORM_RAW, "text/plain; charset=utf-8", true},
};

/* One part of the header: "text/plain;q=0.5". */
struct range {
    const char *name;
    size_t bytes;
    int quality;
};

/* "0.75" → 750; what is not a quality counts as 1. */
static int read_quality(const char *at)
{
    int quality = 0, scale = 100;

    if (*at != '0') {
        return ALL_OF_IT;
    }
    if (at[1] != '.') {
        return 0;
    }
    for (at += 2; *at >= '0' && *at <= '9' && scale > 0; at++, scale /= 10) {
        quality += (*at - '0') * scale;
    }
    return quality;
}

/* Takes the next range off the header; false: none is left. */
static bool next_range(const char **header, struct range *out)
{
    const char *at = *header + strspn(*header, ", \t");
    const char *end = at + strcspn(at, ",");

    *header = end;
    if (*at == '\0') {
        return false;
    }
    out->name = at;
    out->bytes = strcspn(at, ",; \t");
    out->quality = ALL_OF_IT;
    for (const char *semicolon = at;
         (semicolon = memchr(semicolon, ';', (size_t)(end - semicolon)));) {
        semicolon += 1 + strspn(semicolon + 1, " \t");
        if (strncasecmp(semicolon, "q=", 2) == 0) {
            out->quality = read_quality(semicolon + 2);
        }
    }
    return true;
}

static const struct offer *offer_find(const struct range *range, bool raw_default)
{
    for (size_t i = 0; i < sizeof offers / sizeof offers[0]; i++) {
        if (strlen(offers[i].range) == range->bytes && (raw_default || !offers[i].raw_only) &&
            strncasecmp(offers[i].range, range->name, range->bytes) == 0) {
            return &offers[i];
        }
    }
    return NULL;
}

static void choose(const struct offer *offer, bool raw_default, enum stream_form *form,
                   const char **content_type)
{
    static const struct offer raw = {NULL, STREAM_FORM_RAW, "text/plain; charset=utf-8", true};

    if (offer->content_type == NULL) {
        offer = raw_default ? &raw : &offers[0];
    }
    *form = offer->form;
    *content_type = offer->content_type;
}

static struct problem *not_acceptable(bool raw_default)
{
    const char *more = raw_default ? ", text/event-stream, text/plain or application/octet-stream"
                                   : " or text/event-stream";

    return problem_make(PROBLEM_NOT_ACCEPTABLE,
                        "This can be had as application/json, application/x-ndjson%s.", more);
}

struct problem *stream_negotiate(const struct request *request, bool raw_default,
                                 enum stream_form *form, const char **content_type)
{
    static const struct offer any = {"*/*", STREAM_FORM_JSON, NULL, false};
    const char *accept = request_header(request, "Accept");
    const struct offer *best = accept == NULL || *accept == '\0' ? &any : NULL;
    struct range range;
    int quality = 0;

    while (accept != NULL && next_range(&accept, &range)) {
        const struct offer *offer = offer_find(&range, raw_default);
        if (offer == NULL || range.quality <= quality) {
            continue;
        }
        quality = range.quality;
        best = offer;
    }
    if (best == NULL) {
        return not_acceptable(raw_default);
    }
    choose(best, raw_default, form, content_type);
    return NULL;
}
