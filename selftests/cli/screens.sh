#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# status and top for people: on a screen of tmux of 80 columns and 24 lines, in a pipe,
# and what top leaves behind, however it ends.
. "${0%/*}/lib.sh"
own_mounts
export TERM=screen LC_ALL=C.UTF-8
mkdir -p /run/ringraid
mount -t tmpfs -o mode=0700 tmpfs /run/ringraid
jq '.name = "host:data" | .members[1].state = "failed" | .members[1].error = "Input/output error"
	| .state = "degraded"' "$here/status.json" >"$tmp/a"
jq '.name = "host:\u001b[2Jevil and a name that is long" | .uuid = "00000000:76543210:fedcba98:76543210"
	| .block_device = "/dev/ublkb9" | del(.job.now)' "$here/status.json" >"$tmp/b"
serve "$tmp/a"
socket=''
esc=$'\033'

# The array at work.
work() {
	while :; do
		jq '.counters.writes += 100 | .counters.write_sectors += 204800 | .counters.full_cells += 30
			| .counters.rmw_cells += 10 | .latency.ways[2].buckets[13] += 100' "$tmp/a" >"$tmp/a.new"
		mv "$tmp/a.new" "$tmp/a"
		sleep 0.2
	done
}

shell() {
	socket=$tmp/tmux$RANDOM
	tmux -S "$socket" -f /dev/null new-session -d -s s -x 80 -y 24 "env PS1='ready ' bash --norc --noprofile"
	tmux -S "$socket" set -g remain-on-exit on
	shows 'ready'
}
type_() { tmux -S "$socket" send-keys -t s "$@"; }
picture() { tmux -S "$socket" capture-pane -p -t s "$@"; }
sees() { grep -E -- "$1" <<<"$(picture)" >/dev/null; } # REGEX: the screen has it now
shows() { # TEXT: the screen has it, or will
	local i
	for ((i = 0; i < 100; i++)); do
		[[ $(picture) != *"$1"* ]] || return 0
		sleep 0.1
	done
	printf 'no "%s" in:\n%s\n' "$1" "$(picture -e)"
	return 1
}
closed() { tmux -S "$socket" kill-server 2>/dev/null || true; }

status_in_a_pipe() {
	"$program" status data >"$tmp/out" || [ $? = 1 ]
	cat "$tmp/out"
	! grep -q "$esc" "$tmp/out" || return 1
	head -n 1 "$tmp/out" | has '/dev/ublkb3  data  degraded  [4/3] [U_UU]'
	has '    member 1 : /dev/nvme1n1   failed (Input/output error), 8 sectors were unreadable and rewritten' <"$tmp/out"
	has '    member 2 : /dev/nvme10n1  active' <"$tmp/out"
	grep -q '^ *job : check running \[=====>\.\.\.' "$tmp/out"
}

# By its uuid in either form: blkid and Pacemaker's agents have it with other dashes.
named() {
	local id
	for id in host:data data fedcba98:76543210:fedcba98:76543210 fedcba98-7654-3210-fedc-ba9876543210; do
		"$program" status "$id" >"$tmp/out" || [ $? = 1 ]
		head -n 1 "$tmp/out" | has '/dev/ublkb3  data  degraded  [4/3] [U_UU]'
	done
}

# colours ENVIRONMENT...: of status on a terminal
colours() {
	python3 -c 'import os, pty, sys
os.environ.update(a.split("=") for a in sys.argv[2:])
pty.spawn([sys.argv[1], "status", "data"])' "$program" "$@" >"$tmp/out" </dev/null || true
	grep -q "$esc\[33mdegraded$esc\[0m" "$tmp/out"
}
status_in_colour() {
	colours TERM=xterm
	! colours NO_COLOR=1 || return 1
	! colours TERM=dumb
}

top_shows() {
	trap closed EXIT
	shell
	type_ "'$program' top --interval 0.5" Enter
	shows 'array, member'
	shows 'full 75%'
	# Rates are those of the work: 500 a second, as fast as jq is.
	local i rate=0
	for ((i = 0; i < 50 && rate < 20; i++)); do
		rate=$(picture | awk '$1 == "data" { print int($4) }')
		sleep 0.2
	done
	picture
	[ "$rate" -ge 20 ]
	sees '^data +degraded '
	# What was timed of writes is in the bucket from 4.19 to 8.39 ms: 99 % of it are below 8.35.
	shows ' 8.35 '
	sees '^data +degraded +.* - +8\.35 +-$'
	sees '^  check running \[=====>'
	sees '^  1  nvme1n1 +failed '
	# One line each: nothing was wrapped.
	[ "$(picture | grep -c .)" = 9 ]
	[[ $(picture -e) = *"${esc}[33mdegraded"* ]]
}

# Another one comes, with a name that would clear the screen, and a daemon that dies.
top_arrays() {
	trap closed EXIT
	shell
	type_ "'$program' top --interval 0.3" Enter
	shows '1 array;'
	serve "$tmp/b"
	shows '2 arrays;'
	sees '^\\x1b\[2Jevil a +healthy '
	kill -9 "${served[-1]}"
	shows 'unknown'
	tmux -S "$socket" resize-window -t s -x 40 -y 10
	sleep 1
	[ "$(picture | wc -L)" -le 40 ]
	sees '^ringraid '
}

# ended HOW...: the terminal is what it was before, and the shell reads from it.
ended() {
	trap closed EXIT
	shell
	type_ "echo before; stty -g >'$tmp/stty1'; '$program' top --interval 0.3; stty -g >'$tmp/stty2'; echo end\$?" Enter
	shows 'array, member'
	[ "$(tmux -S "$socket" display -p -t s '#{alternate_on} #{cursor_flag}')" = '1 0' ]
	"$@"
	shows end0
	[ "$(tmux -S "$socket" display -p -t s '#{alternate_on} #{cursor_flag}')" = '0 1' ]
	cmp "$tmp/stty1" "$tmp/stty2"
	has before <<<"$(picture)"
	! sees 'array, member' || return 1
	type_ 'expr 40 + 2' Enter
	shows 42
}
the_top() { pgrep -f "^$program top" | head -n 1; }
by_signal() { kill "-$1" "$(the_top)"; }
by_stop() {
	type_ C-z
	sleep 0.5
	type_ q
}

top_in_a_pipe() {
	"$program" top --interval 0.5 >"$tmp/out"
	cat "$tmp/out"
	! grep -q "$esc" "$tmp/out" || return 1
	grep -qE '^data +degraded ' "$tmp/out"
	[ "$(wc -L <"$tmp/out")" -le 80 ]
}

check status.pipe status_in_a_pipe
check status.colour status_in_colour
check status.named named
work &
served+=($!)
check top.shows top_shows
check top.pipe top_in_a_pipe
check top.key ended type_ q
check top.interrupt ended type_ C-c
check top.term ended by_signal TERM
check top.hangup ended by_signal HUP
check top.stop ended by_stop
check top.arrays top_arrays
