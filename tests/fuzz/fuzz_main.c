// Replays a corpus through a fuzz target, where the compiler brings no fuzzer: the corpus as a
// test. Each file is a case, run in a process of its own: whole, then cut off at every length (or
// at steps, where it is long). The kernels are those that FERULA_CPU_MASK says.
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "simd/simd.h"

enum { CUTS_MAX = 256, INPUT_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
    static uint8_t data[INPUT_MAX];
    FILE *file = fopen(path, "rbe");
    if (!file)
        return 1;
    const size_t n = fread(data, 1, sizeof data, file);
    fclose(file);
    LLVMFuzzerTestOneInput(data, n);
    const size_t step = n / CUTS_MAX + 1;
    for (size_t cut = 0; cut < n; cut += step)
        LLVMFuzzerTestOneInput(data, cut);
    return 0;
}

static int replay_apart(const char *path)
{
    fflush(NULL);
    const pid_t child = fork();
    if (child < 0)
        return 1;
    if (child == 0)
        exit(replay(path));
    int status;
    if (waitpid(child, &status, 0) != child)
        return 1;
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

int main(int argc, char **argv)
{
    unsigned passed = 0, failed = 0;
    uint32_t isas;
    struct errmsg e;
    if (simd_mask_from_environment(&isas, &e)) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    simd_init(isas);
    for (int i = 1; i < argc; i++) {
        struct dirent **names;
        const int n = scandir(argv[i], &names, NULL, alphasort);
        if (n < 0) {
            perror(argv[i]);
            return 1;
        }
        for (int k = 0; k < n; free(names[k++])) {
            char path[4096];
            snprintf(path, sizeof path, "%s/%s", argv[i], names[k]->d_name);
            if (names[k]->d_name[0] == '.')
                continue;
            const int bad = replay_apart(path);
            if (bad)
                fprintf(stderr, "FAILED %s\n", path);
            *(bad ? &failed : &passed) += 1;
        }
        free(names);
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0;
}
