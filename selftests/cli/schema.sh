#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What --json prints is what loader/schema says, without a kernel; vm operate does it with
# real arrays.
. "${0%/*}/lib.sh"
own_mounts
mkdir -p /run/ringraid
mount -t tmpfs -o mode=0700 tmpfs /run/ringraid
schemas=$top/loader/schema
mkdir "$tmp/json"

# Each command has one, but for those that print no JSON of their own and those of the
# store, whose answers are values of programs.
every_command() {
	local c
	for c in $(below); do
		case $c in store | completion | monitor | top) continue ;; esac
		[ -e "$schemas/$c.json" ] || { echo "no schema of $c"; return 1; }
	done
	for c in "$schemas"/*.json; do
		c=$(basename "$c" .json)
		[ "$c" = common ] || below | has "$c" || { echo "no command $c"; return 1; }
	done
}

# saved NAME COMMAND...
saved() {
	local to=$tmp/json/$1.json
	shift
	"$program" --json "$@" >"$to" || true
}

answers() {
	serve "$here/status.json"
	saved status status
	saved status.none status nobody
	saved stats stats
	saved stats.none stats nobody
	saved set set /dev/ublkb3 sync-max=7000
	saved set.wrong set /dev/ublkb3 colour=red
	saved pause pause
	saved check check
	saved check.wrong check --from x
	saved fail.wrong fail nobody 1
	saved add.none add nobody /dev/null
	saved features features
	saved config config
	saved exports exports
	saved export.none export nobody nbd
	saved unexport.none unexport nobody
	printf '[arra]\nx=1\n' >"$tmp/conf"
	saved config.wrong config "$tmp/conf"
	printf '[array x]\ndepth=1\n' >"$tmp/conf"
	saved config.named config "$tmp/conf"
	saved handover.none handover nobody
	saved release.none release nobody
	saved examine.none examine "$tmp/conf"
	jq 'del(.job.now) | .job.last = {kind: "check", how: "done", mismatch_sectors: 0, mismatches: [],
		mended_cells: 0, unreadable_cells: 0}' "$here/status.json" >"$tmp/idle"
	kill "${served[@]}"
	wait "${served[@]}" || true
	serve "$tmp/idle"
	saved wait wait
	saved check.wait check --wait
	saved check.all check --all --for 10s
	saved watch watch
	python3 "$here/validate.py" "$schemas" "$tmp"/json/*
}

# The validation sees a field that is missing, one too many and one of another type.
seen() {
	local change
	for change in 'del(.uuid)' '.colour = "red"' '.members[0].role = "0"' '.job.now.kind = "nap"'; do
		jq "$change" "$here/status.json" >"$tmp/status.json"
		! python3 "$here/validate.py" "$schemas" "$tmp/status.json" || { echo "taken: $change"; return 1; }
	done
}

check schema.every-command every_command
check schema.seen seen
check schema.answers answers
