@ TFLite's add of two int8 maps, four values at a time.
@
@ void ocelli_dsp_add_tflite_first(int8_t *data, const int8_t *other, const int8_t *end, const struct sum *control)
@ void ocelli_dsp_add_tflite_second(int8_t *data, const int8_t *other, const int8_t *end, const struct sum *control)
@ void ocelli_dsp_add_tflite_both(int8_t *data, const int8_t *other, const int8_t *end, const struct sum *control)
@   data     the first operand and the result, at any address
@   other    the second operand, at any address
@   end      of data, a multiple of four bytes above it
@   control  negated zero points of the exact operand and of the other; the other's multiplier and power; the output's multiplier, power
@            and zero point. A power is -2^(32 - n) for a division by 2^n.
@ The exact operand, whose factor is 1/2, is the first or the second; or both are.
@ AAPCS: r0-r3 and r12 are clobbered, the rest saved. Stack: 36 bytes.
@ r0 data, r1 other, r2 four values of the exact operand, r3 of the other, r4-r10 control, r11, r12 temporary, lr end

.macro ocelli_dsp_add_tflite_value exact, other, rotation, raise
  sxtab   r12, r5, \other, ror #\rotation
  lsl.w   r12, r12, #\raise
  smmulr  r12, r12, r6
  sxtab   r11, r4, \exact, ror #\rotation
  lsl.w   r11, r11, #19
  add.w   r12, r12, r12, asr #31    @ rounding away from zero: less 1 below it, then halves up
  smmlsr  r12, r12, r7, r11
  lsl.w   r12, r12, #1
  smmulr  r12, r12, r8
  add.w   r12, r12, r12, asr #31
  smmlsr  r12, r12, r9, r10
  ssat    r12, #8, r12
  bfi     r2, r12, #\rotation, #8
.endm

.macro ocelli_dsp_add_tflite_function name, exact, other, raise
.section .text.\name, "ax", %progbits
.balign 4
.global \name
.type \name, %function
.thumb_func
\name:
  push    {r4-r11, lr}
  mov     lr, r2
  ldm     r3, {r4-r10}
1:
  ldr     r2, [r0]
  ldr     r3, [r1], #4
  ocelli_dsp_add_tflite_value \exact, \other, 0, \raise
  ocelli_dsp_add_tflite_value \exact, \other, 8, \raise
  ocelli_dsp_add_tflite_value \exact, \other, 16, \raise
  ocelli_dsp_add_tflite_value \exact, \other, 24, \raise
  str     r2, [r0], #4
  cmp     r0, lr
  bne     1b
  pop     {r4-r11, pc}
.size \name, . - \name
.endm

ocelli_dsp_add_tflite_function ocelli_dsp_add_tflite_first, r2, r3, 21
ocelli_dsp_add_tflite_function ocelli_dsp_add_tflite_second, r3, r2, 21
ocelli_dsp_add_tflite_function ocelli_dsp_add_tflite_both, r2, r3, 22
