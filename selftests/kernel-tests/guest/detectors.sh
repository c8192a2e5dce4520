#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Each detector of the debug kernel reports a planted bug.
# shellcheck source=selftests/vm-tests/guest/lib.sh
. "${0%/*}/../t/lib.sh"

# sees LKDTM-BUG REPORT
sees() {
	dmesg -c >/dev/null
	(echo "$1" >/sys/kernel/debug/provoke-crash/DIRECT) 2>/dev/null || true
	dmesg | grep -q "$2" || { dmesg; fail "$1: no '$2' in the log"; }
}

dmesg | grep -q 'testcases passed' || fail "lockdep's own tests did not pass"
grep -q 'debug_locks: *1' /proc/lockdep_stats || fail "lockdep is off"
say "lockdep is on, its own tests passed"
sees WRITE_AFTER_FREE 'KASAN: slab-use-after-free'
sees VMALLOC_LINEAR_OVERFLOW 'KASAN: vmalloc-out-of-bounds'
sees ARRAY_BOUNDS 'UBSAN: array-index-out-of-bounds'
say "KASAN and UBSAN see what LKDTM plants"
