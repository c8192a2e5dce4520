#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# stats --prometheus and what shows it: the format, names and labels with anything in
# them, the file that is replaced whole, and the dashboard.
. "${0%/*}/lib.sh"
own_mounts
mkdir -p /run/ringraid
mount -t tmpfs -o mode=0700 tmpfs /run/ringraid
packaging=$top/loader/packaging

# Two arrays of the same name, one of them degraded, and a daemon that is dead.
cp "$here/status.json" "$tmp/a"
jq '.uuid = "11111111:76543210:fedcba98:76543210" | .block_device = "/dev/ublkb4" | .state = "degraded"
	| .members[2] = {role: 2, device: "/dev/nvme10n1", state: "rebuilding", identity: "c"}
	| .members[1] += {state: "failed", error: "Input/output error"} | .job.now.kind = "rebuild" | .spares = [] | del(.counters.punts) | .bitmap = null' "$tmp/a" >"$tmp/b"
jq '.uuid = "22222222:76543210:fedcba98:76543210" | .block_device = "/dev/ublkb5" | .name = "h:\u001b[1m\nx"' "$tmp/a" >"$tmp/c"
serve "$tmp/a" "$tmp/b" "$tmp/c"
kill -9 "${served[2]}"
wait "${served[2]}" 2>/dev/null || true

strict() { python3 "$here/prometheus.py"; }

format() {
	"$program" stats --prometheus >"$tmp/text"
	cat "$tmp/text"
	strict <"$tmp/text" >"$tmp/samples"
	local one='array="da\"ta\\",device="ublkb3"' other='array="da\"ta\\",device="ublkb4"' line
	for line in "disks{$one,state=\"active\"} 4" "disks{$one,state=\"spare\"} 1" \
		"state{$one,state=\"check\"} 1" "blocks{$one} 147456" "blocks_synced{$one} 36864" \
		"writes_total{$one} 20" "written_bytes_total{$one} 81920" "mismatch_sectors{$one} 8" \
		"requests_in_flight{$one} 3" "degraded{$other} 1" "state{$other,state=\"recovering\"} 1" \
		"disks{$other,state=\"sync\"} 1" "disks{$other,state=\"failed\"} 1" \
		"member_error{$other,error=\"Input/output error\",member=\"/dev/nvme1n1\",role=\"1\"} 1" 'up{array="\\x1b[1m\\nx",device="ublkb5"} 0'; do
		has "ringraid_$line" <"$tmp/samples" || { echo "no $line"; return 1; }
	done
	local of=ringraid_request_duration_seconds read='op="read",path="direct"' rmw='op="write",path="rmw"'
	for line in "_bucket{$one,le=\"3.2768e-05\",$read} 0" "_bucket{$one,le=\"6.5536e-05\",$read} 900" \
		"_bucket{$one,le=\"0.002097152\",$read} 990" "_bucket{$one,le=\"+Inf\",$read} 1000" \
		"_sum{$one,$read} 0.09" "_count{$one,$read} 1000" \
		"_bucket{$one,le=\"4.294967296\",$rmw} 12" "_bucket{$one,le=\"+Inf\",$rmw} 15"; do
		has "$of$line" <"$tmp/samples" || { echo "no $of$line"; return 1; }
	done
	! grep -q '^ringraid_punts_total{.*ublkb4' "$tmp/samples" || return 1
	grep -q '^ringraid_punts_total{.*ublkb3' "$tmp/samples"
}

# All counters of the engine are there: each by a number of its own.
all_counters() {
	jq '.counters |= with_entries(.value = 7)' "$here/status.json" >"$tmp/a.new"
	mv "$tmp/a.new" "$tmp/a"
	"$program" stats --prometheus /dev/ublkb3 | strict >"$tmp/seven"
	[ "$(grep -cE ' (7|3584)$' "$tmp/seven")" = "$(jq '.counters | length' "$tmp/a")" ]
}

