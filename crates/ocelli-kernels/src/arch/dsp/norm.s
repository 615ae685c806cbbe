@ A pixel's values normalized, four channels at a time.
@
@ void ocelli_dsp_normalize(const struct line *, int8_t *values, const struct { int32_t bias, multiplier; } *channels, uint32_t shift)
@   line     slope, start, right shift (0 to 31); the end of the values, which is a multiple of four, above 0, from their start
@   shift    right shift of the result, 0 to 31
@ A value becomes sat8((((value * slope + start) >> line shift) * multiplier + 2^31 >> 32) + bias >> shift).
@ Clobbers r0-r3, r12, flags, Q. Stack: 36 bytes. Values at any address, the rest 4-byte aligned.

.syntax unified
.thumb

.macro NORM_VALUE value, rotation, bias, multiplier
  sxtb.w \value,r7,ror #\rotation
  mla \value,\value,r4,r5
  asr.w \value,\value,r6
  smmlar \value,\value,\multiplier,\bias
  asr.w \value,\value,r3
  ssat \value,#8,\value
.endm

.section .text.ocelli_dsp_normalize,"ax",%progbits
.global ocelli_dsp_normalize
.type ocelli_dsp_normalize,%function
.thumb_func
ocelli_dsp_normalize:
  push {r4-r11,lr}
  ldm r0,{r4-r7}
  mov r0,r7
1:
  ldr r7,[r1]
  ldmia r2!,{r8-r11}
  NORM_VALUE r12,0,r8,r9
  NORM_VALUE lr,8,r10,r11
  bfi r12,lr,#8,#8
  ldmia r2!,{r8-r11}
  NORM_VALUE lr,16,r8,r9
  bfi r12,lr,#16,#8
  NORM_VALUE lr,24,r10,r11
  bfi r12,lr,#24,#8
  str r12,[r1],#4
  cmp r1,r0
  bne 1b
  pop {r4-r11,pc}
.size ocelli_dsp_normalize, . - ocelli_dsp_normalize
