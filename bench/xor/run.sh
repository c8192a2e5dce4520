#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What does XOR cost by a BPF loop, by uring_bpf_xor and natively?
. "${0%/*}/../lib/host.sh"
# shellcheck source=selftests/vm/accel.sh
. "$vm_dir/accel.sh"
sources=2,3,4,5,6,7,8 sizes=4096,16384,65536,262144,1048576 repeats=3
[ "${RINGRAID_LEVEL:?}" = full ] || { sources=2,4,8 sizes=4096,65536,1048576 repeats=2; }

# guest OUT HOW VM-OPTION...
guest() {
	local out=$1 how=$2
	shift 2
	BENCH_OUT=$out bench_guest --file "$tools/xor_bench:/bench/tools/xor_bench" \
		--file "$tools/xor.bpf.o:/bench/tools/xor.bpf.o" "$@" -- "$how" $sources $sizes $repeats
}

echo "natively"
in_root "$tools/xor_bench" "$tools/xor.bpf.o" native $sources $sizes $repeats >"${BENCH_OUT:?}/native.jsonl"
uname -r >"$BENCH_OUT/native-kernel"
echo "timed"
# Emulated, `rep movs` takes a time for each byte: the kernel copies by words instead.
emulated=()
[ "$(vm_accel)" = kvm ] || emulated=(--append clearcpuid=fsrm)
guest "$BENCH_OUT/timed" timed "${emulated[@]}"
[ ${#emulated[@]} = 0 ] || touch "$BENCH_OUT/emulated"
echo "counted"
guest "$BENCH_OUT" counted "${counting[@]}"
daemon_symbols
