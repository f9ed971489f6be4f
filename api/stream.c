/*
 * Which form of a stream the client wants: the Accept header against the forms there are (RFC 9110
 * section 12.5.1).
 *
 * Each form has the quality of the range that names it most exactly, so `;q=0` rules one out that a
 * wildcard would let in. The highest quality wins; among equals the one whose range the client
 * named first, and of one range the call's own standard. Quality counts in thousandths. Several
 * Accept lines are one list.
 */
#include "api/stream.h"

#include <string.h>
#include <strings.h>

enum { ALL_OF_IT = 1000, LINES = 16 };

struct offer {
    const char *type; /* as the client may name it */
    enum stream_form form;
    const char *content_type;
    bool raw_only; /* offered only where raw bytes are */
};

/* In the order of preference. */
static const struct offer offers[] = {
    {"text/plain", STREAM_FORM_RAW, "text/plain; charset=utf-8", true},
    {"application/json", STREAM_FORM_JSON, "application/json", false},
    {"application/x-ndjson", STREAM_FORM_NDJSON, "application/x-ndjson", false},
    {"application/octet-stream", STREAM_FORM_RAW, "application/octet-stream", true},
    {"text/event-stream", STREAM_FORM_SSE, "text/event-stream", false},
};

/* One part of the header: "text/plain;q=0.5". */
struct range {
    const char *name;
    size_t bytes;
    int quality;
};

/* What the client thinks of one offer. */
struct rank {
    int exactness; /* of the range that decides: 0: none names it, 1: all, 2: text/…, 3: itself */
    int quality;
    unsigned place; /* of that range in the list */
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

static int exactness(const struct range *range, const char *type)
{
    size_t kind = strcspn(type, "/") + 1;

    if (range->bytes == 3 && memcmp(range->name, "*/*", 3) == 0) {
        return 1;
    }
    if (range->bytes == kind + 1 && range->name[kind] == '*' &&
        strncasecmp(range->name, type, kind) == 0) {
        return 2;
    }
    return range->bytes == strlen(type) && strncasecmp(range->name, type, range->bytes) == 0 ? 3
                                                                                            : 0;
}

static void weigh(const struct range *range, unsigned place, struct rank *ranks)
{
    for (size_t i = 0; i < sizeof offers / sizeof offers[0]; i++) {
        int exact = exactness(range, offers[i].type);
        if (exact > ranks[i].exactness) {
            ranks[i] = (struct rank){exact, range->quality, place};
        }
    }
}

static bool is_better(const struct rank *rank, const struct rank *than)
{
    return rank->quality > than->quality ||
           (rank->quality == than->quality && rank->place < than->place);
}

static const struct offer *choose(const struct rank *ranks, bool raw_default)
{
    const struct rank *best = NULL;

    for (size_t i = 0; i < sizeof offers / sizeof offers[0]; i++) {
        if (ranks[i].quality > 0 && (raw_default || !offers[i].raw_only) &&
            (best == NULL || is_better(&ranks[i], best))) {
            best = &ranks[i];
        }
    }
    return best != NULL ? &offers[best - ranks] : NULL;
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
    struct rank ranks[sizeof offers / sizeof offers[0]] = {0};
    const char *lines[LINES];
    size_t count = request_header_all(request, "Accept", lines, LINES);
    struct range range;
    unsigned place = 0;

    for (size_t i = 0; i < count; i++) {
        while (next_range(&lines[i], &range)) {
            weigh(&range, place++, ranks);
        }
    }
    if (place == 0) {
        weigh(&(struct range){"*/*", 3, ALL_OF_IT}, 0, ranks);
    }
    const struct offer *best = choose(ranks, raw_default);
    if (best == NULL) {
        return not_acceptable(raw_default);
    }
    *form = best->form;
    *content_type = best->content_type;
    return NULL;
}
