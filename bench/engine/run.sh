#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What does the engine itself cost, natively? Instructions are counted in a VM.
. "${0%/*}/../lib/host.sh"
seconds=0.5
[ "${RINGRAID_LEVEL:?}" = full ] || seconds=0.1
in_root "${RINGRAID_BUILD:?}/engine_bench" --benchmark_format=json --benchmark_min_time=${seconds}s \
	--benchmark_repetitions=5 --benchmark_enable_random_interleaving=true \
	>"${BENCH_OUT:?}/engine.json" 2>"$BENCH_OUT/log" || { cat "$BENCH_OUT/log"; exit 1; }
printf '{"kernel": "%s", "cpus": %d}\n' "$(uname -r)" "$(nproc)" >"$BENCH_OUT/machine.json"

echo "instructions"
bench_guest "${counting[@]}" --file "$RINGRAID_BUILD/engine_count:/bench/engine_count" \
	--file "$RINGRAID_BUILD/engine-bench:/bench/objects"
in_root nm "$RINGRAID_BUILD/engine_count" >"$BENCH_OUT/program"
