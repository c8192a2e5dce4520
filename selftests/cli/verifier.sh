#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The engine passes the verifier of this machine's kernel, whichever that is: verifiers differ
# in more than their limits. vm verifier asks the kernels that the arrays run on.
. "${0%/*}/lib.sh"
own_mounts
mount -t bpf bpf /sys/fs/bpf

loads() { bpftool prog loadall "$RINGRAID_BUILD/engine-bench/$1.bpf.o" "/sys/fs/bpf/$1"; }

# A kernel without arenas, or that we may not ask, has no opinion.
if ! bpftool map create /sys/fs/bpf/arena type arena key 0 value 0 entries 1 name arena flags 0x400 \
	>"$tmp/arena" 2>&1; then
	echo "ok verifier.engine # SKIP this machine's kernel has no BPF arenas for us: $(tail -n 1 "$tmp/arena")"
	exit 0
fi
check verifier.engine loads engine
check verifier.without_xor loads no_xor
