@ ARMv7-M: all output channels of a 1x1 convolution for four pixels, two in a pair word; `pairs/stream.rs` has the stream.
@
@ ocelli_armv7m_pointwise_q32(r0), ocelli_armv7m_pointwise_tflite(r0)
@   r0: six words: pair words (4-aligned), stream (4-aligned), output of pixel 0, distances from it to those of pixels 1, 2 and 3.
@   Reads the stream up to its end and two pair words a weight; writes a byte a channel and pixel. Stack: 56 bytes.
@   Clobbers r0-r3, r12 and flags.
@
@ r6 pair words, r7 stream, r8 and r9 sums of the block, r10 and r11 sums modulo 2^32, r12 and r14 those of the high halves.
@ Stack: 0 output, 4 distances, 16 pair words.
@ Jumps are halfwords added to the program counter. Where they lead is known to `Core for Armv7m`: `.w` fixes sizes: a step is 26 bytes, the
@ end of a block 26, and from 2: to the base of jumps after a block are LEAVE.
    .syntax unified
    .thumb

    .macro OCELLI_STEP
    ldmia r6!, {r0-r3}
    ldrsb.w r4, [r7], #1
    ldrsb.w r5, [r7], #1
    mla r8, r0, r4, r8
    mla r9, r1, r4, r9
    mla r8, r2, r5, r8
    mla r9, r3, r5, r9
    .endm

    .macro OCELLI_Q32 sum             @ r3 multiplier, value to r1
    smull r0, r1, \sum, r3
    add.w r1, r1, r0, lsr #31
    ssat r1, #8, r1
    .endm

    .macro OCELLI_TFLITE sum          @ r2 half, r3 multiplier, r9 shift, value to r1
    and.w r0, \sum, #0x80000000
    orr.w r0, r0, #0x40000000
    add.w r1, r2, \sum, asr #31
    smlal r0, r1, \sum, r3
    asr.w r1, r1, r9
    ssat r1, #8, r1
    .endm

    .macro OCELLI_POINTWISE name, rule
    .section .text.ocelli_armv7m_pointwise_\name,"ax",%progbits
    .balign 4
    .global ocelli_armv7m_pointwise_\name
    .type ocelli_armv7m_pointwise_\name, %function
    .thumb_func
ocelli_armv7m_pointwise_\name:
    push {r4-r11, lr}
    ldm r0, {r1-r6}
    mov r7, r2
    push {r1}
    push {r3-r6}
    b.w 3f
1:  adds r7, #2                       @ padding
2:  sub.w r10, r10, r12, lsl #16      @ the low halves
    sub.w r11, r11, r14, lsl #16
    .ifc \rule, OCELLI_Q32
    ldr.w r3, [r7], #4
    .else
    ldmia.w r7!, {r2, r3, r9}
    .endif
    ldm.w sp, {r4, r5, r6, r8}
    \rule r14
    strb.w r1, [r4, r8]
    \rule r11
    strb r1, [r4, r6]
    \rule r12
    strb r1, [r4, r5]
    \rule r10
    strb.w r1, [r4], #1
    str r4, [sp]
3:  ldmia.w r7!, {r10, r12}           @ next channel
    ldr r6, [sp, #16]
    mov r11, r10
    mov r14, r12
    mov.w r8, #0x8000
    mov.w r9, #0x8000
    ldrsh.w r4, [r7], #2
    add pc, r4
    .rept 8
    OCELLI_STEP
    .endr
    add r10, r8
    add.w r12, r12, r8, asr #16
    mov.w r8, #0x8000
    add r11, r9
    add.w r14, r14, r9, asr #16
    mov.w r9, #0x8000
    ldrsh.w r4, [r7], #2
    add pc, r4
    add sp, #20
    pop {r4-r11, pc}
    .size ocelli_armv7m_pointwise_\name, . - ocelli_armv7m_pointwise_\name
    .endm

    OCELLI_POINTWISE q32, OCELLI_Q32
    OCELLI_POINTWISE tflite, OCELLI_TFLITE
