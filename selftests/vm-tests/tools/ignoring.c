/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ignoring COMMAND...: runs it as a child of those who ignore what their
 * children do. SIGCHLD stays ignored across exec(), and then the kernel reaps
 * children by itself. No shell can be asked for this.
 */
#include <signal.h>
#include <unistd.h>

int main(int argc, char** argv) {
    if (argc < 2)
        return 2;
    signal(SIGCHLD, SIG_IGN);
    execvp(argv[1], argv + 1);
    return 127;
}
