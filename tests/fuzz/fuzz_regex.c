// Any bytes as a regular expression. What our parser takes RE2 takes too (but for its memory), and
// what is told without the engine is what the engine says: a group around the expression asks for
// it. The text that is matched stands behind the first NUL.
#include "engine/base/regex.h"
#include "engine/base/utf8.h"
#include "tests/fuzz/fuzz.h"

static bool is_too_large(const struct errmsg *e)
{
    return str_contains(str_from_c(e->text), STR("expression too large")) ||
           str_contains(str_from_c(e->text), STR("nests too deeply"));
}

// Behind what Go says stands the expression in backquotes; RE2's own words have none.
static void check_error(const struct errmsg *e)
{
    const struct str text = str_from_c(e->text);
    fuzz_must(str_has_prefix(text, STR("error parsing regexp: ")));
    fuzz_must(str_contains(text, STR("`")));
}

static void compare(struct str pattern, const struct regex *quick, struct str text)
{
    struct buf grouped = {0};
    struct regex *engine;
    struct errmsg e;
    struct str groups[2];
    buf_printf(&grouped, "((?s:%.*s))", STR_ARG(pattern));
    if (regex_create(buf_str(&grouped), REGEX_ANCHORED, &engine, &e) == ERR_OK) {
        fuzz_must(regex_matches(quick, text) == regex_match_groups(engine, text, groups, 2));
        regex_destroy(engine);
    }
    buf_deinit(&grouped);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct regex *r;
    struct errmsg e;
    const struct str all = str_make((const char *)data, size);
    const ptrdiff_t nul = str_find(all, '\0', 0);
    const struct str pattern = nul < 0 ? all : str_until(all, (size_t)nul);
    const struct str text = nul < 0 ? (struct str){0} : str_from(all, (size_t)nul + 1);
    if (size > 2000)
        return 0;
    const enum regex_mode modes[] = {REGEX_ANCHORED, REGEX_SEARCH, REGEX_MATCHER};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (regex_create(pattern, modes[i], &r, &e)) {
            fuzz_must(is_too_large(&e) || pattern.n > 200 || e.text[0]);
            if (!is_too_large(&e) && pattern.n < 200)
                check_error(&e);
            continue;
        }
        fuzz_must(str_eq(regex_pattern(r), pattern));
        // A quote without end, or bytes that are no text, mean another thing in the group.
        if (modes[i] == REGEX_MATCHER && utf8_is_valid(all) && !str_contains(pattern, STR("\\Q")))
            compare(pattern, r, text);
        regex_destroy(r);
    }
    return 0;
}
