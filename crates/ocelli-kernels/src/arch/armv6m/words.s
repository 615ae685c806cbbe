@ ARMv6-M: pair words from maps.
    .syntax unified
    .thumb

@ ocelli_armv6m_widen(r0, r1, r2): two pair words for each value of four slices.
@   r0: addresses of the slices; r1: pair words (4-aligned); r2: values of a slice, at least 1.
@   Stack: 20 bytes. Clobbers r0-r3 and flags.
    .section .text.ocelli_armv6m_widen,"ax",%progbits
    .balign 4
    .global ocelli_armv6m_widen
    .type ocelli_armv6m_widen, %function
    .thumb_func
ocelli_armv6m_widen:
    push {r4-r7, lr}
    mov r7, r1
    mov r4, r2
    ldmia r0!, {r1, r2, r3}
    ldr r0, [r0]
    adds r0, r0, r4                   @ ends of the slices, and the negative distance to them
    adds r1, r1, r4
    adds r2, r2, r4
    adds r3, r3, r4
    rsbs r4, r4, #0
1:  ldrsb r5, [r1, r4]
    ldrsb r6, [r2, r4]
    lsls r6, r6, #16
    adds r5, r5, r6
    stmia r7!, {r5}
    ldrsb r5, [r3, r4]
    ldrsb r6, [r0, r4]
    lsls r6, r6, #16
    adds r5, r5, r6
    stmia r7!, {r5}
    adds r4, #1
    bne 1b
    pop {r4-r7, pc}
    .size ocelli_armv6m_widen, . - ocelli_armv6m_widen

@ ocelli_armv6m_columns_1(r0, r1, r2, r3), ocelli_armv6m_columns_2: three pair words for each column of a channel, of 4 rows at a vertical
@ stride of 1 or of 5 at 2.
@   r0: addresses of the rows at the first column; r1: pair words (4-aligned); r2: bytes of all columns, at least 1; r3: bytes from a column
@   to the next. Stack: 36 bytes. Clobbers r0-r3 and flags.
    .macro OCELLI_COLUMNS stride
    .section .text.ocelli_armv6m_columns_\stride,"ax",%progbits
    .balign 4
    .global ocelli_armv6m_columns_\stride
    .type ocelli_armv6m_columns_\stride, %function
    .thumb_func
ocelli_armv6m_columns_\stride:
    push {r4-r7, lr}
    mov r4, r8
    mov r5, r9
    mov r6, r10
    mov r7, r11
    push {r4-r7}
    mov r5, r1
    mov r9, r3
    mov r10, r2
    ldmia r0!, {r1, r2, r3, r6, r7}
    mov r0, r6
    mov r11, r7
    movs r4, #0
1:  ldrsb r6, [r1, r4]
    .if \stride == 1
    ldrsb r7, [r2, r4]
    mov r8, r7
    lsls r7, r7, #16
    adds r6, r6, r7
    str r6, [r5]
    ldrsb r6, [r3, r4]
    lsls r7, r6, #16
    add r7, r8
    str r7, [r5, #4]
    ldrsb r7, [r0, r4]
    lsls r7, r7, #16
    adds r7, r7, r6
    str r7, [r5, #8]
    .else
    ldrsb r7, [r3, r4]
    mov r8, r7
    lsls r7, r7, #16
    adds r6, r6, r7
    str r6, [r5]
    ldrsb r6, [r2, r4]
    ldrsb r7, [r0, r4]
    lsls r7, r7, #16
    adds r6, r6, r7
    str r6, [r5, #4]
    mov r6, r11
    ldrsb r6, [r6, r4]
    lsls r6, r6, #16
    add r6, r8
    str r6, [r5, #8]
    .endif
    adds r5, #12
    add r4, r9
    cmp r4, r10
    bne 1b
    pop {r4-r7}
    mov r8, r4
    mov r9, r5
    mov r10, r6
    mov r11, r7
    pop {r4-r7, pc}
    .size ocelli_armv6m_columns_\stride, . - ocelli_armv6m_columns_\stride
    .endm

    OCELLI_COLUMNS 1
    OCELLI_COLUMNS 2