# The reader sees what it must.
reader() {
	local text
	for text in 'a 1' '# HELP a b\na 1\n' '# HELP a b\n# TYPE a gauge\na 1' \
		'# HELP a b\n# TYPE a gauge\na 1\na 1\n' '# HELP a b\n# TYPE a counter\na 1\n' \
		'# HELP a b\n# TYPE a gauge\na{x="y} 1\n' '# HELP a b\n# TYPE a gauge\na{x="1",x="2"} 1\n' \
		'# HELP a b\n# TYPE a gauge\na 1\n# HELP c d\n# TYPE c gauge\nc 1\na{x="1"} 1\n' \
		'# HELP a b\n# TYPE a histogram\na_bucket{le="1"} 1\na_sum 1\na_count 1\n' \
		'# HELP a b\n# TYPE a histogram\na_bucket{le="1"} 2\na_bucket{le="+Inf"} 1\na_sum 1\na_count 1\n' \
		'# HELP a b\n# TYPE a histogram\na_bucket{le="1"} 1\na_bucket{le="+Inf"} 1\na_sum 1\na_count 2\n' \
		'# HELP a b\n# TYPE a histogram\na_bucket{le="1"} 1\na_bucket{le="+Inf"} 1\na_count 1\n' \
		'# HELP a b\n# TYPE a histogram\na_sum 1\na_count 1\n' '# HELP a b\n# TYPE a histogram\na 1\n' \
		'# HELP a b\n# TYPE a gauge\n# HELP c d\n# TYPE c gauge\nc 1\n' '# HELP a b\n# TYPE a gauge\na x\n'; do
		! printf '%b' "$text" | strict 2>/dev/null || { echo "taken: $text"; return 1; }
	done
}

replaced() {
	mkdir -p "$tmp/textfile"
	"$program" stats --prometheus --output "$tmp/textfile/ringraid.prom"
	strict <"$tmp/textfile/ringraid.prom" >/dev/null
	[ "$(stat -c %a "$tmp/textfile/ringraid.prom")" = 644 ]
	[ "$(ls -A "$tmp/textfile")" = ringraid.prom ]
	# No room: the old one stays, and nothing else does.
	mount -t tmpfs -o size=8k tmpfs "$tmp/textfile"
	echo old >"$tmp/textfile/ringraid.prom"
	! "$program" stats --prometheus --output "$tmp/textfile/ringraid.prom" || return 1
	[ "$(cat "$tmp/textfile/ringraid.prom")" = old ]
	[ "$(ls -A "$tmp/textfile")" = ringraid.prom ]
	umount "$tmp/textfile"
}

# Prometheus' own judge, also of what is no error to a server: a help or a unit that is not there.
promtool_agrees() {
	local broken
	"$program" stats --prometheus >"$tmp/text"
	promtool check metrics <"$tmp/text"
	# It judges: a metric without HELP, a counter that is not called so, a sample twice.
	for broken in '/^# HELP ringraid_up /d' 's/ringraid_writes_total/ringraid_writes/' '/^ringraid_up{/p'; do
		sed "$broken" "$tmp/text" >"$tmp/broken"
		! promtool check metrics <"$tmp/broken" || { echo "taken: $broken"; return 1; }
	done
}

dashboard() {
	local metric
	python3 "$packaging/grafana/make.py" | cmp - "$packaging/grafana/ringraid.json"
	for metric in $(jq -r '.panels[].targets[].expr' "$packaging/grafana/ringraid.json" | grep -oE 'ringraid_[a-z_]+' | sort -u); do
		# A histogram's samples have names of their own. Those of block devices need real ones.
		grep -qE "^# TYPE ($metric .*|${metric%_bucket} histogram)$" "$tmp/text" || [[ $metric =~ _(device|member)_(requests|bytes|seconds)_total$ ]] ||
			{ echo "$metric is not exported"; return 1; }
	done
	# No two panels overlap, or have one number.
	jq -e '.panels as $p | [range($p | length)] | all(. as $i | [range($i)] | all(. as $j |
		$p[$i].id != $p[$j].id and ($p[$i].gridPos as $a | $p[$j].gridPos as $b |
		($a.x >= $b.x + $b.w or $b.x >= $a.x + $a.w or $a.y >= $b.y + $b.h or $b.y >= $a.y + $a.h))))' \
		"$packaging/grafana/ringraid.json"
	# A heatmap's rows are buckets, and so is what a quantile is made from.
	jq -e '[.panels[] | select(.type == "heatmap").targets] | length > 0 and
		all(.[]; length == 1 and .[0].format == "heatmap" and (.[0].expr | startswith("sum by (le) (rate(ringraid_request_duration_seconds_bucket{")))' \
		"$packaging/grafana/ringraid.json"
	jq -e '[.panels[].targets[].expr | select(contains("histogram_quantile"))] | length > 0 and
		all(.[]; contains(", le) (rate(ringraid_request_duration_seconds_bucket{"))' "$packaging/grafana/ringraid.json"
	jq -e 'all(.panels[]; .gridPos.x + .gridPos.w <= 24 and (.targets | length) > 0 and .datasource.uid == "${source}")' \
		"$packaging/grafana/ringraid.json"
}

check metrics.format format
check metrics.all-counters all_counters
check metrics.reader reader
check metrics.replaced replaced
check metrics.promtool promtool_agrees
check metrics.dashboard dashboard
