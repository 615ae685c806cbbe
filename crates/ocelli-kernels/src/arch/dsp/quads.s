@ Pointwise convolution of four pixels at a time, two output channels at a time: 11 instructions for 16 multiplications.
@
@ Stream: int16, [quad][step][4 pixels][2 values]; a step is two of the K values of a pixel. Pixels 0 and 2 of a quad lie side by side in a row of
@ the output, 1 and 3 below them in the second. Where there is none, the structure says that the first lies 0 bytes from it: pixels 1 and 3 are
@ written first, over which the others are.
@ Weights, for each two channels a, b: 256*bias_b + bias_a, bias_a; then a word a step of two lanes (one a value): 256*weight_b + weight_a;
@   then Q32: multiplier_a, multiplier_b / 256, or TfLite: for each channel 2 * multiplier - 2^32, 2^(32 - right shift).
@ They are as in pointwise.s, and are copied for all quads to where they need no pointer: to the floating-point registers if there are any (QUADS_FPU),
@ else to the stack.
@ void name(const Control *): see quads.rs for the structure.
@ Clobbers r0-r3, r12, s0-s15, flags, Q; saves what else it uses. Stack: 248 bytes, with QUADS_FPU 184. Everything is 4-byte aligned but the output, which is at any address.

.syntax unified
.thumb

@ The frame. The last of 32 words hold the weights of all steps but the first; where they are not registers, they are at its end.
.set Q_OUT, 0              @ of the quad in the second row; and from there to the first
.set Q_STEP, 8             @ bytes of a pixel of the output; and where the second row ends for these channels
.set Q_BIAS, 16
.set Q_FINISH, 24          @ multipliers; TfLite: and powers
.set Q_FIRST, 40           @ weights of the first step
.set Q_ENTRY, 44           @ where the loop over steps is entered
.set Q_STREAM, 48
.set Q_WEIGHTS, 52
.set Q_PAIRS, 56           @ pairs of channels left
.set Q_COPY, 60            @ where the copying of weights is entered
.set Q_SKIP, 64            @ bytes from the weights of the second step to the words that are copied: they begin up to 12 bytes earlier
.set Q_ROW, 68             @ bytes of a row of the output
.set Q_ZERO, 72            @ zero point of the output
.set Q_TO, 76              @ where words are copied to
.set Q_WORDS, 84
.if QUADS_FPU
.set Q_FRAME, Q_WORDS
.else
.set Q_FRAME, Q_WORDS + 128
.endif

