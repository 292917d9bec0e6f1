// Leaks, so that a test can see that leaks are reported.
#include <stdio.h>
#include <stdlib.h>

static char *volatile lost;

// Several, and not in main's own frame: a stale pointer in a register would keep one of them.
static __attribute__((noinline)) void leak(size_t n)
{
    for (size_t i = 0; i < 100; i++) {
        lost = malloc(n + i);
        lost[0] = 'x';
    }
    lost = NULL;
}

int main(void)
{
    leak(64);
    puts("leaked on purpose");
    return 0;
}
