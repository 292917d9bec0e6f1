// The database in simulated worlds, one a seed; what went wrong is printed with its seed.
//
//     sim_tsdb [--seeds N] [--first N]     N worlds, each in a process of its own, one a core at a
//     time sim_tsdb --seed N [--verbose]        one world, in this process sim_tsdb --piece-us N
//     ...            what a flow may work at a time, of the machine's time sim_tsdb --defects
//     worlds that are broken on purpose: each must be noticed
//     sim_tsdb --each-fault N              world N again and again, another operation fails each
//     time
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/mem.h"
#include "simd/simd.h"
#include "tests/sim/seed.h"

enum { DEFECT_SEEDS_MAX = 40, WORKERS_MAX = 16 };
// No turn may take longer of the machine's time; a turn's quota is 0.5 ms, but the clock that
// programs see does not move with their work.
static const int64_t turn_cpu_ns_max = 100 * 1000 * 1000;

// No flow may work on for longer, of the machine's time, without asking whether a yield is due:
// then no turn is longer than twice the quota. What is too long in each of some runs is too long.
static int64_t piece_ns_max =
    500 * 1000; // the quota: with a piece behind it a turn takes twice that
enum { PIECE_TRIES = 6, PIECES_TOLD = 4 };

extern void __asan_init(void) __attribute__((weak)); // present only where everything is slower

static const enum fault expected_faults[] = {
    FAULT_SLOW,         FAULT_REORDERED,     FAULT_INTERRUPTED, FAULT_LATE_CANCEL,
    FAULT_SHORT_READ,   FAULT_SHORT_WRITE,   FAULT_READ_EIO,    FAULT_WRITE_EIO,
    FAULT_SYNC_EIO,     FAULT_NAME_EIO,      FAULT_NO_SPACE,    FAULT_NO_DESCRIPTORS,
    FAULT_KILL,         FAULT_POWER_LOSS,    FAULT_CUT_WRITE,   FAULT_LOST_WRITE,
    FAULT_LOST_SECTOR,  FAULT_TORN_WRITE,    FAULT_LOST_SIZE,   FAULT_LOST_NAME,
    FAULT_WALL_FORWARD, FAULT_WALL_BACKWARD,
};

static const struct {
    const char *name;
    const char *noticed[4]; // what the invariant says that must notice it
} defect_rows[DEFECT_COUNT] = {
    [DEFECT_LOST_SYNCS] = {"a disk that acknowledges a sync and loses the data",
                           {"kept, but not shown", "open: corrupt", "open: invalid", "fsck: "}},
    [DEFECT_OLD_RECORDS] = {"a recycled segment whose old records have good checksums",
                            {"shown, but was gone before", "shown, but never sent"}},
    [DEFECT_LATE_ENDS] = {"a completion after its owner is gone",
                          {"ended after its owner was gone"}},
    [DEFECT_NO_SYNC] = {"power lost with --storage.wal-sync=none", {"kept, but not shown"}},
    [DEFECT_LONG_PIECE] = {"a flow that does not give way",
                           {"us of work without a question whether a yield is due"}},
};

static unsigned long long ull(uint64_t number)
{
    return number;
}

