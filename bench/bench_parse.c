// What reading one sample costs: alone, with its labels, beside the previous scrape; from
// remote_write. Reads the recording of tests/lib/capture.h; the argument is how often.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine/base/hash.h"
#include "engine/base/number.h"
#include "engine/base/util.h"
#include "protocol/exposition_diff.h"
#include "protocol/remote_write.h"
#include "protocol/snappy_block.h"
#include "simd/simd.h"
#include "tests/lib/capture.h"

struct tally {
    size_t samples, bytes;
    uint64_t sink; // keeps the work alive
};
typedef struct tally run_fn(const struct capture *c);

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void must(bool ok)
{
    if (!ok)
        abort();
}

static struct tally parse(const struct capture *c, bool with_labels)
{
    struct tally t = {0};
    struct buf scratch = {0};
    for (size_t i = 0; i < c->n; i++) {
        struct exposition x;
        exposition_init(&x, EXPOSITION_TEXT, c->bodies[i]);
        for (enum exposition_event event;;) {
            must(exposition_next(&x, &event, NULL) == ERR_OK);
            if (event == EXPOSITION_END)
                break;
            if (event != EXPOSITION_SERIES)
                continue;
            t.samples++;
            t.sink += x.sample.bits;
            struct exposition_labels labels;
            struct str name, value;
            if (!with_labels)
                continue;
            exposition_labels_init(&labels, &x, &scratch);
            while (exposition_labels_next(&labels, &name, &value))
                t.sink += name.n + value.n;
        }
        t.bytes += c->bodies[i].n;
    }
    buf_deinit(&scratch);
    return t;
}

static struct tally parse_alone(const struct capture *c)
{
    return parse(c, false);
}

static struct tally parse_labels(const struct capture *c)
{
    return parse(c, true);
}

// Each body beside the one before it, as the scrape loop does.
static struct tally parse_beside(const struct capture *c)
{
    enum { CHANGES_MAX = 1024 };
    static struct exposition_change changes[CHANGES_MAX];
    struct tally t = {0};
    struct exposition_lines lines[2] = {0};
    for (size_t i = 0; i < c->n; i++) {
        struct exposition_lines *const old = &lines[i % 2], *const now = &lines[(i + 1) % 2];
        struct exposition_diff d = {.body = c->bodies[i ? i - 1 : 0], .lines = old};
        struct exposition x;
        exposition_lines_reset(now);
        exposition_init(&x, EXPOSITION_TEXT, c->bodies[i]);
        for (enum exposition_event event = EXPOSITION_COMMENT; event != EXPOSITION_END;) {
            const size_t n = exposition_diff_run(&d, &x, now, changes, CHANGES_MAX);
            for (size_t k = 0; k < n; k++)
                t.sink += changes[k].sample.bits;
            if (d.is_cut)
                continue;
            must(exposition_next(&x, &event, NULL) == ERR_OK);
            if (event != EXPOSITION_END)
                exposition_lines_push(now, &x);
            d.at += d.at < old->n;
        }
        for (size_t k = 0; k < now->n; k++)
            t.samples += now->items[k].value != 0;
        t.bytes += c->bodies[i].n;
    }
    exposition_lines_deinit(&lines[0]);
    exposition_lines_deinit(&lines[1]);
    return t;
}

static void put_field(struct buf *b, unsigned number, struct str content)
{
    buf_put_varint(b, number << 3 | 2);
    buf_put_varint(b, content.n);
    buf_put_str(b, content);
}

static void put_label(struct buf *series, struct str name, struct str value)
{
    struct buf label = {0};
    put_field(&label, 1, name);
    put_field(&label, 2, value);
    put_field(series, 1, buf_str(&label));
    buf_deinit(&label);
}

