#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# uring_bpf_xor as a module on the stock kernel: built with that kernel's headers
# packages, refused when its layout is another one, and good for every test of
# the series' own selftest.
#
# RINGRAID_PATCHES names another kfunc-patches (one with a planted bug, say).
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
export RINGRAID_PATCHES=${RINGRAID_PATCHES:-$RINGRAID_TOP/kfunc-patches}
out=$dir/out
depth=60
if is_full; then depth=1000; fi
mkdir "$out"
bash "$ktests/lib/module-build.sh" "$out"

# A bug that oopses holds locks: better a panic than a hang.
"$run" vm --module xor --mem 1536 --append oops=panic --file "$out:/root/m" --file "$ktests/guest:/root/k" -- \
	env XOR_SEED="$seed" XOR_DEPTH=$depth \
	bash /root/k/module.sh >"$dir/log" || { cat "$dir/log"; fail "in the guest"; }

# Every planned test ran, and none was skipped.
planned=$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' "$dir/log")
passed=$(grep -cE '^ok [0-9]+ ' "$dir/log" || true)
if [ "${planned:-0}" -lt 100 ] || [ "$passed" != "$planned" ] ||
	grep -qE '^not ok|^ok .*# SKIP|^Bail out' "$dir/log"; then
	cat "$dir/log"
	fail "$passed of ${planned:-no} tests passed"
fi
grep -E '^# |XFAIL' "$dir/log" || true
printf '%4d s  %s\n' $SECONDS "$passed of $planned tests of the selftest passed on the stock kernel"
