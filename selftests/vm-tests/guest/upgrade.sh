#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# upgrade.sh ROUNDS: from version 1 to 2 and back under load; then what must be
# refused, what is taken back, and what a successor makes of a cut-off upgrade.
. "${0%/*}/lib.sh"
rounds=$1
read -ra members < <(disks 4)
o=/test/o

# to VERSION OBJECT [OPTION...]: upgrades; keeps the longest pause.
longest_us=0
to() {
	local version=$1 us
	shift
	quietly ringraid --json upgrade t "$@" --probation-ms 50
	[ "$(st program_version)" = "$version" ] || fail "version $(st program_version) runs, not $version"
	us=$(jq '.pause_ns / 1000 | floor' "$tmp/log")
	[ "$us" -le "$longest_us" ] || longest_us=$us
}

# The counters that only grow, in two lines: what was before is there after.
grown() {
	local name
	for name in reads writes slot_writes steps xor_bytes; do
		[ "$(jq ".$name" "$tmp/after")" -ge "$(jq ".$name" "$tmp/before")" ] ||
			fail "$name was $(jq ".$name" "$tmp/before"), is $(jq ".$name" "$tmp/after")"
	done
}

start t "${members[@]}" --chunk 64K --assume-clean --queues 2
queues 2
fill
store=$(st store)
quietly ringraid store set "$store" retries_max 900
background upgrade
for ((i = 0; i < rounds; i++)); do
	sleep 0.$((RANDOM % 10))
	ringraid --json stats >"$tmp/before"
	to 2 $o/next.bpf.o
	ringraid --json stats >"$tmp/after"
	grown
	[ "$(ringraid store get "$store" tick_us)" = 10000 ] || fail "10 ms became $(ringraid store get "$store" tick_us) us"
	sleep 0.$((RANDOM % 10))
	mv "$tmp/after" "$tmp/before"
	to 1 $o/raid5.bpf.o --accept '*'
	ringraid --json stats >"$tmp/after"
	grown
	[ "$(ringraid store get "$store" retries_max)" = 900 ] || fail "retries_max is $(ringraid store get "$store" retries_max)"
done
no_stream
say "$((2 * rounds)) upgrades under load: longest pause $((longest_us / 1000)) ms (emulated), no error, counters kept"

# Nobody needs to say a word for the same values and other code.
to 1 $o/raid5.bpf.o
to 1
# A member fails while a new version is on probation; the way back knows of it.
quietly ringraid upgrade t $o/next.bpf.o --hold
[ "$(st probation)" = true ] || fail "no probation"
refused 'probation' ringraid upgrade t $o/next.bpf.o
quietly ringraid fail t "${members[2]}"
sleep 0.2
quietly ringraid upgrade t --rollback
[ "$(st program_version)" = 1 ] || fail "rolled back to $(st program_version)"
ringraid store get "$store" members | jq -e '.member[2].state == "rr_failed"' >/dev/null ||
	fail "the store says $(ringraid store get "$store" members)"
state degraded
say 'rolled back, degraded'

refused 'arena is another' ringraid upgrade t $o/foreign.bpf.o
refused 'not a BPF object|no datapath' ringraid upgrade t /bin/sh
refused 'cannot read' ringraid upgrade t $o/nothing.bpf.o
refused 'rolled back' ringraid upgrade t $o/wild.bpf.o
[ "$(st program_version)" = 1 ] || fail "version $(st program_version) after a refusal"
refused 'no version is on probation' ringraid upgrade t --commit
refused 'lose or guess' bash -c "ringraid upgrade t $o/next.bpf.o && ringraid upgrade t $o/raid5.bpf.o"
to 1 $o/raid5.bpf.o --accept '*'
say 'refused: another arena, no program, a wild one, a loss that nobody accepted'

# kill -9 on probation: the successor runs the new version, and can go back.
quietly ringraid upgrade t $o/next.bpf.o --hold
ringraid --json stats >"$tmp/before"
kill -9 "$(st pid)"
again "${members[0]}" "${members[1]}" "${members[3]}"
[ "$(st program_version)" = 2 ] || fail "the successor runs version $(st program_version)"
ringraid --json stats >"$tmp/after"
grown
quietly ringraid upgrade t --rollback
[ "$(st program_version)" = 1 ] || fail "version $(st program_version) after the rollback"
ringraid --json stats >"$tmp/after"
grown
say 'kill -9 on probation: the successor runs the new version and takes it back'

# kill -9 somewhere in an upgrade: one version or the other, whole.
for ((i = 0; i < rounds; i++)); do
	ringraid upgrade t $o/next.bpf.o --accept '*' --probation-ms 1 >/dev/null 2>&1 &
	upgrade=$!
	sleep 0.$((RANDOM % 10))$((RANDOM % 10))
	kill -9 "$(st pid)"
	wait $upgrade || true
	again "${members[0]}" "${members[1]}" "${members[3]}"
	[[ "$(st program_version)" = [12] ]] || fail "version $(st program_version)"
	quietly ringraid store verify "$store"
	ringraid --json stats >"$tmp/after"
	grown
	[ "$(st program_version)" = 1 ] || to 1 $o/raid5.bpf.o --accept '*'
done
# The daemon that died had a program for another arena: of the same version, and
# of another one.
older() {
	kill_daemon
	for program in /run/ringraid/*/program-*.bpf.o; do cp "$1" "$program"; done
	again "${members[0]}" "${members[1]}" "${members[3]}"
	grep -qE "$2" "$tmp/log" || { cat "$tmp/log"; fail "the older program was taken"; }
	[ "$(st program_version)" = 1 ] || fail "version $(st program_version)"
	ringraid --json stats >"$tmp/after"
	grown
}
to 1 $o/raid5.bpf.o
older $o/foreign.bpf.o 'another build; the built-in'
to 2 $o/next.bpf.o
older $o/foreign.bpf.o 'KV store was moved from version 2 to 1'
end_clients
say "killed $rounds times in an upgrade, under load: one version or the other, whole; an older program is replaced"
no_stream
dd if="$block" of="$tmp/ref" bs=1M iflag=direct status=none
stop
take_degraded "${members[0]}" "${members[1]}" "${members[3]}"
block=$md
read_all 'by md'
give
say 'md reads the same bytes'

# NVMe commands, and another version that sends them.
wipe "${members[@]}"
start t "${members[@]}" --chunk 64K --assume-clean --passthrough
background commands
to 2 $o/next.bpf.o
sleep 1
to 1 $o/raid5.bpf.o --accept '*'
sleep 1
[ "$(st passthrough)" = true ] || fail "no passthrough any more"
end_clients
no_stream
stop
judge "${members[@]}"
say "with NVMe commands, too"

# The user engine has no program.
wipe "${members[@]}"
start t "${members[@]}" --chunk 64K --assume-clean --engine user
refused 'user engine' ringraid upgrade t $o/next.bpf.o
stop