// One body as a WriteRequest with the labels that Prometheus adds.
static struct buf make_request(struct str body)
{
    const struct str added[] = {STR("instance"), STR("node-17.example.org:9100"), STR("job"),
                                STR("node")};
    struct buf request = {0}, series = {0}, sample = {0}, scratch = {0};
    struct exposition x;
    exposition_init(&x, EXPOSITION_TEXT, body);
    for (enum exposition_event event;;) {
        must(exposition_next(&x, &event, NULL) == ERR_OK);
        if (event == EXPOSITION_END)
            break;
        if (event != EXPOSITION_SERIES)
            continue;
        struct exposition_labels labels;
        struct str name, value;
        buf_reset(&series);
        for (size_t at = 0; at < countof(added); at += 2)
            put_label(&series, added[at], added[at + 1]);
        exposition_labels_init(&labels, &x, &scratch);
        while (exposition_labels_next(&labels, &name, &value))
            put_label(&series, name, value);
        buf_reset(&sample);
        buf_put_char(&sample, 1 << 3 | 1);
        buf_put_le64(&sample, x.sample.bits);
        buf_put_char(&sample, 2 << 3);
        buf_put_varint(&sample, 1700000000000);
        put_field(&series, 2, buf_str(&sample));
        put_field(&request, 1, buf_str(&series));
    }
    buf_deinit(&series);
    buf_deinit(&sample);
    buf_deinit(&scratch);
    return request;
}

// Snappy, the walk, and the hash of the label bytes, as the receiver does.
static struct tally parse_remote_write(const struct capture *c)
{
    enum { ROUNDS = 100, LIMIT = 32 << 20 };
    struct tally t = {0};
    struct buf request = make_request(c->bodies[0]), packed = {0}, plain = {0};
    snappy_block_compress(buf_str(&request), &packed);
    for (int round = 0; round < ROUNDS; round++) {
        buf_reset(&plain);
        must(snappy_block_decompress(buf_str(&packed), LIMIT, &plain, NULL) == ERR_OK);
        struct remote_write w;
        remote_write_init(&w, buf_str(&plain));
        for (;;) {
            struct remote_write_series s;
            struct remote_write_sample sample;
            bool more;
            must(remote_write_next(&w, &s, &more, NULL) == ERR_OK);
            if (!more)
                break;
            t.sink += hash64(s.labels.p, s.labels.n, 0);
            for (struct remote_write_samples i = remote_write_samples(&s);
                 remote_write_samples_next(&i, &sample); t.samples++)
                t.sink += sample.bits;
        }
        t.bytes += plain.n;
    }
    buf_deinit(&request);
    buf_deinit(&packed);
    buf_deinit(&plain);
    return t;
}

static const struct {
    const char *name;
    run_fn *run;
} runs[] = {
    {"text", parse_alone},
    {"text_labels", parse_labels},
    {"text_beside_previous", parse_beside},
    {"remote_write_v1", parse_remote_write},
};

int main(int argc, char **argv)
{
    uint64_t rounds = 1;
    must(argc < 2 || number_parse_u64(str_from_c(argv[1]), &rounds) == ERR_OK);
    struct capture c;
    if (!capture_load(&c)) {
        printf("0 passed, 0 failed, 1 skipped\n");
        return 0;
    }
    simd_init(SIMD_ALL);
    for (size_t i = 0; i < countof(runs); i++) {
        double best = 1e9;
        struct tally t = {0};
        for (uint64_t round = 0; round < rounds; round++) {
            const double start = now_s();
            t = runs[i].run(&c);
            const double took = now_s() - start;
            best = took < best ? took : best;
        }
        printf("{\"bench\":\"parse\",\"case\":\"%s\",\"samples\":%zu,\"ns_per_sample\":%.2f,"
               "\"bytes_per_s\":%.4g}\n",
               runs[i].name, t.samples, best * 1e9 / (double)t.samples, (double)t.bytes / best);
        must(t.sink != 0);
    }
    printf("%zu passed, 0 failed\n", countof(runs));
    capture_deinit(&c);
    return 0;
}
