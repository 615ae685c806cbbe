@ Four rows of bytes as words: word i is byte i of each. r0-r3 rows | [sp] words | [sp, #4] bytes of a row.
@ Writes a multiple of 64 bytes: up to 60 beyond the last word.
HELIUM_BEGIN interleave
  push {r4,r5,r6,lr}
  ldrd r4,r5,[sp,#16]
  lsrs r6,r5,#4
  wls lr,r6,2f
1:
  vldrb.u8 q0,[r0],#16
  vldrb.u8 q1,[r1],#16
  vldrb.u8 q2,[r2],#16
  vldrb.u8 q3,[r3],#16
  vst40.8 {q0,q1,q2,q3},[r4]
  vst41.8 {q0,q1,q2,q3},[r4]
  vst42.8 {q0,q1,q2,q3},[r4]
  vst43.8 {q0,q1,q2,q3},[r4]!
  le lr,1b
2:
  ands r5,#15
  beq 3f
  vctp.8 r5
  vpstttt
  vldrbt.u8 q0,[r0]
  vldrbt.u8 q1,[r1]
  vldrbt.u8 q2,[r2]
  vldrbt.u8 q3,[r3]
  vst40.8 {q0,q1,q2,q3},[r4]
  vst41.8 {q0,q1,q2,q3},[r4]
  vst42.8 {q0,q1,q2,q3},[r4]
  vst43.8 {q0,q1,q2,q3},[r4]
3:
  pop {r4,r5,r6,pc}
HELIUM_END interleave

@ Depthwise windows of up to 4x4 over words of four rows, [column][channel]: 16 bytes that are gathered from four columns are a whole window of
@ a channel, so one VMLADAV is one output. Four channels side by side; their weights stay in q0-q3, the loop runs along the row.
@ 0 words | 4 quads' parameters | 8 output | 12 outputs of the row | 16 output pixel stride | 20 bytes from a window to the next | 24 quads
@ 28 output zero point | 32 bytes from a window's column to the next
@ A quad's weights: [channel][column][row]. No further stack. \step: the bytes from a window to the next where they are known, or 0.
.macro HELIUM_WINDOWS name,tflite,step
HELIUM_ENTER \name
  ldr r2,[r0,#32]
  ldm r0,{r1,r3,r5,r8,r9,r10,r11,r12}
  movs r0,#0
  vidup.u32 q7,r0,#1
  vmul.i32 q7,q7,r2
  vadd.i32 q7,q7,r1
 .if \step
  vsub.i32 q7,q7,r10
 .endif
  movs r1,#16
  mls r1,r8,r10,r1
1:
  vldrw.u32 q0,[r3],#16
  vldrw.u32 q1,[r3],#16
  vldrw.u32 q2,[r3],#16
  vldrw.u32 q3,[r3],#16
  vldrw.u32 q5,[r3],#16
 .if \tflite == 0
  vldrw.u32 q4,[r3],#16
 .endif
  mov r7,r5
  adds r5,#4
  dls lr,r8
2:
 .if \step
  vldrw.u32 q6,[q7,#\step]!
 .else
  vldrw.u32 q6,[q7]
 .endif
  vmladav.s8 r0,q6,q0
  vldrw.u32 q6,[q7,#4]
  vmladav.s8 r2,q6,q1
  vldrw.u32 q6,[q7,#8]
  vmladav.s8 r4,q6,q2
  vldrw.u32 q6,[q7,#12]
  vmladav.s8 r6,q6,q3
 .if \step == 0
  vadd.i32 q7,q7,r10
 .endif
  vmov q6[2],q6[0],r0,r4
  vmov q6[3],q6[1],r2,r6
 .if \tflite
  vldrw.u32 q4,[r3]
  vadd.i32 q6,q6,q4
  vqrdmulh.s32 q6,q6,q5
  vshr.s32 q4,q6,#31
  vadd.i32 q6,q6,q4
  vldrw.u32 q4,[r3,#16]
  vrshl.s32 q6,q6,q4
  vadd.i32 q6,q6,r12
  HELIUM_NARROW q6
 .else
  HELIUM_Q32 q6,q5,q4
 .endif
  vstrb.32 q6,[r7]
  add r7,r9
  le lr,2b
 .if \tflite
  adds r3,#32
 .endif
  vadd.i32 q7,q7,r1
  subs r11,#1
  bne 1b
HELIUM_LEAVE \name
.endm
HELIUM_WINDOWS windows_q32,0,0
HELIUM_WINDOWS windows_tflite,1,0
HELIUM_WINDOWS windows128_q32,0,128
HELIUM_WINDOWS windows128_tflite,1,128
HELIUM_WINDOWS windows192_q32,0,192
HELIUM_WINDOWS windows192_tflite,1,192
HELIUM_WINDOWS windows256_q32,0,256
HELIUM_WINDOWS windows256_tflite,1,256

@ The same for larger windows, in tiles of 4x4.
@ 0 words | 4 quads' parameters | 8 output | 12 outputs of the row | 16 output pixel stride | 20 bytes from a window to the next | 24 quads
@ 28 output zero point | 32 bytes from a window's column to the next | 36 tiles | 40 for each tile, bytes to the next tile; from the last to the first
@ A quad's weights: [tile][channel][column][row]. 40 bytes of stack more.
.macro HELIUM_TILES name,tflite
HELIUM_ENTER \name
  ldr r2,[r0,#32]
  ldm r0!,{r1,r3,r5,r8,r9,r10,r11,r12}
  adds r0,#8
  sub sp,#40
  movs r4,#0
  vidup.u32 q7,r4,#1
  vmul.i32 q7,q7,r2
  vadd.i32 q7,q7,r1
  str r0,[sp,#16]
  ldr r4,[r0,#-4]
  str r4,[sp,#20]
  str r5,[sp,#24]
  str r11,[sp,#32]
1:
  vstrw.32 q7,[sp]
  ldr r7,[sp,#24]
  adds r4,r7,#4
  str r4,[sp,#24]
  str r8,[sp,#28]
2:
  mov r5,r3
  ldrd r1,lr,[sp,#16]
  movs r0,#0
  movs r2,#0
  movs r4,#0
  movs r6,#0
  dls lr,lr
3:
  vldrw.u32 q0,[q7]
  vldrw.u32 q1,[r5],#16
  vmladava.s8 r0,q0,q1
  vldrw.u32 q0,[q7,#4]
  vldrw.u32 q1,[r5],#16
  vmladava.s8 r2,q0,q1
  vldrw.u32 q0,[q7,#8]
  vldrw.u32 q1,[r5],#16
  vmladava.s8 r4,q0,q1
  vldrw.u32 q0,[q7,#12]
  vldrw.u32 q1,[r5],#16
  vmladava.s8 r6,q0,q1
  ldr r11,[r1],#4
  vadd.i32 q7,q7,r11
  le lr,3b
  vadd.i32 q7,q7,r10
  vldrw.u32 q5,[r5],#16
  vldrw.u32 q4,[r5],#16
  vmov q6[2],q6[0],r0,r4
  vmov q6[3],q6[1],r2,r6
 .if \tflite
  vldrw.u32 q3,[r5],#16
  HELIUM_TFLITE q6,q5,q4,q3,r12,q2
 .else
  HELIUM_Q32 q6,q5,q4
 .endif
  vstrb.32 q6,[r7]
  add r7,r9
  ldr r11,[sp,#28]
  subs r11,#1
  str r11,[sp,#28]
  bne 2b
  mov r3,r5
  vldrw.u32 q7,[sp]
  movs r0,#16
  vadd.i32 q7,q7,r0
  ldr r11,[sp,#32]
  subs r11,#1
  str r11,[sp,#32]
  bne 1b
  add sp,#40
HELIUM_LEAVE \name
.endm
HELIUM_TILES tiles_q32,0
HELIUM_TILES tiles_tflite,1
