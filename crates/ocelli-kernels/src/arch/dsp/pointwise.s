@ Pointwise convolution: sums over a stream of pixels, four output channels at a time, and their requantization.
@
@ Stream: int16, [pixel pair][step][2 pixels][2 values]; a step is two of the K values of a pixel.
@ Weights, for each four channels a, b, c, d: 256*bias_b + bias_a, bias_a, 256*bias_d + bias_c, bias_c;
@   then two words a step, each of two lanes (one a value): 256*weight_b + weight_a, 256*weight_d + weight_c;
@   then Q32: multiplier_a, multiplier_b / 256, multiplier_c, multiplier_d / 256, or all four whole, where the structure says so,
@   or TfLite: for each channel 2 * multiplier - 2^32, 2^(32 - right shift).
@ SMLAD with such a word sums 256*B + A, with its SXTB16 it sums A; their difference is 256*B. The packer proves that nothing overflows.
@
@ The end of the weights is where the whole groups end, or 4 bytes more, which no group's end is equal to, if there are 1 to 3 channels more.
@ void name(const Pointwise *): see pointwise.rs for the structure.
@ Clobbers r0-r3, r12, flags, Q; saves what else it uses. Stack: 92 bytes. Everything is 4-byte aligned but the output, which is at any address.

.syntax unified
.thumb

.macro PW_FIRST_2                    @ the first step of two pixels: the biases move to the second pixel at no cost
  ldrd r2,r3,[r0],#8
  ldrd r12,lr,[r1],#8
  smlad r8,r12,r3,r4
  smlad r4,r12,r2,r4
  sxtb16 r12,r12
  smlad r9,r12,r3,r5
  smlad r5,r12,r2,r5
  smlad r10,lr,r3,r6
  smlad r6,lr,r2,r6
  sxtb16 lr,lr
  smlad r11,lr,r3,r7
  smlad r7,lr,r2,r7
.endm

.macro PW_STEP_2                     @ 12 instructions, 16 multiplications, 48 bytes
  ldrd r2,r3,[r0],#8
  ldrd r12,lr,[r1],#8
  smlad r4,r12,r2,r4
  smlad r8,r12,r3,r8
  sxtb16 r12,r12
  smlad r5,r12,r2,r5
  smlad r9,r12,r3,r9
  smlad r6,lr,r2,r6
  smlad r10,lr,r3,r10
  sxtb16 lr,lr
  smlad r7,lr,r2,r7
  smlad r11,lr,r3,r11
.endm

.macro PW_STEP_1                     @ the first pixel of the pair alone: 8 instructions, 8 multiplications, 32 bytes
  ldr.w r2,[r0],#8
  ldrd r12,lr,[r1],#8
  smlad r4,r12,r2,r4
  sxtb16 r12,r12
  smlad r5,r12,r2,r5
  smlad r6,lr,r2,r6
  sxtb16 lr,lr
  smlad r7,lr,r2,r7
.endm

@ TFLite's two roundings. SMMLAR by 2 * multiplier - 2^32, plus the value, is its doubling high multiplication; one less where that is negative, then
@ rounding halves up, rounds them away from zero; SMMLAR by 2^(32-s) shifts right by s and adds the zero point.
.macro PW_TFLITE value, multiplier, power
  smmlar \value,\value,\multiplier,\value
  add.w \value,\value,\value,asr #31
  smmlar \value,\value,\power,r12
.endm

.macro PW_TFLITE_CHANNELS even_first, even_second, odd_first, odd_second, pixels
  ldmia r1!,{r0,r2,r3,lr}
  asr.w \odd_first,\odd_first,#8
  PW_TFLITE \even_first,r0,r2
  PW_TFLITE \odd_first,r3,lr
 .if \pixels == 2
  asr.w \odd_second,\odd_second,#8
  PW_TFLITE \even_second,r0,r2
  PW_TFLITE \odd_second,r3,lr
 .endif
.endm

.macro PW_BYTES a, b, c, d
  ssat \a,#8,\a
  ssat \b,#8,\b
  ssat \c,#8,\c
  ssat \d,#8,\d
  bfi \a,\b,#8,#8
  bfi \a,\c,#16,#8
  bfi \a,\d,#24,#8
.endm

