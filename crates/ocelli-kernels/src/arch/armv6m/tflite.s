@ ARMv6-M: TFLite's rule where the fast way would not be exact: 32 x 31 bits, both roundings.
@
@ ocelli_armv6m_tflite
@   r0 accumulator, r2 right shift, r4 end of the requantization's words, whose last is the multiplier, r5 and r6 two others of them
@   (`armv6m/requantize.rs`). Value to r1; r2 to r6 are as before. Clobbers r0, r7 and flags. Stack: 24 bytes.
    .syntax unified
    .thumb
    .section .text.ocelli_armv6m_tflite,"ax",%progbits
    .balign 4
    .global ocelli_armv6m_tflite
    .type ocelli_armv6m_tflite, %function
    .thumb_func
ocelli_armv6m_tflite:
    push {r2-r6, lr}
    subs r4, #4
    ldr r4, [r4]
    lsrs r3, r4, #16
    uxth r4, r4
    uxth r1, r0
    asrs r0, r0, #16
    mov r6, r1
    muls r6, r4, r6                   @ low x low
    muls r1, r3, r1                   @ low x high
    muls r4, r0, r4                   @ high x low
    muls r0, r3, r0                   @ high x high
    lsrs r7, r6, #16
    uxth r6, r6
    uxth r3, r1
    adds r7, r7, r3
    uxth r3, r4
    adds r7, r7, r3
    lsrs r1, r1, #16
    adds r0, r0, r1
    asrs r4, r4, #16
    adds r0, r0, r4
    lsrs r1, r7, #16
    adds r0, r0, r1                   @ high word
    lsls r7, r7, #16
    orrs r7, r6                       @ low word
    lsls r7, r7, #1
    adcs r0, r0
    lsrs r7, r7, #31
    adds r0, r0, r7                   @ first rounding
    cmp r2, #0
    beq 1f
    asrs r1, r0, #31
    adds r0, r0, r1
1:  adds r0, r0, r5
    ldr r6, [sp, #16]
    adds r6, #1
    movs r1, #33
    subs r1, r1, r2
    lsrs r6, r1
    subs r0, r0, r6
    asrs r0, r2                       @ second rounding
    sxtb r1, r0
    cmp r0, r1
    beq 2f
    asrs r1, r0, #31
    movs r0, #127
    eors r1, r0
2:  pop {r2-r6, pc}
    .size ocelli_armv6m_tflite, . - ocelli_armv6m_tflite
