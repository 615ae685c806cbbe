@ Windows over maps of contiguous rows, one output pixel a call.

@ Maxima. r0 first pixel | r1 channels | r2 output | r3 a row to the next | [sp] rows | [sp, #4] columns | [sp, #8] a column to the next
HELIUM_BEGIN max_pixel
  push {r4-r9,lr}
  ldrd r4,r5,[sp,#28]
  ldr r6,[sp,#36]
1:
  mov r8,r0
  mov r7,r4
  movs r9,#0x80
  vdup.8 q0,r9
  vctp.8 r1
2:
  mov r9,r8
  dls lr,r5
3:
  vpst
  vldrbt.u8 q1,[r9]
  vmax.s8 q0,q0,q1
  add r9,r6
  le lr,3b
  add r8,r3
  subs r7,#1
  bne 2b
  vpst
  vstrbt.8 q0,[r2],#16
  adds r0,#16
  subs r1,#16
  bhi 1b
  pop {r4-r9,pc}
HELIUM_END max_pixel

@ Sums of 8 channels, of which p0 has those that there are: q2 even ones, q3 odd ones. r8 first | r4 rows | r5 columns, at most 256 |
@ r3, r6 a row, a column to the next. Clobbers q0, q1, r7, r9.
.macro HELIUM_WINDOW_SUMS
  mov r9,r4
  vmov.i32 q2,#0
  vmov.i32 q3,#0
61:
  vmov.i16 q0,#0
  mov r7,r8
  dls lr,r5
62:
  vpst
  vldrbt.s16 q1,[r7]
  vadd.i16 q0,q0,q1
  add r7,r6
  le lr,62b
  vmovlb.s16 q1,q0
  vadd.i32 q2,q2,q1
  vmovlt.s16 q1,q0
  vadd.i32 q3,q3,q1
  add r8,r3
  subs r9,#1
  bne 61b
.endm
@ Even channels in q2 and odd ones in q3 to int8, stored.
.macro HELIUM_STORE_SUMS
  vqmovnb.s32 q2,q2
  vqmovnt.s32 q2,q3
  vqmovnb.s16 q2,q2
  vpst
  vstrbt.16 q2,[r2],#8
.endm

@ 0 first pixel | 4 channels, at least 1 | 8 output | 12 a row to the next | 16 rows | 20 columns, at most 256 | 24 a column to the next
@ and from 28 on what each function lists. No further stack.
.macro HELIUM_POOL name
HELIUM_ENTER \name
  ldm r0,{r1,r2,r3,r4,r5,r6,r7}
  mov r10,r1
  mov r1,r2
  mov r2,r3
  mov r3,r4
  mov r4,r5
  mov r5,r6
  mov r6,r7
.endm
.macro HELIUM_POOL_NEXT name
  add r10,#8
  subs r1,#8
  bhi.w 1b
HELIUM_LEAVE \name
.endm

@ ((((sum + offset) << shift) + bias) * multiplier + 2^31) >> 32. 28 offset | 32 shift | 36 bias | 40 multiplier
HELIUM_POOL average_q32
  ldrd r11,r12,[r0,#28]
  ldr r7,[r0,#40]
  vdup.32 q4,r7
  ldr r0,[r0,#36]
1:
  mov r8,r10
  vctp.16 r1
  HELIUM_WINDOW_SUMS
  vadd.i32 q2,q2,r11
  vadd.i32 q3,q3,r11
  vshl.s32 q2,r12
  vshl.s32 q3,r12
  vadd.i32 q2,q2,r0
  vadd.i32 q3,q3,r0
  vrmulh.s32 q2,q2,q4
  vrmulh.s32 q3,q3,q4
  HELIUM_STORE_SUMS
  HELIUM_POOL_NEXT average_q32

@ sum / count, ties away from zero. 28 count / 2 | 32 2^32 / count, rounded up
HELIUM_POOL average_tflite
  ldrd r11,r12,[r0,#28]
  vdup.32 q4,r12
1:
  mov r8,r10
  vctp.16 r1
  HELIUM_WINDOW_SUMS
 .irp q,q2,q3
  vshr.s32 q0,\q,#31
  vabs.s32 q1,\q
  vadd.i32 q1,q1,r11
  vmulh.u32 q1,q1,q4
  veor q1,q1,q0
  vsub.i32 \q,q1,q0
 .endr
  HELIUM_STORE_SUMS
  HELIUM_POOL_NEXT average_tflite

@ MBQM(sum + bias, m, n) + zero point, as in add_tflite. 28 bias | 32 m | 36 f | 40 -n | 44 zero point
HELIUM_POOL mean_tflite
  ldrd r11,r7,[r0,#28]
  ldrd r12,r8,[r0,#36]
  ldr r0,[r0,#44]
  push {r7,r8}
1:
  mov r8,r10
  vctp.16 r1
  HELIUM_WINDOW_SUMS
  ldrd r7,r8,[sp]
  vadd.i32 q2,q2,r11
  vadd.i32 q3,q3,r11
  HELIUM_MBQM q2,r7,r12,r8,q0
  HELIUM_MBQM q3,r7,r12,r8,q1
  vadd.i32 q2,q2,r0
  vadd.i32 q3,q3,r0
  HELIUM_STORE_SUMS
  add r10,#8
  subs r1,#8
  bhi.w 1b
  pop {r7,r8}
HELIUM_LEAVE mean_tflite
