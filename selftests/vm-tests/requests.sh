#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What a request of each kind costs, in counts, against selftests/budget.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
# shellcheck source=selftests/vm/environment.sh
. "${RINGRAID_TOP:?}/selftests/vm/environment.sh"
# In the cache: the emulator and python3 run in the environment, which has its own /tmp.
out=$(mktemp -d -p "$cache/work")
trap 'rm -rf -- "$dir" "$out"' EXIT
BENCH_OUT=$out bash "$top/bench/budget/run.sh"
in_root env PYTHONDONTWRITEBYTECODE=1 python3 "$(root_src)/bench/budget/check.py" "$out" \
	"$(root_src)/selftests/budget/requests.txt" || fail "above the budget"
