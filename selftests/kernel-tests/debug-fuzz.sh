#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Under KASAN, UBSAN, lockdep and the check for sleeping: the series' selftest
# with its fuzzer, and a smoke slice of the device. A report fails the run.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
. "${BASH_SOURCE[0]%/*}/lib/xor-selftest.sh"
mkdir "$dir/out"
bash "$ktests/lib/module-build.sh" "$dir/out"
"$run" vm --kernel debug --mem 3072 --timeout 1800 --file "$dir/out:/test/m" -- \
	env XOR_SEED="$seed" XOR_DEPTH="$depth" sh -c 'cd /test/m && ./bpf_xor' >"$dir/log" ||
	{ cat "$dir/log"; fail "in the guest"; }
judge_selftest "$dir/log" "the debug kernel"
mapfile -t members < <(nvme 4 32M)
kernel_guest debug smoke "${members[@]}" --mem 3072 --timeout 1800
