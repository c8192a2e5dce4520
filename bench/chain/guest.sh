#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# guest.sh HOPS: chains on one NVMe disk, in windows that are counted.
set -euo pipefail
disk=$(basename "$(readlink -f /dev/disk0)")
echo none >"/sys/block/$disk/queue/scheduler"
/bench/chain_bench /bench/chain.bpf.o "/dev/$disk" "/dev/ng${disk#nvme}" "$1" /out
cat /proc/kallsyms >/out/kallsyms
uname -r >/out/kernel
