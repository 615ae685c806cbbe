@ ARMv7-M: pair words from maps.
    .syntax unified
    .thumb

@ ocelli_armv7m_widen(r0, r1, r2): two pair words for each value of four slices.
@   r0: addresses of the slices; r1: pair words (4-aligned); r2: values of a slice.
@   Stack: 32 bytes. Clobbers r0-r3, r12 and flags.
    .macro OCELLI_WIDEN
    ldrsb r7, [r3], #1
    ldrsb r8, [r4], #1
    ldrsb r9, [r5], #1
    ldrsb r10, [r6], #1
    ldrsb r0, [r3], #1
    ldrsb r14, [r4], #1
    add.w r7, r7, r8, lsl #16
    add.w r8, r9, r10, lsl #16
    ldrsb r10, [r5], #1
    add.w r9, r0, r14, lsl #16
    ldrsb r0, [r6], #1
    add.w r10, r10, r0, lsl #16
    stmia r1!, {r7-r10}
    .endm

    .section .text.ocelli_armv7m_widen,"ax",%progbits
    .balign 4
    .global ocelli_armv7m_widen
    .type ocelli_armv7m_widen, %function
    .thumb_func
ocelli_armv7m_widen:
    push {r4-r10, lr}
    ldm r0, {r3-r6}
    lsrs r2, r2, #1
    bcc 1f
    ldrsb r7, [r3], #1
    ldrsb r8, [r4], #1
    ldrsb r9, [r5], #1
    ldrsb r10, [r6], #1
    add.w r7, r7, r8, lsl #16
    add.w r8, r9, r10, lsl #16
    stmia r1!, {r7, r8}
1:  lsrs r2, r2, #1
    bcc 2f
    OCELLI_WIDEN
2:  cbz r2, 4f
3:  OCELLI_WIDEN
    OCELLI_WIDEN
    subs r2, #1
    bne 3b
4:  pop {r4-r10, pc}
    .size ocelli_armv7m_widen, . - ocelli_armv7m_widen

@ ocelli_armv7m_columns_1(r0, r1, r2, r3), ocelli_armv7m_columns_2: three pair words for each column of a channel, of 4 rows at a vertical
@ stride of 1 or of 5 at 2.
@   r0: addresses of the rows at the first column; r1: pair words (4-aligned); r2: columns; r3: bytes from a column to the next.
@   Stack: 36 bytes. Clobbers r0-r3, r12 and flags.
    .macro OCELLI_COLUMN_1
    ldrsb r8, [r4, r0]
    ldrsb r9, [r5, r0]
    ldrsb r10, [r6, r0]
    ldrsb r11, [r7, r0]
    add r0, r3
    add.w r8, r8, r9, lsl #16
    add.w r9, r9, r10, lsl #16
    add.w r10, r10, r11, lsl #16
    stmia r1!, {r8-r10}
    .endm

    .macro OCELLI_COLUMN_2
    ldrsb r8, [r4, r0]
    ldrsb r9, [r5, r0]
    ldrsb r10, [r6, r0]
    ldrsb r11, [r7, r0]
    ldrsb r14, [r12, r0]
    add r0, r3
    add.w r8, r8, r10, lsl #16
    add.w r9, r9, r11, lsl #16
    add.w r10, r10, r14, lsl #16
    stmia r1!, {r8-r10}
    .endm

    .macro OCELLI_COLUMNS stride
    .section .text.ocelli_armv7m_columns_\stride,"ax",%progbits
    .balign 4
    .global ocelli_armv7m_columns_\stride
    .type ocelli_armv7m_columns_\stride, %function
    .thumb_func
ocelli_armv7m_columns_\stride:
    push {r4-r11, lr}
    ldm r0, {r4-r7, r12}
    movs r0, #0
    lsrs r2, r2, #1
    bcc 1f
    OCELLI_COLUMN_\stride
1:  cbz r2, 3f
2:  OCELLI_COLUMN_\stride
    OCELLI_COLUMN_\stride
    subs r2, #1
    bne 2b
3:  pop {r4-r11, pc}
    .size ocelli_armv7m_columns_\stride, . - ocelli_armv7m_columns_\stride
    .endm

    OCELLI_COLUMNS 1
    OCELLI_COLUMNS 2
