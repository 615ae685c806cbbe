@ ARMv7-M: one channel of a depthwise 3x3 convolution, two output rows at once, from columns of three pair words.
@
@ ocelli_armv7m_taps_STRIDE_BLOCKS_RULE(r0): STRIDE 1 or 2 columns an output; BLOCKS 3: sums are split after each column of taps, 5: after
@ each two taps; RULE q32 or tflite.
@   r0: six words: pair words of the first column (4-aligned), the channel's parameters (4-aligned, `pairs/depthwise.rs` has them), output
@   (4-aligned), bytes from the first output to the second, from the second to the third and so on in turns, where r6 is in the end.
@   Reads columns up to that end. Stack: 72 bytes. Clobbers r0-r3, r12 and flags.
@
@ Stack: requantization; then (from FRAME on, 4 under q32, 12 under tflite) step, output, step, the two sums' starts, end.
@ r3 sum of the block, r4 sum of high halves, r5 sum modulo 2^32, r6 pair words, r7 weights 6 to 8, r8-r10 weights 0 to 2.
    .syntax unified
    .thumb

    .macro OCELLI_SPLIT
    add r5, r3
    add.w r4, r4, r3, asr #16
    .endm

    .macro OCELLI_COLUMN_OF_WORDS stride, column
    .if \stride == 1
    .if \column == 0
    ldmdb r6, {r0-r2}
    .elseif \column == 1
    ldmia r6!, {r0-r2}
    .else
    ldm.w r6, {r0-r2}
    .endif
    .elseif \column == 2
    ldm.w r6, {r0-r2}
    .else
    ldmia r6!, {r0-r2}
    .endif
    .endm

    .macro OCELLI_OUTPUT stride, blocks, rule, frame, which
    ldrd r5, r4, [sp, #\frame + 12]
    OCELLI_COLUMN_OF_WORDS \stride, 0
    mov r3, #0x8000
    mla r3, r0, r8, r3
    mla r3, r1, r9, r3
    .if \blocks == 5
    OCELLI_SPLIT
    mov r3, #0x8000
    .endif
    mla r3, r2, r10, r3
    .if \blocks == 3
    OCELLI_SPLIT
    mov r3, #0x8000
    .endif
    ldmdb r7, {r11, r12, r14}
    OCELLI_COLUMN_OF_WORDS \stride, 1
    mla r3, r0, r11, r3
    .if \blocks == 5
    OCELLI_SPLIT
    mov r3, #0x8000
    .endif
    mla r3, r1, r12, r3
    mla r3, r2, r14, r3
    OCELLI_SPLIT
    mov r3, #0x8000
    ldm.w r7, {r11, r12, r14}
    OCELLI_COLUMN_OF_WORDS \stride, 2
    mla r3, r0, r11, r3
    mla r3, r1, r12, r3
    .if \blocks == 5
    OCELLI_SPLIT
    mov r3, #0x8000
    .endif
    mla r3, r2, r14, r3
    OCELLI_SPLIT
    sub.w r5, r5, r4, lsl #16
    .ifc \rule, q32
    ldm.w sp, {r2, r11, r12, r14}     @ multiplier, step, output, step
    smull r0, r1, r5, r2
    add.w r1, r1, r0, lsr #31
    ssat r5, #8, r1
    smull r0, r1, r4, r2
    add.w r1, r1, r0, lsr #31
    ssat r1, #8, r1
    add.w r1, r5, r1, lsl #16
    .if \which == 1
    str.w r1, [r12]
    add r12, r11
    .else
    str.w r1, [r12]
    add r12, r14
    .endif
    str.w r12, [sp, #8]
    .else
    ldm.w sp, {r2, r11, r12}          @ half, multiplier, shift
    and.w r0, r5, #0x80000000
    orr.w r0, r0, #0x40000000
    add.w r1, r2, r5, asr #31
    smlal r0, r1, r5, r11
    asr.w r1, r1, r12
    ssat r5, #8, r1
    and.w r0, r4, #0x80000000
    orr.w r0, r0, #0x40000000
    add.w r1, r2, r4, asr #31
    smlal r0, r1, r4, r11
    asr.w r1, r1, r12
    ssat r1, #8, r1
    add.w r1, r5, r1, lsl #16
    .if \which == 1
    ldrd r11, r2, [sp, #12]
    .else
    ldrd r2, r11, [sp, #16]
    .endif
    str r1, [r2]
    add r2, r11
    str r2, [sp, #16]
    .endif
    ldr r0, [sp, #\frame + 20]
    cmp r6, r0
    .endm

    .macro OCELLI_TAPS stride, blocks, rule, frame
    .section .text.ocelli_armv7m_taps_\stride\()_\blocks\()_\rule,"ax",%progbits
    .balign 4
    .global ocelli_armv7m_taps_\stride\()_\blocks\()_\rule
    .type ocelli_armv7m_taps_\stride\()_\blocks\()_\rule, %function
    .thumb_func
ocelli_armv7m_taps_\stride\()_\blocks\()_\rule:
    push {r4-r11, lr}
    ldm r0, {r1-r6}
    sub sp, #36
    str r4, [sp, #\frame]
    str r3, [sp, #\frame + 4]
    str r5, [sp, #\frame + 8]
    str r6, [sp, #\frame + 20]
    .if \stride == 1
    add.w r6, r1, #12
    .else
    mov r6, r1
    .endif
    ldmia r2!, {r8-r10}
    add.w r7, r2, #12
    add.w r2, r2, #24
    ldmia r2!, {r0, r1}
    strd r0, r1, [sp, #\frame + 12]
    .ifc \rule, q32
    ldr r0, [r2]
    str r0, [sp]
    .else
    ldmia r2!, {r0, r1, r3}
    stm.w sp, {r0, r1, r3}
    .endif
1:  OCELLI_OUTPUT \stride, \blocks, \rule, \frame, 1
    beq.w 2f
    OCELLI_OUTPUT \stride, \blocks, \rule, \frame, 2
    bne.w 1b
2:  add sp, #36
    pop {r4-r11, pc}
    .size ocelli_armv7m_taps_\stride\()_\blocks\()_\rule, . - ocelli_armv7m_taps_\stride\()_\blocks\()_\rule
    .endm

    OCELLI_TAPS 1, 3, q32, 4
    OCELLI_TAPS 1, 5, q32, 4
    OCELLI_TAPS 2, 3, q32, 4
    OCELLI_TAPS 2, 5, q32, 4
    OCELLI_TAPS 1, 3, tflite, 12
    OCELLI_TAPS 1, 5, tflite, 12
    OCELLI_TAPS 2, 3, tflite, 12
    OCELLI_TAPS 2, 5, tflite, 12
