#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# ringraid config: wrong lines by file and line with a hint, and what holds in the end.
. "${0%/*}/lib.sh"
own_mounts

right() {
	printf '[array]\ndepth = 32\n[array data]\nqueues = 2\n[monitor]\nmail = a@b\n' >"$tmp/a"
	"$program" config "$tmp/a" >"$tmp/out"
	grep -qE "^\[array data\]" "$tmp/out"
	grep -qE "^queues +=  *2 +# $tmp/a:4" "$tmp/out"
	grep -qE "^slots +=  *64 +# default" "$tmp/out"
	"$program" --json config "$tmp/a" >"$tmp/json"
	jq -e '.ok and .arrays[0].settings.depth.value == "32" and .monitor.mail.value == "a@b"' "$tmp/json"
}

wrong() {
	printf '[array]\ndepth = 32\ndept = 3\n' >"$tmp/a"
	! "$program" config "$tmp/a" >"$tmp/out" 2>"$tmp/err" || return 1
	cat "$tmp/err"
	grep -q "^ringraid: $tmp/a:3: \[array\] has no setting dept$" "$tmp/err"
	grep -q '^hint: its settings are .*depth' "$tmp/err"
	! "$program" --json config "$tmp/a" >"$tmp/json" || return 1
	jq -e --arg w "$tmp/a:3" '.ok == false and .problems[0].where == $w' "$tmp/json"
}

# A start goes on with what is right, and says what is not.
started() {
	mkdir -p /etc/ringraid
	mount -t tmpfs tmpfs /etc/ringraid
	mkdir /etc/ringraid/conf.d
	printf '[array]\nqueues = 99\n' >/etc/ringraid/ringraid.conf
	printf '[array nothing]\ndepth = 3\n' >/etc/ringraid/conf.d/b.conf
	"$program" assemble --name nothing --wait 0 >"$tmp/out" 2>&1 || true
	"$program" --json config >"$tmp/json" || true
	umount /etc/ringraid
	rmdir /etc/ringraid 2>/dev/null || true
	cat "$tmp/out"
	grep -q '^ringraid: /etc/ringraid/ringraid.conf:2: queues: 99 is not from 1 to 16' "$tmp/out"
	grep -q 'no device holds such an array' "$tmp/out"
	jq -e '.arrays[0].settings.depth.from == "/etc/ringraid/conf.d/b.conf:2"' "$tmp/json"
}

# Of an array that runs, what its daemon says; of one of ours, what it was started with.
living() {
	array=
	mkdir -p /etc/ringraid /run/ringraid
	mount -t tmpfs tmpfs /etc/ringraid
	mount -t tmpfs -o mode=0700 tmpfs /run/ringraid
	mkdir /etc/ringraid/arrays
	printf '[array]\nsync-max = 5000\nslots = 32\n' >/etc/ringraid/ringraid.conf
	printf '# x\nOPTIONS=--depth 64 --sync-max 700 --no-affinity --passthrough\n' \
		>/etc/ringraid/arrays/fedcba98-7654-3210-fedc-ba9876543210
	serve "$here/status.json"
	array=${served[-1]}
	trap 'kill $array; umount /etc/ringraid' EXIT
	"$program" --json config >"$tmp/json"
	jq -c '.arrays[0].settings | .depth, .slots, .["sync-min"], .["sync-max"]' "$tmp/json"
	jq -e '.arrays[0].settings | .depth.from == "/etc/ringraid/arrays/fedcba98-7654-3210-fedc-ba9876543210"
		and .passthrough.value == "yes" and .affinity.value == "no"
		and .["sync-max"].value == "0" and (.["sync-max"].from | test("^ringraid set, until it stops; not /etc/ringraid/arrays/"))
		and .["sync-min"].value == "1000"
		and .slots.value == "64" and (.slots.from == "as it was started; not /etc/ringraid/ringraid.conf:3")' "$tmp/json" || return 1
	jq '.job.sync_max_kib = 700 | .job.sync_min_kib = 700' "$here/status.json" >"$tmp/status"
	kill "$array"
	wait "$array" 2>/dev/null || true
	serve "$tmp/status"
	array=${served[-1]}
	"$program" --json config >"$tmp/json"
	jq -e '.arrays[0].settings | .["sync-max"] == .["sync-min"] and .["sync-max"].value == "700"
		and (.["sync-max"].from | startswith("/etc/ringraid/arrays/"))' "$tmp/json"
}

# What an array was given is a file, and people edit files.
edited() {
	local uuid=fedcba98-7654-3210-fedc-ba9876543210
	mkdir -p /etc/ringraid
	mount -t tmpfs tmpfs /etc/ringraid
	trap 'umount /etc/ringraid' EXIT
	mkdir /etc/ringraid/arrays
	printf '[array %s]\nqueues = 2\n' $uuid >/etc/ringraid/ringraid.conf
	printf 'OPTIONS=--depth 32 --sync-max soon --sync-min 99999999999999999999999 --slots --x\n' >/etc/ringraid/arrays/$uuid
	! "$program" --json config >"$tmp/json" || return 1
	jq -e '[.problems[].where] == [range(3) | "/etc/ringraid/arrays/'$uuid'"] and .ok == false
		and (.arrays[0].settings | .depth.value == "32" and .["sync-max"].value == "0"
			and .["sync-min"].value == "1000" and .slots.value == "64")' "$tmp/json"
	! "$program" config >"$tmp/out" 2>"$tmp/err" || return 1
	cat "$tmp/err"
	has "ringraid: /etc/ringraid/arrays/$uuid: --sync-max soon: is no number" <"$tmp/err"
	has 'hint: the array does not start with it; --sync-max is: the most that a job does; 0: no bound' <"$tmp/err"
}

check config.right right
check config.wrong wrong
check config.started started
check config.living living
check config.edited edited
