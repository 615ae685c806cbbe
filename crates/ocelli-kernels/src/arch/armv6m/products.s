@ Sums of products of pairs, for attention: sums[j][i] += first[n][i] * second[n][j] over n.
@
@ void ocelli_armv6m_products(const int32_t first[count][2], const int32_t second[count][2], size_t count, int32_t sums[2][2])
@ All is aligned to 4 bytes (LDM). AAPCS: r0-r3 are clobbered, the rest saved. Stack: 40 bytes.

.macro ocelli_armv6m_products_step
  ldm     r0!, {r2, r3}
  ldm     r1!, {r4, r5}
  movs    r6, r4
  muls    r6, r2, r6
  add     r8, r6
  muls    r4, r3, r4
  add     r9, r4
  muls    r2, r5, r2
  add     r10, r2
  muls    r3, r5, r3
  add     r11, r3
.endm

.section .text.ocelli_armv6m_products, "ax", %progbits
.balign 4
.global ocelli_armv6m_products
.type ocelli_armv6m_products, %function
.thumb_func
ocelli_armv6m_products:
  push    {r4-r7, lr}
  mov     r4, r8
  mov     r5, r9
  mov     r6, r10
  mov     r7, r11
  push    {r3-r7}
  ldm     r3!, {r4-r7}
  mov     r8, r4
  mov     r9, r5
  mov     r10, r6
  mov     r11, r7
  mov     r7, r2
  subs    r7, #4
  blo     2f
1:
.rept 4
  ocelli_armv6m_products_step
.endr
  subs    r7, #4
  bhs     1b
2:
  adds    r7, #4
  beq     4f
3:
  ocelli_armv6m_products_step
  subs    r7, #1
  bne     3b
4:
  mov     r4, r8
  mov     r5, r9
  mov     r6, r10
  mov     r7, r11
  ldr     r0, [sp]
  stm     r0!, {r4-r7}
  pop     {r3-r7}
  mov     r8, r4
  mov     r9, r5
  mov     r10, r6
  mov     r11, r7
  pop     {r4-r7, pc}
.size ocelli_armv6m_products, . - ocelli_armv6m_products
