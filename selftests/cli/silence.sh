#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Daemons that do not answer: one that hands over is waited for, as long as that may take,
# one that is dead is not.
. "${0%/*}/lib.sh"
own_mounts
mkdir -p /run/ringraid
mount -t tmpfs -o mode=0700 tmpfs /run/ringraid
serve "$here/status.json"
where=$(echo /run/ringraid/*/)

# Nobody listens for a second and a half, which is what a handover looks like from outside.
handing_over() {
	mv "$where/control.sock" "$where/away"
	(sleep 1.5; mv "$where/away" "$where/control.sock") &
	"$program" --json status >"$tmp/json"
	jq -e '.state == "healthy"' "$tmp/json"
	wait $!
}

silent() {
	local begun=$SECONDS
	mv "$where/control.sock" "$where/away"
	! "$program" status >"$tmp/out" 2>&1 || return 1
	mv "$where/away" "$where/control.sock"
	cat "$tmp/out"
	[ $((SECONDS - begun)) -ge 4 ]
	grep -qE '^ringraid: the daemon of .* lives \(pid [0-9]+\) and does not listen' "$tmp/out"
	grep -q '^hint: it hands the array over, or ' "$tmp/out"
}

dead() {
	local begun
	kill -9 "${served[0]}"
	while kill -0 "${served[0]}" 2>/dev/null; do sleep 0.1; done
	begun=$SECONDS
	! "$program" status >"$tmp/out" 2>&1 || return 1
	cat "$tmp/out"
	[ $((SECONDS - begun)) -le 3 ]
	grep -q 'clients wait until then' "$tmp/out"
}

check silence.handing-over handing_over
check silence.silent silent
check silence.dead dead
