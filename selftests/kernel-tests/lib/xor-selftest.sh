# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What tests that run the series' selftest have in common. Sourced after host.sh.
# shellcheck shell=bash disable=SC2034,SC2154 # variables of the test that sources this
export RINGRAID_PATCHES=${RINGRAID_PATCHES:-$RINGRAID_TOP/kfunc-patches}
depth=60
if is_full; then depth=1000; fi

# run_selftest FLAVOUR FUZZ-SECONDS [VM-OPTION]...: as the kernel's make installs it,
# on a kernel with the series; its output is in $dir/log.
run_selftest() {
	local flavour=$1 fuzz_s=$2
	shift 2
	mkdir "$dir/out"
	bash "$ktests/lib/kselftest-build.sh" io_uring "$dir/out"
	"$run" vm --kernel "$flavour" "$@" --file "$dir/out/io_uring:/test/m" -- \
		env XOR_SEED="$seed" XOR_DEPTH="$depth" XOR_FUZZ="$fuzz_s" sh -c 'cd /test/m && ./bpf_xor' \
		>"$dir/log" || { cat "$dir/log"; fail "in the guest"; }
	! grep XFAIL "$dir/log" || fail "an expected failure on a patched kernel"
}

# judge_selftest LOG KERNEL: every planned test ran, and none was skipped.
judge_selftest() {
	local planned passed
	planned=$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' "$1")
	passed=$(grep -cE '^ok [0-9]+ ' "$1" || true)
	if [ "${planned:-0}" -lt 100 ] || [ "$passed" != "$planned" ] ||
		grep -qE '^not ok|^ok .*# SKIP|^Bail out' "$1"; then
		cat "$1"
		fail "$passed of ${planned:-no} tests passed"
	fi
	grep -E '^# |XFAIL' "$1" || true
	printf '%4d s  %s\n' $SECONDS "$passed of $planned tests of the selftest passed on $2"
}
