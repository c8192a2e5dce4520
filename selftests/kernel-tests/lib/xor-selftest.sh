# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What tests that run the series' selftest have in common. Sourced after host.sh.
# shellcheck shell=bash disable=SC2034,SC2154 # variables of the test that sources this
export RINGRAID_PATCHES=${RINGRAID_PATCHES:-$RINGRAID_TOP/kfunc-patches}
depth=60
if is_full; then depth=1000; fi

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
