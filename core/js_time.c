/* SPDX-License-Identifier: Apache-2.0 */
/* js_time.c - RFC 3339 times, and times to live.
 * Layer 2.
 */
#include "core/js_time.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)

struct moment {
    int year, month, day, hour, minute, second;
    int nanoseconds;
    int offset_minutes; /* east of UTC */
};

/* Read exactly `digits` digits. Returns what follows them; NULL when they are not there. */
static const char *read_number(const char *text, int digits, int *out)
{
    if (text == NULL)
        return NULL;
    *out = 0;
    for (; digits > 0; digits--, text++) {
        if (*text < '0' || *text > '9')
            return NULL;
        *out = *out * 10 + (*text - '0');
    }
    return text;
}

static const char *skip(const char *text, const char *either)
{
    return text != NULL && *text != '\0' && strchr(either, *text) != NULL ? text + 1
                                                                          : NULL;
}

/* ".5" is 500000000; nothing is 0. NULL for a dot without digits, or with more than nine. */
static const char *read_fraction(const char *text, int *nanoseconds)
{
    int digits = 0;

    *nanoseconds = 0;
    if (text == NULL || *text != '.')
        return text;
    for (text++; *text >= '0' && *text <= '9'; text++, digits++) {
        if (digits == 9)
            return NULL;
        *nanoseconds = *nanoseconds * 10 + (*text - '0');
    }
    if (digits == 0)
        return NULL;
    for (; digits < 9; digits++)
        *nanoseconds *= 10;
    return text;
}

/* "Z", "+hh:mm" or "-hh:mm", and the end of the text. */
static bool read_zone(const char *text, int *offset_minutes)
{
    int hours, minutes;

    *offset_minutes = 0;
    if (text == NULL)
        return false;
    if (*text == 'Z' || *text == 'z')
        return text[1] == '\0';
    const char *end = read_number(skip(text, "+-"), 2, &hours);
    end = read_number(skip(end, ":"), 2, &minutes);
    if (end == NULL || *end != '\0' || hours > 23 || minutes > 59)
        return false;
    *offset_minutes = (hours * 60 + minutes) * (*text == '-' ? -1 : 1);
    return true;
}

static bool read_moment(const char *text, struct moment *out)
{
    text = read_number(text, 4, &out->year);
    text = read_number(skip(text, "-"), 2, &out->month);
    text = read_number(skip(text, "-"), 2, &out->day);
    text = read_number(skip(text, "Tt"), 2, &out->hour);
    text = read_number(skip(text, ":"), 2, &out->minute);
    text = read_number(skip(text, ":"), 2, &out->second);
    return read_zone(read_fraction(text, &out->nanoseconds), &out->offset_minutes);
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

/* Second 60 is a leap second. */
static bool is_possible(const struct moment *at)
{
    return at->month >= 1 && at->month <= 12 && at->day >= 1 &&
           at->day <= days_in_month(at->year, at->month) && at->hour <= 23 &&
           at->minute <= 59 && at->second <= 60;
}

/* Days since 1970-01-01 of the proleptic Gregorian calendar. Years are counted from March, so
 * that the leap day is a year's last, in eras of 400 years.
 */
static int64_t days_since_1970(int year, int month, int day)
{
    int64_t from_march = month > 2 ? year : year - 1;
    int64_t era = (from_march >= 0 ? from_march : from_march - 399) / 400;
    int64_t year_of_era = from_march - era * 400;
    int64_t day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    int64_t day_of_era =
        year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

bool js_time_parse(const char *text, int64_t *out)
{
    struct moment at;
    int64_t seconds, nanoseconds;

    if (!read_moment(text, &at) || !is_possible(&at))
        return false;
    seconds = days_since_1970(at.year, at.month, at.day) * 86400 + at.hour * 3600 +
              (at.minute - at.offset_minutes) * 60 + at.second;
    if (__builtin_mul_overflow(seconds, INT64_C(1000000000), &nanoseconds) ||
        __builtin_add_overflow(nanoseconds, (int64_t)at.nanoseconds, &nanoseconds))
        return false;
    *out = nanoseconds;
    return true;
}

void js_time_format(int64_t time_ns, char out[JS_TIME_SIZE])
{
    int64_t seconds = time_ns / 1000000000, rest = time_ns % 1000000000;
    struct tm utc;

    if (rest < 0) {
        seconds--;
        rest += 1000000000;
    }
    time_t moment = seconds;
    gmtime_r(&moment, &utc);
    size_t length = strftime(out, JS_TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out + length, JS_TIME_SIZE - length, ".%09dZ", (int)rest);
}

/* A unit of Go's durations [ns], and how many bytes its name has; 0: none. */
static int64_t unit_of(const char *text, size_t *size)
{
    static const struct {
        const char *name;
        int64_t ns;
    } units[] = {{"ns", 1},           {"us", 1000},      {"\u00b5s", 1000},
                 {"ms", 1000000},     {"s", NS_PER_S},   {"m", 60 * NS_PER_S},
                 {"h", 3600 * NS_PER_S}};

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        *size = strlen(units[i].name);
        if (strncmp(text, units[i].name, *size) == 0)
            return units[i].ns;
    }
    return 0;
}

static double go_duration(const char *text)
{
    double total = 0;

    while (*text != '\0') {
        char *end = NULL;
        double count = *text >= '0' && *text <= '9' ? strtod(text, &end) : 0;
        size_t size = 0;
        int64_t unit = end != NULL ? unit_of(end, &size) : 0;

        if (unit == 0)
            return 0;
        total += count * (double)unit;
        text = end + size;
    }
    return total;
}

int64_t js_time_ttl(const char *text)
{
    char *end = NULL;
    double ns;

    if (text == NULL || *text == '\0')
        return 0;
    if (strcmp(text, "never") == 0)
        return INT64_MAX;
    ns = *text >= '0' && *text <= '9' ? strtod(text, &end) * (double)NS_PER_S : 0;
    if (end == NULL || *end != '\0')
        ns = go_duration(text);
    if (ns >= (double)(INT64_MAX / 2))
        return INT64_MAX;
    return (int64_t)(ns / (double)NS_PER_S) * NS_PER_S;
}
