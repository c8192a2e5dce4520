// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The floor of ublk itself: the least that a ublk server can do.
 *
 *   floor null BYTES QUEUES DEPTH      answers every request, moves nothing
 *   floor linear DEVICE QUEUES DEPTH   passes every request on, zero copy
 *
 * One thread and one io_uring a queue, with the flags that ringraid uses, and
 * the request's pages registered by ublk (AUTO_BUF_REG), so a ratio to it
 * says what RAID5 adds to ublk. Serves /dev/ublkbN until SIGTERM; prints the
 * path when it is there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/fs.h>
#include <linux/ublk_cmd.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { FILE_CLIENT, FILE_MEMBER, FILES, QUEUES_MAX = 16, MEMBER_IO = 1 << 16 };
#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

static struct io_uring control;
static int client, member = -1;
static unsigned depth;
static struct ublksrv_ctrl_dev_info info;

struct queue {
    struct io_uring ring;
    unsigned id, fetches;
    const struct ublksrv_io_desc* table;
    pthread_t thread;
};
static struct queue queues[QUEUES_MAX];
static pthread_barrier_t ready;

static void check(long r, const char* what) {
    if (r < 0) {
        fprintf(stderr, "floor: %s: %s\n", what, strerror((int)-r));
        exit(1);
    }
}

static int command(unsigned op, void* buffer, unsigned short bytes, __u64 data) {
    struct io_uring_sqe* sqe = io_uring_get_sqe(&control);
    struct ublksrv_ctrl_cmd* cmd = (struct ublksrv_ctrl_cmd*)sqe->cmd;
    struct io_uring_cqe* cqe;
    int r;

    check(sqe ? 0 : -EBUSY, "control ring");
    memset(sqe, 0, 128);
    sqe->opcode = IORING_OP_URING_CMD;
    sqe->fd = open("/dev/ublk-control", O_RDWR | O_CLOEXEC);
    sqe->cmd_op = op;
    cmd->dev_id = info.dev_id;
    cmd->queue_id = (__u16)-1;
    cmd->addr = (__u64)buffer;
    cmd->len = bytes;
    cmd->data[0] = data;
    r = sqe->fd;
    check(io_uring_submit_and_wait(&control, 1), "control ring");
    check(io_uring_wait_cqe(&control, &cqe), "control ring");
    close(r);
    r = cqe->res;
    io_uring_cqe_seen(&control, cqe);
    return r;
}

static struct io_uring_sqe* next_sqe(struct queue* q) {
    struct io_uring_sqe* sqe = io_uring_get_sqe(&q->ring);

    check(sqe ? 0 : -EBUSY, "ring");
    memset(sqe, 0, 64);
    sqe->flags = IOSQE_FIXED_FILE;
    return sqe;
}

static void answer(struct queue* q, unsigned tag, unsigned op, int result) {
    struct io_uring_sqe* sqe = next_sqe(q);
    struct ublksrv_io_cmd* cmd = (struct ublksrv_io_cmd*)sqe->cmd;

    sqe->opcode = IORING_OP_URING_CMD;
    sqe->fd = FILE_CLIENT;
    sqe->cmd_op = op;
    sqe->user_data = tag;
    if (member >= 0)
        sqe->addr = tag;
    cmd->q_id = (__u16)q->id;
    cmd->tag = (__u16)tag;
    cmd->result = result;
}

/* A request has come: pass it on, or answer it at once. */
static void request(struct queue* q, unsigned tag) {
    const struct ublksrv_io_desc* d = &q->table[tag];
    unsigned op = ublksrv_get_op(d);
    int bytes = (int)(d->nr_sectors << 9);
    struct io_uring_sqe* sqe;

    if (member < 0) {
        answer(q, tag, UBLK_U_IO_COMMIT_AND_FETCH_REQ, op == UBLK_IO_OP_FLUSH ? 0 : bytes);
        return;
    }
    sqe = next_sqe(q);
    sqe->fd = FILE_MEMBER;
    sqe->user_data = tag | MEMBER_IO;
    if (op == UBLK_IO_OP_FLUSH) {
        sqe->opcode = IORING_OP_FSYNC;
        sqe->fsync_flags = IORING_FSYNC_DATASYNC;
        return;
    }
    sqe->opcode = op == UBLK_IO_OP_READ ? IORING_OP_READ_FIXED : IORING_OP_WRITE_FIXED;
    sqe->buf_index = (__u16)tag;
    sqe->len = (unsigned)bytes;
    sqe->off = d->start_sector << 9;
}

static void event(struct queue* q, struct io_uring_cqe* cqe) {
    unsigned tag = cqe->user_data & (MEMBER_IO - 1);

    if (cqe->user_data & MEMBER_IO)
        answer(q, tag, UBLK_U_IO_COMMIT_AND_FETCH_REQ, cqe->res);
    else if (cqe->res == UBLK_IO_RES_OK)
        request(q, tag);
    else
        q->fetches--;
}

