@ Sums over 16 values of each pixel, four output channels at a time: their weights stay in q0-q3, the loop runs over pixels.
@ 0 x | 4 quads' parameters | 8 output | 12 pixels | 16 output pixel stride | 20 x pixel stride | 24 quads | 28 output zero point
@ A quad's weights: [channel][16]. \dense: the x pixel stride is 16. No further stack.
.macro HELIUM_DOT16 name,tflite,dense
HELIUM_ENTER \name
  ldm r0,{r1,r3,r5,r8,r9,r10,r11,r12}
1:
  vldrw.u32 q0,[r3],#16
  vldrw.u32 q1,[r3],#16
  vldrw.u32 q2,[r3],#16
  vldrw.u32 q3,[r3],#16
  vldrw.u32 q5,[r3],#16
  vldrw.u32 q4,[r3],#16
  mov r7,r5
  adds r5,#4
  dls lr,r8
2:
 .if \dense
  vldrb.u8 q6,[r1],#16
 .else
  vldrb.u8 q6,[r1]
  add r1,r10
 .endif
  vmladav.s8 r0,q6,q0
  vmladav.s8 r4,q6,q2
  vmladav.s8 r2,q6,q1
  vmov q7[2],q7[0],r0,r4
  vmladav.s8 r6,q6,q3
  vmov q7[3],q7[1],r2,r6
 .if \tflite
  vadd.i32 q7,q7,q4
  vqrdmulh.s32 q7,q7,q5
  vshr.s32 q6,q7,#31
  vadd.i32 q7,q7,q6
  vldrw.u32 q6,[r3]
  vrshl.s32 q7,q7,q6
  vadd.i32 q7,q7,r12
  HELIUM_NARROW q7
 .else
  HELIUM_Q32 q7,q5,q4
 .endif
  vstrb.32 q7,[r7]
  add r7,r9
  le lr,2b
  mls r1,r8,r10,r1
 .if \tflite
  adds r3,#16
 .endif
  subs r11,#1
  bne 1b
HELIUM_LEAVE \name
.endm
HELIUM_DOT16 dot16_q32,0,0
HELIUM_DOT16 dot16_dense_q32,0,1
HELIUM_DOT16 dot16_tflite,1,0
HELIUM_DOT16 dot16_dense_tflite,1,1

@ Sums over 32 values of each pixel: two pixels stay in q0-q3, weights stream.
@ 0 x | 4 quads' parameters | 8 output | 12 pairs of pixels | 16 x, 20 output: a pixel to the next | 24 quads | 28 output zero point
@ A quad's weights: [channel 0, 2, 1, 3][32]. 8 bytes of stack more.
.macro HELIUM_PAIR a,b
  vldrw.u32 q4,[r9],#16
  vmladav.s8 \a,q4,q0
  vldrw.u32 q5,[r9],#16
  vmladav.s8 \b,q4,q2
  vmladava.s8 \a,q5,q1
  vmladava.s8 \b,q5,q3
