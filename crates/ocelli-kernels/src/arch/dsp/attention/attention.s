@ Attention of two query rows at a time, in Armv7E-M's DSP instructions. All functions keep to the AAPCS: r0-r3 and r12 are clobbered, the
@ rest saved. All data is aligned to 4 bytes (LDRD, STRD, LDM). Words of two lanes are written [top:bottom].

@ ------------------------------------------------------------------------------------------------------------------------------------
@ Scores of two queries and all keys, four keys at a time, and their maximum.
@
@ uint32_t ocelli_dsp_scores(const uint32_t *queries, const uint32_t *keys, const struct scores *control, uint32_t *scores)
@   queries  [steps][2 queries], each two channels; the last step goes with the first of the keys, the others with those after it
@   keys     [groups of 4 keys][steps][4 keys], each two channels
@   control  multiplier, left shift of sums; steps (an even number above 0), groups (at least 1)
@   scores   [keys][second query:first query]
@   returns  the maximum of each query
@ The plain form is for at most 16 steps and scores that need neither shift nor saturation. Stack: 68 bytes.
@ r0 queries, r1 keys, r2, r3 two channels of each query, r12, lr of two keys, r4-r7 sums of query 0, r8-r11 of query 1

.macro ocelli_dsp_scores_function name, plain
.section .text.\name, "ax", %progbits
.balign 4
.global \name
.type \name, %function
.thumb_func
\name:
  push    {r4-r11, lr}
  sub     sp, #32           @ 0 multiplier, shift | 8 scores, maximum | 16 queries, their last step | 24 keys' end, entry
  ldm     r2, {r4-r7}       @ multiplier, shift, steps, groups
  strd    r4, r5, [sp, #0]
  mov     r4, #0x80008000
  strd    r3, r4, [sp, #8]
  mul     r7, r7, r6
  add     r7, r1, r7, lsl #4
.if \plain
  rsb     r6, r6, #16       @ steps that are skipped: the queries are where the last ones of 16 would be
  sub     r0, r0, r6, lsl #3
.else
  add     r8, r0, r6, lsl #3
  subs    r8, #8
  strd    r0, r8, [sp, #16]
  mov     r0, r8
  subs    r6, #2            @ one step is apart, so the last of the others has number steps - 2
  and     r6, r6, #7
  rsb     r6, r6, #7        @ steps that the first pass through the loop skips
.endif
  movs    r4, #44           @ bytes of a step
  mul     r6, r6, r4
  adr.w   r4, 2f
  add     r6, r6, r4
  adds    r6, #1            @ Thumb
  strd    r7, r6, [sp, #24]
1:
.if \plain
  ldrd    r2, r3, [r0, #120]
.else
  ldrd    r2, r3, [r0]
  ldr     r0, [sp, #16]
.endif
  ldrd    r12, lr, [r1], #8
  smuad   r4, r12, r2
  smuad   r8, r12, r3
  smuad   r5, lr, r2
  smuad   r9, lr, r3
  ldrd    r12, lr, [r1], #8
  smuad   r6, r12, r2
  smuad   r10, r12, r3
  smuad   r7, lr, r2
  smuad   r11, lr, r3
  ldr     pc, [sp, #28]
.balign 4
2:
.set ocelli_dsp_scores_at, 0
.rept 8 + 7 * \plain
.if \plain
  ldrd    r2, r3, [r0, #ocelli_dsp_scores_at]
.set ocelli_dsp_scores_at, ocelli_dsp_scores_at + 8
.else
  ldrd    r2, r3, [r0], #8
.endif
  ldrd    r12, lr, [r1], #8
  smlad   r4, r12, r2, r4
  smlad   r8, r12, r3, r8
  smlad   r5, lr, r2, r5
  smlad   r9, lr, r3, r9
  ldrd    r12, lr, [r1], #8
  smlad   r6, r12, r2, r6
  smlad   r10, r12, r3, r10
  smlad   r7, lr, r2, r7
  smlad   r11, lr, r3, r11
.endr
.ifeq \plain
  ldr     r2, [sp, #20]
  cmp     r0, r2
  bne.w   2b
.endif
.if \plain
  ldr     r2, [sp, #0]
.irp sum, r4, r8, r5, r9, r6, r10, r7, r11
  smmulr  \sum, \sum, r2
.endr
.else
  ldrd    r2, r3, [sp, #0]
.irp sum, r4, r8, r5, r9, r6, r10, r7, r11
  lsl     \sum, \sum, r3
  smmulr  \sum, \sum, r2
  ssat    \sum, #16, \sum
.endr
.endif
  pkhbt   r4, r4, r8, lsl #16
  pkhbt   r5, r5, r9, lsl #16
  pkhbt   r6, r6, r10, lsl #16
  pkhbt   r7, r7, r11, lsl #16
  ldrd    lr, r12, [sp, #8]
  ssub16  r8, r12, r4
  sel     r12, r12, r4
  ssub16  r8, r12, r5
  sel     r12, r12, r5
  ssub16  r8, r12, r6
  sel     r12, r12, r6
  ssub16  r8, r12, r7
  sel     r12, r12, r7
  stm     lr!, {r4-r7}
  strd    lr, r12, [sp, #8]
  ldr     r2, [sp, #24]
  cmp     r1, r2
  bne.w   1b
  mov     r0, r12
  add     sp, #32
  pop     {r4-r11, pc}
.size \name, . - \name
.endm

ocelli_dsp_scores_function ocelli_dsp_scores, 0
ocelli_dsp_scores_function ocelli_dsp_scores_plain, 1

@ ------------------------------------------------------------------------------------------------------------------------------------
@ Weights of two queries from their scores, in place, and their sums.
@
@ void ocelli_dsp_weights(uint32_t *scores, uint32_t maximum, const uint16_t table[1024], struct { uint32_t sums[2]; size_t pairs; } *sums)
@   scores   [pairs of keys][2 keys][second query:first query], becomes [pairs][2 queries][second key:first key]
@   maximum  of the scores of each query
@   pairs    of keys, at least 1
@ Stack: 36 bytes.

.section .text.ocelli_dsp_weights, "ax", %progbits
.balign 4
.global ocelli_dsp_weights
.type ocelli_dsp_weights, %function
.thumb_func
ocelli_dsp_weights:
  push    {r4-r11, lr}
  ldr     lr, [r3, #8]
  mov     r12, #0x00010001
  movs    r8, #0
  movs    r9, #0
  add     r11, r0, lr, lsl #3
  subs    lr, #1
  and     lr, lr, #7
  rsb     lr, lr, #7        @ pairs that the first pass skips
  movs    r4, #72           @ bytes of a pair
  mul     lr, lr, r4
  adr.w   r4, 1f
  add     lr, lr, r4
  adds    lr, #1            @ Thumb
  bx      lr
.balign 4
1:
.rept 8
  ldrd    r4, r5, [r0]
  qsub16  r4, r1, r4        @ saturates where the difference is beyond the table anyway
  qsub16  r5, r1, r5
  usat16  r4, #10, r4
  usat16  r5, #10, r5
  uxth.w  r6, r4
  lsr.w   r4, r4, #16
  uxth.w  r7, r5
  lsr.w   r5, r5, #16
  ldrh.w  r6, [r2, r6, lsl #1]
  ldrh.w  r4, [r2, r4, lsl #1]
  ldrh.w  r7, [r2, r7, lsl #1]
  ldrh.w  r5, [r2, r5, lsl #1]
  pkhbt   r6, r6, r7, lsl #16
  pkhbt   r7, r4, r5, lsl #16
  smlad   r8, r6, r12, r8
  smlad   r9, r7, r12, r9
  strd    r6, r7, [r0], #8
.endr
  cmp     r0, r11
  bne.w   1b
  strd    r8, r9, [r3]
  pop     {r4-r11, pc}
.size ocelli_dsp_weights, . - ocelli_dsp_weights

@ ------------------------------------------------------------------------------------------------------------------------------------
@ Means of values by the weights of two queries, requantized, four channels at a time.
@
@ void ocelli_dsp_means(const uint32_t *weights, const uint32_t *values, const struct means *control, int8_t *output[2])
@   weights  [pairs of keys][2 queries], each [second key:first key]
@   values   [groups of 4 channels][pairs of keys][4 channels], each [second key:first key]
@   control  left shift and multiplier of query 0, the same of query 1; bias, right shift of all; pairs, groups (both at least 1)
@   output   where 4 * groups channels of each query go, at any address
@ Stack: 84 bytes.
@ r0 weights, r1 values, r2, r3 weights of each query, r12, lr two channels, r4-r7 sums of query 0, r8-r11 of query 1

.section .text.ocelli_dsp_means, "ax", %progbits
.balign 4
.global ocelli_dsp_means
.type ocelli_dsp_means, %function
.thumb_func
ocelli_dsp_means:
  push    {r4-r11, lr}
  sub     sp, #48           @ 0 shift and multiplier of each query | 16 bias, shift | 24 weights, their end | 32 outputs | 40 groups, entry
  ldm     r2, {r4-r11}
  stm     sp, {r4-r9}
  add     r5, r0, r10, lsl #3
  strd    r0, r5, [sp, #24]
  ldrd    r4, r5, [r3]
  strd    r4, r5, [sp, #32]
  subs    r4, r10, #2       @ the first step is apart
  ite     lo
  movlo   r4, #16           @ there is no other: past all of them
  andhs   r4, r4, #15
  it      hs
  rsbhs   r4, r4, #15       @ steps that the first pass through the loop skips
  movs    r5, #44           @ bytes of a step
  mul     r4, r4, r5
  adr.w   r5, 2f
  add     r4, r4, r5
  adds    r4, #1            @ Thumb
  strd    r11, r4, [sp, #40]
1:
  ldr     r0, [sp, #24]
  ldrd    r2, r3, [r0], #8
  ldrd    r12, lr, [r1], #8
  smuad   r4, r12, r2
  smuad   r8, r12, r3
  smuad   r5, lr, r2
  smuad   r9, lr, r3
  ldrd    r12, lr, [r1], #8
  smuad   r6, r12, r2
  smuad   r10, r12, r3
  smuad   r7, lr, r2
  smuad   r11, lr, r3
  ldr     pc, [sp, #44]
.balign 4
2:
.rept 16
  ldrd    r2, r3, [r0], #8
  ldrd    r12, lr, [r1], #8
  smlad   r4, r12, r2, r4
  smlad   r8, r12, r3, r8
  smlad   r5, lr, r2, r5
  smlad   r9, lr, r3, r9
  ldrd    r12, lr, [r1], #8
  smlad   r6, r12, r2, r6
  smlad   r10, r12, r3, r10
  smlad   r7, lr, r2, r7
  smlad   r11, lr, r3, r11
.endr
  ldr     r2, [sp, #28]
  cmp     r0, r2
  bne.w   2b
  ldrd    r12, lr, [sp, #16]
  ldrd    r2, r3, [sp, #0]
.irp sum, r4, r5, r6, r7
  lsl     \sum, \sum, r2
  smmlar  \sum, \sum, r3, r12
  asr     \sum, \sum, lr
  ssat    \sum, #8, \sum
.endr
  ldrd    r2, r3, [sp, #8]
.irp sum, r8, r9, r10, r11
  lsl     \sum, \sum, r2
  smmlar  \sum, \sum, r3, r12
  asr     \sum, \sum, lr
  ssat    \sum, #8, \sum
.endr
  bfi     r4, r5, #8, #8
  bfi     r4, r6, #16, #8
  bfi     r4, r7, #24, #8
  bfi     r8, r9, #8, #8
  bfi     r8, r10, #16, #8
  bfi     r8, r11, #24, #8
  ldrd    r2, r3, [sp, #32]
  str     r4, [r2], #4
  str     r8, [r3], #4
  strd    r2, r3, [sp, #32]
  ldr     r2, [sp, #40]
  subs    r2, #1
  str     r2, [sp, #40]
  bne.w   1b
  add     sp, #48
  pop     {r4-r11, pc}
.size ocelli_dsp_means, . - ocelli_dsp_means
