@ Sums of two operands, in place, pixel by pixel: the second operand is as long as the first (one pixel), or one pixel.

@ sat8((a * m0 + b * m1 + bias) >> shift), m0 and m1 of 16 bits; products of even and odd lanes are apart until they are narrowed.
@ 0 a | 4 values of a pixel, at least 1 | 8 b | 12 pixels, at least 1 | 16 m0 | 20 m1 | 24 bias | 28 minus the shift. No further stack.
.macro HELIUM_ADD8
  vmullb.s16 q2,q0,q6
  vmullt.s16 q3,q0,q6
  vmullb.s16 q4,q1,q7
  vmullt.s16 q5,q1,q7
  vadd.i32 q2,q2,q4
  vadd.i32 q3,q3,q5
  vadd.i32 q2,q2,r8
  vadd.i32 q3,q3,r8
  vshl.s32 q2,r9
  vshl.s32 q3,r9
  vqmovnb.s32 q2,q2
  vqmovnt.s32 q2,q3
  vqmovnb.s16 q2,q2
.endm
HELIUM_ENTER add
  ldm r0,{r1,r2,r3,r4,r5,r6,r8,r9}
  vdup.16 q6,r5
  vdup.16 q7,r6
  lsr r10,r2,#3
  ands r2,#7
1:
  mov r7,r3
  wls lr,r10,3f
2:
  vldrb.s16 q0,[r1]
  vldrb.s16 q1,[r7],#8
  HELIUM_ADD8
  vstrb.16 q2,[r1],#8
  le lr,2b
3:
  cbz r2,4f
  @ Tail predication would cut the lanes of the last product in half.
  vctp.16 r2
  vpstt
  vldrbt.s16 q0,[r1]
  vldrbt.s16 q1,[r7]
  HELIUM_ADD8
  vpst
  vstrbt.16 q2,[r1]
  add r1,r2
4:
  subs r4,#1
  bne 1b
HELIUM_LEAVE add

@ TFLite's sum: MBQM((a - z0) << 20, m0, n0) + MBQM((b - z1) << 20, m1, n1), then MBQM of that, and the output's zero point.
@ Divisions by powers of two round ties away from zero: see HELIUM_TFLITE; f is 1, or 0 where n is 0 and nothing is rounded.
@ 0 a | 4 values of a pixel, at least 1 | 8 b | 12 pixels, at least 1 | 16 f0 | 20 -n0 | 24 f1 | 28 -n1 | 32 output's m | 36 f | 40 -n
@ 44 zero point | 48 z0 << 20 | 52 z1 << 20 | 56 m0 | 60 m1. 8 bytes of stack more.
.macro HELIUM_MBQM v,multiplier,correct,shift,work
  vqrdmulh.s32 \v,\v,\multiplier
  vshr.s32 \work,\v,#31
  vmla.i32 \v,\work,\correct
  vrshl.s32 \v,\shift
.endm
HELIUM_ENTER add_tflite
  ldrd r1,r2,[r0,#48]
  vdup.32 q4,r1
  vdup.32 q5,r2
  ldrd r1,r2,[r0,#56]
  vdup.32 q6,r1
  vdup.32 q7,r2
  ldr r12,[r0,#44]
  ldm r0,{r1,r2,r3,r4,r5,r6,r8,r9,r10,r11,lr}
  mov r0,lr
  rsb r7,r2,#0
  and r7,r7,#3
  push {r7,r12}
1:
  mov r7,r3
  dlstp.32 lr,r2
2:
  vldrb.s32 q0,[r1]
  vshl.i32 q0,q0,#20
  vldrb.s32 q1,[r7],#4
  vshl.i32 q1,q1,#20
  vsub.i32 q0,q0,q4
  vsub.i32 q1,q1,q5
  HELIUM_MBQM q0,q6,r5,r6,q2
  HELIUM_MBQM q1,q7,r8,r9,q3
  vadd.i32 q0,q0,q1
  HELIUM_MBQM q0,r10,r11,r0,q2
  vadd.i32 q0,q0,r12
  HELIUM_NARROW q0
  vstrb.32 q0,[r1],#4
  letp lr,2b
  ldr r7,[sp]
  subs r1,r1,r7
  subs r4,#1
  bne 1b
  add sp,#8
HELIUM_LEAVE add_tflite
