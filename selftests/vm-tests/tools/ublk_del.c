/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ublk_del DEVICE: stops and deletes a ublk device, whoever serves it, as
 * `ublk del -n DEVICE` of ublksrv does. It does not wait for who has it open.
 */
#include <fcntl.h>
#include <liburing.h>
#include <linux/ublk_cmd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* command - one control command; returns its result, negative errno if it failed. */
static int command(struct io_uring* ring, int control, unsigned op, unsigned device) {
    struct io_uring_sqe* sqe = io_uring_get_sqe(ring);
    struct ublksrv_ctrl_cmd* cmd = (struct ublksrv_ctrl_cmd*)sqe->cmd;
    struct io_uring_cqe* cqe;
    int result;

    /* Each entry is used once, and the kernel gave zeros. */
    sqe->opcode = IORING_OP_URING_CMD;
    sqe->fd = control;
    sqe->cmd_op = op;
    cmd->dev_id = device;
    cmd->queue_id = (__u16)-1;
    result = io_uring_submit_and_wait(ring, 1);
    if (result < 0)
        return result;
    result = io_uring_peek_cqe(ring, &cqe);
    if (result < 0)
        return result;
    result = cqe->res;
    io_uring_cqe_seen(ring, cqe);
    return result;
}

int main(int argc, char** argv) {
    struct io_uring ring;
    unsigned device;
    int control, result;

    if (argc != 2)
        return 2;
    device = (unsigned)strtoul(argv[1], NULL, 10);
    control = open("/dev/ublk-control", O_RDWR | O_CLOEXEC);
    result = control < 0 ? -1 : io_uring_queue_init(4, &ring, IORING_SETUP_SQE128);
    if (result < 0) {
        fprintf(stderr, "ublk_del: no control device or no ring\n");
        return 1;
    }
    /* It may be stopped already. */
    command(&ring, control, UBLK_U_CMD_STOP_DEV, device);
    result = command(&ring, control, UBLK_U_CMD_DEL_DEV_ASYNC, device);
    if (result < 0)
        fprintf(stderr, "ublk_del: %s\n", strerror(-result));
    return result < 0;
}
