// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A client that makes an exact number of equal requests, for counting:
 *
 *   load DEVICE randread|randwrite|read|write BYTES DEPTH WARMUP REQUESTS SPAN SEED
 *        [FLUSH-EVERY [FROM [small|any [TIMES]]]]
 *
 * in SPAN bytes of the device, from byte FROM on; `small`: out of pages of 4 KiB. The file
 * TIMES gets how many nanoseconds each of REQUESTS took, one a line; a call of the clock for
 * each is in the window then.
 * It keeps DEPTH requests in flight, first WARMUP of them, and when those have
 * all completed REQUESTS more. Around the second lot stand the marks of count.c,
 * with nothing in flight at either, so that what a window holds is exactly
 * REQUESTS requests. Prints how many it made in all; fio is for times.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "mark.h"

static struct io_uring ring;
static int file;
static int is_write, is_random;
static unsigned long block, depth, blocks, flush_every;
static unsigned long position, until_flush, from_byte;
static unsigned long long seed;
static char* memory;
static FILE* times;
static unsigned long long* begun; /* of each slot */

static void check(long r, const char* what) {
    if (r >= 0)
        return;
    fprintf(stderr, "load: %s: %s\n", what, strerror((int)-r));
    exit(1);
}

static unsigned long next_block(void) {
    if (!is_random)
        return position++ % blocks;
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % blocks;
}

static unsigned long long now(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (unsigned long long)t.tv_sec * 1000000000 + (unsigned long long)t.tv_nsec;
}

static void submit(unsigned long slot) {
    struct io_uring_sqe* sqe = io_uring_get_sqe(&ring);
    char* from = memory + slot * block;
    unsigned long at;

    if (times)
        begun[slot] = now();
    if (flush_every && ++until_flush == flush_every) {
        until_flush = 0;
        io_uring_prep_fsync(sqe, file, IORING_FSYNC_DATASYNC);
        io_uring_sqe_set_data64(sqe, slot);
        return;
    }
    at = from_byte + next_block() * block;
    if (is_write)
        io_uring_prep_write(sqe, file, from, (unsigned)block, at);
    else
        io_uring_prep_read(sqe, file, from, (unsigned)block, at);
    io_uring_sqe_set_data64(sqe, slot);
}

static void serve(unsigned long requests) {
    unsigned long submitted = 0, completed = 0;
    struct io_uring_cqe* cqe;

    while (submitted < depth && submitted < requests)
        submit(submitted++);
    while (completed < requests) {
        unsigned head, n = 0;
        check(io_uring_submit_and_wait(&ring, 1), "submit");
        io_uring_for_each_cqe(&ring, head, cqe) {
            if (cqe->res != (int)block && !(flush_every && cqe->res == 0))
                check(cqe->res < 0 ? cqe->res : -EIO, "request");
            n++;
            completed++;
            if (times)
                fprintf(times, "%llu\n", now() - begun[io_uring_cqe_get_data64(cqe)]);
            if (submitted < requests) {
                submit(io_uring_cqe_get_data64(cqe));
                submitted++;
            }
        }
        io_uring_cq_advance(&ring, n);
    }
}

int main(int argc, char** argv) {
    unsigned long warmup, wanted;

    if (argc < 9) {
        fprintf(stderr,
                "load DEVICE KIND BYTES DEPTH WARMUP REQUESTS SPAN SEED [FLUSH-EVERY [FROM "
                "[small|any [TIMES]]]]\n");
        return 2;
    }
    is_write = strstr(argv[2], "write") != NULL;
    is_random = strstr(argv[2], "rand") != NULL;
    block = strtoul(argv[3], NULL, 0);
    depth = strtoul(argv[4], NULL, 0);
    warmup = strtoul(argv[5], NULL, 0);
    wanted = strtoul(argv[6], NULL, 0);
    blocks = strtoul(argv[7], NULL, 0) / block;
    seed = (strtoull(argv[8], NULL, 0) + 1) * 0x9e3779b97f4a7c15ULL;
    flush_every = argc > 9 ? strtoul(argv[9], NULL, 0) : 0;
    from_byte = argc > 10 ? strtoul(argv[10], NULL, 0) : 0;
    file = open(argv[1], (is_write ? O_RDWR : O_RDONLY) | O_DIRECT);
    check(file < 0 ? -errno : 0, argv[1]);
    memory = aligned_alloc(4096, depth * block);
    if (argc > 11 && !strcmp(argv[11], "small"))
        check(madvise(memory, depth * block, MADV_NOHUGEPAGE) ? -errno : 0, "madvise");
    for (unsigned long i = 0; i < depth * block; i++)
        memory[i] = (char)(i * 31 + i / block);
    check(io_uring_queue_init((unsigned)depth, &ring,
                              IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN),
          "io_uring");
    serve(warmup);
    if (argc > 12) {
        begun = calloc(depth, sizeof(*begun));
        times = fopen(argv[12], "w");
        check(begun && times ? 0 : -errno, argv[12]);
    }
    __asm__ volatile(MARK_BEGIN ::: "memory");
    serve(wanted);
    __asm__ volatile(MARK_END ::: "memory");
    if (times)
        check(fclose(times) ? -errno : 0, argv[12]);
    printf("%lu\n", warmup + wanted);
    return 0;
}
