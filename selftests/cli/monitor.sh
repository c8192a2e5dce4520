#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The monitor, on event files as daemons write them: what it tells, to whom, and that
# kill -9 neither loses an event nor repeats more than the last one.
. "${0%/*}/lib.sh"
own_mounts
mkdir -p /run/ringraid
mount -t tmpfs -o mode=0700 tmpfs /run/ringraid
uuid=01234567-89abcdef-01234567-89abcdef
dir=/run/ringraid/$uuid
pid='' array='' holder=''

# Who gets mail, and who is run: each call is kept.
cat >"$tmp/sendmail" <<EOF
#!/bin/sh
[ "\$1" = -t ] && cat >>"$tmp/mails"
EOF
cat >"$tmp/program" <<EOF
#!/bin/sh
echo "\$@" >>"$tmp/calls"
EOF
chmod +x "$tmp/sendmail" "$tmp/program"

# event NAME [MORE]: as a daemon appends it.
event() {
	mkdir -p "$dir"
	printf '{"schema":1,"time":"%s","event":"%s","name":"h:data","uuid":"u","block_device":"/dev/ublkb7"%s}\n' \
		"$(date -u +%Y-%m-%dT%H:%M:%S.000Z)" "$1" "${2:-}" >>"$dir/events"
}

monitor() { exec "$program" monitor --sendmail "$tmp/sendmail" --program "$tmp/program" --mail root "$@"; }

start() {
	(monitor) 2>>"$tmp/lines" &
	pid=$!
}

# until_true COMMAND...: within twenty seconds.
until_true() {
	local i
	for ((i = 0; i < 100; i++)); do ! "$@" || return 0; sleep 0.2; done
	echo "never: $*"
	cat "$tmp"/{lines,calls,mails} 2>/dev/null
	return 1
}
called() { [ "$(grep -cxF "$1" "$tmp/calls" 2>/dev/null)" = "${2:-1}" ]; }
mailed() { [ "$(grep -cF "$1" "$tmp/mails" 2>/dev/null)" = "${2:-1}" ]; }

fresh() {
	rm -rf "$tmp"/{calls,mails,lines} "${dir:?}" /run/ringraid/monitor.json
}
end() {
	[ -n "$pid" ] || return 0
	kill "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
}

told() {
	fresh
	start
	trap end EXIT
	event NewArray
	until_true called 'NewArray /dev/ublkb7' || return 1
	event Fail ',"role":2,"device":"/dev/sdc","error":"EIO"'
	until_true called 'Fail /dev/ublkb7 /dev/sdc' || return 1
	until_true mailed 'Subject: Fail event on data:' || return 1
	until_true mailed 'smartctl -a /dev/sdc' || return 1
	event RebuildFinished ',"job":"check","mismatch_sectors":8'
	until_true mailed 'mismatch_sectors 8' || return 1
	grep -q '^ringraid: Fail event on data (/dev/ublkb7), device /dev/sdc' "$tmp/lines" || return 1
	# The array goes, with its files, and another one comes.
	event DeviceDisappeared
	until_true called 'DeviceDisappeared /dev/ublkb7' || return 1
	rm -r "$dir"
	sleep 2
	event NewArray
	until_true called 'NewArray /dev/ublkb7' 2
}

killed() {
	local n i
	fresh
	trap end EXIT
	for ((n = 0; n < 12; n++)); do
		start
		for ((i = 0; i < 5; i++)); do event "Rebuild$((n * 5 + i))"; done
		sleep "1.$((RANDOM % 10))"
		kill -9 "$pid"
		wait "$pid" 2>/dev/null || true
		# Every other time the file becomes the old one while nobody looks.
		[ $((n % 2)) = 0 ] || mv "$dir/events" "$dir/events.old"
		event "Rebuild1000$n"
	done
	start
	until_true called 'Rebuild100011 /dev/ublkb7' || return 1
	for ((n = 0; n < 60; n++)); do
		i=$(grep -cxF "Rebuild$n /dev/ublkb7" "$tmp/calls") || true
		[ "$i" -ge 1 ] || { echo "Rebuild$n is lost"; return 1; }
	done
	# Each kill repeats one at most.
	[ "$(wc -l <"$tmp/calls")" -le $((60 + 12 + 12)) ] || { echo "$(wc -l <"$tmp/calls") calls"; return 1; }
}

