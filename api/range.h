/*
 * Range and If-Range (RFC 9110 section 14): which part of some bytes is asked for.
 *
 * One range of bytes is understood. A header with several, of another unit or malformed is left alone, as
 * the RFC allows, and the whole is given.
 */
#ifndef FORKFUL_API_RANGE_H
#define FORKFUL_API_RANGE_H

#include <stddef.h>

enum range_kind {
    RANGE_WHOLE,
    RANGE_PART,  /* 206 */
    RANGE_BEYOND /* 416: nothing of it is there */
};

struct range {
    size_t first, count;
};

/* What the header (NULL: none) asks of `size` bytes; *out is set in each case (BEYOND: to nothing). */
enum range_kind range_read(const char *header, size_t size, struct range *out);

#endif
