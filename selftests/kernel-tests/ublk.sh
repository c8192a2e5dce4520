#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The kernel's own ublk selftests on the patched kernel; those that take minutes
# when emulated (stress, loop) with --full. What they skip is listed; it must not
# be most of them.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
mkdir "$dir/out"
bash "$ktests/lib/kselftest-build.sh" ublk "$dir/out"
kernel_guest patched ublk --mem 2048 --timeout 3000 --disk nvme:4G --file "$dir/out:/test/selftests" >"$dir/log" ||
	{ cat "$dir/log"; fail "in the guest"; }
passed=$(grep -c '^ok ' "$dir/log" || true)
skipped=$(grep -cE '^ok .*# SKIP' "$dir/log" || true)
failed=$(grep -c '^not ok ' "$dir/log" || true)
grep -E '^ok .*# SKIP|^not ok' "$dir/log" || true
[ "$failed" = 0 ] || { cat "$dir/log"; fail "$failed of the ublk selftests failed"; }
[ $((passed - skipped)) -ge 20 ] || { cat "$dir/log"; fail "only $((passed - skipped)) of the ublk selftests ran"; }
printf '%4d s  %s\n' $SECONDS "$((passed - skipped)) ublk selftests passed, $skipped were skipped"
