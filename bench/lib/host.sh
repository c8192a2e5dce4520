# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The host side of a figure: boots the VM that runs bench/FIGURE/guest.sh.
# `./run bench` gives RINGRAID_RUN, RINGRAID_TOP, RINGRAID_BUILD, RINGRAID_LEVEL
# and BENCH_OUT, the directory for what the guest leaves in /out.
# shellcheck shell=bash
set -Eeuo pipefail
figure=$(basename "$(cd "${0%/*}" && pwd)")
tools=${RINGRAID_BUILD:?}/bench

# bench_guest VM-OPTION... [-- ARG...]
bench_guest() {
	local options=()
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	[ $# -eq 0 ] || shift
	"${RINGRAID_RUN:?}" vm --file "$tools/bench_load:/root/bench/bench_load" \
		--file "$tools/bench_floor:/root/bench/bench_floor" \
		--file "${RINGRAID_TOP:?}/bench/lib/guest.sh:/root/bench/lib.sh" \
		--file "$RINGRAID_TOP/bench/$figure/guest.sh:/root/bench/guest.sh" \
		--mem 2048 --timeout 3600 --out "${BENCH_OUT:?}" "${options[@]}" -- \
		env LEVEL="${RINGRAID_LEVEL:?}" bash /root/bench/guest.sh "$@"
}

# counting: VM options under which guest instructions are counted.
counting=(--icount --qemu -plugin --qemu "file=$tools/bench_count.so,out=$BENCH_OUT/windows")
