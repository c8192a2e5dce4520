#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The patched kernel boots with a clean log, has io_uring's BPF ops in its BTF,
# and every driver that the stock kernel's guests can load.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
mapfile -t members < <(nvme 4 16M)
kernel_guest patched boot "${members[@]}"
