@ Attention of a head, two queries at a time: scores, their exponentials, the weighted mean of the values.
@ Queries and keys have 16n channels (those beyond the head's are 0); keys are side by side, a multiple of 8 of them, those beyond the
@ sequence's being copies of others. Lanes of scores are in the keys' order.
@ 0 queries (written) | 4 a query to the next | 8 outputs (written) | 12 an output to the next | 16 pairs (written) | 20 keys | 24 keys / 8
@ 28 what keys add to products, 4 of even and 4 of odd ones of each 8 | 32, 36 f and c: queries add f * sum(q) + c | 40 shift of products
@ 44 multiplier | 48, 52 scores of each query: 2 bytes a key, multiples of 16 keys | 56 keys of the sequence | 60 exponentials
@ 64 output multiplier | 68 output bias | 72 minus the output's shift | 76 values | 80 channels of the values / 4 | 84 keys / 16, rounded up
@ 88 n
@ Values are [channel / 4][key / 8][channel][key], 0 for keys beyond the sequence's.
@ \n: 1, or 0 for any; \shifted: products are shifted. 72 bytes of stack more: 0 r0 | 4, 8 scores | 12 keys / 16 - 1 | 16, 20 shifts of sums | 24, 28 output bias, minus shift
@ 32 output stride | 36, 40 queries | 48 what keys add | 52, 56 scores | 60, 64 what queries add
@ Four products of 16n channels: key r3 and the one 4 keys further, with both queries. r10: bytes of a key.
.macro HELIUM_PRODUCTS
  ldrd r1,r5,[sp,#36]
  add r7,r3,r10,lsl #2
  mov r9,r3
  movs r0,#0
  movs r2,#0
  movs r4,#0
  movs r6,#0
  lsr lr,r10,#4
  dls lr,lr
61:
  vldrb.u8 q0,[r1],#16
  vldrb.u8 q2,[r9],#16
  vmladava.s8 r0,q0,q2
  vldrb.u8 q1,[r5],#16
  vmladava.s8 r2,q1,q2
  vldrb.u8 q2,[r7],#16
  vmladava.s8 r4,q0,q2
  vmladava.s8 r6,q1,q2
  le lr,61b
.endm
@ Adds to products of 8 keys, in q4 (even keys) and q5 for the first query, in q6 and q7 for the second.
.macro HELIUM_ADD_OFFSETS keys,first,second
  vldrw.u32 q2,[\keys],#16
  vadd.i32 q4,q4,q2
  vadd.i32 q6,q6,q2
  vldrw.u32 q2,[\keys],#16
  vadd.i32 q5,q5,q2
  vadd.i32 q7,q7,q2
  vadd.i32 q4,q4,\first
  vadd.i32 q5,q5,\first
  vadd.i32 q6,q6,\second
  vadd.i32 q7,q7,\second
.endm
.macro HELIUM_SHIFT by
  vshl.s32 q4,\by
  vshl.s32 q5,\by
  vshl.s32 q6,\by
  vshl.s32 q7,\by
.endm
@ To 16 bits, in q4 and q6, in the keys' order. q3: multiplier.
.macro HELIUM_TO_SCORES
  vrmulh.s32 q4,q4,q3
  vrmulh.s32 q5,q5,q3
  vrmulh.s32 q6,q6,q3
  vrmulh.s32 q7,q7,q3
  vqmovnb.s32 q4,q4
  vqmovnt.s32 q4,q5
  vqmovnb.s32 q6,q6
  vqmovnt.s32 q6,q7
.endm
@ 8 keys, both queries, 4 channels; \a: accumulate.
.macro HELIUM_MEAN8 a
  vldrh.u16 q0,[r1],#16
  vldrb.s16 q2,[r5],#8
  vmladav\a\().s16 r0,q0,q2
  vldrh.u16 q1,[r3],#16
  vmladav\a\().s16 r2,q1,q2
  vldrb.s16 q3,[r5],#8
  vmladav\a\().s16 r4,q0,q3
  vmladav\a\().s16 r6,q1,q3
  vldrb.s16 q2,[r5],#8
  vmladav\a\().s16 r8,q0,q2
  vmladav\a\().s16 r10,q1,q2
  vldrb.s16 q3,[r5],#8
  vmladav\a\().s16 r12,q0,q3
  vmladav\a\().s16 lr,q1,q3
.endm
@ Of a sum of weights: the shift of sums that it divides, and a vector of their multiplier. r3 = 2^31, r2 = output multiplier.
.macro HELIUM_DIVISOR total,shift,vector
  clz \shift,\total
  lsl \total,\total,\shift
  lsr \total,\total,#16
  udiv \total,r3,\total
  lsl \total,\total,#14
  smmulr \total,\total,r2
  subs \shift,#8
  vdup.32 \vector,\total
.endm
.macro HELIUM_ATTEND name,n,shifted
HELIUM_ENTER \name
  sub sp,#72
  str r0,[sp]
  ldr r1,[r0,#84]
  subs r1,#1
  str r1,[sp,#12]
  ldrd r1,r2,[r0,#48]
  strd r1,r2,[sp,#4]
  ldrd r1,r2,[r0,#68]
  strd r1,r2,[sp,#24]
  ldr r1,[r0,#12]
  str r1,[sp,#32]
1:
  ldrd r1,r2,[r0]
  ldrd r8,r11,[r0,#32]
  ldr r12,[r0,#44]
  ldrd r5,r7,[sp,#4]
  adds r3,r1,r2
  vdup.32 q3,r12
 .if \n
  vldrb.u8 q0,[r1]
  vldrb.u8 q1,[r3]
  add r2,r3
  str r2,[r0]
  vaddv.s8 r4,q0
  vaddv.s8 r6,q1
  mla r9,r4,r8,r11
  mla r11,r6,r8,r11
  mov r8,#0x8000
  mov r12,r8
  ldr r10,[r0,#40]
  ldrd r3,lr,[r0,#20]
  ldr r1,[r0,#28]
  subs r3,#16
  dls lr,lr
2:
  vldrb.u8 q2,[r3,#16]!
  vmladav.s8 r0,q0,q2
  vmladav.s8 r2,q1,q2
  vldrb.u8 q2,[r3,#64]
  vmladav.s8 r4,q0,q2
  vmladav.s8 r6,q1,q2
  vldrb.u8 q2,[r3,#32]
  vmov q4[2],q4[0],r0,r4
  vmladav.s8 r0,q0,q2
  vmov q6[2],q6[0],r2,r6
  vmladav.s8 r2,q1,q2
  vldrb.u8 q2,[r3,#96]
  vmladav.s8 r4,q0,q2
  vmladav.s8 r6,q1,q2
  vldrb.u8 q2,[r3,#16]
  vmov q4[3],q4[1],r0,r4
  vmladav.s8 r0,q0,q2
  vmov q6[3],q6[1],r2,r6
  vmladav.s8 r2,q1,q2
  vldrb.u8 q2,[r3,#80]
  vmladav.s8 r4,q0,q2
  vmladav.s8 r6,q1,q2
  vldrb.u8 q2,[r3,#48]
  vmov q5[2],q5[0],r0,r4
  vmladav.s8 r0,q0,q2
  vmov q7[2],q7[0],r2,r6
  vmladav.s8 r2,q1,q2
  vldrb.u8 q2,[r3,#112]!
  vmladav.s8 r4,q0,q2
  vmladav.s8 r6,q1,q2
  vmov q5[3],q5[1],r0,r4
  vmov q7[3],q7[1],r2,r6
  HELIUM_ADD_OFFSETS r1,r9,r11
  .if \shifted
  HELIUM_SHIFT r10
  .endif
  HELIUM_TO_SCORES
  vmaxv.s16 r8,q4
  vstrh.16 q4,[r5],#16
  vmaxv.s16 r12,q6
  vstrh.16 q6,[r7],#16
  le lr,2b
 .else
  strd r1,r3,[sp,#36]
  add r2,r3
  str r2,[r0]
  ldr lr,[r0,#88]
  lsl r10,lr,#4
  movs r4,#0
  movs r6,#0
  dls lr,lr
2:
  vldrb.u8 q0,[r1],#16
  vaddva.s8 r4,q0
  vldrb.u8 q1,[r3],#16
  vaddva.s8 r6,q1
  le lr,2b
  mla r12,r4,r8,r11
  mla r11,r6,r8,r11
  strd r12,r11,[sp,#60]
  mov r8,#0x8000
  mov r12,r8
  strd r5,r7,[sp,#52]
  ldr r5,[r0,#28]
  str r5,[sp,#48]
  ldrd r3,r11,[r0,#20]
2:
  HELIUM_PRODUCTS
  add r3,r3,r10,lsl #1
  vmov q4[2],q4[0],r0,r4
  vmov q6[2],q6[0],r2,r6
  HELIUM_PRODUCTS
  sub r3,r3,r10
  vmov q4[3],q4[1],r0,r4
  vmov q6[3],q6[1],r2,r6
  HELIUM_PRODUCTS
  add r3,r3,r10,lsl #1
  vmov q5[2],q5[0],r0,r4
  vmov q7[2],q7[0],r2,r6
  HELIUM_PRODUCTS
  add r3,r3,r10,lsl #2
  add r3,r3,r10
  vmov q5[3],q5[1],r0,r4
  vmov q7[3],q7[1],r2,r6
  ldrd r1,r5,[sp,#48]
  ldr r7,[sp,#56]
  ldrd r0,r9,[sp,#60]
  HELIUM_ADD_OFFSETS r1,r0,r9
  ldr r2,[sp]
  ldr r2,[r2,#40]
  HELIUM_SHIFT r2
  HELIUM_TO_SCORES
  vmaxv.s16 r8,q4
  vstrh.16 q4,[r5],#16
  vmaxv.s16 r12,q6
  vstrh.16 q6,[r7],#16
  strd r1,r5,[sp,#48]
  str r7,[sp,#56]
  subs r11,#1
  bne.w 2b
 .endif
  @ Weights. r8, r12: largest scores.
  ldr r0,[sp]
  ldrd r5,r7,[sp,#4]
  ldrd lr,r2,[r0,#56]
  movw r1,#1023
  vdup.16 q5,r1
  vdup.16 q6,r8
  vdup.16 q7,r12
  movs r4,#0
  movs r6,#0
  dlstp.16 lr,lr
3:
  vldrh.u16 q0,[r5]
  vsub.i16 q0,q6,q0
  vmin.u16 q0,q0,q5
  vldrh.u16 q1,[r2,q0,uxtw #1]
  vaddva.u16 r4,q1
  vstrh.16 q1,[r5],#16
  vldrh.u16 q2,[r7]
  vsub.i16 q2,q7,q2
  vmin.u16 q2,q2,q5
  vldrh.u16 q3,[r2,q2,uxtw #1]
  vaddva.u16 r6,q3
  vstrh.16 q3,[r7],#16
  letp lr,3b
  @ Mean.
  ldr r2,[r0,#64]
  mov r3,#0x80000000
  HELIUM_DIVISOR r4,r1,q6
  HELIUM_DIVISOR r6,r5,q7
  strd r1,r5,[sp,#16]
  ldrd r5,r9,[r0,#76]
  ldr r7,[r0,#8]
4:
  ldrd r1,r3,[sp,#4]
  ldr r11,[sp,#12]
  HELIUM_MEAN8
  HELIUM_MEAN8 a
  lsrs r11,r11,#1
  bcs 6f
  subs r11,#1
  bmi 7f
5:
  HELIUM_MEAN8 a
  HELIUM_MEAN8 a
6:
  HELIUM_MEAN8 a
  HELIUM_MEAN8 a
  subs r11,#1
  bpl 5b
7:
  vmov q4[2],q4[0],r0,r8
  vmov q5[2],q5[0],r2,r10
  vmov q4[3],q4[1],r4,r12
  ldrd r0,r2,[sp,#16]
  vmov q5[3],q5[1],r6,lr
  vshl.s32 q4,r0
  vshl.s32 q5,r2
  ldrd r0,r2,[sp,#24]
  vrmulh.s32 q4,q4,q6
  vrmulh.s32 q5,q5,q7
  vadd.i32 q4,q4,r0
  vadd.i32 q5,q5,r0
  ldr r0,[sp,#32]
  vshl.s32 q4,r2
  vshl.s32 q5,r2
  add r0,r7
  HELIUM_NARROW q4
  HELIUM_NARROW q5
  vstrb.32 q4,[r7],#4
  vstrb.32 q5,[r0]
  subs r9,#1
  bne 4b
  @ The next pair.
  ldr r0,[sp]
  ldr r1,[sp,#32]
  ldrd r2,r3,[r0,#8]
  ldr r4,[r0,#16]
  add r2,r2,r1,lsl #1
  str r2,[r0,#8]
  subs r4,#1
  str r4,[r0,#16]
  bne.w 1b
  add sp,#72
HELIUM_LEAVE \name
.endm
HELIUM_ATTEND attend16,1,0
HELIUM_ATTEND attend16_shifted,1,1
HELIUM_ATTEND attend,0,1
