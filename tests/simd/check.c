#include "tests/simd/check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/rng.h"
#include "engine/base/util.h"
#include "simd/simd.h"

static check_fn *const checks[] = {check_crc32c, check_decimal, check_fingerprint,
                                   check_packed, check_scan,    check_snappy};

static const struct {
    const char *name;
    uint32_t mask;
} ladder[] = {{"c", SIMD_C}, {"sse42", SIMD_SSE42}, {"avx2", SIMD_SSE42 | SIMD_AVX2}};

enum { KERNELS_MAX = 64, MAPPINGS_MAX = 16, BENCH_NS = 20 * 1000 * 1000 };

static struct seen {
    char name[48];
    unsigned n;
    struct {
        any_fn *version;
        const char *isa;
        double ns, items;
    } of[countof(ladder)];
} seen[KERNELS_MAX];
static unsigned seen_count;

static struct {
    void *at;
    size_t size;
} mappings[MAPPINGS_MAX];
static unsigned mappings_count;

static struct seen *current;
static const char *isa_name;
static bool bench, current_failed;
static unsigned passed, failed;
static struct rng rng;

uint64_t check_random(void)
{
    return rng_u64(&rng);
}

static void settle(void)
{
    if (current)
        *(current_failed ? &failed : &passed) += 1;
    current = NULL;
    current_failed = false;
}

any_fn *check_func(any_fn *now, const char *name)
{
    settle();
    struct seen *s = seen;
    while (s < seen + seen_count && strcmp(s->name, name))
        s++;
    if (s == seen + seen_count) {
        if (seen_count++ == KERNELS_MAX)
            abort();
        snprintf(s->name, sizeof s->name, "%s", name);
    }
    for (unsigned i = 0; i < s->n; i++)
        if (s->of[i].version == now)
            return NULL;
    s->of[s->n].isa = isa_name;
    s->of[s->n++].version = now;
    current = s;
    return s->of[0].version;
}

void check_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "FAIL %s_%s: ", current ? current->name : "?", isa_name);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    current_failed = true;
}

uint8_t *check_bytes(size_t n)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), body = (n + page) / page * page;
    const size_t size = page + body + page;
    uint8_t *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED || mprotect(at, page, PROT_NONE) ||
        mprotect(at + page + body, page, PROT_NONE) || mappings_count == MAPPINGS_MAX)
        abort();
    mappings[mappings_count].at = at;
    mappings[mappings_count++].size = size;
    return at + page + body - n;
}

void check_release(void)
{
    while (mappings_count--)
        munmap(mappings[mappings_count].at, mappings[mappings_count].size);
    mappings_count = 0;
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

struct check_timer check_timed(double items)
{
    return (struct check_timer){.start_ns = now_ns(), .items = items};
}

bool check_more(struct check_timer *t)
{
    if (!bench)
        return t->left++ == 0;
    t->left++;
    if (t->left % 256)
        return true;
    const uint64_t ns = now_ns() - t->start_ns;
    if (ns < BENCH_NS)
        return true;
    current->of[current->n - 1].ns = (double)ns / (double)t->left;
    current->of[current->n - 1].items = t->items;
    return false;
}

static void report(void)
{
    for (const struct seen *s = seen; s < seen + seen_count; s++)
        for (unsigned v = 0; v < s->n; v++)
            printf("%-24s %-6s %10.1f ns %8.3f ns/item %6.2fx\n", s->name, s->of[v].isa,
                   s->of[v].ns, s->of[v].ns / s->of[v].items, s->of[0].ns / s->of[v].ns);
}

int main(int argc, char **argv)
{
    uint64_t seed = now_ns();
    uint32_t mask;
    struct errmsg e;
    err code = simd_mask_from_environment(&mask, &e);
    for (int i = 1; i < argc && code == ERR_OK; i++) {
        if (!strcmp(argv[i], "--bench"))
            bench = true;
        else if (!strcmp(argv[i], "--mask") && i + 1 < argc)
            code = simd_mask_parse(str_from_c(argv[++i]), &mask, &e);
        else
            seed = strtoull(argv[i], NULL, 0);
    }
    if (code != ERR_OK) {
        fprintf(stderr, "%s\n", e.text);
        return 2;
    }
    printf("seed %" PRIu64 "\n", seed);
    for (size_t i = 0; i < countof(ladder); i++) {
        if ((simd_detect() & mask & ladder[i].mask) != ladder[i].mask)
            continue;
        isa_name = ladder[i].name;
        simd_init(ladder[i].mask);
        for (size_t c = 0; c < countof(checks); c++) {
            rng_init(&rng, seed);
            checks[c]();
            settle();
        }
    }
    if (bench)
        report();
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0;
}
