# RV32IM: all output channels of a 1x1 convolution for four pixels, two in a pair word; `pairs/stream.rs` has the stream.
#
# ocelli_rv32_pointwise_q32(a0), ocelli_rv32_pointwise_tflite(a0)
#   a0: seven words: pair words (4-aligned), stream (4-aligned), output of pixel 0, distances from it to those of pixels 1, 2 and 3, channels
#   (at least 1). Reads as many channels of the stream and two pair words a weight; writes a byte a channel and pixel.
#   Stack: 32 bytes. Clobbers t0-t6 and a0-a7.
#
# a1 pair words, a2 last byte read of the stream, a3 0x8000, a4 end of the steps, a5 channels left, a6 pair words' start, a7 28,
# t0 and t1 sums of the block, s0 and s1 sums modulo 2^32, s2 and s3 those of the high halves, s4 output, s5-s7 distances.
# A jump is a number of steps, 28 bytes each, or -4 and the padding before a channel's requantization.

    .macro OCELLI_STEP k
    lw t2, -8 * \k(a1)
    lw t3, -8 * \k + 4(a1)
    lb t4, 1 - \k(a2)
    mul t2, t2, t4
    mul t3, t3, t4
    add t0, t0, t2
    add t1, t1, t3
    .endm

    .macro OCELLI_JUMP
    lb t4, 1(a2)
    bltz t4, 5f
    mul t2, t4, a7
    slli t3, t4, 3
    add a1, a1, t3
    add a2, a2, t4
    addi a2, a2, 1
    sub t2, a4, t2
    jr t2
    .endm

    .macro OCELLI_STORE distance      # t4 value
    addi t5, t4, 128
    srli t5, t5, 8
    beqz t5, 7f
    srai t4, t4, 31
    xori t4, t4, 127
7:  add t5, s4, \distance
    sb t4, 0(t5)
    .endm

    .macro OCELLI_Q32 sum, distance   # t1 multiplier
    mul t3, \sum, t1
    mulh t4, \sum, t1
    srli t3, t3, 31
    add t4, t4, t3
    OCELLI_STORE \distance
    .endm

    .macro OCELLI_TFLITE sum, distance  # t0 half, t1 multiplier, t2 shift
    srai t5, \sum, 31
    slli t6, t5, 31
    or t6, t6, a0
    mul t3, \sum, t1
    mulh t4, \sum, t1
    add t3, t3, t6
    sltu t3, t3, t6
    add t4, t4, t0
    add t4, t4, t5
    add t4, t4, t3
    sra t4, t4, t2
    OCELLI_STORE \distance
    .endm

    .macro OCELLI_POINTWISE name, rule, words
    .section .text.ocelli_rv32_pointwise_\name,"ax",%progbits
    .option push
    .option norvc
    .option arch, +m
    .balign 4
    .global ocelli_rv32_pointwise_\name
    .type ocelli_rv32_pointwise_\name, %function
ocelli_rv32_pointwise_\name:
    addi sp, sp, -32
    sw s0, 0(sp)
    sw s1, 4(sp)
    sw s2, 8(sp)
    sw s3, 12(sp)
    sw s4, 16(sp)
    sw s5, 20(sp)
    sw s6, 24(sp)
    sw s7, 28(sp)
    lw a6, 0(a0)
    lw a2, 4(a0)
    lw s4, 8(a0)
    lw s5, 12(a0)
    lw s6, 16(a0)
    lw s7, 20(a0)
    lw a5, 24(a0)
    lui a3, 8
    lui a0, 0x40000
    li a7, 28
    lla a4, 4f
2:  lw s0, 0(a2)                      # next channel
    lw s2, 4(a2)
    addi a2, a2, 7
    mv a1, a6
    mv s1, s0
    mv s3, s2
    mv t0, a3
    mv t1, a3
    OCELLI_JUMP
    .irp k, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1
    OCELLI_STEP \k
    .endr
4:  add s0, s0, t0
    srai t0, t0, 16
    add s2, s2, t0
    mv t0, a3
    add s1, s1, t1
    srai t1, t1, 16
    add s3, s3, t1
    mv t1, a3
    OCELLI_JUMP
5:  add a2, a2, t4                    # requantization
    .if \words == 1
    lw t1, 6(a2)
    .else
    lw t0, 6(a2)
    lw t1, 10(a2)
    lw t2, 14(a2)
    .endif
    addi a2, a2, 6 + 4 * \words
    \rule s3, s7
    slli t4, s3, 16
    sub s1, s1, t4
    \rule s1, s6
    \rule s2, s5
    slli t4, s2, 16
    sub s0, s0, t4
    \rule s0, zero
    addi s4, s4, 1
    addi a5, a5, -1
    bnez a5, 2b
    lw s0, 0(sp)
    lw s1, 4(sp)
    lw s2, 8(sp)
    lw s3, 12(sp)
    lw s4, 16(sp)
    lw s5, 20(sp)
    lw s6, 24(sp)
    lw s7, 28(sp)
    addi sp, sp, 32
    ret
    .size ocelli_rv32_pointwise_\name, . - ocelli_rv32_pointwise_\name
    .option pop
    .endm

    OCELLI_POINTWISE q32, OCELLI_Q32, 1
    OCELLI_POINTWISE tflite, OCELLI_TFLITE, 3
