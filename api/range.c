/* Ranges; see range.h. */
#include "api/range.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Digits, as many as one likes: what is too large for a number is beyond any size. */
static bool read_number(const char **at, size_t *out)
{
    size_t digits = strspn(*at, "0123456789");
    *out = digits <= 18 ? (size_t)strtoull(*at, NULL, 10) : SIZE_MAX;
    *at += digits;
    return digits > 0;
}

/* "0-499", "500-", "-500": false: it is none. `last` is SIZE_MAX where it is not given. */
struct spec {
    bool suffix;
    size_t first, last;
};

static bool read_spec(const char *at, struct spec *out)
{
    *out = (struct spec){.suffix = *at == '-', .last = SIZE_MAX};
    if (!out->suffix && !read_number(&at, &out->first)) {
        return false;
    }
    if (*at++ != '-') {
        return false;
    }
    bool given = read_number(&at, &out->last);
    if (!given) {
        out->last = SIZE_MAX;
    }
    at += strspn(at, " \t");
    return *at == '\0' && (given || !out->suffix) && (out->suffix || out->first <= out->last);
}

enum range_kind range_read(const char *header, size_t size, struct range *out)
{
    static const char unit[] = "bytes=";
    struct spec spec;
    *out = (struct range){0, size};
    if (!header || strncasecmp(header, unit, sizeof unit - 1) != 0) {
        return RANGE_WHOLE;
    }
    header += sizeof unit - 1;
    if (!read_spec(header + strspn(header, " \t"), &spec)) {
        return RANGE_WHOLE;
    }
    size_t wanted = spec.suffix ? spec.last : SIZE_MAX;
    size_t first = !spec.suffix ? spec.first : wanted < size ? size - wanted : 0;
    if (first >= size || wanted == 0) {
        *out = (struct range){0, 0};
        return RANGE_BEYOND;
    }
    size_t last = spec.suffix || spec.last >= size ? size - 1 : spec.last;
    *out = (struct range){first, last - first + 1};
    return RANGE_PART;
}
