@ What is the same for all queries of a head.

@ What keys of 16 channels add to products: factor * sum of each, in the order that scores take.
@ r0 keys | r1 not used | r2 words | r3 factor | [sp] keys / 8
.macro HELIUM_SUMS4 a,b,c,d
  vldrb.u8 q0,[r0,#\a]
  vaddv.s8 r4,q0
  vldrb.u8 q0,[r0,#\b]
  vaddv.s8 r6,q0
  vldrb.u8 q0,[r0,#\c]
  vmov q1[2],q1[0],r4,r6
  vaddv.s8 r4,q0
  vldrb.u8 q0,[r0,#\d]
  vaddv.s8 r6,q0
  vmov q1[3],q1[1],r4,r6
  vmul.i32 q1,q1,r3
  vstrw.32 q1,[r2],#16
.endm
HELIUM_BEGIN key_sums16
  push {r4,r6,r7,lr}
  ldr lr,[sp,#16]
  dls lr,lr
1:
  HELIUM_SUMS4 0,64,32,96
  HELIUM_SUMS4 16,80,48,112
  adds r0,#128
  le lr,1b
  pop {r4,r6,r7,pc}
HELIUM_END key_sums16

@ The same for keys of 16n channels. r0 keys | r1 n | r2 words | r3 factor | [sp] keys / 8
HELIUM_BEGIN key_sums
  push {r4,r5,r6,lr}
  ldr r5,[sp,#16]
1:
 .irp at,0,16,4,20,8,24,12,28
  movs r4,#0
  dls lr,r1
2:
  vldrb.u8 q0,[r0],#16
  vaddva.s8 r4,q0
  le lr,2b
  mul r6,r4,r3
  str r6,[r2,#\at]
 .endr
  adds r2,#32
  subs r5,#1
  bne 1b
  pop {r4,r5,r6,pc}
HELIUM_END key_sums

@ Up to 8 channels of values of neighbouring keys in the order of the mean. r0 values | r1 a key to the next | r2 to | r3 key of the group of 8
@ [sp] keys, at least 1 | [sp, #4] channels, 4 or 8 | [sp, #8] offsets of the 8 channels, 2 bytes each
HELIUM_BEGIN transpose
  push {r4,r5,r6,r7,lr}
  ldrd r7,r4,[sp,#20]
  ldr r5,[sp,#28]
  vldrh.u16 q1,[r5]
  vctp.16 r4
  rsb r3,r3,#8
1:
  cmp r3,r7
  it hi
  movhi r3,r7
  subs r7,r7,r3
  dls lr,r3
  cmp r4,#8
  beq 3f
2:
  vpstt
  vldrbt.u16 q0,[r0]
  vstrbt.16 q0,[r2,q1]
  add r0,r1
  adds r2,#1
  le lr,2b
  b 4f
3:
  vldrb.u16 q0,[r0]
  add r0,r1
  vstrb.16 q0,[r2,q1]
  adds r2,#1
  le lr,3b
4:
  adds r2,#24
  movs r3,#8
  cmp r7,#0
  bne 1b
  pop {r4,r5,r6,r7,pc}
HELIUM_END transpose
