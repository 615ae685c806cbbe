@ Sums of products of pairs, for attention: sums[j][i] += first[n][i] * second[n][j] over n.
@
@ void ocelli_armv7m_products(const int32_t first[count][2], const int8_t second[count][2], size_t count, int32_t sums[2][2])
@ `first` and `sums` are aligned to 4 bytes (LDRD, LDM). AAPCS: r0-r3 and r12 are clobbered, the rest saved. Stack: 32 bytes.

.macro ocelli_armv7m_products_step
  ldrd    r8, r9, [r0], #8
  ldrsb   r10, [r1], #1
  ldrsb   r12, [r1], #1
  mla     r4, r8, r10, r4
  mla     r5, r9, r10, r5
  mla     r6, r8, r12, r6
  mla     r7, r9, r12, r7
.endm

.section .text.ocelli_armv7m_products, "ax", %progbits
.balign 4
.global ocelli_armv7m_products
.type ocelli_armv7m_products, %function
.thumb_func
ocelli_armv7m_products:
  push    {r4-r10, lr}
  ldm     r3, {r4-r7}
  subs    r2, #4
  blo     2f
1:
.rept 4
  ocelli_armv7m_products_step
.endr
  subs    r2, #4
  bhs     1b
2:
  adds    r2, #4
  beq     4f
3:
  ocelli_armv7m_products_step
  subs    r2, #1
  bne     3b
4:
  stm     r3, {r4-r7}
  pop     {r4-r10, pc}
.size ocelli_armv7m_products, . - ocelli_armv7m_products
