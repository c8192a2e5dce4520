#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Under KASAN, UBSAN, lockdep and the check for sleeping: the series' selftest
# with its fuzzer, and a smoke slice of the device. A report fails the run.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
. "${BASH_SOURCE[0]%/*}/lib/xor-selftest.sh"
fuzz_s=60
! is_full || fuzz_s=200
run_selftest debug $fuzz_s --mem 3072 --timeout 1800
judge_selftest "$dir/log" "the debug kernel"
mapfile -t members < <(nvme 4 32M)
kernel_guest debug smoke "${members[@]}" --mem 3072 --timeout 1800
