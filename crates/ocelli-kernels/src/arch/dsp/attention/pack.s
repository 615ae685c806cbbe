@ Queries, keys and values as the inner loops of attention.s read them, whole words of four channels. All functions keep to the AAPCS: r0-r3 and
@ r12 are clobbered, the rest saved. Channels are at any address, the rest aligned to 4 bytes. Counts are at least 1.

.syntax unified
.thumb

@ void ocelli_dsp_pack_queries(const int8_t *first, const int8_t *second, uint32_t zero_points, uint32_t *packed, size_t words)
@ Stack: 24 bytes.
.section .text.ocelli_dsp_pack_queries,"ax",%progbits
.global ocelli_dsp_pack_queries
.type ocelli_dsp_pack_queries,%function
.thumb_func
ocelli_dsp_pack_queries:
  push {r4-r7,lr}
  ldr r12,[sp,#20]
1:
  ldr.w r6,[r0],#4
  ldr.w r7,[r1],#4
  sxtb16 r4,r6
  sxtb16 r5,r7
  sxtb16 r6,r6,ror #8
  sxtb16 r7,r7,ror #8
  ssub16 r4,r4,r2
  ssub16 r5,r5,r2
  ssub16 r6,r6,r2
  ssub16 r7,r7,r2
  stmia r3!,{r4-r7}
  subs r12,#1
  bne 1b
  pop {r4-r7,pc}
.size ocelli_dsp_pack_queries, . - ocelli_dsp_pack_queries

@ void ocelli_dsp_pack_keys(const Keys *): see pack.rs. Keys in groups of four.
@ Stack: 56 bytes.
.section .text.ocelli_dsp_pack_keys,"ax",%progbits
.global ocelli_dsp_pack_keys
.type ocelli_dsp_pack_keys,%function
.thumb_func
ocelli_dsp_pack_keys:
  push {r4-r11,lr}
  sub sp,#20               @ 0 keys and step | 8 groups | 12 bytes of a packed group, its end
  ldm r0,{r4-r9}           @ keys, step, zero points, packed, words, groups
  strd r4,r5,[sp,#0]
  mov r12,r6
  mov lr,r7
  lsls r8,r8,#5
  strd r9,r8,[sp,#8]
1:
  ldrd r0,r4,[sp,#0]
  add r1,r0,r4
  add r2,r1,r4
  add r3,r2,r4
  add r4,r3
  str r4,[sp,#0]
  ldr r4,[sp,#12]
  add r4,lr
  str r4,[sp,#16]
2:
  ldr r8,[r0],#4
  ldr r9,[r1],#4
  ldr r10,[r2],#4
  ldr r11,[r3],#4
  sxtb16 r4,r8
  sxtb16 r5,r9
  sxtb16 r6,r10
  sxtb16 r7,r11
 .irp word,r4,r5,r6,r7
  ssub16 \word,\word,r12
 .endr
  stmia lr!,{r4-r7}
 .irp word,r8,r9,r10,r11
  sxtb16 \word,\word,ror #8
  ssub16 \word,\word,r12
 .endr
  stmia lr!,{r8-r11}
  ldr r4,[sp,#16]
  cmp lr,r4
  bne 2b
  ldr r4,[sp,#8]
  subs r4,#1
  str r4,[sp,#8]
  bne 1b
  add sp,#20
  pop {r4-r11,pc}
.size ocelli_dsp_pack_keys, . - ocelli_dsp_pack_keys

@ void ocelli_dsp_pack_values(const Values *): see pack.rs. Values in pairs.
@ Stack: 36 bytes.
.section .text.ocelli_dsp_pack_values,"ax",%progbits
.global ocelli_dsp_pack_values
.type ocelli_dsp_pack_values,%function
.thumb_func
ocelli_dsp_pack_values:
  push {r4-r11,lr}
  ldm r0,{r0-r3,r10,r11}   @ values, step, packed, bytes from the four words of four channels to the next, words, pairs
1:
  mov r12,r10
  mov lr,r2
2:
  ldr.w r7,[r0,r1]
  ldr.w r6,[r0],#4
  sxtb16 r8,r6,ror #8
  sxtb16 r9,r7,ror #8
  sxtb16 r6,r6
  sxtb16 r7,r7
  pkhbt r4,r6,r7,lsl #16
  pkhbt r5,r8,r9,lsl #16
  pkhtb r6,r7,r6,asr #16
  pkhtb r7,r9,r8,asr #16
  stm lr,{r4-r7}
  add lr,r3
  subs r12,#1
  bne 2b
  adds r2,#16
  add r0,r0,r1,lsl #1
  sub r0,r0,r10,lsl #2
  subs r11,#1
  bne 1b
  pop {r4-r11,pc}
.size ocelli_dsp_pack_values, . - ocelli_dsp_pack_values
