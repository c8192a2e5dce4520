#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The device's own VM tests on the patched kernel, as they are: a slice of them,
# with --full all.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
export RINGRAID_KERNEL=patched
slice=(verifier fio-verify errors kill9 passthrough upgrade md-judge)
if is_full; then mapfile -t slice < <(basename -s .sh "$tests"/*.sh); fi

failed=0
for name in "${slice[@]}"; do
	start=$SECONDS rc=0
	bash "$tests/$name.sh" >"$dir/log" 2>&1 || rc=$?
	case $rc in
	0) word=passed ;;
	# 77 is a skip, and none of these has a reason to.
	*) word=FAILED failed=1; sed "s/^/$name: /" "$dir/log" ;;
	esac
	printf '%4d s  %s %s, in %d s\n' $SECONDS "$name" "$word" $((SECONDS - start))
done
[ $failed = 0 ] || fail "on the patched kernel"
