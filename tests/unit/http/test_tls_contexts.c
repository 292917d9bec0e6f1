// Contexts shared by those who ask for the same.
#include <criterion/criterion.h>

#include "engine/http/tls_contexts.h"

Test(tls_contexts, equal_ones_are_shared)
{
    const struct tls_options trusting = {.insecure_skip_verify = true}, plain = {0};
    struct tls_contexts c;
    struct tls *a, *b, *other, *again;
    struct errmsg e;
    tls_contexts_init(&c);
    tls_contexts_put(&c, NULL);
    cr_assert_eq(tls_contexts_get(&c, &trusting, 7, &a, &e), ERR_OK);
    cr_assert_eq(tls_contexts_get(&c, &plain, 9, &other, &e), ERR_OK);
    cr_assert_eq(tls_contexts_get(&c, &trusting, 7, &b, &e), ERR_OK);
    cr_assert_eq(a, b);
    cr_assert_neq(a, other);
    tls_contexts_put(&c, a);
    cr_assert_eq(tls_contexts_get(&c, &trusting, 7, &again, &e), ERR_OK);
    cr_assert_eq(again, b, "one user is left");
    tls_contexts_put(&c, b);
    tls_contexts_put(&c, again);
    tls_contexts_put(&c, other);
    cr_assert(list_is_empty(&c.all));
}

Test(tls_contexts, what_cannot_be_made_is_not_kept)
{
    const struct tls_options bad = {.ca_pem = STR("no certificate")};
    struct tls_contexts c;
    struct tls *t;
    struct errmsg e = {""};
    tls_contexts_init(&c);
    cr_assert_eq(tls_contexts_get(&c, &bad, 7, &t, &e), ERR_INVALID);
    cr_assert_neq(e.text[0], '\0');
    cr_assert(list_is_empty(&c.all));
}
