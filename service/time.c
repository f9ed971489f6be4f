/*
 * Times as text: RFC 3339. Our own calendar (days since 1970 to year, month, day and back,
 * proleptic Gregorian) because gmtime_r reads the zone's environment and costs more than the rest
 * of a record.
 */
#include "service/text.h"

#include <stdint.h>
#include <string.h>
#include <time.h>

#define DAY_SECONDS 86400
#define SECOND_US   1000000

static const int64_t first_second = -62135596800; /* 0001-01-01T00:00:00Z */
static const int64_t last_second = 253402300799;  /* 9999-12-31T23:59:59Z */

/* Days since 1970-01-01. The year is counted from March, so that the leap day is its last. */
static int64_t days_of(int64_t year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

static void date_of(int64_t days, int *year, int *month, int *day)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t m = (5 * day_of_year + 2) / 153;

    *day = (int)(day_of_year - (153 * m + 2) / 5 + 1);
    *month = (int)(m < 10 ? m + 3 : m - 9);
    *year = (int)(year_of_era + era * 400 + (*month <= 2));
}

static char *put_digits(char *out, int64_t value, int width)
{
    for (int i = width; i > 0; i--, value /= 10)
        out[i - 1] = (char)('0' + value % 10);
    return out + width;
}

static char *put_with(char *out, int64_t value, int width, char after)
{
    out = put_digits(out, value, width);
    *out++ = after;
    return out;
}

void time_format(int64_t at_us, char out[32])
{
    int64_t seconds = at_us / SECOND_US, us = at_us % SECOND_US;
    int year, month, day;

    if (us < 0) {
        us += SECOND_US;
        seconds--;
    }
    seconds = seconds < first_second ? first_second : seconds > last_second ? last_second : seconds;
    int64_t days = seconds / DAY_SECONDS, rest = seconds % DAY_SECONDS;
    if (rest < 0) {
        rest += DAY_SECONDS;
        days--;
    }
    date_of(days, &year, &month, &day);
    out = put_with(out, year, 4, '-');
    out = put_with(out, month, 2, '-');
    out = put_with(out, day, 2, 'T');
    out = put_with(out, rest / 3600, 2, ':');
    out = put_with(out, rest / 60 % 60, 2, ':');
    out = put_with(out, rest % 60, 2, '.');
    out = put_with(out, us, 6, 'Z');
    *out = '\0';
}

/* Reads exactly `width` digits; NULL when `at` is NULL or has others. */
static const char *take_digits(const char *at, int width, int *value)
{
    if (at == NULL)
        return NULL;
    *value = 0;
    for (int i = 0; i < width; i++) {
        if (at[i] < '0' || at[i] > '9')
            return NULL;
        *value = *value * 10 + (at[i] - '0');
    }
    return at + width;
}

static const char *take_one_of(const char *at, const char *allowed)
{
    return at != NULL && *at != '\0' && strchr(allowed, *at) != NULL ? at + 1 : NULL;
}

/* An optional '.' and 1 to 9 decimals, cut to microseconds. */
static const char *take_fraction(const char *at, int64_t *us)
{
    int64_t scale = SECOND_US / 10;
    int count = 0;

    *us = 0;
    if (at == NULL || *at != '.')
        return at;
    for (at++; *at >= '0' && *at <= '9'; at++, count++, scale /= 10)
        *us += (*at - '0') * scale;
    return count >= 1 && count <= 9 ? at : NULL;
}

/* 'Z' or ±HH:MM. A blank counts as '+': that is what a '+' in a query string is decoded to. */
static const char *take_offset(const char *at, int64_t *seconds)
{
    int hours, minutes;

    *seconds = 0;
    if (at == NULL || *at == 'Z' || *at == 'z')
        return at == NULL ? NULL : at + 1;
    bool west = *at == '-';
    at = take_digits(take_one_of(at, "+- "), 2, &hours);
    at = take_digits(take_one_of(at, ":"), 2, &minutes);
    if (at == NULL || hours > 23 || minutes > 59)
        return NULL;
    *seconds = (hours * 3600 + minutes * 60) * (west ? -1 : 1);
    return at;
}

static int days_in_month(int year, int month)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return month == 2 && leap ? 29 : lengths[month - 1];
}

static const char *take_date(const char *at, int64_t *days)
{
    int year, month, day;

    at = take_digits(at, 4, &year);
    at = take_digits(take_one_of(at, "-"), 2, &month);
    at = take_digits(take_one_of(at, "-"), 2, &day);
    if (at == NULL || year < 1 || month < 1 || month > 12 || day < 1 ||
        day > days_in_month(year, month))
        return NULL;
    *days = days_of(year, month, day);
    return at;
}

/* HH:MM:SS; a leap second (:60) is the first moment of the next minute. */
static const char *take_clock(const char *at, int64_t *seconds)
{
    int hour, minute, second;

    at = take_digits(at, 2, &hour);
    at = take_digits(take_one_of(at, ":"), 2, &minute);
    at = take_digits(take_one_of(at, ":"), 2, &second);
    if (at == NULL || hour > 23 || minute > 59 || second > 60)
        return NULL;
    *seconds = hour * 3600 + minute * 60 + second;
    return at;
}

static bool parse_date_time(const char *string, int64_t *at_us)
{
    int64_t days = 0, seconds = 0, us = 0, offset = 0;

    const char *at = take_date(string, &days);
    at = take_clock(take_one_of(at, "Tt "), &seconds);
    at = take_offset(take_fraction(at, &us), &offset);
    if (at == NULL || *at != '\0')
        return false;
    *at_us = (days * DAY_SECONDS + seconds - offset) * SECOND_US + us;
    return true;
}

/* Seconds since 1970 with up to 9 decimals, until the end of year 9999. */
static bool parse_seconds(const char *string, int64_t *at_us)
{
    int64_t seconds = 0, us;
    const char *at = string;

    for (; *at >= '0' && *at <= '9'; at++) {
        seconds = seconds * 10 + (*at - '0');
        if (seconds > last_second)
            return false;
    }
    if (at == string)
        return false;
    at = take_fraction(at, &us);
    if (at == NULL || *at != '\0')
        return false;
    *at_us = seconds * SECOND_US + us;
    return true;
}

bool time_parse(const char *string, int64_t *at_us)
{
    return parse_date_time(string, at_us) || parse_seconds(string, at_us);
}

static int64_t clock_us(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * SECOND_US + now.tv_nsec / 1000;
}

int64_t time_now_us(void)
{
    return clock_us(CLOCK_REALTIME);
}

int64_t time_monotonic_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

int64_t time_steady_us(void)
{
    static int64_t ahead_us;

    if (ahead_us == 0)
        ahead_us = time_now_us() - time_monotonic_us();
    return time_monotonic_us() + ahead_us;
}
