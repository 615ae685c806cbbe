/*
 * A QEMU plugin that estimates the cycles of Thumb code on Cortex-M0, M3 and M4.
 *
 * Each instruction costs what the core's Technical Reference Manual says (its table of instruction timings), with memory without wait
 * states, and PIPELINE_REFILL where a branch is taken. Divisions and M3's long multiplications, whose time depends on the values, cost the
 * middle of their range. Accesses that are not aligned cost no more than others.
 *
 * Whenever the program executes MARKER, a hint that cores take for a NOP, a line goes to the file `out`: instructions, and cycles on M0, M3
 * and M4, since the start, up to the marker.
 *
 *     cc -O2 -shared -fPIC -o cycles.so cycles.c
 *     qemu-system-arm ... -plugin ./cycles.so,out=FILE
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* QEMU's plugin interface, version 1: systems seldom have its header. */
typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info;
enum { QEMU_PLUGIN_CB_NO_REGS = 0 };
extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*)(unsigned, void *), int, void *);
extern void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, void (*)(unsigned, void *), int, void *);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
extern const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
extern size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
extern uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
extern void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);

#define EXPORT __attribute__((visibility("default")))
EXPORT int qemu_plugin_version = 1;

/* HINT #14. */
#define MARKER 0xbfe0
/* P in the manuals: 1 to 3 cycles. */
#define PIPELINE_REFILL 2
/* 2 to 12 cycles. */
#define DIVIDE 7

struct cost {
    uint64_t instructions, m0, m3, m4;
};

static void add(struct cost *sum, const struct cost *other)
{
    sum->instructions += other->instructions;
    sum->m0 += other->m0;
    sum->m3 += other->m3;
    sum->m4 += other->m4;
}

/* What timing needs to know of an instruction. */
struct instruction {
    struct cost cost;
    bool branch;
    /* A single load or store: the next one overlaps with it, unless its address is what this one loads. */
    bool memory;
    int base, loaded;
};

static int registers(uint32_t list)
{
    return __builtin_popcount(list);
}

static struct instruction all_cores(uint64_t cycles)
{
    struct instruction it = {.cost = {1, cycles, cycles, cycles}, .base = -1, .loaded = -1};
    return it;
}

static struct instruction branch(uint64_t m0)
{
    struct instruction it = all_cores(1);
    it.cost.m0 = m0;
    it.branch = true;
    return it;
}

/* A load or store of one register, after `before`. */
static struct instruction single(const struct instruction *before, bool load, bool indexed, int base, int value)
{
    struct instruction it = all_cores(2);
    bool overlaps = before->memory && before->loaded != base;
    it.cost.m3 = it.cost.m4 = overlaps || (!load && !indexed) ? 1 : 2;
    it.memory = true;
    it.base = base;
    it.loaded = load ? value : -1;
    it.branch = load && value == 15;
    return it;
}

/* Loads or stores of several registers. */
static struct instruction several(int count, bool to_pc)
{
    struct instruction it = all_cores(1 + count);
    it.cost.m0 += to_pc;
    it.branch = to_pc;
    return it;
}

static struct instruction decode16(const struct instruction *before, uint16_t code)
{
    if ((code & 0xff00) == 0x4700) return branch(1);                                     /* BX, BLX */
    if ((code & 0xfc00) == 0x4400 && (code & 0x0300) != 0x0100 && (code & 0x87) == 0x87) /* ADD, MOV to PC */
        return branch(1);
    if ((code & 0xf800) == 0x4800) return single(before, true, false, 15, code >> 8 & 7);
    if ((code & 0xf000) == 0x5000) return single(before, (code >> 9 & 7) >= 3, true, code >> 3 & 7, code & 7);
    if ((code & 0xf000) == 0x9000) return single(before, code & 0x800, false, 13, code >> 8 & 7);
    if (code >= 0x6000 && code < 0x9000) return single(before, code & 0x800, false, code >> 3 & 7, code & 7);
    if ((code & 0xfe00) == 0xb400) return several(registers(code & 0x1ff), false);
    if ((code & 0xfe00) == 0xbc00) return several(registers(code & 0x1ff), code & 0x100);
    if ((code & 0xf000) == 0xc000) return several(registers(code & 0xff), false);
    if ((code & 0xf500) == 0xb100) return branch(1);                        /* CBZ, CBNZ */
    if ((code & 0xf000) == 0xd000 || (code & 0xf800) == 0xe000) return branch(1); /* B */
    return all_cores(1);
}

static struct instruction multiply(uint16_t first, uint16_t second)
{
    struct instruction it = all_cores(1);
    int operation = first >> 4 & 7;
    if (!(first & 0x80)) {
        /* MUL; MLA and MLS add a cycle on M3, which has none of the others. */
        if (operation == 0 && second >> 12 != 15) it.cost.m3 = 2;
    } else if (operation == 1 || operation == 3) {
        it.cost.m3 = it.cost.m4 = DIVIDE;
    } else {
        /* SMULL and UMULL 3 to 5 cycles on M3, SMLAL and UMLAL 4 to 7; 1 on M4. */
        it.cost.m3 = operation < 4 ? 4 : 6;
    }
    return it;
}

