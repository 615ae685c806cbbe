@ Kernels for the M-profile vector extension (Cortex-M55, M85). Common to all functions:
@  - r0 is the argument or points at the words that the comment above the function lists; results are in memory.
@  - q4-q7 and r4-r11 are saved where they are used; r12 and the flags are clobbered. The stack takes 36 bytes for r4-r11 and lr, 64 for
@    q4-q7, and what the comment adds.
@  - int8 data may lie at any address; words are aligned to 4 bytes. Widening loads and narrowing stores take only r0-r7 as base.
@  - VMLADAV sums 16 products in an even general register; four sums go to the lanes of a vector (`vmov q[2], q[0], Rt, Rt2` puts Rt in
@    the low lane), so that requantization, saturation and the store are vector instructions.
@  - parameters of four output channels are a `quad`: weights, then multipliers[4], bias[4] and, under TfLite, shifts[4] (negative).
.cpu cortex-m55
.syntax unified
.thumb

.macro HELIUM_BEGIN name
  .section .text.ocelli_helium_\name,"ax",%progbits
  .balign 4
  .global ocelli_helium_\name
  .thumb_func
  .type ocelli_helium_\name,%function
ocelli_helium_\name:
.endm
.macro HELIUM_END name
  .size ocelli_helium_\name, . - ocelli_helium_\name
.endm
.macro HELIUM_ENTER name
  HELIUM_BEGIN \name
  push {r4-r11,lr}
  vpush {d8-d15}
.endm
.macro HELIUM_LEAVE name
  vpop {d8-d15}
  pop {r4-r11,pc}
  HELIUM_END \name
.endm

@ \v from int32 to int8, in the low byte of each lane.
.macro HELIUM_NARROW v
  vqmovnb.s32 \v,\v
  vqmovnb.s16 \v,\v
.endm
@ Requantization of sums without bias. Q32: (x * m + 2^31) >> 32 is VRMULH. TfLite: VQRDMULH rounds ties up, as gemmlowp's high product does;
@ the division by a power of two rounds ties away from zero: VRSHL rounds them up, so 1 is taken off negative numbers before (which moves no
@ other number across a boundary, for shifts of at least 1).
.macro HELIUM_Q32 v,multiplier,bias
  vadd.i32 \v,\v,\bias
  vrmulh.s32 \v,\v,\multiplier
  HELIUM_NARROW \v
.endm
.macro HELIUM_TFLITE v,multiplier,bias,shift,zero,work
  vadd.i32 \v,\v,\bias
  vqrdmulh.s32 \v,\v,\multiplier
  vshr.s32 \work,\v,#31
  vadd.i32 \v,\v,\work
  vrshl.s32 \v,\v,\shift
  vadd.i32 \v,\v,\zero
  HELIUM_NARROW \v
.endm
