/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * reserve DEVICE KEY [VICTIM]: another host's registration and reservation (Write Exclusive),
 * preempted from VICTIM where that is given. The exit code is 0, or 1 for a conflict.
 *
 * DEVICE is a block device, or an NVMe controller (/dev/nvme3): what is one of several paths
 * to a disk cannot be chosen by the disk. A controller is sent NVMe's own commands.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/nvme_ioctl.h>
#include <linux/pr.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

enum {
    RESERVATION_REGISTER = 0x0d,
    RESERVATION_ACQUIRE = 0x11,
    ACTION_REGISTER = 0,
    ACTION_ACQUIRE = 0,
    ACTION_PREEMPT_AND_ABORT = 2,
    WRITE_EXCLUSIVE = 1 << 8,
};

/* number - a key, in hex or decimal; ends the program where it is none. */
static __u64 number(const char* text) {
    char* end;
    unsigned long long value = strtoull(text, &end, 0);

    if (*end || !value) {
        fprintf(stderr, "%s is no key\n", text);
        exit(2);
    }
    return value;
}

/* command - to the controller's only namespace, with the two keys that such a command has. */
static int command(int fd, __u8 opcode, __u32 action, __u64 first, __u64 second) {
    __u64 keys[2] = {first, second};
    struct nvme_passthru_cmd cmd = {0};

    cmd.opcode = opcode;
    cmd.nsid = 1;
    cmd.addr = (uintptr_t)keys;
    cmd.data_len = sizeof(keys);
    cmd.cdw10 = action;
    return ioctl(fd, NVME_IOCTL_IO_CMD, &cmd);
}

static int by_controller(int fd, __u64 key, __u64 victim) {
    int result = command(fd, RESERVATION_REGISTER, ACTION_REGISTER, 0, key);

    if (result)
        return result;
    return command(fd, RESERVATION_ACQUIRE,
                   WRITE_EXCLUSIVE | (victim ? ACTION_PREEMPT_AND_ABORT : ACTION_ACQUIRE), key,
                   victim);
}

static int by_disk(int fd, __u64 key, __u64 victim) {
    struct pr_registration entry = {.new_key = key};
    struct pr_reservation wanted = {.key = key, .type = PR_WRITE_EXCLUSIVE};
    struct pr_preempt take = {.old_key = key, .new_key = victim, .type = PR_WRITE_EXCLUSIVE};
    int result = ioctl(fd, IOC_PR_REGISTER, &entry);

    if (result)
        return result;
    return victim ? ioctl(fd, IOC_PR_PREEMPT_ABORT, &take) : ioctl(fd, IOC_PR_RESERVE, &wanted);
}

int main(int argc, char** argv) {
    int fd = argc > 2 ? open(argv[1], O_RDWR | O_CLOEXEC) : -1;
    __u64 key, victim;
    struct stat info;
    int result;

    if (fd < 0 || fstat(fd, &info)) {
        fprintf(stderr, "reserve DEVICE KEY [VICTIM]: %s\n", strerror(errno));
        return 2;
    }
    key = number(argv[2]);
    victim = argc > 3 ? number(argv[3]) : 0;
    result = S_ISCHR(info.st_mode) ? by_controller(fd, key, victim) : by_disk(fd, key, victim);
    if (result)
        fprintf(stderr, "%s: answer %d, %s\n", argv[1], result, result < 0 ? strerror(errno) : "");
    return result != 0;
}
