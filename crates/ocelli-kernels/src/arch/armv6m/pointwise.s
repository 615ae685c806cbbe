@ ARMv6-M: all output channels of a 1x1 convolution for four pixels, two in a pair word; `pairs/stream.rs` has the stream.
@
@ ocelli_armv6m_pointwise_q32(r0), ocelli_armv6m_pointwise_tflite(r0)
@   r0: six words: pair words (4-aligned), stream (4-aligned), output of pixel 0, distances from it to those of pixels 1, 2 and 3.
@   Reads the stream up to its end and two pair words a weight; writes a byte a channel and pixel. Stack: 56 bytes, under
@   tflite 80.
@   Clobbers r0-r3, r12 and flags.
@
@ r3 pair words, r4 stream, r5 distance from it, r6 and r7 sums of the block, r8 and r9 sums modulo 2^32, r10 and r11 those of the high halves,
@ r12 0x8000. Stack: 0 output, 4 distances, 16 pair words.
@ Jumps are bytes, half of what is added to the program counter. Where they lead is known to `Core for Armv6m`: a step is 14 bytes, the end of
@ a block 24, the exit 40 before the steps.
    .syntax unified
    .thumb

    .macro OCELLI_STEP
    ldmia r3!, {r0, r1}
    ldrsb r2, [r4, r5]
    adds r5, #1
    muls r0, r2, r0
    muls r1, r2, r1
    add r6, r0
    add r7, r1
    .endm

    .macro OCELLI_JUMP
    ldrsb r2, [r4, r5]
    adds r5, #1
    lsls r2, r2, #1
    add pc, r2
    .endm

    .macro OCELLI_LOW high, low       @ accumulator of the low half to r0
    mov r0, \high
    lsls r1, r0, #16
    mov r0, \low
    subs r0, r0, r1
    .endm

    .macro OCELLI_Q32 label           @ r0 accumulator, r2 shift, r3 multiplier, r5 half; value to r1
    uxth r1, r0
    asrs r0, r0, #16
    muls r1, r3, r1
    lsrs r1, r1, #16
    muls r0, r3, r0
    adds r0, r0, r1
    adds r0, r0, r5
    asrs r0, r2
    sxtb r1, r0
    cmp r0, r1
    bne \label\()f
\label\()9:
    .endm

    .macro OCELLI_SATURATE label
\label:
    asrs r1, r0, #31
    movs r0, #127
    eors r1, r0
    b \label\()9b
    .endm

    .macro OCELLI_TFLITE label, slow  @ r0 accumulator, r2 shift, r3 multiplier, r5 half, r6 what is not exact; value to r1
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

    .macro OCELLI_BEGIN name
    .section .text.ocelli_armv6m_pointwise_\name,"ax",%progbits
    .balign 4
    .global ocelli_armv6m_pointwise_\name
    .type ocelli_armv6m_pointwise_\name, %function
    .thumb_func
ocelli_armv6m_pointwise_\name:
    push {r4-r7, lr}
    mov r4, r8
    mov r5, r9
    mov r6, r10
    mov r7, r11
    push {r4-r7}
    ldmia r0!, {r1-r6}
    sub sp, #20
    str r3, [sp]
    str r4, [sp, #4]
    str r5, [sp, #8]
    str r6, [sp, #12]
    str r1, [sp, #16]
    mov r4, r2
    movs r0, #1
    lsls r0, r0, #15
    mov r12, r0
    b 2f
1:  add sp, #20                       @ exit
    pop {r4-r7}
    mov r8, r4
    mov r9, r5
    mov r10, r6
    mov r11, r7
    pop {r4-r7, pc}
2:  ldmia r4!, {r0, r1}               @ next channel
    mov r8, r0
    mov r9, r0
    mov r10, r1
    mov r11, r1
    ldr r3, [sp, #16]
    mov r6, r12
    mov r7, r12
    movs r5, #0
    OCELLI_JUMP
    .rept 12
    OCELLI_STEP
    .endr
    add r8, r6
    add r9, r7
    asrs r6, r6, #16
    asrs r7, r7, #16
    add r10, r6
    add r11, r7
    mov r6, r12
    mov r7, r12
    OCELLI_JUMP
    adds r5, #1                       @ padding
    adds r5, #1
    adds r5, #1
    adds r4, r4, r5                   @ requantization
    .endm

    OCELLI_BEGIN q32
    ldmia r4!, {r2, r3, r5}
    ldr r6, [sp]
    mov r0, r11
    OCELLI_Q32 31
    ldr r7, [sp, #12]
    strb r1, [r6, r7]
    OCELLI_LOW r11, r9
    OCELLI_Q32 32
    ldr r7, [sp, #8]
    strb r1, [r6, r7]
    mov r0, r10
    OCELLI_Q32 33
    ldr r7, [sp, #4]
    strb r1, [r6, r7]
    OCELLI_LOW r10, r8
    OCELLI_Q32 34
    strb r1, [r6]
    adds r6, #1
    str r6, [sp]
    b 2b
    OCELLI_SATURATE 31
    OCELLI_SATURATE 32
    OCELLI_SATURATE 33
    OCELLI_SATURATE 34
    .size ocelli_armv6m_pointwise_q32, . - ocelli_armv6m_pointwise_q32

    OCELLI_BEGIN tflite
    ldmia r4!, {r2, r3, r5, r6, r7}
    mov r0, r11
    OCELLI_TFLITE 31, 41
    ldr r0, [sp]
    ldr r7, [sp, #12]
    strb r1, [r0, r7]
    OCELLI_LOW r11, r9
    OCELLI_TFLITE 32, 42
    ldr r0, [sp]
    ldr r7, [sp, #8]
    strb r1, [r0, r7]
    mov r0, r10
    OCELLI_TFLITE 33, 43
    ldr r0, [sp]
    ldr r7, [sp, #4]
    strb r1, [r0, r7]
    OCELLI_LOW r10, r8
    OCELLI_TFLITE 34, 44
    ldr r0, [sp]
    strb r1, [r0]
    adds r0, #1
    str r0, [sp]
    b 2b
    OCELLI_SATURATE 31
    OCELLI_SATURATE 32
    OCELLI_SATURATE 33
    OCELLI_SATURATE 34
41: mov r0, r11
    bl ocelli_armv6m_tflite
    b 319b
42: OCELLI_LOW r11, r9
    bl ocelli_armv6m_tflite
    b 329b
43: mov r0, r10
    bl ocelli_armv6m_tflite
    b 339b
44: OCELLI_LOW r10, r8
    bl ocelli_armv6m_tflite
    b 349b
    .size ocelli_armv6m_pointwise_tflite, . - ocelli_armv6m_pointwise_tflite