# Nothing old is told again, nor anything twice, by one that is started anew.
again() {
	fresh
	trap end EXIT
	mkdir -p "$dir"
	echo '{"schema":1,"time":"2020-01-01T00:00:00.000Z","event":"Fail","name":"h:data"}' >"$dir/events"
	event SpareActive
	(monitor --oneshot) 2>>"$tmp/lines" || return 1
	(monitor --oneshot) 2>>"$tmp/lines" || return 1
	called 'SpareActive /dev/ublkb7' && [ "$(wc -l <"$tmp/calls")" = 1 ] && [ ! -e "$tmp/mails" ]
}

alone() {
	fresh
	start
	trap end EXIT
	event NewArray
	until_true called 'NewArray /dev/ublkb7' || return 1
	! (monitor) 2>"$tmp/lines" || return 1
	grep -q 'another monitor runs' "$tmp/lines"
}

# Under a service manager the journal gets priorities.
journal() {
	fresh
	event Fail
	event NewArray
	(JOURNAL_STREAM=1:2 monitor --oneshot) 2>"$tmp/lines" || return 1
	cat "$tmp/lines"
	grep -q '^<2>Fail event' "$tmp/lines" && grep -q '^<6>NewArray event' "$tmp/lines"
}

# Fewer spares than are to be there: once, and again after they were there.
spares() {
	fresh
	mkdir -p /etc/ringraid
	mount -t tmpfs tmpfs /etc/ringraid
	printf '[array]\nspares = 1\n' >/etc/ringraid/ringraid.conf
	cp "$here/status.json" "$tmp/status"
	python3 "$here/fake_array.py" "$tmp/status" >"$tmp/asked" &
	array=$!
	trap 'kill $array; wait $array || true; umount /etc/ringraid' EXIT
	dir=/run/ringraid/$(jq -r .uuid "$tmp/status" | tr : -)
	until_true test -e "$dir/state.json" || return 1
	event NewArray
	local round
	for round in '[]' '[]' '[{"device": "/dev/sdq", "identity": "e"}]' '[]'; do
		jq ".spares = $round" "$here/status.json" >"$tmp/status"
		(monitor --oneshot) 2>>"$tmp/lines" || return 1
	done
	called 'SparesMissing /dev/ublkb3' 2 && mailed 'Subject: SparesMissing event' 2
}

# What runs and is degraded, and a daemon that dies.
living() {
	fresh
	jq '.state = "degraded" | .members[1].state = "missing"' "$here/status.json" >"$tmp/status"
	python3 "$here/fake_array.py" "$tmp/status" >"$tmp/asked" &
	array=$!
	trap 'end; kill -9 $array 2>/dev/null || true' EXIT
	dir=/run/ringraid/$(jq -r .uuid "$tmp/status" | tr : -)
	until_true test -e "$dir/state.json" || return 1
	event NewArray
	(monitor --test) 2>>"$tmp/lines" || return 1
	called "TestMessage $(jq -r .block_device "$tmp/status")" || return 1
	mailed 'Subject: TestMessage event on' || return 1
	grep -q '^ *state : degraded' "$tmp/mails" || { echo 'the mail has no status'; return 1; }
	(monitor --oneshot) 2>>"$tmp/lines" || return 1
	called "DegradedArray $(jq -r .block_device "$tmp/status")" || return 1
	start
	sleep 3
	called "DegradedArray $(jq -r .block_device "$tmp/status")" || { echo 'reminded too soon'; return 1; }
	end
	(monitor --remind 1s) 2>>"$tmp/lines" &
	pid=$!
	until_true called "DegradedArray $(jq -r .block_device "$tmp/status")" 3 || return 1
	# A successor is at work, for longer than that.
	flock "$dir/lock" sleep 14 &
	holder=$!
	kill -9 $array
	sleep 13
	! grep -q DaemonDied "$tmp/calls" || { echo 'told although a successor starts'; return 1; }
	kill $holder
	until_true called "DaemonDied $(jq -r .block_device "$tmp/status")" || return 1
	end
	start
	sleep 12
	called "DaemonDied $(jq -r .block_device "$tmp/status")" || { echo 'told twice'; return 1; }
	kill -0 "$pid"
}

check monitor.told told
check monitor.killed killed
check monitor.again again
check monitor.alone alone
check monitor.journal journal
check monitor.spares spares
check monitor.living living
