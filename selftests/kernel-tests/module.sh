#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# uring_bpf_xor as a module on the stock kernel: built with that kernel's headers
# packages, refused when its layout is another one, and good for every test of
# the series' own selftest.
#
# RINGRAID_PATCHES names another kfunc-patches (one with a planted bug, say).
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
. "${BASH_SOURCE[0]%/*}/lib/xor-selftest.sh"
out=$dir/out
mkdir "$out"
bash "$ktests/lib/module-build.sh" "$out"

# A bug that oopses holds locks: better a panic than a hang.
"$run" vm --module xor --mem 1536 --append oops=panic --file "$out:/test/m" --file "$ktests/guest:/test/k" -- \
	env XOR_SEED="$seed" XOR_DEPTH=$depth \
	bash /test/k/module.sh >"$dir/log" || { cat "$dir/log"; fail "in the guest"; }

judge_selftest "$dir/log" "the stock kernel"
