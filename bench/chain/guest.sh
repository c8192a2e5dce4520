#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# guest.sh HOPS DEPTHS BATCHES: chains on one NVMe disk, and look-ups in trees
# there; then on a null_blk device that answers after 10 or 100 us. In windows that are counted.
set -euo pipefail
disk=$(basename "$(readlink -f /dev/disk0)")
echo none >"/sys/block/$disk/queue/scheduler"
/bench/chain_bench /bench/chain.bpf.o "/dev/$disk" "/dev/ng${disk#nvme}" "$1" /out
windows() { cat /out/chains.jsonl /out/lookups.jsonl 2>/dev/null | wc -l; }
/bench/lookup_bench tree "/dev/$disk" 0 /out "$(windows)" '3 6 10' '1 16' "/dev/ng${disk#nvme}" /bench/hook.bpf.o
# look_up US DEPTHS BATCHES: the device answers after that many microseconds.
look_up() {
	modprobe null_blk nr_devices=1 queue_mode=2 irqmode=2 completion_nsec=$(($1 * 1000)) bs=512 gb=1 \
		memory_backed=1 submit_queues=1
	echo none >/sys/block/nullb0/queue/scheduler
	/bench/lookup_bench tree /dev/nullb0 "$1" /out "$(windows)" "$2" "$3"
	# A worker of the kernel lets go of a ring's files.
	for ((i = 0; i < 100; i++)); do
		! rmmod null_blk 2>/dev/null || return 0
		sleep 0.1
	done
	rmmod null_blk
}
look_up 10 "$2" "$3"
look_up 100 '6 10' 16
cat /proc/kallsyms >/out/kallsyms
uname -r >/out/kernel
