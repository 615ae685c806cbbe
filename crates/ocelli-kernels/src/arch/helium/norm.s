@ LayerNorm and RMSNorm of pixels, in place.
@ With the formulas of docs/numerics.md: (difference * inverse + half) >> shift is VQRDMULH(difference << k, inverse << j), where
@ k + j = 31 - shift. The inverse has up to 17 bits, so j = 13 fits; |difference| < 2^(shift + 2) * sqrt(n), so k = 18 - shift fits, too.
@ 0 data | 4 pixels, at least 1 | 8 channels, a multiple of 4 | 12 bias and multiplier of each | 16, 20 epsilon, low and high word
@ 24 minus the output's shift | 28 whether the mean is taken off | 32 zero point. 8 bytes of stack more.
HELIUM_ENTER norm
  ldm r0,{r1,r9,r10,r11}
  push {r0,r9}
1:
  mov r3,r1
  movs r4,#0
  movs r6,#0
  dlstp.8 lr,r10
2:
  vldrb.u8 q0,[r3],#16
  vaddva.s8 r4,q0
  vmladava.s8 r6,q0,q0
  letp lr,2b
  ldr r0,[sp]
  ldrd r7,r5,[r0,#28]
  cbz r7,3f
  @ n * squares - sum^2, offset sum
  umull r2,r3,r6,r10
  smull r5,r7,r4,r4
  subs r2,r2,r5
  sbc r3,r3,r7
  b 4f
3:
  @ n * (squares + z * (n * z - 2 * sum)), offset n * z
  mul r7,r10,r5
  sub r3,r7,r4,lsl #1
  mla r6,r3,r5,r6
  umull r2,r3,r6,r10
  mov r4,r7
4:
  @ r3:r2 = (variance << 8) + epsilon, saturated, at least 1
  lsls r3,r3,#8
  orr r3,r3,r2,lsr #24
  lsls r2,r2,#8
  ldrd r5,r7,[r0,#16]
  adds r2,r2,r5
  adcs r3,r3,r7
  itt cs
  movcs r2,#-1
  movcs r3,#-1
  orrs r5,r2,r3
  it eq
  moveq r2,#1
  @ r12 = leading zeros, even; r5 = the 32 bits from there on
  clz r12,r3
  bic r12,#1
  cbz r3,5f
  lsl r5,r3,r12
  rsb r7,r12,#32
  lsr r2,r2,r7
  orrs r5,r2
  b 6f
5:
  clz r12,r2
  bic r12,#1
  lsl r5,r2,r12
  add r12,#32
6:
  @ r7 = floor(sqrt(r5)): a float's is off by one at most
  vmov s0,r5
  vcvt.f32.u32 s0,s0
  vsqrt.f32 s0,s0
  vcvt.u32.f32 s0,s0
  vmov r7,s0
  usat r7,#16,r7
  mls r2,r7,r7,r5
  cmp r2,r7,lsl #1
  it gt
  addgt r7,#1
  cmp r2,#0
  it lt
  sublt r7,#1
  @ r2 = inverse, r12 = shift, r3 = k
  mov r2,#0x80000000
  add r2,r2,r7,lsr #1
  udiv r2,r2,r7
  lsr r12,r12,#1
  rsbs r12,r12,#27
  it mi
  movmi r12,#0
  rsbs r3,r12,#18
  it mi
  movmi r3,#0
  rsb r5,r12,#31
  subs r5,r5,r3
  lsls r2,r5
  lsl r5,r10,r3
  lsls r4,r3
  rsbs r4,r4,#0
  vdup.32 q3,r5
  ldr r7,[r0,#24]
  mov r3,r11
  lsr lr,r10,#2
  dls lr,lr
7:
  vldrb.s32 q0,[r1]
  vmlas.i32 q0,q3,r4
  vqrdmulh.s32 q0,q0,r2
  vld20.32 {q1,q2},[r3]
  vld21.32 {q1,q2},[r3]!
  vrmulh.s32 q0,q0,q2
  vadd.i32 q0,q0,q1
  vshl.s32 q0,r7
  HELIUM_NARROW q0
  vstrb.32 q0,[r1],#4
  le lr,7b
  subs.w r9,r9,#1
  bne.w 1b
  add sp,#8
HELIUM_LEAVE norm
