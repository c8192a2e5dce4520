#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# kselftest-build.sh TARGET OUT: the kernel's own selftests of TARGET, of the
# patched kernel's tree, built and installed by the kernel's own make.
set -euo pipefail
target=$1 out=$2
# shellcheck source=selftests/vm/environment.sh
. "${RINGRAID_TOP:?}/selftests/vm/environment.sh"
for part in kernel patched; do
	# shellcheck source=/dev/null
	. "$vm_dir/$part.sh"
done
patched_ensure normal
make_work kselftest
# shellcheck disable=SC2154 # work, patched_kernel: of lib.sh and patched.sh
cp -a "$patched_kernel/tree" "$work/tree"
logged "$cache/log/kselftest-$target.log" in_root make -C "$work/tree/tools/testing/selftests" CLANG=clang-19 \
	TARGETS="$target" SKIP_TARGETS= INSTALL_PATH="$work/installed" install || die "the $target selftests do not build"
[ -s "$work/installed/kselftest-list.txt" ] || die "the $target selftests are not among the kernel's"
cp -a "$work/installed/." "$out/"
# What the guest has of these is busybox's, whose templates need more X.
mkdir -p "$out/bin"
for tool in mktemp realpath truncate stat; do
	in_root cat "/usr/bin/$tool" >"$out/bin/$tool"
	chmod +x "$out/bin/$tool"
done
