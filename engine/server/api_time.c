#include "engine/server/api_time.h"

#include <math.h>

#include "engine/base/calendar.h"
#include "engine/base/number.h"

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS 1000000
#define TO_YEAR_1 INT64_C(62135596800) // seconds from year 1, where Go counts from, to 1970

const struct api_instant api_instant_least = {INT64_MIN / 1000 + TO_YEAR_1 + 1, 0};
const struct api_instant api_instant_greatest = {INT64_MAX / 1000 - TO_YEAR_1 - 1, NS_PER_S - 1};

static int64_t wrapped_sum(int64_t a, int64_t b)
{
    int64_t sum;
    const bool wraps = __builtin_add_overflow(a, b, &sum);
    (void)wraps;
    return sum;
}

static int64_t wrapped_product(int64_t a, int64_t b)
{
    int64_t product;
    const bool wraps = __builtin_mul_overflow(a, b, &product);
    (void)wraps;
    return product;
}

// What x86 makes of a float that is no 64-bit integer is the least one.
static int64_t integer_of(double x)
{
    return x >= -0x1p63 && x < 0x1p63 ? (int64_t)x : INT64_MIN;
}

// Prometheus's parseTime: time.Unix() of the whole part, and of the rest rounded to milliseconds.
static struct api_instant of_float(double seconds)
{
    double whole;
    // A fraction of what is infinite is no number in Go, 0 in C.
    const double part = modf(seconds, &whole);
    const double fraction = isfinite(seconds) ? round(part * 1000) / 1000 : NAN;
    int64_t s = integer_of(whole), ns = integer_of(fraction * 1e9);
    s = wrapped_sum(s, ns / NS_PER_S);
    ns %= NS_PER_S;
    if (ns < 0) {
        ns += NS_PER_S;
        s = wrapped_sum(s, -1);
    }
    return (struct api_instant){s, ns};
}

bool api_instant_parse(struct str text, struct api_instant *out)
{
    double seconds;
    if (number_parse(text, &seconds) == ERR_OK) {
        *out = of_float(seconds);
        return true;
    }
    if (calendar_parse_ns(text, &out->s, &out->ns))
        return true;
    if (str_eq(text, STR("-292273086-05-16T16:47:06Z")))
        *out = api_instant_least;
    else if (str_eq(text, STR("292277025-08-18T07:12:54.999999999Z")))
        *out = api_instant_greatest;
    else
        return false;
    return true;
}

struct api_instant api_instant_of_ms(int64_t ms)
{
    const int64_t rest = ms % 1000, s = ms / 1000 - (rest < 0);
    return (struct api_instant){s, (rest < 0 ? rest + 1000 : rest) * NS_PER_MS};
}

int64_t api_instant_storage_ms(struct api_instant t)
{
    return wrapped_sum(wrapped_product(t.s, 1000), t.ns / NS_PER_MS);
}

int64_t api_instant_query_ms(struct api_instant t)
{
    return wrapped_sum(wrapped_product(t.s, NS_PER_S), t.ns) / NS_PER_MS;
}

bool api_instant_before(struct api_instant a, struct api_instant b)
{
    const int64_t x = wrapped_sum(a.s, TO_YEAR_1), y = wrapped_sum(b.s, TO_YEAR_1);
    return x < y || (x == y && a.ns < b.ns);
}

int64_t api_instant_span_ns(struct api_instant a, struct api_instant b)
{
    int64_t span;
    if (__builtin_sub_overflow(wrapped_sum(b.s, TO_YEAR_1), wrapped_sum(a.s, TO_YEAR_1), &span) ||
        __builtin_mul_overflow(span, NS_PER_S, &span) ||
        __builtin_add_overflow(span, b.ns - a.ns, &span))
        return INT64_MAX;
    return span;
}