// A world in a process of its own: whatever it does to itself, the others go on.
static void run_apart(struct seed_options *o, struct seed_result *shared)
{
    *shared = (struct seed_result){0};
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) {
        seed_run(o, shared);
        if (shared->violation[0])
            _exit(0); // leaks mean nothing now
        exit(0);
    }
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || (status != 0 && !shared->violation[0]))
        snprintf(shared->violation, sizeof shared->violation, "the process ended with %s %d",
                 WIFSIGNALED(status) ? "signal" : "status",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

// Again while a piece was too long.
static void run_watched(struct seed_options *o, struct seed_result *shared)
{
    o->watches_pieces = !__asan_init;
    run_apart(o, shared);
    struct seed_result *best = mem_alloc(sizeof *best);
    *best = *shared;
    for (int i = 1; i < PIECE_TRIES && pieces_ns_max(&best->pieces) > piece_ns_max; i++) {
        run_apart(o, shared);
        if (shared->violation[0])
            break;
        if (shared->pieces.count != best->pieces.count)
            snprintf(shared->violation, sizeof shared->violation,
                     "%llu pieces of work, and %llu when it ran again", ull(best->pieces.count),
                     ull(shared->pieces.count));
        pieces_meet(&best->pieces, &shared->pieces);
    }
    const struct piece *longest = best->pieces.longest;
    if (!shared->violation[0] && pieces_ns_max(&best->pieces) > piece_ns_max)
        snprintf(shared->violation, sizeof shared->violation,
                 "%lld us of work without a question whether a yield is due: %s",
                 (long long)longest->ns / 1000, longest->text);
    for (size_t i = 1; i < PIECES_TOLD && i < best->pieces.n && longest[i].ns > piece_ns_max; i++)
        printf("seed %llu, also: %lld us: %s\n", ull(o->seed), (long long)longest[i].ns / 1000,
               longest[i].text);
    shared->pieces = best->pieces;
    mem_free(best);
}

static void add(struct seed_result *sum, const struct seed_result *r)
{
    for (int i = 0; i < FAULT_COUNT; i++)
        sum->faults[i] += r->faults[i];
    sum->kills += r->kills;
    sum->power_losses += r->power_losses;
    sum->fatal_syncs += r->fatal_syncs;
    sum->samples_judged += r->samples_judged;
    sum->samples_gone += r->samples_gone;
    sum->batches += r->batches;
    sum->commits += r->commits;
    sum->steady_commits += r->steady_commits;
    sum->commit_errors += r->commit_errors;
    sum->queries += r->queries;
    sum->query_errors += r->query_errors;
    sum->opens += r->opens;
    sum->open_errors += r->open_errors;
    sum->files += r->files;
    sum->deletions += r->deletions;
    sum->merges += r->merges;
    sum->divisions += r->divisions;
    sum->segments += r->segments;
    sum->turns += r->turns;
    sum->simulated_ns += r->simulated_ns;
    if (r->turn_cpu_ns_max > sum->turn_cpu_ns_max)
        sum->turn_cpu_ns_max = r->turn_cpu_ns_max;
    if (pieces_ns_max(&r->pieces) > pieces_ns_max(&sum->pieces))
        sum->pieces = r->pieces;
}

static void print_sum(const struct seed_result *s)
{
    printf("%llu simulated minutes, %llu turns (longest %.1f ms of CPU), %llu crashes by kill, "
           "%llu by loss of power, %llu by a failed sync\n",
           ull((uint64_t)s->simulated_ns / 60000000000), ull(s->turns),
           (double)s->turn_cpu_ns_max / 1e6, ull(s->kills), ull(s->power_losses),
           ull(s->fatal_syncs));
    printf("longest work without a question whether a yield is due: %.2f ms of CPU, %s\n",
           (double)pieces_ns_max(&s->pieces) / 1e6, s->pieces.longest[0].text);
    printf("%llu batches in %llu commits (%llu failed, %llu of rows that came again), %llu queries "
           "(%llu failed), %llu samples "
           "judged, %llu gone with crashes or retention\n",
           ull(s->batches), ull(s->commits), ull(s->commit_errors), ull(s->steady_commits),
           ull(s->queries), ull(s->query_errors), ull(s->samples_judged), ull(s->samples_gone));
    printf(
        "%llu opens (%llu failed), %llu files, %llu expired, %llu merges, %llu divided for other "
        "shards, %llu segments\n",
        ull(s->opens), ull(s->open_errors), ull(s->files), ull(s->deletions), ull(s->merges),
        ull(s->divisions), ull(s->segments));
}

// How many kinds never came.
static unsigned print_faults(const struct seed_result *s)
{
    unsigned zero = 0;
    for (size_t i = 0; i < countof(expected_faults); i++) {
        const enum fault fault = expected_faults[i];
        printf("    %10llu  %s\n", ull(s->faults[fault]), fault_name(fault));
        zero += s->faults[fault] == 0;
    }
    return zero;
}

// What one of those that run seeds beside each other has done; in memory that they share.
struct worker {
    struct seed_result last, sum;
    unsigned passed, failed;
};

static void run_share(struct worker *w, uint64_t first, uint64_t end, uint64_t step)
{
    for (uint64_t seed = first; seed < end; seed += step) {
        struct seed_options o = {.seed = seed,
                                 .turn_cpu_ns_max = __asan_init ? 0 : turn_cpu_ns_max};
        run_watched(&o, &w->last);
        if (w->last.violation[0]) {
            printf("seed %llu: %s\n    again: sim_tsdb --seed %llu --verbose\n", ull(seed),
                   w->last.violation, ull(seed));
            w->failed++;
        } else {
            w->passed++;
        }
        add(&w->sum, &w->last);
    }
    fflush(NULL);
}

static int run_seeds(uint64_t first, uint64_t count, bool all_faults, struct worker *workers,
                     unsigned n)
{
    struct seed_result sum = {0};
    unsigned passed = 0, failed = 0;
    pid_t pids[WORKERS_MAX];
    fflush(NULL);
    for (unsigned i = 0; i < n; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            run_share(&workers[i], first + i, first + count, n);
            exit(0);
        }
    }
    for (unsigned i = 0; i < n; i++) {
        int status;
        if (pids[i] < 0 || waitpid(pids[i], &status, 0) < 0 || status != 0) {
            printf("those that run seeds: number %u did not end well\n", i);
            failed++;
        }
        passed += workers[i].passed;
        failed += workers[i].failed;
        add(&sum, &workers[i].sum);
    }
    print_sum(&sum);
    const unsigned zero = print_faults(&sum);
    if (zero && all_faults) {
        printf("%u kinds of faults never came\n", zero);
        failed++;
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed > 0;
}

static unsigned cores(void)
{
    cpu_set_t set;
    const int n = sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
    return n < WORKERS_MAX ? (unsigned)n : WORKERS_MAX;
}

static bool is_noticed(const struct seed_result *r, int defect)
{
    for (size_t i = 0; i < countof(defect_rows[defect].noticed); i++) {
        const char *text = defect_rows[defect].noticed[i];
        if (text && strstr(r->violation, text))
            return true;
    }
    return false;
}

// By the invariant that is there for it; and the same world without the defect has nothing to
// notice.
static bool run_defect(int defect, struct seed_result *shared)
{
    void (*const run)(struct seed_options *, struct seed_result *) =
        defect == DEFECT_LONG_PIECE ? run_watched : run_apart;
    for (uint64_t seed = 1; seed <= DEFECT_SEEDS_MAX; seed++) {
        struct seed_options o = {.seed = seed, .defect = (enum seed_defect)defect};
        run(&o, shared);
        if (!shared->violation[0])
            continue;
        printf("%s: seed %llu: %s\n", defect_rows[defect].name, ull(seed), shared->violation);
        if (!is_noticed(shared, defect))
            return false;
        o.is_control = true;
        run(&o, shared);
        if (shared->violation[0])
            printf("    also without the defect: %s\n", shared->violation);
        return !shared->violation[0];
    }
    printf("%s: not noticed\n", defect_rows[defect].name);
    return false;
}

static int run_defects(struct seed_result *shared)
{
    unsigned passed = 0, failed = 0;
    for (int defect = DEFECT_NONE + 1; defect < DEFECT_COUNT; defect++) {
        const bool is_good = run_defect(defect, shared);
        passed += is_good;
        failed += !is_good;
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed > 0;
}

// Each operation of each kind fails once, in a world of its own that is else without fault.
static const enum fault each_faults[] = {FAULT_NO_SPACE, FAULT_WRITE_EIO, FAULT_SHORT_WRITE,
                                         FAULT_SYNC_EIO, FAULT_NAME_EIO,  FAULT_READ_EIO};

static void run_each_of(struct worker *w, enum fault fault, uint64_t seed, uint64_t first,
                        uint64_t step)
{
    for (uint64_t at = first;; at += step) {
        struct seed_options o = {.seed = seed, .only = fault, .only_at = at};
        run_apart(&o, &w->last);
        if (w->last.violation[0]) {
            printf("seed %llu, %s of operation %llu: %s\n", ull(seed), fault_name(fault), ull(at),
                   w->last.violation);
            w->failed++;
        } else {
            w->passed++;
        }
        add(&w->sum, &w->last);
        if (w->last.only_asked < at)
            break;
    }
}

static int run_each(uint64_t seed, struct worker *workers, unsigned n)
{
    unsigned passed = 0, failed = 0;
    pid_t pids[WORKERS_MAX];
    fflush(NULL);
    for (unsigned i = 0; i < n; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            for (size_t k = 0; k < countof(each_faults); k++)
                run_each_of(&workers[i], each_faults[k], seed, i + 1, n);
            fflush(NULL);
            exit(0);
        }
    }
    struct seed_result sum = {0};
    for (unsigned i = 0; i < n; i++) {
        int status;
        failed += pids[i] < 0 || waitpid(pids[i], &status, 0) < 0 || status != 0;
        passed += workers[i].passed;
        failed += workers[i].failed;
        add(&sum, &workers[i].sum);
    }
    print_sum(&sum);
    for (size_t k = 0; k < countof(each_faults); k++)
        printf("    %10llu  %s\n", ull(sum.faults[each_faults[k]]), fault_name(each_faults[k]));
    printf("%u passed, %u failed\n", passed, failed);
    return failed > 0;
}

static int run_one(const struct seed_options *o, struct seed_result *result)
{
    seed_run(o, result);
    print_sum(result);
    (void)print_faults(result);
    if (result->violation[0])
        printf("seed %llu: %s\n", ull(o->seed), result->violation);
    printf("%d passed, %d failed\n", !result->violation[0], result->violation[0] != 0);
    fflush(NULL);
    if (result->violation[0])
        _exit(1); // leaks mean nothing now
    return 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"seeds", required_argument, NULL, 'n'},    {"first", required_argument, NULL, 'f'},
        {"seed", required_argument, NULL, 's'},     {"defect", required_argument, NULL, 'd'},
        {"defects", no_argument, NULL, 'D'},        {"each-fault", required_argument, NULL, 'e'},
        {"verbose", no_argument, NULL, 'v'},        {"any-faults", no_argument, NULL, 'a'},
        {"piece-us", required_argument, NULL, 'p'}, {0},
    };
    uint64_t seeds = 10, first = 1, each = 0;
    struct seed_options one = {0};
    bool defects = false, all_faults = true, is_one = false;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'n':
            seeds = strtoull(optarg, NULL, 10);
            break;
        case 'f':
            first = strtoull(optarg, NULL, 10);
            break;
        case 's':
            one.seed = strtoull(optarg, NULL, 10);
            is_one = true;
            break;
        case 'd':
            one.defect = (enum seed_defect)(strtoul(optarg, NULL, 10) % DEFECT_COUNT);
            break;
        case 'D':
            defects = true;
            break;
        case 'e':
            each = strtoull(optarg, NULL, 10);
            break;
        case 'v':
            one.verbose = one.watches_pieces = true;
            break;
        case 'p':
            piece_ns_max = strtoll(optarg, NULL, 10) * 1000;
            break;
        case 'a':
            all_faults = false;
            break;
        default:
            return 2;
        }
    }
    simd_init(SIMD_ALL);
    struct worker *const workers = mmap(NULL, WORKERS_MAX * sizeof *workers, PROT_READ | PROT_WRITE,
                                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (workers == MAP_FAILED)
        return 2;
    if (is_one)
        return run_one(&one, &workers->last);
    if (each)
        return run_each(each, workers, cores());
    return defects ? run_defects(&workers->last)
                   : run_seeds(first, seeds, all_faults, workers, cores());
}