.macro QUAD_STEP word, at
 .if QUADS_FPU
  vmov lr,\word
 .else
  ldr.w lr,[sp,#\at]
 .endif
  ldmia.w r0!,{r1,r2,r3,r12}
  smlad r4,lr,r1,r4
  smlad r6,lr,r2,r6
  smlad r8,lr,r3,r8
  smlad r10,lr,r12,r10
  sxtb16 lr,lr
  smlad r5,lr,r1,r5
  smlad r7,lr,r2,r7
  smlad r9,lr,r3,r9
  smlad r11,lr,r12,r11
.endm

.macro QUAD_TFLITE value, multiplier, power
  smmlar \value,\value,\multiplier,\value
  add.w \value,\value,\value,asr #31
  smmlar \value,\value,\power,r12
.endm

.macro QUADS name, tflite
.section .text.\name,"ax",%progbits
.global \name
.type \name,%function
.thumb_func
\name:
  push {r4-r11,lr}
 .if QUADS_FPU
  vpush {s16-s31}
 .endif
  sub sp,#Q_FRAME
  ldmia r0,{r4-r12}        @ stream, weights, second row, to the first, bytes of a pixel, pairs of channels, steps, zero point, quads
  strd r4,r5,[sp,#Q_STREAM]
  strd r6,r7,[sp,#Q_OUT]
  mul r3,r12,r8
  lsls r3,r3,#1
  str r3,[sp,#Q_ROW]
  add r3,r6
  strd r8,r3,[sp,#Q_STEP]
  str r9,[sp,#Q_PAIRS]
  str r11,[sp,#Q_ZERO]
  rsb r4,r10,#32           @ steps that are skipped, of 31 after the first
  movs r5,#44
  mul r4,r4,r5
  adr.w r5,5f
  add r4,r5
  adds r4,#1
  str r4,[sp,#Q_ENTRY]
  adds r4,r10,#2           @ blocks of 4 words that the weights after the first take
  lsrs r4,r4,#2
  sub r5,r10,#1
  sub r5,r5,r4,lsl #2
  lsls r5,r5,#2
  str r5,[sp,#Q_SKIP]
 .if !QUADS_FPU
  add r5,sp,#(Q_WORDS + 128)
  sub r5,r5,r4,lsl #4
  str r5,[sp,#Q_TO]
 .endif
  rsb r4,r4,#8
  adr.w r5,3f
  add r5,r5,r4,lsl #(3 - QUADS_FPU)
  adds r5,#1
  str r5,[sp,#Q_COPY]
  ldr r0,[sp,#Q_WEIGHTS]
1:                         @ two channels
  ldmia r0!,{r4,r5,r6}
  strd r4,r5,[sp,#Q_BIAS]
  str r6,[sp,#Q_FIRST]
  ldr r1,[sp,#Q_SKIP]
  add r0,r1
 .if !QUADS_FPU
  ldr r1,[sp,#Q_TO]
 .endif
  ldr pc,[sp,#Q_COPY]
.balign 4
3:
 .if QUADS_FPU
  .irp words,{s0-s3},{s4-s7},{s8-s11},{s12-s15},{s16-s19},{s20-s23},{s24-s27},{s28-s31}
  vldmia r0!,\words
  .endr
 .else
  .rept 8
  ldmia.w r0!,{r4-r7}
  stmia.w r1!,{r4-r7}
  .endr
 .endif
 .if \tflite
  ldmia r0!,{r4-r7}
  strd r6,r7,[sp,#(Q_FINISH + 8)]
 .else
  ldmia r0!,{r4,r5}
 .endif
  strd r4,r5,[sp,#Q_FINISH]
  str r0,[sp,#Q_WEIGHTS]
  ldr r0,[sp,#Q_STREAM]
  ldr.w lr,[sp,#Q_FIRST]
  b.w 2f
.balign 4
5:
 .set q_at,Q_WORDS + 4
 .irp word,s1,s2,s3,s4,s5,s6,s7,s8,s9,s10,s11,s12,s13,s14,s15,s16,s17,s18,s19,s20,s21,s22,s23,s24,s25,s26,s27,s28,s29,s30,s31
  QUAD_STEP \word,q_at
  .set q_at,q_at + 4
 .endr
  sub r4,r4,r5
  sub r6,r6,r7
  sub r8,r8,r9
  sub r10,r10,r11
 .if \tflite
  ldrd r1,r2,[sp,#Q_FINISH]
  ldr r12,[sp,#Q_ZERO]
  .irp value,r5,r7,r9,r11
  QUAD_TFLITE \value,r1,r2
  .endr
  ldrd r1,r2,[sp,#(Q_FINISH + 8)]
  .irp value,r4,r6,r8,r10
  asr.w \value,\value,#8
  QUAD_TFLITE \value,r1,r2
  .endr
 .else
  ldrd r1,r2,[sp,#Q_FINISH]
  .irp value,r5,r7,r9,r11
  smmulr \value,\value,r1
  .endr
  .irp value,r4,r6,r8,r10
  smmulr \value,\value,r2
  .endr
 .endif
 .irp value,r4,r5,r6,r7,r8,r9,r10,r11
  ssat \value,#8,\value
 .endr
  bfi r5,r4,#8,#8
  bfi r7,r6,#8,#8
  bfi r9,r8,#8,#8
  bfi r11,r10,#8,#8
  ldm sp,{r1,r2,r3,r12}    @ from Q_OUT on
  strh r7,[r1]
  strh r5,[r1,r2]
  add r1,r3
  strh.w r11,[r1]
  strh.w r9,[r1,r2]
  add r1,r3
  str r1,[sp,#Q_OUT]
  ldr.w lr,[sp,#Q_FIRST]   @ here it takes one cycle
  cmp r1,r12
  beq 8f
2:                         @ four pixels; the weights of the first step in lr
  ldrd r4,r5,[sp,#Q_BIAS]
  ldmia.w r0!,{r1,r2,r3,r12}
  smlad r6,lr,r2,r4
  smlad r8,lr,r3,r4
  smlad r10,lr,r12,r4
  smlad r4,lr,r1,r4
  sxtb16 lr,lr
  smlad r7,lr,r2,r5
  smlad r9,lr,r3,r5
  smlad r11,lr,r12,r5
  smlad r5,lr,r1,r5
  ldr pc,[sp,#Q_ENTRY]
8:                         @ the next two channels
  ldr r2,[sp,#Q_PAIRS]
  subs r2,#1
  beq 9f
  str r2,[sp,#Q_PAIRS]
  ldr r3,[sp,#Q_ROW]
  add r12,r12,#2
  str r12,[sp,#(Q_STEP + 4)]
  sub r1,r12,r3
  str r1,[sp,#Q_OUT]
  ldr r0,[sp,#Q_WEIGHTS]
  b.w 1b
9:
  add sp,#Q_FRAME
 .if QUADS_FPU
  vpop {s16-s31}
 .endif
  pop {r4-r11,pc}
.size \name, . - \name
.endm

QUADS ocelli_dsp_quads_q32, 0
QUADS ocelli_dsp_quads_tflite, 1
