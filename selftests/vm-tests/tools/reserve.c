/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * reserve DEVICE KEY [VICTIM]: another host's registration and reservation (Write Exclusive),
 * preempted from VICTIM where that is given. The exit code is 0, or 1 for a conflict.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/pr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

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

int main(int argc, char** argv) {
    int fd = argc > 2 ? open(argv[1], O_RDWR | O_CLOEXEC) : -1;
    struct pr_registration entry = {0};
    struct pr_reservation wanted = {0};
    struct pr_preempt take = {0};
    int result;

    if (fd < 0) {
        fprintf(stderr, "reserve DEVICE KEY [VICTIM]: %s\n", strerror(errno));
        return 2;
    }
    entry.new_key = wanted.key = take.old_key = number(argv[2]);
    wanted.type = take.type = PR_WRITE_EXCLUSIVE;
    result = ioctl(fd, IOC_PR_REGISTER, &entry);
    if (!result && argc > 3) {
        take.new_key = number(argv[3]);
        result = ioctl(fd, IOC_PR_PREEMPT_ABORT, &take);
    } else if (!result) {
        result = ioctl(fd, IOC_PR_RESERVE, &wanted);
    }
    if (result)
        fprintf(stderr, "%s: answer %d, %s\n", argv[1], result, result < 0 ? strerror(errno) : "");
    return result != 0;
}
