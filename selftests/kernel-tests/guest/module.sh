#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Without the module the selftest is skipped; one whose layout is not this
# kernel's is refused, and says why; with the right one every test passes.
set -Eeuo pipefail
trap 'echo "FAIL: line $LINENO: $BASH_COMMAND"' ERR
cd /test/m

fail() { echo "FAIL: $*"; dmesg | tail -n 20; exit 1; }

rc=0
./bpf_xor >/tmp/log || rc=$?
sed 's/^/# without the module: /' /tmp/log
if [ $rc != 4 ] || ! grep -q '^1..0 # SKIP no uring_bpf_xor' /tmp/log; then
	fail "exit code $rc without the module"
fi

! insmod wrong/uring_bpf_xor.ko 2>/tmp/log || fail "a module with another layout was loaded"
sed 's/^/# another layout: /' /tmp/log
for text in 'this kernel has no io_mapped_ubuf.flags' 'this kernel has no io_mapped_ubuf.dir' \
	'not loaded: rebuild the module'; do
	dmesg | grep "uring_bpf_xor: $text" | sed 's/^/# /' || fail "the kernel log does not say: $text"
done

insmod uring_bpf_xor.ko
./bpf_xor

# A ring goes after its process, and with it the program that holds the module.
for _ in {1..100}; do
	! rmmod uring_bpf_xor 2>/dev/null || exit 0
	sleep 0.1
done
fail "something holds the module"