@ many = 0: as many steps after the first as are unrolled, at most; many = 1: more than that.
.macro POINTWISE name, tflite, pixels, many, unrolled, step_bytes
.section .text.\name,"ax",%progbits
.global \name
.type \name,%function
.thumb_func
\name:
  push {r4-r11,lr}
  sub sp,#56              @ 0 output | 4 second - first | 8 weights' end | 12 stream | 16 stream end | 20 entry | 24 zero point
  ldrd r2,r3,[r0,#0]      @ 28 pairs | 32 weights | 36 stream step | 40 output step - bytes of whole groups | 44 tail channels | 48 finish
  str r2,[sp,#12]
  str r3,[sp,#32]
  mov r1,r3
  ldrd r4,r5,[r0,#8]
  strd r4,r5,[sp,#0]
  ldrd r4,r5,[r0,#16]
  str r4,[sp,#8]
  str r5,[sp,#44]
  ldrd r4,r5,[r0,#24]
  str r5,[sp,#24]
  add r3,r2,r4,lsl #3
  str r3,[sp,#16]
  sub r4,r4,#1            @ steps after the first
  .if \many
  cmp r4,#0
  rsb.w r4,r4,#0
  and r4,r4,#(\unrolled - 1)
  it eq
  moveq r4,#\unrolled
  .else
  rsb r4,r4,#\unrolled
  .endif
  movs r3,#\step_bytes
  mul r4,r4,r3
  adr.w r3,5f
  add r3,r3,r4
  adds r3,#1
  str r3,[sp,#20]
  ldrd r2,r3,[r0,#32]
  str r2,[sp,#28]
  str r3,[sp,#36]
  ldr r2,[r0,#40]
  str r2,[sp,#40]
 .if \many && !\tflite
  ldr r2,[r0,#44]
  adr.w r3,11f
  adr.w r4,10f
  cmp r2,#0
  it ne
  movne r3,r4
  adds r3,#1
  str r3,[sp,#48]
 .endif
  b.w 1f
.balign 4
5:
 .rept \unrolled
  PW_STEP_\pixels
 .endr
 .if \many
  ldr r2,[sp,#16]
  cmp r0,r2
  bne.w 5b
 .endif
  sub r4,r4,r5
  sub r6,r6,r7
 .if \pixels == 2
  sub r8,r8,r9
  sub r10,r10,r11
 .endif
 .if \tflite
  ldr r12,[sp,#24]
  PW_TFLITE_CHANNELS r5,r9,r4,r8,\pixels
  PW_TFLITE_CHANNELS r7,r11,r6,r10,\pixels
 .else
  .if \many
  ldr pc,[sp,#48]
.balign 4
10:
  asr r4,r4,#8
  asr r6,r6,#8
   .if \pixels == 2
  asr.w r8,r8,#8
  asr.w r10,r10,#8
   .endif
.balign 4
11:
  .endif
  ldmia r1!,{r2,r3,r12,lr}
  smmulr r5,r5,r2
  smmulr r4,r4,r3
  smmulr r7,r7,r12
  smmulr r6,r6,lr
  .if \pixels == 2
  smmulr r9,r9,r2
  smmulr r8,r8,r3
  smmulr r11,r11,r12
  smmulr r10,r10,lr
  .endif
 .endif
  PW_BYTES r5,r4,r7,r6
 .if \pixels == 2
  PW_BYTES r9,r8,r11,r10
 .endif
  ldm sp,{r0,r2,r3}
  cmp r1,r3
  bhi 7f
 .if \pixels == 2
  str r9,[r0,r2]
 .endif
  str r5,[r0],#4
  str r0,[sp,#0]
  bne.w 1f
8:                         @ next pair
  ldrd r2,r1,[sp,#28]
  subs r2,#1
  beq 9f
  str r2,[sp,#28]
  ldrd r2,r3,[sp,#36]
  ldr r4,[sp,#12]
  add r4,r2
  str r4,[sp,#12]
 .if \many
  ldr r4,[sp,#16]
  add r4,r2
  str r4,[sp,#16]
 .endif
  add r0,r3
  str r0,[sp,#0]
1:
  ldmia r1!,{r4-r7}
  ldr r0,[sp,#12]
 .if \pixels == 2
  PW_FIRST_2
 .else
  PW_STEP_1
 .endif
  ldr pc,[sp,#20]
7:                         @ the last 1 to 3 channels
  ldr r3,[sp,#44]
 .if \pixels == 2
  add r2,r0
 .endif
  lsls r4,r3,#31           @ N: one of them is alone; C: there are two
  bcs 6f
  strb r5,[r0]
 .if \pixels == 2
  strb r9,[r2]
 .endif
  b 8b
6:
  strh r5,[r0]
 .if \pixels == 2
  strh r9,[r2]
 .endif
  bpl 8b
  lsr r5,r5,#16
  strb r5,[r0,#2]
 .if \pixels == 2
  lsr r9,r9,#16
  strb r9,[r2,#2]
 .endif
  b 8b
9:
  add sp,#56
  pop {r4-r11,pc}
.size \name, . - \name
.endm

POINTWISE ocelli_dsp_pointwise_q32, 0, 2, 0, 31, 48
POINTWISE ocelli_dsp_pointwise_q32_deep, 0, 2, 1, 16, 48
POINTWISE ocelli_dsp_pointwise_q32_single, 0, 1, 1, 8, 32
POINTWISE ocelli_dsp_pointwise_tflite, 1, 2, 0, 31, 48
POINTWISE ocelli_dsp_pointwise_tflite_deep, 1, 2, 1, 16, 48
POINTWISE ocelli_dsp_pointwise_tflite_single, 1, 1, 1, 8, 32
