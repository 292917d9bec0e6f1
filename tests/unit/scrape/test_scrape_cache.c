#include "engine/scrape/scrape_cache.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "engine/base/rng.h"
#include "engine/base/util.h"

// One scrape of a body whose lines are these, as scrape_run.c walks it; how many stood where they
// were expected.
static size_t scrape(struct scrape_cache *c, const char *const *lines, size_t n)
{
    size_t expected = 0;
    scrape_cache_begin(c);
    for (size_t i = 0; i < n; i++) {
        const struct str series = str_from_c(lines[i]);
        struct scrape_line *line = scrape_cache_expected(c);
        if (line && str_eq(scrape_line_series(line), series))
            expected++;
        else
            line = scrape_cache_find(c, series);
        if (!line)
            line = scrape_cache_add(c, series, series);
        cr_assert(scrape_cache_see(c, line));
        line->is_tracked = true;
    }
    return expected;
}

struct missing {
    char text[256];
};

static void note_missing(void *arg, struct scrape_line *line)
{
    struct missing *m = arg;
    const size_t n = strlen(m->text);
    snprintf(m->text + n, sizeof m->text - n, "%.*s ", STR_ARG(scrape_line_series(line)));
    line->is_tracked = false;
}

static void end(struct scrape_cache *c, const char *missing)
{
    struct missing m = {""};
    scrape_cache_end(c, true, note_missing, &m);
    cr_assert_str_eq(m.text, missing);
}

Test(scrape_cache, expects_the_order_of_last_time)
{
    static const char *const first[] = {"a", "b", "c", "d", "e"};
    static const char *const less[] = {"a", "c", "d", "e"};
    static const char *const more[] = {"a", "x", "b", "c", "d", "e"};
    static const char *const turned[] = {"e", "d", "c", "b", "a"};
    struct scrape_cache c;
    scrape_cache_init(&c);
    cr_assert_eq(scrape(&c, first, 5), 0);
    end(&c, "");
    cr_assert_eq(scrape(&c, first, 5), 5);
    end(&c, "");
    cr_assert_eq(scrape(&c, less, 4), 3); // behind the gap it goes on
    end(&c, "b ");
    cr_assert_eq(scrape(&c, more, 6), 4);
    end(&c, "");
    cr_assert_eq(scrape(&c, more, 6), 6);
    end(&c, "");
    scrape(&c, turned, 5);
    end(&c, "x ");
    cr_assert_eq(scrape(&c, turned, 5), 5);
    end(&c, "");
    scrape_cache_deinit(&c);
}

Test(scrape_cache, a_line_twice_is_seen_once)
{
    struct scrape_cache c;
    scrape_cache_init(&c);
    scrape_cache_begin(&c);
    const struct str prefix = STR("a ");
    struct scrape_line *line = scrape_cache_add(&c, prefix, str_until(prefix, 1));
    cr_assert(scrape_cache_see(&c, line));
    cr_assert(!scrape_cache_see(&c, line));
    end(&c, "");
    cr_assert_eq(c.n, 1);
    scrape_cache_deinit(&c);
}

Test(scrape_cache, forgets_what_stays_away)
{
    static const char *const both[] = {"a", "b"};
    struct scrape_cache c;
    scrape_cache_init(&c);
    scrape(&c, both, 2);
    end(&c, "");
    for (int i = 0; i < 2; i++) {
        scrape(&c, both, 1);
        end(&c, i ? "" : "b ");
        cr_assert_not_null(scrape_cache_find(&c, STR("b")));
    }
    scrape(&c, both, 1);
    end(&c, "");
    cr_assert_null(scrape_cache_find(&c, STR("b")));
    cr_assert_eq(c.live, 1);
    scrape_cache_deinit(&c);
}

// A tracked line stays, however long it is away, until its marker was kept.
Test(scrape_cache, keeps_what_waits_for_its_marker)
{
    static const char *const both[] = {"a", "b"};
    struct scrape_cache c;
    struct missing m = {""};
    scrape_cache_init(&c);
    scrape(&c, both, 2);
    end(&c, "");
    for (int i = 0; i < 10; i++) {
        scrape(&c, both, 1);
        m.text[0] = '\0';
        scrape_cache_end(&c, true, note_missing, &m);
        cr_assert_str_eq(m.text, "b ");
        scrape_cache_find(&c, STR("b"))->is_tracked = true; // the commit failed
    }
    scrape_cache_deinit(&c);
}

Test(scrape_cache, abort_keeps_the_order_and_the_new_lines)
{
    static const char *const first[] = {"a", "b"}, *const failed[] = {"x", "a"};
    struct scrape_cache c;
    struct missing m = {""};
    scrape_cache_init(&c);
    scrape(&c, first, 2);
    end(&c, "");
    scrape(&c, failed, 2);
    scrape_cache_abort(&c);
    cr_assert_not_null(scrape_cache_find(&c, STR("x")));
    scrape_cache_begin(&c);
    scrape_cache_end(&c, false, note_missing, &m);
    cr_assert_str_eq(m.text, "a b x ");
    cr_assert_eq(scrape(&c, first, 2), 2);
    end(&c, "");
    scrape_cache_deinit(&c);
}

// Against a plain list of what each scrape had.
Test(scrape_cache, random_churn)
{
    enum { NAMES = 300, SCRAPES = 200 };
    static char names[NAMES][16];
    static bool was[NAMES];
    for (size_t i = 0; i < NAMES; i++)
        snprintf(names[i], sizeof names[i], "m{i=\"%zu\"}", i);
    struct scrape_cache c;
    struct rng rng;
    rng_init(&rng, 7);
    scrape_cache_init(&c);
    for (size_t round = 0; round < SCRAPES; round++) {
        const char *lines[NAMES];
        bool has[NAMES];
        size_t n = 0;
        for (size_t i = 0; i < NAMES; i++) {
            has[i] = rng_u64(&rng) % 4 < round % 4;
            if (has[i])
                lines[n++] = names[i];
        }
        scrape(&c, lines, n);
        size_t missing = 0;
        for (size_t i = 0; i < NAMES; i++)
            missing += was[i] && !has[i];
        size_t tracked = 0;
        for (size_t i = 0; i < c.n; i++)
            tracked += c.order[i]->is_tracked && c.order[i]->seen != c.scrape;
        cr_assert_eq(tracked, missing, "round %zu", round);
        struct missing m = {""};
        scrape_cache_end(&c, true, note_missing, &m);
        memcpy(was, has, sizeof was);
        for (size_t i = 0; i < NAMES; i++)
            if (has[i])
                cr_assert(str_eq(scrape_line_series(scrape_cache_find(&c, str_from_c(names[i]))),
                                 str_from_c(names[i])));
        cr_assert(c.live >= n && c.live == c.n);
    }
    scrape_cache_deinit(&c);
}
