/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * vectors DEVICE ROUNDS SEED: writes with O_DIRECT from vectors of memory that
 * begin and end at any sector of a page, and reads back into others. In each
 * round 1 to 64 of them, of 512 bytes to 256 KiB, and gaps between them; 4 MiB at
 * most. Exits 1 where a byte differs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/fs.h>

#define SECTOR 512u
#define VECTORS_MAX 64u
#define REQUEST_MAX (4u << 20)
#define MEMORY_BYTES (REQUEST_MAX + VECTORS_MAX * 2 * 4096)

static uint64_t seed;

static unsigned below(unsigned n) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed % n);
}

static void check(long long r, const char* what) {
    if (r >= 0)
        return;
    fprintf(stderr, "vectors: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* cut - vectors over @memory that hold @bytes in all; how many. */
static unsigned cut(struct iovec* v, char* memory, unsigned bytes) {
    unsigned n = 0, length;
    char* at = memory + below(8) * SECTOR;

    while (bytes) {
        length = (1 + below(below(4) ? 24 : 512)) * SECTOR;
        if (length > bytes || n == VECTORS_MAX - 1)
            length = bytes;
        v[n].iov_base = at;
        v[n].iov_len = length;
        at += length + below(16) * SECTOR;
        bytes -= length;
        n++;
    }
    return n;
}

/* move_all - to or from the vectors, which the kernel may take in parts. */
static void move_all(int fd, struct iovec* v, unsigned n, off_t at, int is_write) {
    while (n) {
        ssize_t done = is_write ? pwritev(fd, v, (int)n, at) : preadv(fd, v, (int)n, at);

        check(done, is_write ? "write" : "read");
        if (!done)
            exit(1);
        at += done;
        while (n && (size_t)done >= v->iov_len) {
            done -= (ssize_t)v->iov_len;
            v++;
            n--;
        }
        if (n) {
            v->iov_base = (char*)v->iov_base + done;
            v->iov_len -= (size_t)done;
        }
    }
}

static void fill(struct iovec* v, unsigned n, char* copy) {
    for (unsigned i = 0; i < n; i++) {
        for (size_t b = 0; b < v[i].iov_len; b += sizeof(uint64_t)) {
            uint64_t word = seed += 0x9e3779b97f4a7c15ull;

            memcpy((char*)v[i].iov_base + b, &word, sizeof(word));
        }
        memcpy(copy, v[i].iov_base, v[i].iov_len);
        copy += v[i].iov_len;
    }
}

static int differs(struct iovec* v, unsigned n, const char* copy) {
    for (unsigned i = 0; i < n; i++) {
        if (memcmp(copy, v[i].iov_base, v[i].iov_len))
            return 1;
        copy += v[i].iov_len;
    }
    return 0;
}

int main(int argc, char** argv) {
    struct iovec v[VECTORS_MAX], again[VECTORS_MAX];
    char *memory, *copy;
    uint64_t size;
    int fd;

    if (argc != 4)
        return 2;
    seed = (strtoull(argv[3], NULL, 0) + 1) * 0x9e3779b97f4a7c15ull;
    fd = open(argv[1], O_RDWR | O_DIRECT | O_CLOEXEC);
    check(fd, argv[1]);
    check(ioctl(fd, BLKGETSIZE64, &size), "size");
    memory = aligned_alloc(4096, MEMORY_BYTES);
    copy = malloc(REQUEST_MAX);
    for (long round = strtol(argv[2], NULL, 0); round > 0; round--) {
        unsigned bytes = (1 + below(below(2) ? 64 : REQUEST_MAX / SECTOR)) * SECTOR;
        off_t at = (off_t)below((unsigned)((size - bytes) / SECTOR)) * SECTOR;
        unsigned n = cut(v, memory, bytes);

        fill(v, n, copy);
        move_all(fd, v, n, at, 1);
        n = cut(v, memory, bytes);
        memcpy(again, v, sizeof(v));
        memset(memory, 0, MEMORY_BYTES);
        move_all(fd, v, n, at, 0);
        if (differs(again, n, copy)) {
            fprintf(stderr, "vectors: %u bytes at %lld differ\n", bytes, (long long)at);
            return 1;
        }
    }
    return 0;
}
