@ Patches: up to 16 bytes from each of several rows, side by side, for each window.
@ 0 first slot of rows | 4 a slot to the next | 8 slot of the window's first row | 12 slots, all of which a window sees | 16 bytes of a row
@ 20 a window to the next | 24 patches | 28 a patch to the next | 32 windows, at least 1
HELIUM_ENTER patches
  ldm r0,{r1-r7}
  ldrd r3,r8,[r0,#28]
  ldr r12,[r0,#12]
  ldr r9,[r0,#8]
  vctp.8 r5
  @ r1 slots, r2 pitch, r3 patch stride, r5 run, r6 stride, r7 patches, r8 windows, r12 rows left
  mla r4,r9,r2,r1
  sub r9,r12,r9
1:
  mov r10,r4
  mov r11,r7
  dls lr,r8
2:
  vpstt
  vldrbt.u8 q0,[r10]
  vstrbt.8 q0,[r11]
  add r10,r6
  add r11,r3
  le lr,2b
  add r7,r5
  add r4,r2
  subs r9,#1
  it eq
  moveq r4,r1
  subs r12,#1
  bne 1b
HELIUM_LEAVE patches

@ The same for three rows and patches of 16 or 32 bytes. What is copied beyond a row's bytes, the next row or patch overwrites.
@ 0, 4, 8 rows | 12 bytes of a row | 16 a window to the next | 20 patches | 24 windows, at least 1
.macro HELIUM_PATCHES3 name,stride
HELIUM_BEGIN \name
  push {r4-r9,lr}
  ldm r0,{r1-r7}
  add r8,r6,r4
  add r9,r8,r4
  dls lr,r7
1:
  vldrb.u8 q0,[r1]
  add r1,r5
  vstrb.8 q0,[r6],#\stride
  vldrb.u8 q0,[r2]
  add r2,r5
  vstrb.8 q0,[r8],#\stride
  vldrb.u8 q0,[r3]
  add r3,r5
  vstrb.8 q0,[r9],#\stride
  le lr,1b
  pop {r4-r9,pc}
HELIUM_END \name
.endm
HELIUM_PATCHES3 patches3_16,16
HELIUM_PATCHES3 patches3_32,32
