#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# module-build.sh OUT: what kernel-tests/module.sh runs in its guest, made from
# the series and the stock kernel's headers: uring_bpf_xor.ko; wrong/, the same
# with two members swapped in what it takes for io_uring's structures; and the
# selftest.
set -euo pipefail
out=$1
# shellcheck source=selftests/vm/environment.sh
. "${RINGRAID_TOP:?}/selftests/vm/environment.sh"
for part in kernel patched; do
	# shellcheck source=/dev/null
	. "$vm_dir/$part.sh"
done
patches=${RINGRAID_PATCHES:-$top/kfunc-patches}

# build_module NAME: of the sources in $work/NAME; prints the module.
# shellcheck disable=SC2154 # work: by make_work
build_module() { kernel_module_build "$work/$1" "$work/$1/build"; }

# What a kernel with another layout would be: same size, two members swapped.
swap_members() {
	local header=$1/module/rsrc.h
	sed -i -E 's/^(\s+u8\s+)flags;$/\1SWAP;/; s/^(\s+u8\s+)dir;$/\1flags;/; s/SWAP;/dir;/' "$header"
	! cmp -s "$header" "$patches/module/rsrc.h" || die "rsrc.h has changed: nothing to swap"
}

# The selftest, as the series adds it, with the kernel's kselftest around it.
build_selftest() {
	local tests=$work/tree/tools/testing/selftests source patch
	source=$cache/source/$(source_cached)/tools/testing/selftests
	mkdir -p "$tests"
	for patch in "$patches/$(patched_series)"/[0-9]*.patch; do
		[[ $patch != */0000-* ]] || continue # the cover letter
		(cd "$work/tree" && git apply --include='tools/testing/selftests/io_uring/*' "$patch") ||
			die "$patch does not apply"
	done
	[ -e "$tests/io_uring/Makefile" ] || die "the series has no selftest"
	cp -r "$source"/{lib.mk,kselftest,kselftest.h,kselftest_harness.h} "$tests/"
	logged "$cache/log/selftest.log" in_root make -C "$tests/io_uring" \
		OUTPUT="$tests/io_uring" CLANG=clang-19 || die "the selftest does not build"
	cp "$tests/io_uring/"{bpf_xor,bpf_xor.bpf.o,bpf_xor_reject.bpf.o} "$out/"
}

root_ensure
source_ensure
make_work module
for name in right wrong; do cp -r "$patches" "$work/$name"; done
swap_members "$work/wrong"
mkdir -p "$out/wrong"
cp "$(build_module right)" "$out/"
cp "$(build_module wrong)" "$out/wrong/"
build_selftest
