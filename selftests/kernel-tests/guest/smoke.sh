#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A little of everything that the device does, for detectors to watch.
# shellcheck source=selftests/vm-tests/guest/lib.sh
. "${0%/*}/../t/lib.sh"
read -ra members < <(disks 4)

# served WHAT OPTION...
served() {
	local what=$1
	shift
	wipe "${members[@]}"
	start t "${members[@]}" --chunk 64K --assume-clean "$@"
	# Copied payload is the engine's to XOR.
	case "$*" in
	*user* | *no-zero-copy*) ;;
	*) [ "$(st xor)" = "the kernel's uring_bpf_xor" ] || fail "parity is computed by $(st xor)" ;;
	esac
	load mix --rw=randrw --bssplit=$mix --iodepth=16 --numjobs=2 --size=8m --offset_increment=8m --fdatasync=32
	kill_daemon
	again "${members[@]}" "$@"
	state healthy
	quietly ringraid fail t 1
	load degraded --rw=randrw --bssplit=$mix --iodepth=16 --size=8m
	no_stream
	stop
	say "$what: served, killed, taken over, degraded"
}

served "bpf engine" --engine bpf
served "bpf engine, copies through the arena" --engine bpf --no-zero-copy
served "bpf engine, NVMe commands" --engine bpf --passthrough
served "user engine" --engine user
