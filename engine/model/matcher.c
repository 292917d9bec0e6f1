#include "engine/model/matcher.h"

#include "engine/base/quote.h"
#include "engine/model/labels.h"

bool matcher_matches(const struct matcher *m, struct str value)
{
    switch (m->kind) {
    case MATCHER_EQ:
        return str_eq(m->value, value);
    case MATCHER_NE:
        return !str_eq(m->value, value);
    case MATCHER_RE:
        return regex_matches(m->regex, value);
    case MATCHER_NRE:
        return !regex_matches(m->regex, value);
    }
    return false;
}

bool matcher_matches_empty(const struct matcher *m)
{
    return matcher_matches(m, STR(""));
}

bool matchers_match(const struct matcher *ms, size_t n, struct str labels)
{
    for (size_t i = 0; i < n; i++)
        if (!matcher_matches(&ms[i], labels_value(labels, ms[i].name)))
            return false;
    return true;
}

void matcher_format(const struct matcher *m, struct buf *out)
{
    if (label_name_is_legacy(m->name))
        buf_put_str(out, m->name);
    else
        buf_put_quoted(out, m->name);
    buf_put_str(out, str_from_c(matcher_kind_text(m->kind)));
    buf_put_quoted(out, m->value);
}

const char *matcher_kind_text(enum matcher_kind kind)
{
    static const char *const texts[] = {
        [MATCHER_EQ] = "=",
        [MATCHER_NE] = "!=",
        [MATCHER_RE] = "=~",
        [MATCHER_NRE] = "!~",
    };
    return texts[kind];
}
