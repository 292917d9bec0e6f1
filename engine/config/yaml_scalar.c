// What the text of a scalar stands for, as go-yaml resolves it: booleans of YAML 1.1, integers in
// any of Go's bases with underscores, floats, dates, and strings for the rest.
#include <math.h>

#include "engine/base/number.h"
#include "engine/base/util.h"
#include "engine/config/yaml_tree.h"

static const struct {
    const char *text;
    enum yaml_type type;
    bool boolean, only_v2;
} words[] = {
    {"", YAML_NULL, false, false},      {"~", YAML_NULL, false, false},
    {"null", YAML_NULL, false, false},  {"Null", YAML_NULL, false, false},
    {"NULL", YAML_NULL, false, false},  {"true", YAML_BOOL, true, false},
    {"True", YAML_BOOL, true, false},   {"TRUE", YAML_BOOL, true, false},
    {"false", YAML_BOOL, false, false}, {"False", YAML_BOOL, false, false},
    {"FALSE", YAML_BOOL, false, false}, {"y", YAML_BOOL, true, true},
    {"Y", YAML_BOOL, true, true},       {"yes", YAML_BOOL, true, true},
    {"Yes", YAML_BOOL, true, true},     {"YES", YAML_BOOL, true, true},
    {"on", YAML_BOOL, true, true},      {"On", YAML_BOOL, true, true},
    {"ON", YAML_BOOL, true, true},      {"n", YAML_BOOL, false, true},
    {"N", YAML_BOOL, false, true},      {"no", YAML_BOOL, false, true},
    {"No", YAML_BOOL, false, true},     {"NO", YAML_BOOL, false, true},
    {"off", YAML_BOOL, false, true},    {"Off", YAML_BOOL, false, true},
    {"OFF", YAML_BOOL, false, true},
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int digit_of(char c)
{
    if (is_digit(c))
        return c - '0';
    const char low = (char)(c | 0x20);
    return low >= 'a' && low <= 'z' ? low - 'a' + 10 : 99;
}

// strconv.ParseInt and ParseUint with base 0: 0x, 0o, 0b and a leading 0 as octal.
static bool parse_integer(struct str s, struct yaml_value *out)
{
    const bool negative = s.n && s.p[0] == '-';
    if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
        s = str_from(s, 1);
    int base = 10;
    if (s.n > 1 && s.p[0] == '0') {
        const char mark = (char)(s.p[1] | 0x20);
        base = mark == 'x' ? 16 : mark == 'b' ? 2 : 8;
        s = str_from(s, mark == 'x' || mark == 'b' || mark == 'o' ? 2 : 1);
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < s.n; i++) {
        const int digit = digit_of(s.p[i]);
        if (digit >= base || __builtin_mul_overflow(sum, (uint64_t)base, &sum) ||
            __builtin_add_overflow(sum, (uint64_t)digit, &sum))
            return false;
    }
    if (!s.n || (negative && sum > (uint64_t)INT64_MAX + 1))
        return false;
    if (negative) {
        *out = (struct yaml_value){.type = YAML_INT, .number = (int64_t)(0 - sum)};
    } else if (sum > INT64_MAX) {
        *out = (struct yaml_value){.type = YAML_UINT, .natural = sum};
    } else {
        *out = (struct yaml_value){.type = YAML_INT, .number = (int64_t)sum};
    }
    return true;
}

// [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
static bool parse_float(struct str s, struct yaml_value *out)
{
    size_t at = s.n && (s.p[0] == '-' || s.p[0] == '+'), digits = 0;
    const size_t first = at;
    while (at < s.n && is_digit(s.p[at]))
        at++, digits++;
    if (at < s.n && s.p[at] == '.') {
        const bool bare = at == first;
        for (at++; at < s.n && is_digit(s.p[at]); at++)
            digits += bare;
    }
    if (!digits)
        return false;
    if (at < s.n && (s.p[at] | 0x20) == 'e') {
        at++;
        if (at < s.n && (s.p[at] == '-' || s.p[at] == '+'))
            at++;
        if (at == s.n)
            return false;
        while (at < s.n && is_digit(s.p[at]))
            at++;
    }
    *out = (struct yaml_value){.type = YAML_FLOAT};
    return at == s.n && number_parse(s, &out->fraction) == ERR_OK;
}

static size_t count_digits(struct str s, size_t at)
{
    const size_t from = at;
    while (at < s.n && is_digit(s.p[at]))
        at++;
    return at - from;
}

// 2006-1-2, alone or with a time of day behind T, t or a space. Such text is not a number; its
// exact form matters to nobody here.
static bool is_time(struct str s)
{
    static const char separators[] = {'-', '-', '\0'};
    size_t at = 0;
    for (size_t i = 0; i < 3; i++) {
        const size_t n = count_digits(s, at);
        if (i ? !n || n > 2 : n != 4)
            return false;
        at += n;
        if (separators[i] && (at == s.n || s.p[at++] != separators[i]))
            return false;
    }
    if (at == s.n)
        return true;
    if (s.p[at] != 'T' && s.p[at] != 't' && s.p[at] != ' ')
        return false;
    const size_t n = count_digits(s, at + 1);
    return n && n <= 2 && at + 1 + n < s.n && s.p[at + 1 + n] == ':';
}

static bool parse_special(struct str s, double *out)
{
    static const struct {
        const char *text;
        double value;
    } specials[] = {
        {".nan", NAN},       {".NaN", NAN},        {".NAN", NAN},        {".inf", INFINITY},
        {".Inf", INFINITY},  {".INF", INFINITY},   {"+.inf", INFINITY},  {"+.Inf", INFINITY},
        {"+.INF", INFINITY}, {"-.inf", -INFINITY}, {"-.Inf", -INFINITY}, {"-.INF", -INFINITY},
    };
    for (size_t i = 0; i < countof(specials); i++) {
        if (str_eq(s, str_from_c(specials[i].text))) {
            *out = specials[i].value;
            return true;
        }
    }
    return false;
}

static void resolve_plain(struct str s, enum yaml_version version, struct yaml_value *out)
{
    *out = (struct yaml_value){.type = YAML_STR};
    for (size_t i = 0; i < countof(words); i++) {
        if (str_eq(s, str_from_c(words[i].text)) && !(words[i].only_v2 && version != YAML_V2)) {
            *out = (struct yaml_value){.type = words[i].type, .boolean = words[i].boolean};
            return;
        }
    }
    double special;
    if (parse_special(s, &special)) {
        *out = (struct yaml_value){.type = YAML_FLOAT, .fraction = special};
        return;
    }
    enum { NUMBER_MAX = 400 };
    if (s.n > NUMBER_MAX || !(is_digit(s.p[0]) || memchr("+-.", s.p[0], 3)))
        return;
    if (is_time(s)) {
        out->type = YAML_TIME;
        return;
    }
    char plain[NUMBER_MAX];
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '_')
            plain[n++] = s.p[i];
    const struct str number = str_make(plain, n);
    struct yaml_value found;
    if ((s.p[0] != '.' && parse_integer(number, &found)) || parse_float(number, &found))
        *out = found;
}

