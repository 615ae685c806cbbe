@ Windows of pairs of pixels, widened to the stream that pointwise.s reads.
@ r0: const Widen * of widen.rs. Clobbers r0-r3, r12, flags; saves what else it uses. Stack: 60 bytes. Input at any address, the rest 4-byte aligned.

.syntax unified
.thumb

@ Rows of any length: words in the order 0, 2, 1, 3; then 1 value (and a second of any value), 2 values, or 3 in the order 0, 2, 1.
.section .text.ocelli_dsp_widen,"ax",%progbits
.global ocelli_dsp_widen
.type ocelli_dsp_widen,%function
.thumb_func
ocelli_dsp_widen:
  push {r4-r11,lr}
  sub sp,#24               @ 0 rows | 4 number of rows | 8 pairs | 12 tail | 16 blocks of words
  ldrd r1,r2,[r0,#0]
  strd r1,r2,[sp,#0]
  ldrd r3,r4,[r0,#16]
  strd r4,r3,[sp,#8]       @ pairs, tail
  ldr r2,[r0,#12]
  ldr r3,[r0,#8]           @ words
  adds r4,r3,#7
  lsrs r4,r4,#3
  str r4,[sp,#16]
  rsb r3,r3,#0
  and r3,r3,#7             @ words of the first block that are skipped
  movs r5,#28
  mul r3,r3,r5
  adr.w r12,5f
  add r12,r12,r3
  adr.w r5,8f
  cmp r4,#0
  it eq
  moveq r12,r5
  add r12,r12,#1
1:
  ldrd r3,lr,[sp,#0]
2:
  ldm r3,{r0,r1,r4}
  add r5,r0,r4
  add r6,r1,r4
  strd r5,r6,[r3],#16
  ldr r11,[sp,#16]
  bx r12
.balign 4
5:
 .rept 8
  ldr.w r4,[r0],#4
  ldr.w r5,[r1],#4
  sxtb16 r6,r4,ror #8
  sxtb16 r7,r5,ror #8
  sxtb16 r4,r4
  sxtb16 r5,r5
  stmia.w r2!,{r4-r7}
 .endr
  subs r11,#1
  bne.w 5b
8:
  ldr r11,[sp,#12]
  cmp r11,#0
  bne 4f
3:
  subs lr,#1
  bne 2b
  ldr r3,[sp,#8]
  subs r3,#1
  str r3,[sp,#8]
  bne 1b
  add sp,#24
  pop {r4-r11,pc}
4:
  ldrsb r4,[r0]
  ldrsb r5,[r1]
  cmp r11,#2
  bhi 6f
  bne 7f
  ldrsb r6,[r0,#1]
  ldrsb r7,[r1,#1]
  pkhbt r4,r4,r6,lsl #16
  pkhbt r5,r5,r7,lsl #16
7:
  strd r4,r5,[r2],#8
  b 3b
6:
  ldrsb r6,[r0,#2]
  ldrsb r7,[r1,#2]
  pkhbt r4,r4,r6,lsl #16
  pkhbt r5,r5,r7,lsl #16
  ldrsb r6,[r0,#1]
  ldrsb r7,[r1,#1]
  stmia r2!,{r4-r7}
  b 3b
.size ocelli_dsp_widen, . - ocelli_dsp_widen

@ Three rows of nine values, three pixels of three channels: the last values of two rows share a step.
.macro WIDEN_WORD first, second, at
  ldr r6,[\first,#\at]
  ldr r7,[\second,#\at]
  sxtb16 r8,r6,ror #8
  sxtb16 r9,r7,ror #8
  sxtb16 r6,r6
  sxtb16 r7,r7
  stmia r12!,{r6-r9}
.endm
.section .text.ocelli_dsp_widen_rgb,"ax",%progbits
.global ocelli_dsp_widen_rgb
.type ocelli_dsp_widen_rgb,%function
.thumb_func
ocelli_dsp_widen_rgb:
  push {r4-r11,lr}
  sub sp,#24
  ldr r12,[r0,#12]
  ldr lr,[r0,#20]          @ pairs
  ldr r6,[r0,#0]
  ldr r7,[r6,#8]           @ steps
  ldr r8,[r6,#24]
  ldr r9,[r6,#40]
  strd r7,r8,[sp,#0]
  str r9,[sp,#8]
  ldrd r0,r1,[r6,#0]
  ldrd r2,r3,[r6,#16]
  ldrd r4,r5,[r6,#32]
1:
  WIDEN_WORD r0,r1,0
  WIDEN_WORD r0,r1,4
  ldrsb r10,[r0,#8]
  ldrsb r11,[r1,#8]
  WIDEN_WORD r2,r3,0
  WIDEN_WORD r2,r3,4
  ldrsb r6,[r2,#8]
  ldrsb r7,[r3,#8]
  pkhbt r6,r10,r6,lsl #16
  pkhbt r7,r11,r7,lsl #16
  strd r6,r7,[r12],#8
  WIDEN_WORD r4,r5,0
  WIDEN_WORD r4,r5,4
  ldrsb r6,[r4,#8]
  ldrsb r7,[r5,#8]
  strd r6,r7,[r12],#8
  ldm sp,{r6,r7,r8}
  add r0,r6
  add r1,r6
  add r2,r7
  add r3,r7
  add r4,r8
  add r5,r8
  subs lr,#1
  bne.w 1b
  add sp,#24
  pop {r4-r11,pc}
.size ocelli_dsp_widen_rgb, . - ocelli_dsp_widen_rgb

@ Columns of 3x3 windows of two rows: four rows of values, widened once for all windows that see them.
@ r0: const int8_t *rows[4] | r1: words of a row | r2: stream. Clobbers r0-r3, r12, flags; stack: 36 bytes. Rows at any address.
@ For each word: rows (0,1), (1,2), (2,3) of its values 0 and 2, then the same of its values 1 and 3.
.section .text.ocelli_dsp_columns,"ax",%progbits
.global ocelli_dsp_columns
.type ocelli_dsp_columns,%function
.thumb_func
ocelli_dsp_columns:
  push {r4-r11,lr}
  mov r12,r2
  mov lr,r1
  ldm r0,{r0-r3}
1:
  ldr.w r4,[r0],#4
  ldr.w r5,[r1],#4
  ldr.w r6,[r2],#4
  ldr.w r7,[r3],#4
  sxtb16 r8,r4,ror #8
  sxtb16 r9,r5,ror #8
  sxtb16 r10,r6,ror #8
  sxtb16 r11,r7,ror #8
  sxtb16 r4,r4
  sxtb16 r5,r5
  sxtb16 r6,r6
  sxtb16 r7,r7
  strd r4,r5,[r12]
  strd r5,r6,[r12,#8]
  strd r6,r7,[r12,#16]
  strd r8,r9,[r12,#24]
  strd r9,r10,[r12,#32]
  strd r10,r11,[r12,#40]
  add r12,#48
  subs lr,#1
  bne 1b
  pop {r4-r11,pc}
.size ocelli_dsp_columns, . - ocelli_dsp_columns

@ Two columns of three values of 3x3 windows of stride 2, of two rows of windows: 9 steps of the 14 of a window.
@ r0: const int8_t *rows[5] | r1: stream | r2: its end. Clobbers r0-r3, r12, flags; stack: 40 bytes. Rows at any address.
@ The steps are values 0 and 1 of the first two rows of a window, values (0,2) and (1,3) of the third, values 2 to 5 of the first two, and
@ values (4,5) of the third.
@ Widens what r5 and r8 hold, two values of two rows for each window.
.macro COLOR_STEPS
  sxtb16 r11,r5,ror #8
  sxtb16 r12,r8,ror #8
  sxtb16 r5,r5
  sxtb16 r8,r8
  stmia lr!,{r5,r8,r11,r12}
.endm
.section .text.ocelli_dsp_color_columns,"ax",%progbits
.global ocelli_dsp_color_columns
.type ocelli_dsp_color_columns,%function
.thumb_func
ocelli_dsp_color_columns:
  push {r2,r4-r11,lr}
  mov lr,r1
  ldm r0,{r0-r4}
1:
  ldr.w r5,[r0],#4
  ldr.w r6,[r1],#4
  ldr.w r7,[r2],#4
  ldr.w r8,[r3],#4
  ldr.w r9,[r4],#4
  pkhbt r11,r5,r6,lsl #16
  pkhbt r12,r7,r8,lsl #16
  pkhtb r5,r6,r5,asr #16
  pkhtb r8,r8,r7,asr #16
  sxtb16 r6,r11
  sxtb16 r10,r12
  sxtb16 r11,r11,ror #8
  sxtb16 r12,r12,ror #8
  stmia lr!,{r6,r10,r11,r12}
  sxtb16 r11,r7,ror #8
  sxtb16 r12,r9,ror #8
  sxtb16 r7,r7
  sxtb16 r9,r9
  stmia lr!,{r7,r9,r11,r12}
  COLOR_STEPS
  ldrh r5,[r0],#2
  ldrh r6,[r1],#2
  ldrh r7,[r2],#2
  ldrh r8,[r3],#2
  ldrsb r9,[r4],#1
  ldrsb r10,[r4],#1
  pkhbt r5,r5,r6,lsl #16
  pkhbt r8,r7,r8,lsl #16
  COLOR_STEPS
  sxtb r5,r7
  sxtb.w r6,r7,ror #8
  pkhbt r5,r5,r6,lsl #16
  pkhbt r6,r9,r10,lsl #16
  stmia lr!,{r5,r6}
  ldr r5,[sp]
  cmp lr,r5
  bne 1b
  pop {r2,r4-r11,pc}
.size ocelli_dsp_color_columns, . - ocelli_dsp_color_columns

@ void(const int8_t *rows[3], int16_t *stream, const int16_t *end, size_t right): the same for one output row, whose right half, that many bytes after
@ the left half, takes the place of a second row.
.section .text.ocelli_dsp_color_halves,"ax",%progbits
.global ocelli_dsp_color_halves
.type ocelli_dsp_color_halves,%function
.thumb_func
ocelli_dsp_color_halves:
  push {r2,r4-r11,lr}
  mov lr,r1
  ldm r0,{r0-r2}
1:
  ldr.w r7,[r0,r3]
  ldr.w r5,[r0],#4
  ldr.w r8,[r1,r3]
  ldr.w r6,[r1],#4
  pkhbt r11,r5,r6,lsl #16
  pkhbt r12,r7,r8,lsl #16
  pkhtb r5,r6,r5,asr #16
  pkhtb r8,r8,r7,asr #16
  sxtb16 r6,r11
  sxtb16 r10,r12
  sxtb16 r11,r11,ror #8
  sxtb16 r12,r12,ror #8
  stmia lr!,{r6,r10,r11,r12}
  ldr.w r9,[r2,r3]
  ldr.w r7,[r2],#4
  sxtb16 r11,r7,ror #8
  sxtb16 r12,r9,ror #8
  sxtb16 r7,r7
  sxtb16 r9,r9
  stmia lr!,{r7,r9,r11,r12}
  COLOR_STEPS
  ldrh.w r7,[r0,r3]
  ldrh r5,[r0],#2
  ldrh.w r8,[r1,r3]
  ldrh r6,[r1],#2
  pkhbt r5,r5,r6,lsl #16
  pkhbt r8,r7,r8,lsl #16
  COLOR_STEPS
  ldrh.w r9,[r2,r3]
  ldrh r7,[r2],#2
  sxtb r5,r7
  sxtb.w r6,r7,ror #8
  pkhbt r5,r5,r6,lsl #16
  sxtb.w r6,r9
  sxtb.w r9,r9,ror #8
  pkhbt r6,r6,r9,lsl #16
  stmia lr!,{r5,r6}
  ldr r5,[sp]
  cmp lr,r5
  bne 1b
  pop {r2,r4-r11,pc}
.size ocelli_dsp_color_halves, . - ocelli_dsp_color_halves
