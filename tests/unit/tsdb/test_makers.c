// Who makes many series is found among any number of others, and a count is never too small.
#include <criterion/criterion.h>
#include <stdio.h>

#include "engine/base/mem.h"
#include "engine/model/labels.h"
#include "engine/tsdb/makers.h"

static struct str make_labels(struct arena *a, const char *metric, const char *instance, unsigned i)
{
    struct labels_builder b = {0};
    char id[32];
    const int n = snprintf(id, sizeof id, "%u", i);
    labels_builder_push(&b, LABEL_NAME, str_from_c(metric));
    labels_builder_push(&b, STR("id"), str_make(id, (size_t)n));
    labels_builder_push(&b, STR("instance"), str_from_c(instance));
    labels_builder_push(&b, STR("job"), STR("j"));
    const struct str labels = labels_builder_finish(&b, a);
    labels_builder_deinit(&b);
    return labels;
}

static const struct makers_place *place(const struct makers *m, enum makers_kind kind,
                                        const char *text)
{
    const struct makers_list *l = &m->lists[kind];
    for (size_t i = 0; i < l->n; i++)
        if (str_eq(str_make(l->places[i].text, l->places[i].text_n), str_from_c(text)))
            return &l->places[i];
    return NULL;
}

Test(makers, finds_one_among_thousands)
{
    struct makers *m = mem_zalloc(sizeof *m);
    struct arena a;
    arena_init(&a, 0);
    for (unsigned i = 0; i < 30000; i++) { // every fifth is the bomb's; 24,000 targets have one
        char instance[32], metric[32];
        const bool is_bomb = i % 5 == 0;
        snprintf(instance, sizeof instance, is_bomb ? "bomb" : "host-%u", i);
        snprintf(metric, sizeof metric, is_bomb ? "grows" : "m%u", i % 1000);
        makers_count(m, is_bomb ? 1 : i + 10, make_labels(&a, metric, instance, i));
        if (i % 64 == 0)
            arena_reset(&a);
    }
    const struct makers_place *bomb = place(m, MAKERS_TARGET, "job=\"j\", instance=\"bomb\"");
    cr_assert_not_null(bomb);
    cr_assert_geq(makers_of(bomb), 6000);
    cr_assert_leq(makers_of(bomb) - bomb->borrowed, 6000);
    cr_assert_not_null(place(m, MAKERS_METRIC, "grows"));
    cr_assert(makers_is_much(m, 1, make_labels(&a, "m1", "bomb", 0)));
    cr_assert(makers_is_much(m, 7, make_labels(&a, "grows", "other", 0)));
    cr_assert_not(makers_is_much(m, 29999 + 10, make_labels(&a, "m999", "host-29999", 0)));
    cr_assert_not(makers_is_much(m, 7, make_labels(&a, "m1", "other", 0)));
    makers_refuse(m, 1, make_labels(&a, "grows", "bomb", 0));
    cr_assert_eq(bomb->refused, 1);
    arena_deinit(&a);
    mem_free(m);
}

Test(makers, forgets_what_is_long_ago)
{
    struct makers *m = mem_zalloc(sizeof *m);
    struct arena a;
    arena_init(&a, 0);
    makers_step(m, 1);
    for (unsigned i = 0; i < 1000; i++)
        makers_count(m, 1, make_labels(&a, "grows", "bomb", i));
    makers_step(m, 1 + MAKERS_WINDOW_MS);
    cr_assert(makers_is_much(m, 1, make_labels(&a, "grows", "bomb", 0)));
    makers_step(m, 2 + 2 * (int64_t)MAKERS_WINDOW_MS);
    makers_count(m, 2, make_labels(&a, "m", "other", 0));
    cr_assert_not(makers_is_much(m, 1, make_labels(&a, "grows", "bomb", 0)));
    arena_deinit(&a);
    mem_free(m);
}

Test(makers, names_are_cut_at_characters)
{
    struct makers *m = mem_zalloc(sizeof *m);
    struct arena a;
    char name[401], instance[401];
    arena_init(&a, 0);
    for (size_t i = 0; i < 400; i += 2)
        memcpy(name + i, "\xc3\xbc", 2);
    memcpy(instance, name, 400);
    name[400] = instance[400] = '\0';
    instance[0] = name[0] = 'x'; // odd from here on
    instance[1] = name[1] = 'y';
    makers_count(m, 1, make_labels(&a, name + 1, instance + 1, 0));
    const struct makers_place *p = &m->lists[MAKERS_METRIC].places[0];
    cr_assert_eq(p->text_n, MAKERS_TEXT_MAX - 1);
    cr_assert_eq(memcmp(p->text, name + 1, p->text_n), 0);
    p = &m->lists[MAKERS_TARGET].places[0];
    cr_assert_eq(p->text[p->text_n - 2], (char)0xbc);
    arena_deinit(&a);
    mem_free(m);
}
