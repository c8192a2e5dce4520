#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What does a hop of a chain cost, and what a look-up? On the patched kernel, which is
# built first. The steps by themselves are timed natively.
. "${0%/*}/../lib/host.sh"
hops=512 depths='1 2 3 4 5 6 7 8 9 10' batches='1 4 16 64'
[ "${RINGRAID_LEVEL:?}" = full ] || hops=128 depths='1 3 6 10' batches='1 16 64'
in_root "$tools/lookup_bench" steps >"$BENCH_OUT/steps.jsonl"
bench_guest --kernel patched "${counting[@]}" --disk nvme:64M --file "$tools/chain_bench:/bench/chain_bench" \
	--file "$tools/chain.bpf.o:/bench/chain.bpf.o" --file "$tools/lookup_bench:/bench/lookup_bench" \
	--file "$tools/hook.bpf.o:/bench/hook.bpf.o" \
	-- $hops "$depths" "$batches"
printf '{"kernel": "%s", "cpus": 1}\n' "$(cat "$BENCH_OUT/kernel")" >"$BENCH_OUT/machine.json"
