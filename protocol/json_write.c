#include "protocol/json_write.h"

#include <assert.h>
#include <math.h>

#include "engine/base/number.h"
#include "engine/base/utf8.h"

void json_init(struct json *j, struct buf *out)
{
    *j = (struct json){.out = out};
}

// The comma before a value or key, unless it is the first or stands behind its key.
static void separate(struct json *j)
{
    if (j->after_key) {
        j->after_key = false;
        return;
    }
    if (j->has_items[j->depth])
        buf_put_char(j->out, ',');
    j->has_items[j->depth] = true;
}

static void begin(struct json *j, char bracket)
{
    separate(j);
    assert(j->depth < JSON_DEPTH_MAX);
    j->has_items[++j->depth] = false;
    buf_put_char(j->out, bracket);
}

static void end(struct json *j, char bracket)
{
    assert(j->depth > 0 && !j->after_key);
    j->depth--;
    buf_put_char(j->out, bracket);
}

void json_object_begin(struct json *j)
{
    begin(j, '{');
}

void json_object_end(struct json *j)
{
    end(j, '}');
}

void json_array_begin(struct json *j)
{
    begin(j, '[');
}

void json_array_end(struct json *j)
{
    end(j, ']');
}

static bool is_plain(unsigned char c, bool html)
{
    if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\')
        return false;
    return !html || (c != '<' && c != '>' && c != '&');
}

static void put_escaped_byte(unsigned char c, struct buf *out)
{
    static const char from[] = "\"\\\n\r\t\b\f", to[] = "\"\\nrtbf";
    const char *at = c ? strchr(from, c) : NULL;
    if (at)
        buf_printf(out, "\\%c", to[at - from]);
    else
        buf_printf(out, "\\u%04x", c);
}

void json_quote(struct str s, bool html, struct buf *out)
{
    buf_put_char(out, '"');
    size_t plain = 0; // start of what needs no escape
    for (size_t at = 0; at < s.n;) {
        const unsigned char c = (unsigned char)s.p[at];
        if (is_plain(c, html)) {
            at++;
            continue;
        }
        if (c >= 0x80 && !html) {
            at++;
            continue;
        }
        uint32_t rune;
        const size_t n = utf8_decode(str_from(s, at), &rune);
        const bool bad = rune == UTF8_BAD && n == 1;
        if (c >= 0x80 && !bad && rune != 0x2028 && rune != 0x2029) {
            at += n;
            continue;
        }
        buf_put(out, s.p + plain, at - plain);
        if (c < 0x80)
            put_escaped_byte(c, out);
        else
            buf_printf(out, "\\u%04x", rune);
        at += n;
        plain = at;
    }
    if (plain < s.n)
        buf_put(out, s.p + plain, s.n - plain);
    buf_put_char(out, '"');
}

void json_key_str(struct json *j, struct str key)
{
    separate(j);
    json_quote(key, false, j->out);
    buf_put_char(j->out, ':');
    j->after_key = true;
}

void json_key(struct json *j, const char *key)
{
    json_key_str(j, str_from_c(key));
}

void json_str(struct json *j, struct str s)
{
    separate(j);
    json_quote(s, true, j->out);
}

void json_cstr(struct json *j, const char *s)
{
    json_str(j, str_from_c(s));
}

void json_str_plain(struct json *j, struct str s)
{
    separate(j);
    json_quote(s, false, j->out);
}

void json_i64(struct json *j, int64_t v)
{
    separate(j);
    buf_put_i64(j->out, v);
}

void json_u64(struct json *j, uint64_t v)
{
    separate(j);
    buf_put_u64(j->out, v);
}

void json_bool(struct json *j, bool v)
{
    separate(j);
    buf_put_str(j->out, v ? STR("true") : STR("false"));
}

void json_null_value(struct json *j)
{
    separate(j);
    buf_put_str(j->out, STR("null"));
}

// encoding/json prints an exponent of one digit where it can: 1e-7, not 1e-07.
void json_double(struct json *j, double v)
{
    assert(isfinite(v));
    separate(j);
    char text[NUMBER_TEXT_MAX];
    size_t n = number_format_api(v, text);
    if (n >= 4 && text[n - 4] == 'e' && text[n - 3] == '-' && text[n - 2] == '0') {
        text[n - 2] = text[n - 1];
        n--;
    }
    buf_put(j->out, text, n);
}

void json_raw(struct json *j, struct str s)
{
    separate(j);
    buf_put_str(j->out, s);
}
