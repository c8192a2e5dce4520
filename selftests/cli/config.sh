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

check config.right right
check config.wrong wrong
check config.started started
