/*
 * Writing a refusal's sentence. A sentence too long for its place is cut, which only the longest
 * paths can cause.
 */
#include "service/refusal.h"

#include <stdarg.h>
#include <stdio.h>

bool refuse(struct refusal *refusal, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(refusal->text, sizeof refusal->text, format, arguments);
    va_end(arguments);
    return false;
}
