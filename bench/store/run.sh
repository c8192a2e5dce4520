#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What does an access to the KV store cost, natively?
set -euo pipefail
# shellcheck source=selftests/vm/environment.sh
. "${RINGRAID_TOP:?}/selftests/vm/environment.sh"
in_root "${RINGRAID_BUILD:?}/store_bench" --json >"${BENCH_OUT:?}/store.json" 2>"$BENCH_OUT/log" ||
	{ cat "$BENCH_OUT/log"; exit 1; }
printf '{"kernel": "%s", "cpus": %d}\n' "$(uname -r)" "$(nproc)" >"$BENCH_OUT/machine.json"
