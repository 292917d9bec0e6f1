// void fiber_switch(void **save_sp, void *to_sp);
//
// Pushes what the System V ABI lets a callee expect back, swaps stacks, pops the other side's.
// The floating-point control words are left alone: nothing here changes them.
    .text
    .globl fiber_switch
    .hidden fiber_switch
    .type fiber_switch, @function
    .p2align 4
fiber_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size fiber_switch, . - fiber_switch

// The first return of a new stack: calls %r13(%r12), which does not come back.
    .globl fiber_entry
    .hidden fiber_entry
    .type fiber_entry, @function
    .p2align 4
fiber_entry:
    .cfi_startproc
    .cfi_undefined rip
    movq %r12, %rdi
    xorl %ebp, %ebp
    callq *%r13
    ud2
    .cfi_endproc
    .size fiber_entry, . - fiber_entry

// void *fiber_prepare(void *top, void *arg, void (*main)(void *)): the sp for a first switch.
    .globl fiber_prepare
    .hidden fiber_prepare
    .type fiber_prepare, @function
    .p2align 4
fiber_prepare:
    andq $-16, %rdi
    leaq -72(%rdi), %rax
    movq $0, 0(%rax)       // r15
    movq $0, 8(%rax)       // r14
    movq %rdx, 16(%rax)    // r13
    movq %rsi, 24(%rax)    // r12
    movq $0, 32(%rax)      // rbx
    movq $0, 40(%rax)      // rbp
    leaq fiber_entry(%rip), %rcx
    movq %rcx, 48(%rax)    // where ret goes, with the stack at a multiple of 16
    ret
    .size fiber_prepare, . - fiber_prepare

    .section .note.GNU-stack, "", @progbits