static void set_up(struct queue* q) {
    struct io_uring_params p = {.flags = IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER |
                                         IORING_SETUP_NO_SQARRAY | IORING_SETUP_SUBMIT_ALL};
    int files[FILES] = {client, member};
    size_t page = UBLK_MAX_QUEUE_DEPTH * sizeof(struct ublksrv_io_desc);

    check(io_uring_queue_init_params(2 * depth, &q->ring, &p), "ring");
    check(io_uring_register_files(&q->ring, files, FILES), "files");
    check(io_uring_register_buffers_sparse(&q->ring, depth), "buffers");
    q->table = mmap(NULL, depth * sizeof(struct ublksrv_io_desc), PROT_READ,
                    MAP_SHARED | MAP_POPULATE, client, (off_t)(q->id * page));
    check(q->table == MAP_FAILED ? -errno : 0, "descriptors");
}

static void* serve(void* data) {
    struct queue* q = data;
    struct io_uring_cqe* cqe;

    set_up(q);
    for (unsigned tag = 0; tag < depth; tag++, q->fetches++)
        answer(q, tag, UBLK_U_IO_FETCH_REQ, 0);
    check(io_uring_submit(&q->ring), "fetch");
    pthread_barrier_wait(&ready);
    while (q->fetches) {
        unsigned head, n = 0;
        int r = io_uring_submit_and_wait(&q->ring, 1);
        if (r != -EINTR)
            check(r, "enter");
        io_uring_for_each_cqe(&q->ring, head, cqe) {
            event(q, cqe);
            n++;
        }
        io_uring_cq_advance(&q->ring, n);
    }
    io_uring_queue_exit(&q->ring);
    munmap((void*)q->table, depth * sizeof(struct ublksrv_io_desc));
    return NULL;
}

static __u64 open_member(const char* path) {
    __u64 bytes = 0;

    member = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
    check(member < 0 ? -errno : 0, path);
    check(ioctl(member, BLKGETSIZE64, &bytes) ? -errno : 0, path);
    return bytes;
}

static void add_device(__u64 bytes, unsigned nr_queues) {
    struct ublk_params params = {.len = sizeof(params), .types = UBLK_PARAM_TYPE_BASIC};
    char path[32];

    info.dev_id = (__u32)-1;
    info.nr_hw_queues = (__u16)nr_queues;
    info.queue_depth = (__u16)depth;
    info.max_io_buf_bytes = 1 << 20;
    info.flags = UBLK_F_CMD_IOCTL_ENCODE;
    if (member >= 0)
        info.flags |= UBLK_F_SUPPORT_ZERO_COPY | UBLK_F_AUTO_BUF_REG;
    else
        info.flags |= UBLK_F_USER_COPY;
    check(command(UBLK_U_CMD_ADD_DEV, &info, sizeof(info), 0), "ADD_DEV");
    params.basic.logical_bs_shift = params.basic.io_min_shift = 9;
    params.basic.physical_bs_shift = params.basic.io_opt_shift = 12;
    params.basic.max_sectors = info.max_io_buf_bytes >> 9;
    params.basic.dev_sectors = bytes >> 9;
    params.basic.attrs = UBLK_ATTR_VOLATILE_CACHE;
    check(command(UBLK_U_CMD_SET_PARAMS, &params, sizeof(params), 0), "SET_PARAMS");
    snprintf(path, sizeof(path), "/dev/ublkc%u", info.dev_id);
    for (int tries = 0; tries < 2000; tries++) {
        client = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
        if (client >= 0)
            break;
        usleep(5000);
    }
    check(client < 0 ? -errno : 0, path);
}

int main(int argc, char** argv) {
    unsigned nr_queues;
    sigset_t signals;
    __u64 bytes;
    int which;

    if (argc != 5) {
        fprintf(stderr, "floor null BYTES|linear DEVICE QUEUES DEPTH\n");
        return 2;
    }
    bytes = !strcmp(argv[1], "null") ? strtoull(argv[2], NULL, 0) : open_member(argv[2]);
    nr_queues = (unsigned)atoi(argv[3]);
    depth = (unsigned)atoi(argv[4]);
    if (nr_queues < 1 || nr_queues > QUEUES_MAX)
        check(-EINVAL, "queues");
    sigfillset(&signals);
    pthread_sigmask(SIG_SETMASK, &signals, NULL);
    prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
    check(io_uring_queue_init(4, &control, IORING_SETUP_SQE128), "control ring");
    add_device(bytes, nr_queues);
    pthread_barrier_init(&ready, NULL, nr_queues + 1);
    for (unsigned i = 0; i < nr_queues; i++) {
        queues[i].id = i;
        pthread_create(&queues[i].thread, NULL, serve, &queues[i]);
    }
    pthread_barrier_wait(&ready);
    check(command(UBLK_U_CMD_START_DEV, NULL, 0, (__u64)getpid()), "START_DEV");
    printf("/dev/ublkb%u\n", info.dev_id);
    fflush(stdout);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigwait(&signals, &which);
    command(UBLK_U_CMD_STOP_DEV, NULL, 0, 0);
    for (unsigned i = 0; i < nr_queues; i++)
        pthread_join(queues[i].thread, NULL);
    close(client);
    command(UBLK_U_CMD_DEL_DEV_ASYNC, NULL, 0, 0);
    return 0;
}
