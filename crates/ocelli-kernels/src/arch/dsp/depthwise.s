@ Depthwise 3x3 convolution of two output rows, straight into the stream that pointwise.s or quads.s reads: a pair is the two rows' pixels of a
@ column, a quad those of two columns. They differ in how far the next column is, which may depend on whether a column's number is odd, and in how
@ far the next two channels are.
@
@ r0: const Depthwise * of depthwise.rs. Clobbers r0-r3, r12, flags, Q; saves what else it uses. Stack: 160 bytes. Input at any address, the rest
@ 4-byte aligned.
@
@ Four channels at a time, the columns of all input rows are transposed into a block of int16 lanes:
@ stride 1, rows 0 to 3: [column][channel] of words E = rows (2:0), O = rows (3:1);
@ stride 2: [pair of columns][channel][rows 0 to 4], the columns that an output's window begins with. With padding on the left, the first pair
@ begins with a column of arbitrary values; without padding on the right, there is a last pair of which the second column is arbitrary.
@ Rows above or below the map are then overwritten with the zero point.
@ Parameters a channel; a, b, c are the filter's columns: bias, then for stride 1 (a2:a0), (b2:b0), (c2:c0), (b1:a1), (0:c1), for stride 2
@ (b0:a0), (b1:a1), (b2:a2), (c1:c0), (0:c2); multiplier, and TfLite: 2^(32 - right shift). Under TfLite bias and weights are doubled, as its
@ multiplication doubles.

.syntax unified
.thumb

@ The frame; what the structure begins with is copied to F_ROWS and on.
.set F_START, 0            @ of the channel in the block
.set F_OUT, 4              @ of the channel; and the step to the next
.set F_END, 12             @ of the channel in the block, without the column that is after the loop
.set F_INSIDE, 16          @ channels left of the block
.set F_PARAMETERS, 20
.set F_BIAS, 24            @ bytes of the stream from a column to the next, where the loop makes it at an even place; and the bias
.set F_BIAS_ODD, 32        @ the same at an odd place
.set F_POWER, 40           @ TfLite: power and zero point
.set F_BEFORE, 48          @ where a channel begins
.set F_ENTRY, 52           @ where its loop begins
.set F_ROWS, 56            @ five pointers
.set F_STEP, 76
.set F_COLUMNS, 80
.set F_HALF, F_COLUMNS     @ stride 2: whether the last pair of columns is still to be transposed
.set F_BLOCK, 84
.set F_CHANNELS, 88
.set F_PADDING, 92
.set F_ABSENT, 96
.set F_LEFT, 100
.set F_RIGHT, 104
.set F_PIXELS, 108
.set F_BLOCK_END, 112
.set F_CHANNEL_STEPS, 116  @ XOR of the bytes from a channel of the stream to the next, after even and after odd ones
.set FRAME, 124            @ with what lies before it, a multiple of 8

