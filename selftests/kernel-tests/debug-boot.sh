#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The debug kernel boots with a clean log and serves an array; and its detectors
# are on: bugs that LKDTM plants are seen, and fail a run.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
mapfile -t members < <(nvme 4 16M)
kernel_guest debug boot "${members[@]}" --mem 2048
kernel_guest debug detectors --append kasan_multi_shot --allow-dmesg .
rc=0
"$run" vm --kernel debug -- sh -c 'echo WRITE_AFTER_FREE >/sys/kernel/debug/provoke-crash/DIRECT' >"$dir/log" 2>&1 || rc=$?
[ $rc = 125 ] || { cat "$dir/log"; fail "a write after free did not fail the run (exit code $rc)"; }
