@ ARMv6-M: one channel of a depthwise 3x3 convolution, two output rows at once, from columns of three pair words.
@
@ ocelli_armv6m_taps_STRIDE_BLOCKS_RULE(r0): STRIDE 1 or 2 columns an output; BLOCKS 3: sums are split after each column of taps, 5: after
@ each two taps; RULE q32 or tflite.
@   r0: six words: pair words of the first column (4-aligned), the channel's parameters (4-aligned, `pairs/depthwise.rs` has them), output
@   (4-aligned), bytes from the first output to the second, from the second to the third and so on in turns, where r7 is in the end.
@   Reads columns up to that end. Stack: 108 bytes, under tflite 136. Clobbers r0-r3, r12 and flags.
@
@ r4 sum of the block, r5 sum modulo 2^32, r6 sum of high halves, r7 pair words, r8-r12 and r14 weights 0 to 5.
@ Stack: 0 weights 6 to 8, 12 start of r5, 16 start of r6, 20 requantization (3 or 5 words), 40 0x8000, 44 output, 48 and 52 steps, 56 end,
@ 60 the low value, 64 r7 (under tflite).
    .syntax unified
    .thumb

    .macro OCELLI_SPLIT
    adds r5, r5, r4
    asrs r4, r4, #16
    adds r6, r6, r4
    .endm

    .macro OCELLI_TAP word, weight
    mov r3, \weight
    muls \word, r3, \word
    adds r4, r4, \word
    .endm

    .macro OCELLI_LAST_TAP word, at
    ldr r3, [sp, #\at]
    muls \word, r3, \word
    adds r4, r4, \word
    .endm

    .macro OCELLI_TAPS_Q32 label           @ r0 accumulator, r2 shift, r3 multiplier, r4 half; value to r1
    uxth r1, r0
    asrs r0, r0, #16
    muls r1, r3, r1
    lsrs r1, r1, #16
    muls r0, r3, r0
    adds r0, r0, r1
    adds r0, r0, r4
    asrs r0, r2
    sxtb r1, r0
    cmp r0, r1
    bne \label\()f
\label\()9:
    .endm

    .macro OCELLI_TAPS_SATURATE label
\label:
    asrs r1, r0, #31
    movs r0, #127
    eors r1, r0
    b \label\()9b
    .endm

    .macro OCELLI_TAPS_TFLITE label, slow, high  @ r0 accumulator, r2 shift, r3 multiplier, r5 half, r6 what is not exact; value to r1
    mov r4, r0
    uxth r1, r0
    asrs r0, r0, #16
    muls r1, r3, r1
    lsrs r1, r1, #16
    muls r0, r3, r0
    adds r0, r0, r1
    adds r0, r0, r5
    mov r7, r0
    rors r7, r2
    cmp r7, r6
    bls \slow\()f
    asrs r0, r2
    sxtb r1, r0
    cmp r0, r1
    bne \label\()f
\label\()9:
    .endm

    .macro OCELLI_TAPS_SLOW label, slow
\slow:
    mov r0, r4
    add r4, sp, #40                   @ the end of the requantization's words
    mov r7, r14
    push {r7}
    bl ocelli_armv6m_tflite
    pop {r7}
    mov r14, r7
    b \label\()9b
    .endm

    .macro OCELLI_OUTPUT stride, blocks, rule, which
    ldr r4, [sp, #40]
    ldr r5, [sp, #12]
    ldr r6, [sp, #16]
    ldmia r7!, {r0-r2}
    OCELLI_TAP r0, r8
    OCELLI_TAP r1, r9
    .if \blocks == 5
    OCELLI_SPLIT
    ldr r4, [sp, #40]
    .endif
    OCELLI_TAP r2, r10
    .if \blocks == 3
    OCELLI_SPLIT
    ldr r4, [sp, #40]
    .endif
    ldmia r7!, {r0-r2}
    OCELLI_TAP r0, r11
    .if \blocks == 5
    OCELLI_SPLIT
    ldr r4, [sp, #40]
    .endif
    OCELLI_TAP r1, r12
    OCELLI_TAP r2, r14
    OCELLI_SPLIT
    ldr r4, [sp, #40]
    ldmia r7!, {r0-r2}
    OCELLI_LAST_TAP r0, 0
    OCELLI_LAST_TAP r1, 4
    .if \blocks == 5
    OCELLI_SPLIT
    ldr r4, [sp, #40]
    .endif
    OCELLI_LAST_TAP r2, 8
    OCELLI_SPLIT
    subs r7, #36 - 12 * \stride
    lsls r0, r6, #16
    subs r0, r5, r0
    .ifc \rule, q32
    ldr r2, [sp, #20]
    ldr r3, [sp, #24]
    ldr r4, [sp, #28]
    OCELLI_TAPS_Q32 3\which\()1
    mov r5, r1
    mov r0, r6
    OCELLI_TAPS_Q32 3\which\()2
    .else
    str r7, [sp, #64]
    str r6, [sp, #60]
    ldr r2, [sp, #20]
    ldr r3, [sp, #24]
    ldr r5, [sp, #28]
    ldr r6, [sp, #32]
    OCELLI_TAPS_TFLITE 3\which\()1, 4\which\()1
    ldr r0, [sp, #60]
    str r1, [sp, #60]
    OCELLI_TAPS_TFLITE 3\which\()2, 4\which\()2
    ldr r5, [sp, #60]
    ldr r7, [sp, #64]
    .endif
    lsls r1, r1, #16
    adds r1, r1, r5
    ldr r0, [sp, #44]
    str r1, [r0]
    ldr r1, [sp, #44 + 4 * \which]
    adds r0, r0, r1
    str r0, [sp, #44]
    ldr r0, [sp, #56]
    cmp r7, r0
    .endm

    .macro OCELLI_OUT_OF_LINE rule, which
    OCELLI_TAPS_SATURATE 3\which\()1
    OCELLI_TAPS_SATURATE 3\which\()2
    .ifc \rule, tflite
    OCELLI_TAPS_SLOW 3\which\()1, 4\which\()1
    OCELLI_TAPS_SLOW 3\which\()2, 4\which\()2
    .endif
    .endm

    .macro OCELLI_TAPS stride, blocks, rule
    .section .text.ocelli_armv6m_taps_\stride\()_\blocks\()_\rule,"ax",%progbits
    .balign 4
    .global ocelli_armv6m_taps_\stride\()_\blocks\()_\rule
    .type ocelli_armv6m_taps_\stride\()_\blocks\()_\rule, %function
    .thumb_func
ocelli_armv6m_taps_\stride\()_\blocks\()_\rule:
    push {r4-r7, lr}
    mov r4, r8
    mov r5, r9
    mov r6, r10
    mov r7, r11
    push {r4-r7}
    sub sp, #72
    ldmia r0!, {r1-r6}
    str r3, [sp, #44]
    str r4, [sp, #48]
    str r5, [sp, #52]
    str r6, [sp, #56]
    mov r7, r1
    movs r0, #1
    lsls r0, r0, #15
    str r0, [sp, #40]
    ldmia r2!, {r0, r1, r3}
    mov r8, r0
    mov r9, r1
    mov r10, r3
    ldmia r2!, {r0, r1, r3}
    mov r11, r0
    mov r12, r1
    mov r14, r3
    ldmia r2!, {r0, r1, r3, r4, r5}
    mov r6, sp
    stmia r6!, {r0, r1, r3, r4, r5}
    .ifc \rule, q32
    ldmia r2!, {r0, r1, r3}
    stmia r6!, {r0, r1, r3}
    .else
    ldmia r2!, {r0, r1, r3, r4, r5}
    stmia r6!, {r0, r1, r3, r4, r5}
    .endif
1:  OCELLI_OUTPUT \stride, \blocks, \rule, 1
    bne 2f
    b 5f
    OCELLI_OUT_OF_LINE \rule, 1
2:  OCELLI_OUTPUT \stride, \blocks, \rule, 2
    beq 5f
    b 1b
    OCELLI_OUT_OF_LINE \rule, 2
5:  add sp, #72
    pop {r4-r7}
    mov r8, r4
    mov r9, r5
    mov r10, r6
    mov r11, r7
    pop {r4-r7, pc}
    .size ocelli_armv6m_taps_\stride\()_\blocks\()_\rule, . - ocelli_armv6m_taps_\stride\()_\blocks\()_\rule
    .endm

    OCELLI_TAPS 1, 3, q32
    OCELLI_TAPS 1, 5, q32
    OCELLI_TAPS 2, 3, q32
    OCELLI_TAPS 2, 5, q32
    OCELLI_TAPS 1, 3, tflite
    OCELLI_TAPS 1, 5, tflite
    OCELLI_TAPS 2, 3, tflite
    OCELLI_TAPS 2, 5, tflite