.macro DW_BEGIN
  push {r4-r11,lr}
  sub sp,#FRAME
  ldmia r0!,{r1-r5}
  add r6,sp,#F_ROWS
  stmia r6!,{r1-r5}
  ldmia r0!,{r1-r5}
  stmia r6!,{r1-r5}
  ldmia r0!,{r1-r4}
  stmia r6!,{r1-r4}
  ldmia r0!,{r1-r6}        @ output, parameters, zero point of the output, stream bytes a column (two), XOR of those a channel
  str r4,[sp,#F_BIAS]
  str r5,[sp,#F_BIAS_ODD]
  str r6,[sp,#F_CHANNEL_STEPS]
  str r1,[sp,#F_OUT]
  movs r1,#2
  str r1,[sp,#F_OUT + 4]
  str r2,[sp,#F_PARAMETERS]
  str r3,[sp,#F_POWER + 4]
.endm

@ Where code is entered: 11 without padding on the left, 12 with it, for an odd number of columns of stride 1 14 and 15; 5 and on the loop of four, 8
@ what follows.
.macro DW_ENTRY bytes, odd
  ldr r4,[sp,#F_LEFT]
  adr.w r5,12f
  adr.w r6,11f
 .if \odd
  ldr r7,[sp,#F_PIXELS]
  lsls r7,r7,#31
  bpl 16f
  adr.w r5,15f
  adr.w r6,14f
16:
 .endif
  cmp r4,#0
  it eq
  moveq r5,r6
  adds r5,#1
  str r5,[sp,#F_BEFORE]
  ldr r4,[sp,#F_PIXELS]
  rsb r6,r4,#0
  and r6,r6,#3
  movs r7,#\bytes
  mul r6,r6,r7
  adr.w r5,5f
  add r5,r5,r6
  adds r5,#1
  adr.w r6,8f
  add r6,r6,#1
  cmp r4,#0
  it eq
  moveq r5,r6
  str r5,[sp,#F_ENTRY]
.endm

.macro DW_CHANNEL tflite     @ r8-r12, lr; the bias in r2
  ldr r3,[sp,#F_PARAMETERS]
  ldmia r3!,{r2,r8-r12,lr}
 .if \tflite
  ldr r4,[r3],#4
  str r4,[sp,#F_POWER]
 .endif
  str r3,[sp,#F_PARAMETERS]
.endm

.macro DW_FINISH first, second, tflite
 .if \tflite
  ldrd r2,r3,[sp,#F_POWER]
  smmulr \first,\first,lr
  smmulr \second,\second,lr
  add.w \first,\first,\first,asr #31
  add.w \second,\second,\second,asr #31
  smmlar \first,\first,r2,r3
  smmlar \second,\second,r2,r3
 .else
  smmulr \first,\first,lr
  smmulr \second,\second,lr
 .endif
  ssat \first,#8,\first
  ssat \second,#8,\second
  strh.w \first,[r1]
  strh.w \second,[r1,#4]
.endm

@ Rows that are not on the map. Stride 1: bit i of F_ABSENT is halfword i of a channel in the block.
.macro DW_ABSENT column_bytes
  ldr r4,[sp,#F_ABSENT]
  ldr r5,[sp,#F_BLOCK]
  cbz r4,33f
  ldr r6,[sp,#F_PADDING]
31:
  lsrs r4,r4,#1
  bcc 34f
  mov r7,r5
  ldr r8,[sp,#F_COLUMNS]
32:
  strh.w r6,[r7,#(\column_bytes / 4)]
  strh.w r6,[r7,#(\column_bytes / 2)]
  strh.w r6,[r7,#(3 * \column_bytes / 4)]
  strh.w r6,[r7],#\column_bytes
  subs r8,r8,#1
  bne 32b
34:
  adds r5,#2
  cmp r4,#0
  bne 31b
33:
.endm

.macro DW_NEXT_CHANNEL bytes
  ldm sp,{r0-r4}
  ldr r5,[sp,#F_CHANNEL_STEPS]
  add r1,r2                @ halfwords 0, 1, then past the other pixels
  eors r2,r5
  adds r0,#\bytes
  adds r3,#\bytes
  subs r4,#1
  stm sp,{r0-r4}
  bne.w 1b
  add r5,sp,#F_ROWS
  ldmia r5,{r0-r4}
  adds r0,#4
  adds r1,#4
  adds r2,#4
  adds r3,#4
  adds r4,#4
  stmia r5,{r0-r4}
  ldr r0,[sp,#F_CHANNELS]
  subs r0,#4
  str r0,[sp,#F_CHANNELS]
  bhi.w 2b
  add sp,#FRAME
  pop {r4-r11,pc}
.endm

@ Both rows += one column: E and O in r2, r3.
.macro DW_TAP first, second, from_first, from_second, outer, middle, half
  smlad \first,r2,\outer,\from_first
  smlad \second,r3,\outer,\from_second
  smlab\half \first,r3,\middle,\first
  smlat\half \second,r2,\middle,\second
.endm

.macro DW_COLUMN first, second, next_first, next_second, bias, tflite
  ldrd r2,r3,[r0],#32
  DW_TAP \first,\second,\first,\second,r10,r12,b
  DW_FINISH \first,\second,\tflite
 .if \tflite
  ldrd r2,r3,[r0,#-32]
 .endif
  DW_TAP \next_first,\next_second,\next_first,\next_second,r9,r11,t
  ldrd \first,\second,[sp,#\bias]
  add r1,\first
  DW_TAP \first,\second,\second,\second,r8,r11,b
.endm

@ Starts the first output, whose bias is in r2, and the second. Labels without padding on the left, and with it.
.macro DW_BEFORE_1 inside, left, first, second, next_first, next_second
.balign 4
\inside:
  mov \first,r2
  mov \second,r2
  ldrd r2,r3,[r0],#32
  DW_TAP \first,\second,\first,\second,r8,r11,b
  b 13f
.balign 4
\left:
  ldr r3,[sp,#F_PADDING]
  smlad \first,r3,r8,r2
  smlabb \first,r3,r11,\first
  mov \second,\first
13:
  ldrd r2,r3,[r0],#32
  DW_TAP \first,\second,\first,\second,r9,r11,t
  ldr \next_second,[sp,#(F_BIAS + 4)]
  DW_TAP \next_first,\next_second,\next_second,\next_second,r8,r11,b
  ldr pc,[sp,#F_ENTRY]
.endm

.macro DEPTHWISE_1 name, tflite, bytes
.section .text.\name,"ax",%progbits
.global \name
.type \name,%function
.thumb_func
\name:
  DW_BEGIN
  DW_ENTRY \bytes,1
2:
  add r12,sp,#F_ROWS
  ldmia r12,{r0-r3}
  ldr r5,[sp,#F_CHANNELS]
  ldr r8,[sp,#F_BLOCK]
  ldr r7,[sp,#F_COLUMNS]
  add r9,r8,r7,lsl #5      @ end of the block
  mov lr,r8
  subs r6,r5,#4
  bhs 21f
  add r0,r6
  add r1,r6
  add r2,r6
  add r3,r6
  sub r8,r8,r6,lsl #3
  sub r4,r9,r6,lsl #3
  b 22f
21:
  movs r5,#4
  mov r4,r9
22:
  str r5,[sp,#F_INSIDE]
  str r8,[sp,#F_START]
  str r4,[sp,#F_END]
  ldr r10,[sp,#F_STEP]
  mul r12,r7,r10
  add r0,r12
  add r1,r12
  add r2,r12
  add r3,r12
  rsb r12,r12,#0           @ from the end of the rows to the column
3:
  ldr.w r4,[r0,r12]
  ldr.w r5,[r1,r12]
  ldr.w r8,[r2,r12]
  ldr.w r9,[r3,r12]
  ldr r6,[sp,#F_STEP]
  adds r12,r12,r6          @ the flags are for the end of the loop
  pkhbt r6,r4,r8,lsl #16
  pkhtb r10,r8,r4,asr #16
  pkhbt r7,r5,r9,lsl #16
  pkhtb r11,r9,r5,asr #16
  sxtb16 r4,r6
  sxtb16 r5,r7
  sxtb16 r6,r6,ror #8
  sxtb16 r7,r7,ror #8
  sxtb16 r8,r10
  sxtb16 r9,r11
  sxtb16 r10,r10,ror #8
  sxtb16 r11,r11,ror #8
  stmia lr!,{r4-r11}
  bne 3b
  DW_ABSENT 32
  ldm sp,{r0,r1}
1:
  DW_CHANNEL \tflite
  str r2,[sp,#(F_BIAS + 4)]
  str r2,[sp,#(F_BIAS_ODD + 4)]
  ldr pc,[sp,#F_BEFORE]
  DW_BEFORE_1 11,12,r4,r5,r6,r7
  DW_BEFORE_1 14,15,r6,r7,r4,r5
.balign 4
5:
 .rept 2
  DW_COLUMN r4,r5,r6,r7,F_BIAS,\tflite
  DW_COLUMN r6,r7,r4,r5,F_BIAS_ODD,\tflite
 .endr
  ldr r2,[sp,#F_END]
  cmp r0,r2
  bne.w 5b
.balign 4
8:
  ldr r3,[sp,#F_RIGHT]
  cbz r3,9f
  ldr r3,[sp,#F_PADDING]
  smlad r4,r3,r10,r4
  smlad r5,r3,r10,r5
  smlabb r4,r3,r12,r4
  smlabb r5,r3,r12,r5
  DW_FINISH r4,r5,\tflite
9:
  DW_NEXT_CHANNEL 8
.size \name, . - \name
.endm

@ Stride 2: bit i is row i.
.macro DW_ABSENT_2
  ldr r4,[sp,#F_ABSENT]
  cbz r4,33f
  ldr r5,[sp,#F_BLOCK]
  ldr r6,[sp,#F_PADDING]
  ldr r8,[sp,#F_BLOCK_END]
31:
  lsrs r4,r4,#1
  bcc 34f
  mov r7,r5
32:
  str r6,[r7,#20]
  str r6,[r7,#40]
  str r6,[r7,#60]
  str r6,[r7],#80
  cmp r7,r8
  blo 32b
34:
  adds r5,#4
  cmp r4,#0
  bne 31b
33:
.endm

@ Four channels of two columns of a row in words \from and \to: of channels 0 and 1 to \low, of 2 and 3 to \to.
.macro DW_LOAD_2 row, from, to, low
  ldr.w \from,[\row,r12]
  ldr.w \to,[\row,r11]
  pkhbt \low,\from,\to,lsl #16
  pkhtb \to,\to,\from,asr #16
.endm

@ Two rows, whose words of channel 0 are \at bytes after lr; \first is the first of them.
.macro DW_ROWS_2 row, next, at, first
  DW_LOAD_2 \row,r5,r6,r9
  DW_LOAD_2 \next,r7,r8,r10
  sxtb16 r5,r9
  sxtb16 r7,r10
 .if \first
  strd r5,r7,[lr],#80
 .else
  strd r5,r7,[lr,#\at]
 .endif
  sxtb16 r9,r9,ror #8
  sxtb16 r10,r10,ror #8
  strd r9,r10,[lr,#(\at + 20)]
  sxtb16 r5,r6
  sxtb16 r7,r8
  strd r5,r7,[lr,#(\at + 40)]
  sxtb16 r6,r6,ror #8
  sxtb16 r8,r8,ror #8
  strd r6,r8,[lr,#(\at + 60)]
.endm

@ The first two columns of the windows of both rows, rows 0 to 4 in r2, r3, r7, then r2, r3.
.macro DW_BEGIN_FIRST_2
  smlad r4,r2,r8,r6
  smlad r4,r3,r9,r4
  smlad r4,r7,r10,r4
.endm
.macro DW_BEGIN_SECOND_2
  smlad r5,r7,r8,r6
  smlad r5,r2,r9,r5
  smlad r5,r3,r10,r5
.endm
@ Their last column: \first to \third are three rows.
.macro DW_END_2 sum, first, second, third
  smlabb \sum,\first,r11,\sum
  smlabt \sum,\second,r11,\sum
  smlabb \sum,\third,r12,\sum
.endm

.macro DW_COLUMN_2 step, tflite
 .if \tflite
  ldm r0,{r2,r3,r7}
  DW_END_2 r4,r2,r3,r7
  ldrd r2,r3,[r0,#12]
  DW_END_2 r5,r7,r2,r3
  DW_FINISH r4,r5,\tflite
  ldmia r0!,{r2,r3,r7}
  DW_BEGIN_FIRST_2
  ldrd r2,r3,[r0],#68
  DW_BEGIN_SECOND_2
 .else
  ldmia r0!,{r2,r3,r7}
  DW_END_2 r4,r2,r3,r7
  smmulr r4,r4,lr
  ssat r4,#8,r4
  strh r4,[r1]
  DW_BEGIN_FIRST_2
  ldrd r2,r3,[r0],#68
  DW_END_2 r5,r7,r2,r3
  smmulr r5,r5,lr
  ssat r5,#8,r5
  strh r5,[r1,#4]
  DW_BEGIN_SECOND_2
 .endif
  ldr r2,[sp,#\step]
  add r1,r2
.endm

.macro DEPTHWISE_2 name, tflite, bytes
.section .text.\name,"ax",%progbits
.global \name
.type \name,%function
.thumb_func
\name:
  DW_BEGIN
  DW_ENTRY \bytes,0
2:
  add r12,sp,#F_ROWS
  ldmia r12,{r0-r4}
  ldr r8,[sp,#F_BLOCK]
  ldr r9,[sp,#F_PIXELS]
  movs r5,#80              @ bytes of a pair of columns
  mla r9,r9,r5,r8
  ldr r5,[sp,#F_RIGHT]
  rsb r6,r5,#1
  str r6,[sp,#F_HALF]
  mov r7,r9                @ the end of pairs that are whole
  add r9,r9,#80            @ the end of those that the loop sees
  cmp r5,#0
  it ne
  movne r7,r9
  str r7,[sp,#F_BLOCK_END]
  mov lr,r8
  ldr r5,[sp,#F_CHANNELS]
  subs r6,r5,#4
  bhs 21f
  add r0,r6
  add r1,r6
  add r2,r6
  add r3,r6
  add r4,r6
  add r6,r6,r6,lsl #2
  sub r8,r8,r6,lsl #2
  sub r9,r9,r6,lsl #2
  b 22f
21:
  movs r5,#4
22:
  str r5,[sp,#F_INSIDE]
  str r8,[sp,#F_START]
  str r9,[sp,#F_END]
  movs r12,#0
  ldr r11,[sp,#F_STEP]
  ldr r5,[sp,#F_LEFT]
  cmp r5,#0
  it ne
  movne r11,#0
3:
  DW_ROWS_2 r0,r1,-80,1
  DW_ROWS_2 r2,r3,-72,0
  DW_LOAD_2 r4,r5,r6,r9
  sxtb16 r5,r9
  str r5,[lr,#-64]
  sxtb16 r9,r9,ror #8
  str r9,[lr,#-44]
  sxtb16 r5,r6
  str r5,[lr,#-24]
  sxtb16 r6,r6,ror #8
  str r6,[lr,#-4]
  ldr r5,[sp,#F_STEP]
  ldr r6,[sp,#F_BLOCK_END]
  add r12,r11,r5
  add r11,r12,r5
  cmp lr,r6
  bne 3b
  ldr r5,[sp,#F_HALF]
  cbz r5,23f
  add r6,r6,#80
  str r6,[sp,#F_BLOCK_END]
  mov r11,r12              @ there may be no column behind the last
  movs r5,#0
  str r5,[sp,#F_HALF]
  b 3b
23:
  DW_ABSENT_2
  ldm sp,{r0,r1}
1:
  DW_CHANNEL \tflite
  mov r6,r2
  ldr pc,[sp,#F_BEFORE]
.balign 4
11:
  ldmia r0!,{r2,r3,r7}
  DW_BEGIN_FIRST_2
  ldrd r2,r3,[r0],#68
  DW_BEGIN_SECOND_2
  ldr pc,[sp,#F_ENTRY]
.balign 4
12:
  ldr r3,[sp,#F_PADDING]
  smlabb r4,r3,r8,r6
  smlabb r4,r3,r9,r4
  smlabb r4,r3,r10,r4
  mov r5,r4
  ldmia r0!,{r2,r3,r7}
  smlatt r4,r2,r8,r4
  smlatt r4,r3,r9,r4
  smlatt r4,r7,r10,r4
  ldrd r2,r3,[r0],#68
  smlatt r5,r7,r8,r5
  smlatt r5,r2,r9,r5
  smlatt r5,r3,r10,r5
  ldr pc,[sp,#F_ENTRY]
.balign 4
5:
 .rept 2
  DW_COLUMN_2 F_BIAS,\tflite
  DW_COLUMN_2 F_BIAS_ODD,\tflite
 .endr
  ldr r2,[sp,#F_END]
  cmp r0,r2
  bne.w 5b
.balign 4
8:
  ldr r3,[sp,#F_RIGHT]
  cbz r3,9f
  ldr r3,[sp,#F_PADDING]
  DW_END_2 r4,r3,r3,r3
  DW_END_2 r5,r3,r3,r3
  DW_FINISH r4,r5,\tflite
9:
  DW_NEXT_CHANNEL 20
.size \name, . - \name
.endm

DEPTHWISE_1 ocelli_dsp_depthwise_q32, 0, 82
DEPTHWISE_1 ocelli_dsp_depthwise_tflite, 1, 106
DEPTHWISE_2 ocelli_dsp_depthwise_2_q32, 0, 78
DEPTHWISE_2 ocelli_dsp_depthwise_2_tflite, 1, 110