.endm
.macro HELIUM_DOT32 name,tflite
HELIUM_ENTER \name
  ldm r0,{r1,r2,r7,r8,r10,r11}
  ldrd r3,r12,[r0,#24]
  push {r2,r3}
1:
  vldrb.u8 q0,[r1]
  vldrb.u8 q1,[r1,#16]
  add r1,r10
  ldrd r9,lr,[sp]
  vldrb.u8 q2,[r1]
  add r5,r7,r11
  vldrb.u8 q3,[r1,#16]
  add r3,r5,r11
  add r1,r10
  dls lr,lr
2:
  HELIUM_PAIR r0,r2
  HELIUM_PAIR r4,r6
  vmov q6[2],q6[0],r0,r4
  vmov q7[2],q7[0],r2,r6
  HELIUM_PAIR r0,r2
  HELIUM_PAIR r4,r6
  vldrw.u32 q5,[r9],#16
  vmov q6[3],q6[1],r0,r4
  vldrw.u32 q4,[r9],#16
  vmov q7[3],q7[1],r2,r6
  vadd.i32 q6,q6,q4
  vadd.i32 q7,q7,q4
 .if \tflite
  vqrdmulh.s32 q6,q6,q5
  vqrdmulh.s32 q7,q7,q5
  vshr.s32 q4,q6,#31
  vshr.s32 q5,q7,#31
  vadd.i32 q6,q6,q4
  vldrw.u32 q4,[r9],#16
  vadd.i32 q7,q7,q5
  vrshl.s32 q6,q6,q4
  vrshl.s32 q7,q7,q4
  vadd.i32 q6,q6,r12
  vadd.i32 q7,q7,r12
 .else
  vrmulh.s32 q6,q6,q5
  vrmulh.s32 q7,q7,q5
 .endif
  HELIUM_NARROW q6
  HELIUM_NARROW q7
  vstrb.32 q6,[r7],#4
  vstrb.32 q7,[r5],#4
  le lr,2b
  mov r7,r3
  subs r8,#1
  bne.w 1b
  add sp,#8
HELIUM_LEAVE \name
.endm
HELIUM_DOT32 dot32_q32,0
HELIUM_DOT32 dot32_tflite,1

@ Sums over 16n values of each pixel, n >= 2 (one segment), or over three segments of 16n: 3 pixels x 2 channels are 6 accumulators, and two
@ passes give 4 channels. The first pass walks forwards, the second backwards, so no pointer is reset: parameters are one stream.
@ \odd: n is odd.
@ The last three pixels may overlap those before, and pixels of a triple may be the same.
@ 0 x | 4 quads' parameters | 8 output | 12 triples | 16, 20 x: from a triple's first pixel to the others | 24, 28 output: likewise
@ 32, 36 x, output: to the next triple | 40 quads | 44 (n - 2) / 2, rounded down | 48 output zero point | 52, 56 from the end of a segment to the next one's start
@ A quad's weights: [step][channel 0, 2][16], [step backwards][channel 1, 3][16]. 64 bytes of stack more.
.macro HELIUM_X q,r,backwards
 .if \backwards
  vldrb.u8 \q,[\r,#-16]!
 .else
  vldrb.u8 \q,[\r],#16
 .endif
.endm
.macro HELIUM_AHEAD backwards
  vldrw.u32 q3,[r9],#16
  HELIUM_X q0,r1,\backwards
.endm
@ One step: loads and sums alternate, which overlaps them. \ahead: also the next step's first two loads.
.macro HELIUM_STEP backwards,a,ahead
  vmladav\a\().s8 r0,q0,q3
  HELIUM_X q1,r3,\backwards
  vmladav\a\().s8 r2,q1,q3
  HELIUM_X q2,r5,\backwards
  vmladav\a\().s8 r4,q2,q3
  vldrw.u32 q7,[r9],#16
  vmladav\a\().s8 r6,q0,q7
 .if \ahead
  vldrw.u32 q3,[r9],#16
 .endif
  vmladav\a\().s8 r8,q1,q7
 .if \ahead
  HELIUM_X q0,r1,\backwards
 .endif
  vmladav\a\().s8 r10,q2,q7
.endm
@ Steps by twos; label 62 is where none are left.
.macro HELIUM_STEPS backwards
61:
  HELIUM_STEP \backwards,a,1
  HELIUM_STEP \backwards,a,1
  le lr,61b
62:
.endm
@ A further segment.
.macro HELIUM_SEGMENT backwards,odd,at
  ldr lr,[sp,#\at]
 .if \backwards
  sub r1,lr
  sub r3,lr
  sub r5,lr
 .else
  add r1,lr
  add r3,lr
  add r5,lr
 .endif
  HELIUM_AHEAD \backwards
 .if \odd
  add lr,r12,#1
  dls lr,lr
 .else
  HELIUM_STEP \backwards,a,1
  wls lr,r12,62f
 .endif
  HELIUM_STEPS \backwards
  HELIUM_STEP \backwards,a,0
.endm
.macro HELIUM_PASS backwards,odd,segments
  HELIUM_AHEAD \backwards
  HELIUM_STEP \backwards,,1
 .if \odd
  HELIUM_STEP \backwards,a,1
 .endif
  wls lr,r12,62f
  HELIUM_STEPS \backwards
  HELIUM_STEP \backwards,a,0
 .if \segments == 3
  .if \backwards
  HELIUM_SEGMENT \backwards,\odd,56
  HELIUM_SEGMENT \backwards,\odd,52
  .else
  HELIUM_SEGMENT \backwards,\odd,52
  HELIUM_SEGMENT \backwards,\odd,56
  .endif
 .endif
.endm
.macro HELIUM_DOTS name,tflite,odd,segments
HELIUM_ENTER \name
  sub sp,#64
  ldm r0!,{r1-r8}
  stm sp,{r1-r8}
  ldm r0,{r1-r7}
  add r0,sp,#32
  stm r0,{r1-r7}
1:
  ldrd r1,r9,[sp]
  ldrd r0,r2,[sp,#16]
  ldr r7,[sp,#8]
  adds r3,r1,r0
  adds r5,r1,r2
  ldrd r11,r12,[sp,#40]
2:
  HELIUM_PASS 0,\odd,\segments
  vmov q4[2],q4[0],r0,r6
  vmov q5[2],q5[0],r2,r8
  vmov q6[2],q6[0],r4,r10
  HELIUM_PASS 1,\odd,\segments
  vldrw.u32 q1,[r9],#16
  vmov q4[3],q4[1],r0,r6
  vmov q5[3],q5[1],r2,r8
  vmov q6[3],q6[1],r4,r10
  vldrw.u32 q0,[r9],#16
  ldrd r2,r4,[sp,#24]
  vadd.i32 q4,q4,q0
  add r2,r7
  vadd.i32 q5,q5,q0
  add r4,r7
  vadd.i32 q6,q6,q0
 .if \tflite
  vldrw.u32 q2,[r9],#16
  vqrdmulh.s32 q4,q4,q1
  ldr r0,[sp,#48]
  vqrdmulh.s32 q5,q5,q1
  vqrdmulh.s32 q6,q6,q1
  vshr.s32 q0,q4,#31
  vshr.s32 q1,q5,#31
  vshr.s32 q3,q6,#31
  vadd.i32 q4,q4,q0
  vadd.i32 q5,q5,q1
  vadd.i32 q6,q6,q3
  vrshl.s32 q4,q4,q2
  vrshl.s32 q5,q5,q2
  vrshl.s32 q6,q6,q2
  vadd.i32 q4,q4,r0
  vadd.i32 q5,q5,r0
  vadd.i32 q6,q6,r0
 .else
  vrmulh.s32 q4,q4,q1
  vrmulh.s32 q5,q5,q1
  vrmulh.s32 q6,q6,q1
 .endif
  vqmovnb.s32 q4,q4
  vqmovnb.s32 q5,q5
  vqmovnb.s32 q6,q6
  vqmovnb.s16 q4,q4
  vqmovnb.s16 q5,q5
  vqmovnb.s16 q6,q6
  vstrb.32 q4,[r7],#4
  vstrb.32 q5,[r2]
  vstrb.32 q6,[r4]
  subs r11,#1
  bne.w 2b
  ldrd r0,r1,[sp,#32]
  ldr r2,[sp]
  ldrd r3,r4,[sp,#8]
  add r2,r0
  add r3,r1
  subs r4,#1
  str r2,[sp]
  strd r3,r4,[sp,#8]
  bne.w 1b
  add sp,#64
HELIUM_LEAVE \name
.endm
HELIUM_DOTS dots_even_q32,0,0,1
HELIUM_DOTS dots_odd_q32,0,1,1
HELIUM_DOTS dots_even_tflite,1,0,1
HELIUM_DOTS dots_odd_tflite,1,1,1
HELIUM_DOTS dots3_even_q32,0,0,3
HELIUM_DOTS dots3_odd_q32,0,1,3
HELIUM_DOTS dots3_even_tflite,1,0,3
HELIUM_DOTS dots3_odd_tflite,1,1,3