static struct str type_tag(enum yaml_type type)
{
    static const struct str tags[] = {
        [YAML_NULL] = {"!!null", 6},   [YAML_BOOL] = {"!!bool", 6},
        [YAML_INT] = {"!!int", 5},     [YAML_UINT] = {"!!int", 5},
        [YAML_FLOAT] = {"!!float", 7}, [YAML_TIME] = {"!!timestamp", 11},
        [YAML_STR] = {"!!str", 5},
    };
    return tags[type];
}

err yaml_resolve(const struct yaml_node *scalar, enum yaml_version version, struct yaml_value *out)
{
    struct yaml_value found = {.type = YAML_STR};
    static const char *const resolvable[] = {"!!bool", "!!int", "!!float", "!!null", "!!timestamp"};
    bool by_tag = false;
    for (size_t i = 0; i < countof(resolvable); i++)
        by_tag |= str_eq(scalar->tag, str_from_c(resolvable[i]));
    if (scalar->plain || by_tag)
        resolve_plain(scalar->value, version, &found);
    if (by_tag && !str_eq(type_tag(found.type), scalar->tag)) {
        if (found.type != YAML_INT || !str_eq(scalar->tag, STR("!!float")))
            return ERR_INVALID;
        found = (struct yaml_value){.type = YAML_FLOAT, .fraction = (double)found.number};
    }
    *out = found;
    return ERR_OK;
}

enum yaml_type yaml_type_of(struct str text, enum yaml_version version)
{
    struct yaml_value found;
    resolve_plain(text, version, &found);
    return found.type;
}

struct str yaml_tag(const struct yaml_node *n, enum yaml_version version)
{
    if (n->tag.n)
        return n->tag;
    if (n->kind != YAML_SCALAR)
        return n->kind == YAML_SEQUENCE ? STR("!!seq") : STR("!!map");
    return type_tag(n->plain ? yaml_type_of(n->value, version) : YAML_STR);
}

bool yaml_is_null(const struct yaml_node *n)
{
    if (n->kind != YAML_SCALAR)
        return false;
    if (n->tag.n)
        return str_eq(n->tag, STR("!!null"));
    return n->plain && yaml_type_of(n->value, YAML_V2) == YAML_NULL;
}
