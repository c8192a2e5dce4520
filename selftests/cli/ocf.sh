#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The resource agent for Pacemaker, over a ringraid that only says what it is told to.
. "${0%/*}/lib.sh"
agent=$top/loader/packaging/ocf/array
export OCF_RESKEY_uuid=01234567:89abcdef:01234567:89abcdef OCF_FUNCTIONS_DIR=/nonexistent
mkdir "$tmp/bin"
export state=$tmp/state
cat >"$tmp/bin/ringraid" <<'END'
#!/bin/sh
# What is in $state: the exit code of status, and what the next orders do.
echo "$*" >>"$state/calls"
[ "$1" != --json ] || shift
case $1 in
status)
	cat "$state/text" 2>/dev/null
	exit "$(cat "$state/status")"
	;;
events) cat "$state/events" 2>/dev/null ;;
assemble)
	rc=$(cat "$state/assemble" 2>/dev/null || echo 0)
	[ "$rc" -gt 1 ] || echo "$rc" >"$state/status"
	exit "$rc"
	;;
stop)
	[ ! -e "$state/busy" ] || { rm "$state/busy"; exit 1; }
	echo 4 >"$state/status"
	;;
esac
END
chmod +x "$tmp/bin/ringraid"
PATH=$tmp/bin:$PATH

# given STATUS: the array is so, and nothing else is known.
given() {
	rm -rf "$state"
	mkdir "$state"
	echo "$1" >"$state/status"
}

# gives CODE ACTION: the agent's answer.
gives() {
	local rc=0
	"$agent" "$2" >"$tmp/out" 2>&1 || rc=$?
	[ $rc = "$1" ] || { echo "$2 gives $rc and not $1"; cat "$tmp/out"; return 1; }
}
called() { grep -q -- "$1" "$state/calls" || { echo "never: $1"; cat "$state/calls"; return 1; }; }

monitors() {
	given 0; gives 0 monitor
	given 1; gives 190 monitor
	given 2; gives 1 monitor
	given 4; gives 7 monitor
	printf '{"event": "Fenced"}\n{"event": "DeviceDisappeared"}\n' >"$state/events"
	gives 7 monitor
	grep -q 'another host has taken' "$tmp/out"
	given 4
	echo 'ringraid: the daemon of data is dead: Owner died' >"$state/text"
	gives 1 monitor
}

starts() {
	given 4; gives 0 start
	called 'assemble --uuid 01234567:89abcdef:01234567:89abcdef --unattended --take-over'
	given 4; echo 1 >"$state/assemble"; gives 0 start
	given 0; gives 0 start
	if grep assemble "$state/calls"; then return 1; fi
	given 4; echo 76 >"$state/assemble"; gives 1 start
	grep -q 'another host has the members' "$tmp/out"
	given 4
	OCF_RESKEY_take_over=false OCF_RESKEY_options='--queues 2' gives 0 start
	called 'unattended --queues 2'
}

stops() {
	given 0; gives 0 stop; gives 7 monitor
	given 4; gives 0 stop
	if grep '^stop' "$state/calls"; then return 1; fi
	given 1; touch "$state/busy"; gives 0 stop
}

refuses() {
	given 0
	OCF_RESKEY_uuid='data; rm' gives 6 validate-all
	OCF_RESKEY_uuid='' gives 6 start
	gives 0 validate-all
	gives 3 promote
	gives 0 help
}

describes() {
	gives 0 meta-data
	python3 - "$tmp/out" <<-'END'
		import sys, xml.etree.ElementTree as tree
		root = tree.parse(sys.argv[1]).getroot()
		actions = {a.get("name") for a in root.iter("action")}
		assert {"start", "stop", "monitor", "meta-data", "validate-all"} <= actions, actions
		assert {p.get("name") for p in root.iter("parameter")} == {"uuid", "take_over", "options"}
	END
}

for c in monitors starts stops refuses describes; do check "ocf.$c" "$c"; done
