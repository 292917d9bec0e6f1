// void fiber_switch(void **save_sp, void *to_sp);
//
// Saves what AAPCS64 lets a callee expect back, swaps stacks, restores the other side's.
    .text
    .globl fiber_switch
    .hidden fiber_switch
    .type fiber_switch, %function
    .p2align 4
fiber_switch:
    sub sp, sp, #160
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
    .size fiber_switch, . - fiber_switch

// The first return of a new stack: calls x20(x19), which does not come back.
    .globl fiber_entry
    .hidden fiber_entry
    .type fiber_entry, %function
    .p2align 4
fiber_entry:
    .cfi_startproc
    .cfi_undefined x30
    mov x0, x19
    mov x29, xzr
    blr x20
    brk #1
    .cfi_endproc
    .size fiber_entry, . - fiber_entry

// void *fiber_prepare(void *top, void *arg, void (*main)(void *)): the sp for a first switch.
    .globl fiber_prepare
    .hidden fiber_prepare
    .type fiber_prepare, %function
    .p2align 4
fiber_prepare:
    and x0, x0, #-16
    sub x0, x0, #160
    stp x1, x2, [x0, #0]    // x19, x20
    adr x9, fiber_entry
    stp xzr, x9, [x0, #80]  // x29, x30
    ret
    .size fiber_prepare, . - fiber_prepare

    .section .note.GNU-stack, "", %progbits
