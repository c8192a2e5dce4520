#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The series' own selftest on the patched kernel: every test passes, the ones
# that a module cannot pass included.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
. "${BASH_SOURCE[0]%/*}/lib/xor-selftest.sh"
mkdir "$dir/out"
bash "$ktests/lib/module-build.sh" "$dir/out"
"$run" vm --kernel patched --mem 1536 --file "$dir/out:/test/m" -- \
	env XOR_SEED="$seed" XOR_DEPTH="$depth" sh -c 'cd /test/m && ./bpf_xor' >"$dir/log" ||
	{ cat "$dir/log"; fail "in the guest"; }
! grep XFAIL "$dir/log" || fail "an expected failure on the patched kernel"
judge_selftest "$dir/log" "the patched kernel"