static struct instruction decode32(const struct instruction *before, uint16_t first, uint16_t second)
{
    int base = first & 15, value = second >> 12;
    if ((first & 0xfe40) == 0xe800) return several(registers(second), (first & 0x10) && (second & 0x8000));
    if ((first & 0xfe40) == 0xe840) {
        if ((first & 0xfff0) == 0xe8d0 && (second & 0xffe0) == 0xf000) { /* TBB, TBH */
            struct instruction it = all_cores(2);
            it.branch = true;
            return it;
        }
        bool exclusive = (first & 0xff60) == 0xe840;
        return all_cores(exclusive ? 2 : 3); /* LDREX, STREX; LDRD, STRD */
    }
    if ((first & 0xfe00) == 0xf800)
        return single(before, first & 0x10, !(first & 0x80) && !(second & 0x800), base, value);
    if ((first & 0xff00) == 0xfb00) return multiply(first, second);
    if ((first & 0xf800) == 0xf000 && second & 0x8000) {
        if ((second & 0x5000) == 0x5000) return branch(2);                              /* BL */
        if ((second & 0x5000) == 0x1000 || (first >> 6 & 14) != 14) return branch(1);   /* B */
        return all_cores(1);                                                            /* MSR, MRS, barriers */
    }
    if ((first & 0xee00) == 0xec00) { /* Floating point registers from and to memory */
        bool one = (first & 0x0120) == 0x0100, moves = (first & 0x01a0) == 0;
        return one || moves ? all_cores(2) : several(second & 0xff, false);
    }
    return all_cores(1);
}

static struct instruction decode(const struct instruction *before, const uint8_t *bytes, size_t size)
{
    uint16_t first = bytes[0] | bytes[1] << 8;
    return size == 2 ? decode16(before, first) : decode32(before, first, bytes[2] | bytes[3] << 8);
}

/* A translated block. They are never freed: QEMU may run them at any time. */
struct block {
    uint64_t start, end;
    bool branch;
    struct cost cost;
};

static struct cost sum;
static const struct block *before;
static FILE *out;

static void block_runs(unsigned cpu, void *data)
{
    const struct block *block = data;
    (void)cpu;
    if (before && before->branch && before->end != block->start) {
        struct cost taken = {0, PIPELINE_REFILL, PIPELINE_REFILL, PIPELINE_REFILL};
        add(&sum, &taken);
    }
    add(&sum, &block->cost);
    before = block;
}

/* A marker: its block, and what the block costs up to it. */
struct marker {
    const struct block *block;
    struct cost cost;
};

static void marker_runs(unsigned cpu, void *data)
{
    const struct marker *marker = data;
    const struct cost *whole = &marker->block->cost, *part = &marker->cost;
    (void)cpu;
    /* The sum holds the whole block already. */
    fprintf(out, "%llu %llu %llu %llu\n",
            (unsigned long long)(sum.instructions - whole->instructions + part->instructions),
            (unsigned long long)(sum.m0 - whole->m0 + part->m0), (unsigned long long)(sum.m3 - whole->m3 + part->m3),
            (unsigned long long)(sum.m4 - whole->m4 + part->m4));
}

static void *allocate(size_t size)
{
    void *memory = calloc(1, size);
    if (!memory) abort();
    return memory;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    struct block *block = allocate(sizeof *block);
    struct instruction last = all_cores(0);
    size_t count = qemu_plugin_tb_n_insns(tb);
    (void)id;
    block->start = qemu_plugin_tb_vaddr(tb);
    for (size_t index = 0; index < count; index++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, index);
        const uint8_t *bytes = qemu_plugin_insn_data(insn);
        size_t size = qemu_plugin_insn_size(insn);
        last = decode(&last, bytes, size);
        add(&block->cost, &last.cost);
        if (size == 2 && (bytes[0] | bytes[1] << 8) == MARKER) {
            struct marker *marker = allocate(sizeof *marker);
            marker->block = block;
            marker->cost = block->cost;
            qemu_plugin_register_vcpu_insn_exec_cb(insn, marker_runs, QEMU_PLUGIN_CB_NO_REGS, marker);
        }
        block->end = qemu_plugin_insn_vaddr(insn) + size;
    }
    block->branch = last.branch;
    qemu_plugin_register_vcpu_tb_exec_cb(tb, block_runs, QEMU_PLUGIN_CB_NO_REGS, block);
}

static void ended(qemu_plugin_id_t id, void *data)
{
    (void)id;
    (void)data;
    fclose(out);
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int count, char **arguments)
{
    (void)info;
    for (int index = 0; index < count; index++) {
        if (strncmp(arguments[index], "out=", 4) == 0) out = fopen(arguments[index] + 4, "w");
    }
    if (!out) {
        fprintf(stderr, "cycles: out=FILE must name a file that can be written\n");
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
