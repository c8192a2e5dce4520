/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Chained reads: one request, its dependent reads issued in the kernel.
 *
 *   struct rr_chain_file file = {.path = "index"};
 *   struct rr_chain_options o = {.size = sizeof(o), .files = &file, .files_count = 1,
 *                                .object = "steps.bpf.o", .program = &steps_chain};
 *   struct rr_chain *chain;
 *   struct rr_chain_lookup l = {.offset = root, .bytes = 4096,
 *                               .scratch = &key, .scratch_bytes = sizeof(key)};
 *   struct rr_chain_result r;
 *
 *   rr_chain_open(&o, &chain);
 *   rr_chain_submit(chain, &l, 1);      // any number, up to the depth
 *   rr_chain_wait(chain, 1, &r, 1);     // one system call for all of them
 *   rr_chain_close(chain);
 *
 * Steps are written with <ringraid/chain.bpf.h>, or are the library's own
 * (chain_steps.h). They run in the wait loop of the chain's ring; where the kernel
 * has no io_uring BPF, or the caller may not load programs, the same functions run
 * in user space, and rr_chain_why() says why.
 *
 * Results: 0 or a count, or a negative errno; rr_chain_error() has the sentence,
 * and what to do, for the calling thread's last failure.
 *
 * A chain belongs to the thread that opened it: others get -EEXIST. The exception
 * is rr_chain_bump(). Threads that want to read have a chain each. After fork() the
 * child must not use it.
 */
#ifndef RINGRAID_CHAIN_API_H
#define RINGRAID_CHAIN_API_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rr_chain;
struct rr_chain_program;

enum rr_chain_flag {
    RR_CHAIN_BUFFERED = 1, /* through the page cache; else O_DIRECT */
    RR_CHAIN_USER = 2,     /* the loop in user space, wherever we are */
    RR_CHAIN_KERNEL = 4,   /* the loop in the kernel, or an error */
};

/* What may be read: a path, or an open descriptor, of which a duplicate is kept. */
struct rr_chain_file {
    const char* path;
    int fd;
};

/* Zero means the default. */
struct rr_chain_options {
    size_t size;        /* sizeof(struct rr_chain_options) */
    const char* object; /* the steps for the kernel: a file, or in memory */
    const void* object_memory;
    size_t object_bytes;
    const struct rr_chain_program* program; /* the steps for user space */
    const struct rr_chain_file* files;
    unsigned files_count;
    unsigned flags;
    unsigned depth;         /* lookups in flight at most: 64 */
    unsigned fan_out;       /* reads of one lookup at a time: 1 (to 8) */
    unsigned block_bytes;   /* the largest read: 4096 (to 1 MiB) */
    unsigned scratch_bytes; /* of a lookup, at most: 512 */
    unsigned out_bytes;     /* that a lookup may give: 4096 */
    unsigned cache_blocks;  /* for reads with CHAIN_KEEP: 0, or a power of two */
    unsigned hops_max;      /* of a lookup: 64 */
    unsigned hops_per_turn; /* before new reads are issued: 64 */
    unsigned bytes_most;    /* under way at a time: 4 MiB */
    unsigned gather;        /* completions for a wake-up, at most; 1: each wakes.
                               Half of what is under way. */
};

struct rr_chain_lookup {
    uint32_t step; /* in the order of CHAIN_PROGRAM() */
    uint32_t file; /* of the first block */
    uint64_t offset;
    uint32_t bytes;
    uint32_t keep;       /* look for it in the cache, and keep it there */
    const void* scratch; /* copied; the result has what became of it */
    uint32_t scratch_bytes;
    uint32_t hops_max; /* 0: that of the chain */
    uint64_t tag;
};

/* Its memory is the chain's, and stays as it is until the next submit, wait or poll. */
struct rr_chain_result {
    uint64_t tag;
    int error; /* 0, or a negative errno */
    uint32_t hops;
    uint32_t reads;
    uint32_t restarts;
    const void* out;
    uint32_t out_bytes;
    uint32_t scratch_bytes;
    const void* scratch;
};

int rr_chain_open(const struct rr_chain_options* options, struct rr_chain** ret);
void rr_chain_close(struct rr_chain* chain);

/* Takes the first lookups, as many as there is room for: their number, or -EAGAIN. */
int rr_chain_submit(struct rr_chain* chain, const struct rr_chain_lookup* lookups, unsigned count);

/*
 * Waits until @want lookups have ended, or all that were submitted, and gives up to
 * @most of them. poll() does not wait, but lets the others go on.
 */
int rr_chain_wait(struct rr_chain* chain, unsigned want, struct rr_chain_result* results,
                  unsigned most);
int rr_chain_poll(struct rr_chain* chain, struct rr_chain_result* results, unsigned most);

/* The lookups that were submitted and not given back. */
unsigned rr_chain_in_flight(const struct rr_chain* chain);

/*
 * What is in the cache is not used any more: to be called, by any thread of the
 * process, after blocks that may be in it were written.
 */
void rr_chain_bump(struct rr_chain* chain);

/* The file's size as it is now: what was added to it may be read from now on. */
int rr_chain_refresh(struct rr_chain* chain, unsigned file);

/* -ESTALE when the file is shorter than it was, or its path leads to another one. */
int rr_chain_check(struct rr_chain* chain, unsigned file);

int64_t rr_chain_file_bytes(const struct rr_chain* chain, unsigned file);

struct rr_chain_counts {
    uint64_t turns, hops, reads, bytes, cache_hits, cache_fills, restarts, again, submits, tries;
    uint64_t enters;   /* system calls */
    uint64_t verified; /* instructions that the verifier looked at, once */
};
void rr_chain_count(const struct rr_chain* chain, struct rr_chain_counts* ret);

/* "kernel" or "user"; and why not "kernel", or "". */
const char* rr_chain_engine(const struct rr_chain* chain);
const char* rr_chain_why(const struct rr_chain* chain);
/* What the kernel reports of the program (a step that left the arena); "" is right. */
const char* rr_chain_faults(struct rr_chain* chain);

const char* rr_chain_error(void);

#ifdef __cplusplus
}
#endif

#endif /* RINGRAID_CHAIN_API_H */
