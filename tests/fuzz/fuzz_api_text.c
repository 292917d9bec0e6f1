// What clients of the API send besides queries: JSON objects of strings, Accept headers, names.
#include "protocol/escape.h"
#include "protocol/exposition_write.h"
#include "protocol/json_read.h"
#include "protocol/json_write.h"
#include "tests/fuzz/fuzz.h"

// What was read is written and read again: the same pairs.
static void json(struct str input, struct arena *a)
{
    struct json_pair *pairs = NULL, *again = NULL;
    size_t n = 0, again_n = 0;
    struct errmsg e;
    struct buf text = {0};
    struct json j;
    if (json_read_strings(input, a, &pairs, &n, &e) != ERR_OK)
        return;
    json_init(&j, &text);
    json_object_begin(&j);
    for (size_t i = 0; i < n; i++) {
        json_key_str(&j, pairs[i].name);
        json_str(&j, pairs[i].value);
    }
    json_object_end(&j);
    fuzz_must(json_read_strings(buf_str(&text), a, &again, &again_n, &e) == ERR_OK);
    fuzz_must(n == again_n);
    for (size_t i = 0; i < n; i++)
        fuzz_must(str_eq(pairs[i].name, again[i].name) && str_eq(pairs[i].value, again[i].value));
    buf_deinit(&text);
}

static void names(struct str input, struct arena *a)
{
    struct buf name = {0}, page = {0};
    struct exposition_writer w;
    const struct exposition_style style = exposition_negotiate(input);
    const struct exposition_label label = {input, input};
    for (int scheme = 0; scheme < ESCAPE_NONE; scheme++) {
        buf_reset(&name);
        escape_name(input, (enum escape_scheme)scheme, &name);
        fuzz_must(!input.n || escape_is_legal(buf_str(&name)));
    }
    (void)escape_undo_values(buf_str(&name), a);
    exposition_writer_init(&w, style, &page);
    exposition_family(&w, input);
    exposition_sample(&w, &label, 1, 1.5, -1);
    exposition_finish(&w);
    fuzz_must(page.n > 0);
    exposition_writer_deinit(&w);
    buf_deinit(&page);
    buf_deinit(&name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str input = fuzz_exact(data, size);
    struct arena a;
    arena_init(&a, 0);
    json(input, &a);
    names(input, &a);
    arena_deinit(&a);
    fuzz_release(input);
    return 0;
}
