#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# kill9.sh KILLS: the daemon dies by kill -9 under load, again and again; its
# successor takes over, the load sees a pause and no error, nothing is resynced,
# and md finds the parity right.
. "${0%/*}/lib.sh"
kills=$1
read -ra members < <(disks 4)

# kill_and_recover ENGINE HEALTH MEMBER...
kill_and_recover() {
	local engine=$1 health=$2 old=$block
	shift 2
	kill_daemon
	[ $((RANDOM % 2)) = 0 ] || sleep 0.$((RANDOM % 9))
	local rc=0
	timeout 100 ringraid assemble "$@" --engine "$engine" >"$tmp/assemble" 2>&1 || rc=$?
	[ $rc -le 1 ] || { cat "$tmp/assemble"; fail "nobody took over (exit code $rc)"; }
	! grep -q 'recomputing parity' "$tmp/assemble" || { cat "$tmp/assemble"; fail "a resync after kill -9"; }
	[ "$(st block_device)" = "$old" ] || fail "the successor serves $(st block_device), not $old"
	state "$health"
}

# under_load ENGINE HEALTH
under_load() {
	local engine=$1 health=$2 i kept=("${members[@]}")
	wipe "${members[@]}"
	start t "${members[@]}" --engine "$engine" --chunk 64K --assume-clean
	fill
	if [ "$health" = degraded ]; then
		quietly ringraid fail t "${members[1]}"
		kept=("${members[0]}" "${members[2]}" "${members[3]}")
	fi
	background kill9
	for ((i = 0; i < kills; i++)); do
		sleep 1.$((RANDOM % 10))
		kill_and_recover "$engine" "$health" "${kept[@]}"
	done
	end_clients
	# The part that nobody wrote to since.
	dd if="$block" of="$tmp/got" bs=1M count=32 iflag=direct status=none
	dd if="$tmp/ref" of="$tmp/want" bs=1M count=32 status=none
	same "$tmp/want" "$tmp/got" "$engine, $health"
	load after --rw=randrw --bssplit=$mix --iodepth=16 --size=16m --offset=80m
	dd if="$block" of="$tmp/ref" bs=1M iflag=direct status=none
	no_stream
	stop
	if [ "$health" = healthy ]; then
		judge "${members[@]}"
	else
		take_degraded "${kept[@]}"
		block=$md
		read_all "by md"
		give
	fi
	say "$engine engine, $health: killed $kills times under load, no error, no resync, parity right"
}

for engine in bpf user; do
	for health in healthy degraded; do under_load $engine $health; done
done

# Nobody there: a question says so and does not hang; the next daemon may be of the other kind.
wipe "${members[@]}"
start t "${members[@]}" --engine bpf --chunk 64K --assume-clean
kill -9 "$(st pid)"
sleep 0.3
rc=0
timeout 30 ringraid status t >"$tmp/log" 2>&1 || rc=$?
[ $rc = 4 ] || { cat "$tmp/log"; fail "status of a dead daemon gives $rc, not 4"; }
grep -q '^hint: .*assemble' "$tmp/log" || { cat "$tmp/log"; fail "no hint to assemble"; }
timeout 60 ringraid assemble --name t >"$tmp/log" 2>&1 || { cat "$tmp/log"; fail "assemble --name after kill -9"; }
state healthy
stop
say "a dead daemon is named as such, and found again by name"
