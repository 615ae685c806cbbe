@ Copies bytes. r0 to | r1 from | r2 bytes. These functions use q0-q3 only.
HELIUM_BEGIN copy
  push {r7,lr}
  wlstp.8 lr,r2,2f
1:
  vldrb.u8 q0,[r1],#16
  vstrb.8 q0,[r0],#16
  letp lr,1b
2:
  pop {r7,pc}
HELIUM_END copy

@ Sets bytes. r0 to | r1 value | r2 bytes.
HELIUM_BEGIN fill
  push {r7,lr}
  vdup.8 q0,r1
  wlstp.8 lr,r2,2f
1:
  vstrb.8 q0,[r0],#16
  letp lr,1b
2:
  pop {r7,pc}
HELIUM_END fill

@ Copies up to 16 bytes of each of several places. r0 from | r1 its stride | r2 to | r3 its stride | [sp] bytes | [sp, #4] places, at least 1.
HELIUM_BEGIN pieces
  push {r4,lr}
  ldrd r4,lr,[sp,#8]
  dls lr,lr
  cmp r4,#16
  beq 2f
  vctp.8 r4
1:
  vpstt
  vldrbt.u8 q0,[r0]
  vstrbt.8 q0,[r2]
  add r0,r1
  add r2,r3
  le lr,1b
  pop {r4,pc}
2:
  vldrb.u8 q0,[r0]
  add r0,r1
  vstrb.8 q0,[r2]
  add r2,r3
  le lr,2b
  pop {r4,pc}
HELIUM_END pieces

@ min(max(x, r2), r3) of bytes in place. r0 x | r1 bytes.
HELIUM_BEGIN clamp
  push {r7,lr}
  vdup.8 q1,r2
  vdup.8 q2,r3
  wlstp.8 lr,r1,2f
1:
  vldrb.u8 q0,[r0]
  vmax.s8 q0,q0,q1
  vmin.s8 q0,q0,q2
  vstrb.8 q0,[r0],#16
  letp lr,1b
2:
  pop {r7,pc}
HELIUM_END clamp

@ table[x ^ 0x80] of bytes in place. r0 x | r1 bytes | r2 table of 256 bytes.
HELIUM_BEGIN table
  push {r7,lr}
  movs r3,#0x80
  vdup.8 q1,r3
  wlstp.8 lr,r1,2f
1:
  vldrb.u8 q0,[r0]
  veor q0,q0,q1
  vldrb.u8 q2,[r2,q0]
  vstrb.8 q2,[r0],#16
  letp lr,1b
2:
  pop {r7,pc}
HELIUM_END table
