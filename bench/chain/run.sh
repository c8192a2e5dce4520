#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What does a hop of a chain cost? On the patched kernel, which is built first.
. "${0%/*}/../lib/host.sh"
hops=512
[ "${RINGRAID_LEVEL:?}" = full ] || hops=128
bench_guest --kernel patched "${counting[@]}" --disk nvme:64M --file "$tools/chain_bench:/bench/chain_bench" \
	--file "$tools/chain.bpf.o:/bench/chain.bpf.o" -- $hops
printf '{"kernel": "%s", "cpus": 1}\n' "$(cat "$BENCH_OUT/kernel")" >"$BENCH_OUT/machine.json"
