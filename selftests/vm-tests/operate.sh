#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What an operator lives with, with real arrays: the configuration, mail for a failed disk
# and a dead daemon, checks by the clock, metrics, and that every command's JSON is what
# its schema says.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
# shellcheck source=selftests/vm/environment.sh
. "${RINGRAID_TOP:?}/selftests/vm/environment.sh"
# In the cache: the emulator and python3 run in the environment, which has its own /tmp.
out=$(mktemp -d -p "$cache/work")
trap 'rm -rf -- "$dir" "$out"' EXIT
mapfile -t members < <(nvme 8 64M)
guest operate "${members[@]}" --out "$out" --timeout 900
cli=$(root_src)/selftests/cli
if compgen -G "$out/json/*.json" >/dev/null; then
	in_root env PYTHONDONTWRITEBYTECODE=1 python3 "$cli/validate.py" "$(root_src)/loader/schema" "$out"/json/*.json ||
		fail "an answer is not what its schema says"
fi
for f in "$out"/*.prom; do
	[ ! -e "$f" ] || in_root python3 "$cli/prometheus.py" <"$f" >"$out/samples" || fail "metrics"
	# What needs real block devices is there, as the dashboard shows it.
	for metric in $(jq -r '.panels[].targets[].expr' "$top/loader/packaging/grafana/ringraid.json" | grep -oE 'ringraid_[a-z_]+' | sort -u); do
		[ ! -e "$f" ] || grep -q "^$metric{" "$out/samples" || [[ $metric = ringraid_job_* ]] || fail "$metric is not exported"
	done
done
