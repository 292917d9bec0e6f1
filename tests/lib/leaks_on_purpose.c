// Leaks, so that a test can see that leaks are reported.
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    char *volatile lost = malloc(64);
    lost[0] = 'x';
    lost = NULL;
    puts("leaked 64 bytes on purpose");
    return 0;
}
