// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A QEMU plugin that counts guest instructions, by place, in windows that the
 * guest itself opens and closes.
 *
 *   qemu ... -icount shift=0,sleep=off -plugin count.so,out=FILE
 *
 * A window begins and ends with a no-operation that nobody else has (mark.h).
 * For each window FILE gets a line "window", then one line per translated block
 * that ran in it: its address, the instructions executed there, and the bytes
 * moved by `rep movs` and `rep stos` there.
 *
 * String instructions are counted apart, because under -icount QEMU runs each
 * of their iterations as a block of its own: a copy of 4 KiB would be 4096
 * instructions, where a processor has one. The first iteration counts as the
 * instruction, the others as bytes.
 *
 * Debian ships no qemu-plugin.h; what is used of it is declared here.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mark.h"

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_scoreboard;
typedef struct qemu_info qemu_info_t;
typedef struct {
    struct qemu_plugin_scoreboard* score;
    size_t offset;
} qemu_plugin_u64;
enum { QEMU_PLUGIN_CB_NO_REGS = 0, QEMU_PLUGIN_INLINE_ADD_U64 = 0 };
typedef void (*tb_callback)(qemu_plugin_id_t id, struct qemu_plugin_tb* tb);
typedef void (*insn_callback)(unsigned int vcpu, void* data);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, tb_callback cb);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb* tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb* tb);
struct qemu_plugin_insn* qemu_plugin_tb_get_insn(const struct qemu_plugin_tb* tb, size_t i);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn* insn, void* to, size_t bytes);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn* insn, insn_callback cb,
                                            int flags, void* data);
void qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(struct qemu_plugin_tb* tb, int op,
                                                       qemu_plugin_u64 entry, uint64_t add);
struct qemu_plugin_scoreboard* qemu_plugin_scoreboard_new(size_t bytes);
uint64_t qemu_plugin_u64_sum(qemu_plugin_u64 entry);

__attribute__((visibility("default"))) int qemu_plugin_version = 4;

/* One place: blocks that begin at one address with the same length. */
struct block {
    uint64_t address;
    uint64_t instructions; /* per execution */
    uint64_t string_bytes; /* per execution */
    uint64_t before;       /* executions before the window */
    qemu_plugin_u64 executed;
};

enum { TABLE = 1 << 21 };
static struct block* table[TABLE];
static FILE* out;
static int windows;

static struct block* block_at(uint64_t address, uint64_t instructions, uint64_t string_bytes) {
    uint64_t hash = (address ^ instructions << 48 ^ string_bytes << 56) * 0x9e3779b97f4a7c15ULL;

    for (size_t i = hash >> 43, left = TABLE; left--; i = (i + 1) % TABLE) {
        struct block* b = table[i];
        if (!b) {
            b = table[i] = calloc(1, sizeof(*b));
            b->address = address;
            b->instructions = instructions;
            b->string_bytes = string_bytes;
            b->executed.score = qemu_plugin_scoreboard_new(sizeof(uint64_t));
            return b;
        }
        if (b->address == address && b->instructions == instructions &&
            b->string_bytes == string_bytes)
            return b;
    }
    fprintf(stderr, "count: too many blocks\n");
    abort();
}

/* Bytes that one iteration of `rep movs` or `rep stos` moves, or 0. */
static uint64_t string_bytes(const uint8_t* code, size_t bytes) {
    uint64_t size = 4, rep = 0;

    for (size_t i = 0; i < bytes; i++) {
        uint8_t c = code[i];
        if (c == 0xf2 || c == 0xf3)
            rep = 1;
        else if (c == 0x66)
            size = 2;
        else if ((c & 0xf0) == 0x40)
            size = c & 8 ? 8 : size;
        else if (c == 0xa4 || c == 0xaa)
            return rep;
        else
            return c == 0xa5 || c == 0xab ? rep * size : 0;
    }
    return 0;
}

static void begin(unsigned int vcpu, void* data) {
    (void)vcpu, (void)data;
    for (size_t i = 0; i < TABLE; i++)
        if (table[i])
            table[i]->before = qemu_plugin_u64_sum(table[i]->executed);
}

static void end(unsigned int vcpu, void* data) {
    (void)vcpu, (void)data;
    fprintf(out, "window %d\n", windows++);
    for (size_t i = 0; i < TABLE; i++) {
        struct block* b = table[i];
        uint64_t n = b ? qemu_plugin_u64_sum(b->executed) - b->before : 0;
        if (n)
            fprintf(out, "%" PRIx64 " %" PRIu64 " %" PRIu64 "\n", b->address, n * b->instructions,
                    n * b->string_bytes);
    }
    fflush(out);
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb* tb) {
    size_t n = qemu_plugin_tb_n_insns(tb);
    uint64_t moved = 0;

    (void)id;
    for (size_t i = 0; i < n; i++) {
        struct qemu_plugin_insn* insn = qemu_plugin_tb_get_insn(tb, i);
        uint8_t code[16];
        size_t bytes = qemu_plugin_insn_data(insn, code, sizeof(code));
        if (bytes == sizeof(mark_begin) && !memcmp(code, mark_begin, bytes))
            qemu_plugin_register_vcpu_insn_exec_cb(insn, begin, QEMU_PLUGIN_CB_NO_REGS, NULL);
        else if (bytes == sizeof(mark_end) && !memcmp(code, mark_end, bytes))
            qemu_plugin_register_vcpu_insn_exec_cb(insn, end, QEMU_PLUGIN_CB_NO_REGS, NULL);
        else
            moved += string_bytes(code, bytes);
    }
    struct block* b = block_at(qemu_plugin_tb_vaddr(tb), moved && n == 1 ? 0 : n, moved);
    qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_ADD_U64, b->executed,
                                                      1);
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id,
                                                               const qemu_info_t* info, int argc,
                                                               char** argv) {
    (void)info;
    for (int i = 0; i < argc; i++)
        if (!strncmp(argv[i], "out=", 4))
            out = fopen(argv[i] + 4, "w");
    if (!out) {
        fprintf(stderr, "count: give out=FILE\n");
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
