# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The host side of a figure: boots the VM that runs bench/FIGURE/guest.sh.
# `./run bench` gives RINGRAID_RUN, RINGRAID_TOP, RINGRAID_BUILD, RINGRAID_LEVEL
# and BENCH_OUT, the directory for what the guest leaves in /out.
# shellcheck shell=bash source=selftests/vm/environment.sh disable=SC2034,SC2154 # variables shared with what is sourced
set -Eeuo pipefail
figure=$(basename "$(cd "${0%/*}" && pwd)")
tools=${RINGRAID_BUILD:?}/bench
. "${RINGRAID_TOP:?}/selftests/vm/environment.sh"
. "$vm_dir/kernel.sh"

# The competitor bpf-xor needs the function as a module of the stock kernel.
make_work module
cp -r "$top/kfunc-patches" "$work/source"
xor_module=$(kernel_module_build "$work/source" "$work/build")

# bench_guest VM-OPTION... [-- ARG...]
bench_guest() {
	local options=()
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	[ $# -eq 0 ] || shift
	"${RINGRAID_RUN:?}" vm --file "$tools/bench_load:/bench/tools/bench_load" \
		--file "$tools/bench_floor:/bench/tools/bench_floor" \
		--module xor --file "$xor_module:/bench/uring_bpf_xor.ko" \
		--file "$top/bench/lib:/bench/lib" --file "$top/bench/$figure:/bench/$figure" \
		--mem 2048 --timeout 3600 --out "${BENCH_OUT:?}" "${options[@]}" -- \
		env LEVEL="${RINGRAID_LEVEL:?}" bash "/bench/$figure/guest.sh" "$@"
}

# counting: VM options under which guest instructions are counted. Programs are
# not moved about, so that the daemon's addresses can be given names.
counting=(--icount --append norandmaps --qemu -plugin --qemu "file=$tools/bench_count.so,out=$BENCH_OUT/windows")

# The daemon's functions, for windows.py.
daemon_symbols() { in_root nm "$RINGRAID_BUILD/ringraid" >"$BENCH_OUT/daemon"; }
