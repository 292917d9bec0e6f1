// One AVX2 instruction, for the check that code for old processors has none: there it must die.
#include <stdio.h>

int main(void)
{
    __asm__ volatile("vpaddd %%ymm0, %%ymm0, %%ymm0" ::: "xmm0");
    puts("ran an AVX2 instruction");
    return 0;
}
